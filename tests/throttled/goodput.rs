//! A timer that is late by up to a millisecond costs at most 2 % of the rate.

use alloc::sync::Arc;
use core::future::{Ready, ready};
use core::time::Duration;

use tidegate::{Clock, ManualClock, Quota, Throttled, TokenBucket, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, sink};
use tokio::task::JoinSet;

use crate::{SECOND, block_on, bucket, bytes, elapsed};

/// Wakes at a whole millisecond, as tokio's timer does.
fn late(clock: &ManualClock) -> impl Fn(Duration) -> Ready<()> + Clone + 'static {
    let clock = clock.clone();
    move |wait| {
        let tick = 1_000_000;
        let until = (clock.now() + wait).as_nanos().div_ceil(tick) * tick;
        clock.advance(Duration::from_nanos(until - clock.now().as_nanos()));
        ready(())
    }
}

/// From a burst of a fraction of what flows in during a tick, to one of many ticks.
#[test]
fn late_timers_cost_no_throughput() {
    for (rate, burst) in [
        (10_000_000, 1_000),
        (10_000_000, 16_384),
        (100_000, 10),
        (100_000, 50_000),
        (1_000, 1),
    ] {
        let clock = ManualClock::new();
        let bucket = bucket(rate, burst, &clock);
        let sent = bytes(rate + burst);
        let mut upload = Throttled::new(Vec::new(), &bucket).timer(late(&clock));
        block_on(upload.write_all(&sent)).unwrap();
        let up = elapsed(&clock);
        assert!(
            up >= SECOND && up <= SECOND * 102 / 100,
            "{rate}/s burst {burst}: {up:?}"
        );
        assert!(upload.into_inner() == sent);

        clock.advance(10 * SECOND);
        let start = clock.now();
        let mut got = Vec::new();
        let mut download = Throttled::new(&sent[..], &bucket).timer(late(&clock));
        block_on(download.read_to_end(&mut got)).unwrap();
        let down = clock.now() - start;
        assert!(
            down >= SECOND && down <= SECOND * 102 / 100,
            "{rate}/s burst {burst}: {down:?}"
        );
        assert!(got == sent);
    }
}

/// Connections that share a limiter take turns, so that each gets its share of the whole rate.
#[tokio::test(start_paused = true)]
async fn connections_share_the_whole_rate() {
    let quota = Quota::per_second(1_000_000).burst(16_384);
    let bucket = Arc::new(TokenBucket::with_clock(quota, TokioClock::new()));
    let mut connections = JoinSet::new();
    for number in 0..10 {
        let bucket = Arc::clone(&bucket);
        connections.spawn(async move {
            let start = bucket.clock().now();
            // Half of them read.
            let (near, mut far) = duplex(64 * 1024);
            let mut moved = 0_u64;
            let mut buffer = [7; 16 * 1024];
            if number % 2 == 0 {
                let mut near = Throttled::new(near, Arc::clone(&bucket));
                let mut far = Throttled::new(far, Arc::clone(&bucket)).reads_only();
                while bucket.clock().now() - start < 5 * SECOND {
                    // `far` is not throttled when it writes.
                    far.write_all(&buffer).await.unwrap();
                    near.read_exact(&mut buffer).await.unwrap();
                    moved += buffer.len() as u64;
                }
            } else {
                let mut near = Throttled::new(near, Arc::clone(&bucket));
                while bucket.clock().now() - start < 5 * SECOND {
                    near.write_all(&buffer).await.unwrap();
                    far.read_exact(&mut buffer).await.unwrap();
                    moved += buffer.len() as u64;
                }
            }
            moved
        });
    }
    let moved = connections.join_all().await;
    let all: u64 = moved.iter().sum();
    // The last chunks are moved after the five seconds, and reads are a chunk ahead.
    assert!((4_900_000..=5_400_000).contains(&all), "{moved:?}");
    let (least, most) = (moved.iter().min(), moved.iter().max());
    // A chunk or two apart.
    assert!(most.unwrap() - least.unwrap() <= 3 * 16_384, "{moved:?}");
}

/// As fast as the inner writer while permits are there: no chunk sleeps.
#[test]
fn unused_limits_do_not_wait() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 1_000_000, &clock);
    let mut upload = Throttled::new(sink(), &bucket).timer(crate::no_sleep);
    block_on(upload.write_all(&bytes(1_000_000))).unwrap();
    assert_eq!(bucket.available(), 0);
}
