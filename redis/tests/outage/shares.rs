//! Faults that begin and end: the share of the quota that is admitted before, during and after
//! them, with a store of the usual settings.
//!
//! `cargo test -p tidegate-redis --all-features --test outage shares -- --nocapture` prints what it
//! measures. A machine that stalls may lower a share, so each is measured until it is as it should
//! be.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tidegate::Quota;
use tidegate_redis::{
    AdmittedBy, FailurePolicy, LeaseOptions, LimiterOptions, RedisStore, RedisTokenBucket,
};
use tokio::task::JoinSet;

use super::Fault;
use super::regimes::{LOCAL, Refusing};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

const RATE: u64 = 1_000;

/// Callers ask for more than this.
const QUOTA: Quota = Quota::per_second(RATE).burst(RATE / 10);

const MEASURED: Duration = Duration::from_millis(800);
const SETTLED: Duration = Duration::from_millis(800);

#[derive(Clone, Copy, Debug)]
enum AnyFault {
    Process(Fault),
    Writes(Refusing),
}

impl AnyFault {
    fn begin(self, server: &mut Server) {
        match self {
            Self::Process(fault) => fault.begin(server),
            Self::Writes(refusing) => refusing.begin(server),
        }
    }

    fn end(self, server: &mut Server) {
        match self {
            Self::Process(fault) => fault.end(server),
            Self::Writes(refusing) => refusing.end(server),
        }
    }
}

/// Admissions of callers that ask again a millisecond after a refusal.
struct Demand {
    admitted: Arc<AtomicU64>,
    _callers: JoinSet<()>,
}

impl Demand {
    fn start<F: Future<Output = bool> + Send>(
        ask: impl Fn() -> F + Clone + Send + 'static,
    ) -> Self {
        let (admitted, mut callers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..4 {
            let (ask, admitted) = (ask.clone(), Arc::clone(&admitted));
            callers.spawn(async move {
                loop {
                    if ask().await {
                        // Relaxed: a counter.
                        admitted.fetch_add(1, Relaxed);
                    } else {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
        Self {
            admitted,
            _callers: callers,
        }
    }
}

/// Measures the share of the quota that each of them gets, in hundredths. Returns it if it is at
/// least what is expected, and not above the quota; or 0, if that is expected.
async fn used(demands: &[Demand; 3], expected: [u64; 3]) -> Option<[u64; 3]> {
    // Until leases have ended, and bursts are spent.
    tokio::time::sleep(SETTLED).await;
    let admitted = || {
        demands
            .each_ref()
            .map(|demand| demand.admitted.load(Relaxed))
    };
    let (before, start) = (admitted(), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let (after, us) = (admitted(), start.elapsed().as_micros());
    let quota = u64::try_from(us).unwrap() * RATE / 1_000_000;
    let shares = [0, 1, 2].map(|index| (after[index] - before[index]) * 100 / quota);
    let as_expected = shares.iter().zip(expected).all(|(&share, expected)| {
        if expected == 0 {
            share == 0
        } else {
            (expected..=115).contains(&share)
        }
    });
    as_expected.then_some(shares)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quota_is_used_before_and_after_each_fault() {
    let faults = [
        AnyFault::Process(Fault::Kill),
        AnyFault::Process(Fault::Pause),
        AnyFault::Writes(Refusing::ReadOnly),
        AnyFault::Writes(Refusing::NoReplicas),
        AnyFault::Writes(Refusing::OutOfMemory),
    ];
    println!("shares of the quota in %: a bucket, its node's share, a lease");
    for fault in faults {
        let options = ServerOptions::default().set("maxmemory-policy", "noeviction");
        let mut server = options.start();
        let store = RedisStore::connect(server.url()).unwrap();
        let bucket = |name, policy| {
            let options = LimiterOptions::new().on_failure(policy);
            RedisTokenBucket::with_options(&store, name, QUOTA, options).unwrap()
        };
        let closed = Arc::new(bucket("closed", FailurePolicy::Closed));
        let local = Arc::new(bucket("local", LOCAL));
        let lease = LeaseOptions::new().ttl(Duration::from_millis(300));
        let leased = bucket("leased", FailurePolicy::Closed).lease(lease).await;
        let ask = |bucket: &Arc<RedisTokenBucket>| {
            let bucket = Arc::clone(bucket);
            move || {
                let bucket = Arc::clone(&bucket);
                async move { bucket.try_acquire(1).await.is_ok() }
            }
        };
        let ask_lease = move || {
            let leased = leased.clone();
            async move { leased.try_acquire(1).is_ok() }
        };
        let demands = [
            Demand::start(ask(&closed)),
            Demand::start(ask(&local)),
            Demand::start(ask_lease),
        ];
        let whole = async || used(&demands, [90, 90, 90]).await;
        let before = eventually("the quota before a fault", whole).await;

        fault.begin(&mut server);
        let local = async || used(&demands, [0, 90, 0]).await;
        let during = eventually("the policies during a fault", local).await;
        fault.end(&mut server);

        let able = Instant::now();
        eventually("an admission by the server", async || {
            let peeked = closed.peek(0).await;
            peeked.is_ok_and(|admitted| admitted.by() == AdmittedBy::Server)
        })
        .await;
        let back = able.elapsed();
        let after = eventually("the quota after a fault", whole).await;
        println!("{fault:?}: {before:?}, {during:?}, {after:?}, back after {back:?}");
    }
}
