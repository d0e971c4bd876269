//! Servers whose clocks step, judged by a clock that does not.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::sync::Arc;

use tidegate::{Denied, Quota};
use tidegate_redis::{AcquireError, LeaseOptions, LeasedTokenBucket, RedisTokenBucket};
use tokio::task::JoinHandle;

use super::{MINUTE, forgetful, ms, node, on_each, refused};
use crate::support::admissions::{Admission, now_ns};
use crate::support::bound::Bound;
use crate::support::until::PATIENCE;

const HOUR_MS: i64 = 3_600_000;

const fn quota() -> Quota {
    Quota::per_second(500).burst(40)
}

/// Callers that take what they get, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Admission>>>,
}

impl Load {
    fn start(callers: Vec<impl Caller>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = callers.into_iter().map(|caller| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut admissions = Vec::new();
                // Relaxed: nothing else is told by it.
                while !stop.load(Relaxed) {
                    let start_ns = now_ns();
                    let result = caller.call().await;
                    let end_ns = now_ns();
                    match result {
                        Ok(()) => admissions.push(Admission {
                            start_ns,
                            end_ns,
                            permits: 1,
                        }),
                        Err(error) => {
                            let Some(Denied::NotYet { retry_after }) = error.denied() else {
                                panic!("{error}");
                            };
                            // Not locked out: nobody owes anything here, so it is there after a refill at most.
                            let sane = Duration::from_millis(2_200);
                            assert!(retry_after <= sane, "a hint of {retry_after:?}");
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                admissions
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    async fn stop(self) -> Vec<Admission> {
        self.stop.store(true, Relaxed);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

/// Takes one, and says whether it got it.
trait Caller: Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = Result<(), AcquireError>> + Send;
}

impl Caller for RedisTokenBucket {
    async fn call(&self) -> Result<(), AcquireError> {
        self.try_acquire(1).await.map(drop)
    }
}

impl Caller for LeasedTokenBucket {
    async fn call(&self) -> Result<(), AcquireError> {
        self.try_acquire(1)
    }
}

/// Waits until the server admits again.
async fn is_admitted(bucket: &RedisTokenBucket) {
    let waits = async {
        while bucket.try_acquire(1).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits)
        .await
        .expect("not locked out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_keeps_the_bound_and_locks_nobody_out() {
    on_each(async |server| {
        let bucket =
            || RedisTokenBucket::with_options(&node(server), "b", quota(), forgetful()).unwrap();
        let judge = bucket();
        let mut after_step = Vec::new();
        let load = Load::start((0..3).map(|_| bucket()).collect());
        for offset_ms in [
            0,
            -HOUR_MS,
            -HOUR_MS - 1_000,
            -HOUR_MS - 1_020,
            HOUR_MS,
            0,
            -1_000,
            1_000,
            0,
        ] {
            server.set_clock_offset_ms(offset_ms);
            after_step.push((offset_ms, now_ns()));
            is_admitted(&judge).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        let admissions = load.stop().await;
        // A step forward refills as if so much time had passed: the bound starts anew there, without those on the way at that moment.
        let forward = after_step.windows(2).filter(|pair| pair[0].0 < pair[1].0);
        let mut starts: Vec<u64> = forward.map(|pair| pair[1].1).collect();
        starts.insert(0, 0);
        starts.push(u64::MAX);
        assert_eq!(starts.len(), 4);
        for span in starts.windows(2) {
            let within: Vec<Admission> = admissions
                .iter()
                .filter(|admission| span[0] <= admission.start_ns && admission.end_ns < span[1])
                .copied()
                .collect();
            assert!(within.len() > 40, "{} are not a load", within.len());
            Bound::new(quota()).assert_within(&within);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_leases_too() {
    on_each(async |server| {
        let leased = || {
            let bucket =
                RedisTokenBucket::with_options(&node(server), "b", quota(), forgetful()).unwrap();
            bucket.lease(LeaseOptions::new().ttl(Duration::from_secs(1)))
        };
        let nodes = [leased(), leased()];
        let load = Load::start(nodes.to_vec());
        for offset_ms in [0, -1_000, -HOUR_MS, -HOUR_MS - 20, -2 * HOUR_MS] {
            server.set_clock_offset_ms(offset_ms);
            for node in &nodes {
                let waits = tokio::time::timeout(PATIENCE, node.acquire(1));
                waits.await.expect("not locked out").unwrap();
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let admissions = load.stop().await;
        assert!(admissions.len() > 40, "{} are not a load", admissions.len());
        Bound::new(quota()).assert_within(&admissions);
        // What a step forward refills is not judged, but that all go on is.
        server.set_clock_offset_ms(0);
        for node in &nodes {
            let waits = tokio::time::timeout(PATIENCE, node.acquire(1));
            waits.await.expect("not locked out").unwrap();
            node.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn time_stands_still_until_a_clock_has_caught_up() {
    on_each(async |server| {
        let slow = Quota::per_hour(60);
        let bucket = RedisTokenBucket::with_options(&node(server), "b", slow, forgetful()).unwrap();
        bucket.try_acquire(60).await.unwrap();
        let hint = refused(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(-HOUR_MS);
        let after = refused(bucket.try_acquire(1).await);
        assert!(
            after <= Duration::from_secs(60) && after + Duration::from_secs(30) > hint,
            "{after:?}"
        );
        server.set_clock_offset_ms(-HOUR_MS + ms(after));
        bucket.try_acquire(1).await.unwrap();
        refused(bucket.try_acquire(1).await);

        // A refusal notes the step, or the same hour would be taken off again and again.
        bucket.debit(60).await.unwrap();
        server.set_clock_offset_ms(-2 * HOUR_MS);
        for _ in 0..3 {
            let hint = refused(bucket.try_acquire(1).await);
            assert!(hint > MINUTE * 50, "{hint:?}");
            assert!(hint <= MINUTE * 61, "{hint:?}");
        }
    })
    .await;
}
