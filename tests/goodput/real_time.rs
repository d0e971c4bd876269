//! The same for real, on tokio's timer. The bounds hold on a machine that stalls: tests count
//! calls and messages instead of time, or look for a stretch in which the machine did not stall.

use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use tidegate::{
    Acquire, Awaitable, Clock, Combined, DefaultClock, Quota, ShardedTokenBucket, TokenBucket,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

const MILLISECOND: Duration = Duration::from_millis(1);

const fn bucket(rate: u64, burst: u64) -> TokenBucket {
    TokenBucket::new(Quota::per_second(rate).burst(burst))
}

/// Twice as many callers as there are tokens, each of which gives up after 100 ms.
#[tokio::test]
async fn callers_that_give_up_leave_tokens_to_others() {
    let bucket = Arc::new(bucket(100, 1));
    let mut ticks = interval(5 * MILLISECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = DefaultClock.now();
    let mut callers = Vec::new();
    for _ in 0..300 {
        ticks.tick().await;
        let acquire = Acquire::new(Arc::clone(&bucket), 1);
        callers.push(tokio::spawn(timeout(100 * MILLISECOND, acquire)));
    }
    let mut served = [0_u64; 2];
    for (number, caller) in callers.into_iter().enumerate() {
        if let Ok(outcome) = caller.await.expect("no panic") {
            outcome.expect("no timeout of its own");
            served[number / 150] += 1;
        }
    }
    let passed = DefaultClock.now() - start;
    // About half of each, unless the machine stalls. Once none of the later callers was served.
    assert!(served[0] >= 40 && served[1] >= 40, "{served:?}");
    let most = (passed + 3 * MILLISECOND).as_nanos() / 10_000_000 + 1;
    assert!(
        u128::from(served[0] + served[1]) <= most,
        "{served:?} of {most}"
    );
    assert_eq!(bucket.waiting(), 0);
}

/// A wait is dropped and made anew at each message. Ends after 30 turns, which take 0.3 s.
#[tokio::test]
async fn select_loop_gets_its_turns() {
    let bucket = bucket(100, 1);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let sending = tokio::spawn(async move {
        let mut ticks = interval(MILLISECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Ideally one turn in ten messages.
        for _ in 0..2_500 {
            ticks.tick().await;
            if sender.send(()).await.is_err() {
                break;
            }
        }
    });
    let mut turns = 0;
    while turns < 30 {
        tokio::select! {
            biased;
            message = receiver.recv() => {
                if message.is_none() {
                    break;
                }
            }
            turn = bucket.acquire(1) => {
                turn.expect("patient");
                turns += 1;
            }
        }
    }
    drop(receiver);
    sending.await.expect("no panic");
    assert_eq!(turns, 30);
}

/// 64 tasks wait in a loop. Looks for 50 ms in which they get nine tenths of the rate.
async fn reaches_the_rate(limiter: Arc<impl Awaitable + Send + Sync + 'static>, rate: u64) {
    let taken = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (limiter, taken) = (Arc::clone(&limiter), Arc::clone(&taken));
            async move {
                loop {
                    Acquire::new(&limiter, 1).await.expect("patient");
                    taken.fetch_add(1, Relaxed);
                }
            }
        })
        .map(tokio::spawn)
        .collect();
    let mut best = 0;
    let begin = DefaultClock.now();
    while best * 10 < rate * 9 && DefaultClock.now() - begin < 2_500 * MILLISECOND {
        let (start, before) = (DefaultClock.now(), taken.load(Relaxed));
        tokio::time::sleep(50 * MILLISECOND).await;
        let passed = DefaultClock.now() - start;
        let got = u128::from(taken.load(Relaxed) - before) * 1_000_000_000;
        best = best.max(u64::try_from(got / passed.as_nanos()).expect("a rate"));
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(best * 10 >= rate * 9, "{best} of {rate} per second");
}

#[tokio::test]
async fn tasks_in_a_loop_get_the_rate() {
    let combined = |rate, burst| {
        let both = Combined::builder().limit("bucket", bucket(rate, burst));
        Arc::new(both.build())
    };
    for (rate, burst) in [(1_000, 1), (10_000, 1), (10_000, 10)] {
        reaches_the_rate(combined(rate, burst), rate).await;
        let quota = Quota::per_second(rate).burst(burst);
        reaches_the_rate(Arc::new(ShardedTokenBucket::new(quota)), rate).await;
    }
}
