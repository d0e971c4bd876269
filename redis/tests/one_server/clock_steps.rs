//! Servers whose clocks step, checked against a clock that does not.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{AcquireError, LeaseOptions, LeasedTokenBucket};

use super::{each_server, ms};
use crate::support::admission::{Admission, now_ns};
use crate::support::bound::Bound;
use crate::support::limiters::{MINUTE, bucket, connect, denied};
use crate::support::load::{Load, Target};
use crate::support::wait::{PATIENCE, eventually};

const HOUR_MS: i64 = 3_600_000;

const fn quota() -> Quota {
    Quota::per_second(500).burst(40)
}

/// Without debts, every permit is available after at most one refill.
fn check_is_brief_denial(error: &AcquireError) {
    let retry_after = error.denied().and_then(|denied| denied.retry_after());
    let Some(retry_after) = retry_after else {
        panic!("{error}");
    };
    assert!(
        retry_after <= Duration::from_millis(2_200),
        "a hint of {retry_after:?}"
    );
}

#[track_caller]
fn check_bound(admissions: &[Admission]) {
    let count = admissions.len();
    assert!(
        count > 40,
        "{count} admissions are too few to test the bound"
    );
    Bound::new(quota()).assert_within(admissions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_calls_keep_the_bound_and_go_on_through_clock_steps() {
    const STEPS: [i64; 9] = [
        0,
        -HOUR_MS,
        -HOUR_MS - 1_000,
        -HOUR_MS - 1_020,
        HOUR_MS,
        0,
        -1_000,
        1_000,
        0,
    ];
    for server in each_server() {
        let bucket = || bucket(&connect(&server), "bucket", quota());
        let probe = bucket();
        let targets = (0..3).map(|_| Target::Bucket(bucket()));
        let load = Load::start(targets, check_is_brief_denial);
        // A step forward refills the bucket as if that time had passed. So the bound starts anew
        // there, without the calls in flight at that moment.
        let (mut starts, mut last_ms) = (vec![0], 0);
        for offset_ms in STEPS {
            server.set_clock_offset_ms(offset_ms);
            if offset_ms > last_ms {
                starts.push(now_ns());
            }
            last_ms = offset_ms;
            eventually("an admission", async || probe.try_acquire(1).await.ok()).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        let admissions = load.stop().await.concat();
        starts.push(u64::MAX);
        assert_eq!(starts.len(), 4);
        for span in starts.windows(2) {
            let mut within = admissions.clone();
            within.retain(|one| span[0] <= one.start_ns && one.end_ns < span[1]);
            check_bound(&within);
        }
    }
}

async fn acquire_within_patience(leased: &LeasedTokenBucket) {
    let acquired = tokio::time::timeout(PATIENCE, leased.acquire(1)).await;
    acquired.expect("the lease goes on").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_keep_the_bound_and_go_on_through_clock_steps() {
    for server in each_server() {
        let options = LeaseOptions::new().ttl(Duration::from_secs(1));
        let leased = async || {
            bucket(&connect(&server), "bucket", quota())
                .lease(options)
                .await
        };
        let nodes = [leased().await, leased().await];
        let load = Load::start(nodes.clone().map(Target::Leased), check_is_brief_denial);
        for offset_ms in [0, -1_000, -HOUR_MS, -HOUR_MS - 20, -2 * HOUR_MS] {
            server.set_clock_offset_ms(offset_ms);
            for node in &nodes {
                acquire_within_patience(node).await;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        check_bound(&load.stop().await.concat());
        // A step forward refills the bucket, so only progress is checked after it.
        server.set_clock_offset_ms(0);
        for node in &nodes {
            acquire_within_patience(node).await;
            node.close().await;
        }
    }
}

#[tokio::test]
async fn time_is_clamped_after_a_step_back() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(60));
        bucket.try_acquire(60).await.unwrap();
        let hint = denied(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(-HOUR_MS);
        let after = denied(bucket.try_acquire(1).await);
        assert!(after <= MINUTE && after + MINUTE / 2 > hint, "{after:?}");
        server.set_clock_offset_ms(-HOUR_MS + ms(after));
        bucket.try_acquire(1).await.unwrap();
        denied(bucket.try_acquire(1).await);

        // A denial records the step back. Otherwise each call would subtract the same hour again.
        bucket.debit(60).await.unwrap();
        server.set_clock_offset_ms(-2 * HOUR_MS);
        for _ in 0..3 {
            let hint = denied(bucket.try_acquire(1).await);
            assert!(hint > MINUTE * 50 && hint <= MINUTE * 61, "{hint:?}");
        }
    }
}
