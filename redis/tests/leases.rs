//! Leases on a real server: what they take, return and deny, in which order, and at what cost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

mod support;

use core::time::Duration;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use tidegate::{Denied, Quota};
use tidegate_redis::{AcquireError, LeaseOptions, LeasedTokenBucket, RedisStore};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use support::limiters::{HOUR, bucket, connect, slow};
use support::server::{Server, ServerOptions};
use support::wait::{PATIENCE, eventually};

async fn lease_with(store: &RedisStore, quota: Quota, options: LeaseOptions) -> LeasedTokenBucket {
    bucket(store, "leases", quota).lease(options).await
}

async fn lease(store: &RedisStore, quota: Quota) -> LeasedTokenBucket {
    lease_with(store, quota, LeaseOptions::new()).await
}

/// The number of leases in the bucket's value: the sum over its bins.
fn lease_count(server: &Server) -> usize {
    let bins: Vec<u8> = server.query(&["GETRANGE", "tidegate:{leases}", "132", "419"]);
    let counts = bins.chunks_exact(24).map(|bin| &bin[21..]);
    counts.flatten().copied().map(usize::from).sum()
}

/// Takes permits one by one, and returns how often the lease denied.
async fn take(leased: &LeasedTokenBucket, permits: u64) -> u64 {
    let (mut taken, mut denied) = (0, 0);
    while taken < permits {
        if leased.try_acquire(1).is_ok() {
            taken += 1;
        } else {
            denied += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    denied
}

/// Takes permits until the lease holds some more, and returns how many it admitted.
async fn take_until_held(leased: &LeasedTokenBucket) -> u64 {
    let mut admitted = 0;
    eventually("a lease of some permits", async || {
        admitted += u64::from(leased.try_acquire(1).is_ok());
        leased.held() >= 4
    })
    .await;
    admitted
}

async fn wait_for_refills(leased: &LeasedTokenBucket, count: u64) {
    eventually("refills", async || leased.stats().refills > count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_make_few_round_trips() {
    for server in Server::each_kind() {
        let quota = Quota::per_second(1_000_000).burst(100_000);
        let leased = lease(&connect(&server), quota).await;
        take(&leased, 30_000).await;
        let stats = leased.stats();
        let calls = server.script_calls();
        assert!(calls <= 30_000 / 50, "{calls} {stats:?}");
        assert!(stats.spent() >= 30_000 || stats.held > 0, "{stats:?}");
        // Batches grow beyond the first one, of a single permit.
        assert!(stats.granted / stats.refills > 50, "{stats:?}");
        leased.close().await;
        assert_eq!(leased.stats().spent(), 30_000, "{:?}", leased.stats());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_node_returns_all_but_what_a_call_asks_for() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let observer = bucket(&store, "leases", slow(1_000));
        let options = LeaseOptions::new().ttl(Duration::from_millis(400));
        let leased = lease_with(&store, slow(1_000), options).await;
        for round in 1..=2 {
            take(&leased, 30).await;
            let left = 1_000 - 30 * round - 1;
            eventually("the return of the rest", async || {
                let available = observer.available().await.unwrap();
                assert!(available <= left, "{available}");
                available == left && leased.held() == 1 && lease_count(&server) == 1
            })
            .await;
            // It renews the one, which never ends.
            let refills = leased.stats().refills;
            eventually("renewals", async || {
                assert_eq!(leased.held(), 1);
                leased.stats().refills > refills + 3
            })
            .await;
            assert_eq!(observer.available().await.unwrap(), left);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_or_dropped_lease_is_returned_at_once() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let observer = bucket(&store, "leases", slow(1_000));
        let lease = || lease_with(&store, slow(1_000), LeaseOptions::new().ttl(HOUR));

        let leased = lease().await;
        let mut admitted = take_until_held(&leased).await;
        assert_eq!(lease_count(&server), 1);
        assert!(observer.available().await.unwrap() + 4 <= 1_000 - admitted);
        leased.close().await;
        assert_eq!(observer.available().await.unwrap(), 1_000 - admitted);
        assert_eq!((lease_count(&server), leased.held()), (0, 0));
        leased.close().await;

        let leased = lease().await;
        admitted += take_until_held(&leased).await;
        let clone = leased.clone();
        drop(leased);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(lease_count(&server), 1, "the clone keeps the lease");
        drop(clone);
        eventually("the returned permits", async || {
            observer.available().await.unwrap() == 1_000 - admitted
        })
        .await;
        assert_eq!(lease_count(&server), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_lease_admits_nothing() {
    let server = ServerOptions::default().start();
    let leased = lease(&connect(&server), slow(100)).await;
    leased.acquire(90).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let leased = leased.clone();
        waiting.spawn(async move { leased.acquire(50).await });
    }
    wait_for_refills(&leased, 3).await;
    leased.close().await;
    let is_closed = |result| matches!(result, Err(AcquireError::Closed));
    assert!(waiting.join_all().await.into_iter().all(is_closed));
    let other = leased.clone();
    assert!(is_closed(other.try_acquire(1)) && is_closed(other.acquire(1).await));
    assert_eq!(other.try_acquire(1).unwrap_err().retry_after(), None);
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_served_in_order() {
    for server in Server::each_kind() {
        let leased = lease(&connect(&server), Quota::per_second(500).burst(100)).await;
        leased.acquire(100).await.unwrap();
        let served = Mutex::new(Vec::new());
        let acquire = async |n| {
            leased.acquire(n).await.unwrap();
            served.lock().unwrap().push(n);
        };
        // `join!` polls them for the first time in this order.
        tokio::join!(
            acquire(50),
            acquire(1),
            acquire(100),
            acquire(7),
            async {
                // Leaves the queue before or after it reaches the front.
                let brief = tokio::time::timeout(Duration::from_millis(30), leased.acquire(99));
                drop(brief.await);
            },
            acquire(2),
            acquire(20),
        );
        assert_eq!(served.into_inner().unwrap(), [50, 1, 100, 7, 2, 20]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_waiter_lets_the_next_one_through() {
    let server = ServerOptions::default().start();
    let leased = lease(&connect(&server), slow(100)).await;
    leased.acquire(50).await.unwrap();
    let acquire = |permits| {
        let leased = leased.clone();
        tokio::spawn(async move { leased.acquire(permits).await })
    };
    let too_much = acquire(60);
    wait_for_refills(&leased, 2).await;
    let small = acquire(2);
    too_much.abort();
    small.await.unwrap().unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_permits_and_more_than_the_capacity_need_no_grant() {
    let server = ServerOptions::default().start();
    let leased = lease(&connect(&server), slow(10)).await;
    leased.try_acquire(0).unwrap();
    leased.acquire(0).await.unwrap();
    for n in [11, u64::MAX] {
        let never = Some(Denied::Never { capacity: 10 });
        assert_eq!(leased.try_acquire(n).unwrap_err().denied(), never);
        assert_eq!(leased.acquire(n).await.unwrap_err().denied(), never);
    }
    assert_eq!(leased.stats().spent(), 0);
    leased.acquire(10).await.unwrap();
    leased.try_acquire(0).unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn capacity_of_one_permit_can_be_leased() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let leased = lease(&store, Quota::per_hour(1)).await;
    leased.acquire(1).await.unwrap();
    let hint = eventually("the server's hint", async || {
        let hint = leased.try_acquire(1).unwrap_err().retry_after();
        hint.filter(|hint| *hint > Duration::from_millis(200))
    })
    .await;
    assert!(hint <= HOUR, "{hint:?}");
    leased.close().await;
    leased.bucket().reset().await.unwrap();
    // Each of two nodes leases the next permit ahead, and the other must wait for its return.
    let options = LeaseOptions::new().ttl(Duration::from_millis(100));
    let quota = Quota::per_second(50).burst(1);
    let nodes = [
        lease_with(&store, quota, options).await,
        lease_with(&store, quota, options).await,
    ];
    for _ in 0..5 {
        for node in &nodes {
            node.acquire(1).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bucket_can_have_a_thousand_leases() {
    const LEASES: u64 = 1_000;
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let options = LeaseOptions::new().ttl(HOUR);
    let mut all = Vec::new();
    for _ in 0..LEASES {
        all.push(lease_with(&store, slow(10_000), options).await);
    }
    let mut calls = JoinSet::new();
    for leased in &all {
        let leased = leased.clone();
        calls.spawn(async move { leased.acquire(1).await.unwrap() });
    }
    calls.join_all().await;
    let held = all.iter().map(LeasedTokenBucket::held).sum::<u64>();
    let observer = bucket(&store, "leases", slow(10_000));
    let available = observer.available().await.unwrap();
    assert!(available + held <= 10_000 - LEASES, "{available} {held}");
    let bytes: usize = server.query(&["STRLEN", "tidegate:{leases}"]);
    assert!(bytes < 100 * 1_000, "{bytes}");
    let mut closing = JoinSet::new();
    for leased in all {
        closing.spawn(async move { leased.close().await });
    }
    closing.join_all().await;
    assert_eq!(observer.available().await.unwrap(), 10_000 - LEASES);
    assert_eq!(lease_count(&server), 0);
    // Includes grants ahead of need and their return.
    let calls = server.script_calls();
    assert!(calls <= 5 * LEASES, "{calls}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_good_times_to_retry() {
    let server = ServerOptions::default().start();
    let leased = lease(&connect(&server), Quota::per_second(50).burst(10)).await;
    // Until more is known, the hint is the last round trip's time. If the next one takes longer,
    // the hint is too short. Then try again.
    eventually("good hints", async || {
        let mut most = 0;
        for n in [10, 1, 5, 1, 10, 2] {
            let mut denials = 0;
            while let Err(error) = leased.try_acquire(n) {
                denials += 1;
                tokio::time::sleep(error.retry_after().unwrap()).await;
            }
            most = most.max(denials);
        }
        most <= 20
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_request_does_not_wait_for_a_large_one() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let observer = bucket(&store, "leases", slow(60));
    // If the machine hangs meanwhile, the outcome shows nothing. Then try again.
    eventually("a permit before the next request for 60", async || {
        observer.reset().await.unwrap();
        observer.debit(55).await.unwrap();
        // A new lease, which holds nothing.
        let leased = lease(&store, slow(60)).await;
        eventually("the server's denial", async || {
            let hint = leased.try_acquire(60).unwrap_err().retry_after().unwrap();
            hint > Duration::from_millis(900)
        })
        .await;
        let denied = take(&leased, 1).await;
        leased.close().await;
        // The next request for 60 comes after a second, in which some hundred calls fit.
        denied < 50
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_nodes_share_the_rate() {
    for server in Server::each_kind() {
        let quota = Quota::per_second(2_000).burst(200);
        let mut nodes = Vec::new();
        for _ in 0..4 {
            nodes.push(lease(&connect(&server), quota).await);
        }
        let mut callers = JoinSet::new();
        for node in nodes.clone() {
            callers.spawn(async move { take(&node, u64::MAX).await });
        }
        let spent = eventually("4000 admissions", async || {
            let spent: Vec<_> = nodes.iter().map(|node| node.stats().spent()).collect();
            (spent.iter().sum::<u64>() >= 4_000).then_some(spent)
        })
        .await;
        callers.shutdown().await;
        let least = spent.iter().min().unwrap();
        assert!(least * 10 * 4 >= spent.iter().sum(), "{spent:?}");
    }
}

/// The bound is tested at chosen times, in `scripts/lease_protocol/fairness.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_is_served_beside_nodes_that_take_all() {
    let server = ServerOptions::default().start();
    let quota = Quota::per_second(500).burst(100);
    let patient = lease(&connect(&server), quota).await;
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let greedy = lease(&connect(&server), quota).await;
        callers.spawn(async move { take(&greedy, u64::MAX).await });
    }
    eventually("an empty bucket", async || {
        let available = patient.bucket().available().await.unwrap();
        available < 10
    })
    .await;
    for _ in 0..3 {
        let acquired = tokio::time::timeout(PATIENCE, patient.acquire(50)).await;
        acquired.expect("its turn comes").unwrap();
    }
    callers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_bucket_is_asked_once_per_interval() {
    let server = ServerOptions::default().start();
    let interval = Duration::from_millis(40);
    let options = LeaseOptions::new().refill_interval(interval);
    let quota = Quota::per_second(200).burst(4);
    let leased = lease_with(&connect(&server), quota, options).await;
    take(&leased, 4).await;
    let (before, start) = (leased.stats().refills, Instant::now());
    take(&leased, 100).await;
    let refills = leased.stats().refills - before;
    let elapsed = start.elapsed().as_nanos() * 4 / 3;
    // A full grant does not show that the bucket is empty, so the next request may follow at once.
    let most = 2 + 2 * elapsed / interval.as_nanos();
    assert!(u128::from(refills) <= most, "{refills} of {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_expires_when_the_server_loses_it() {
    for mut server in Server::each_kind() {
        let options = LeaseOptions::new().ttl(HOUR);
        let leased = lease_with(&connect(&server), slow(1_000), options).await;
        take_until_held(&leased).await;
        let held = leased.held();
        server.restart();
        // Requests more than the lease holds, so that the node asks the server.
        eventually("the server", async || leased.try_acquire(held + 1).ok()).await;
        assert_eq!(leased.stats().expired, held, "{:?}", leased.stats());
        leased.close().await;
        let available = leased.bucket().available().await.unwrap();
        assert_eq!(available, 1_000 - (held + 1), "of the new bucket");
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn lease_is_closed_when_its_runtime_ends() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let server = ServerOptions::default().start();
        let first = runtime();
        let leased = first.block_on(async {
            let leased = lease(&connect(&server), slow(1_000)).await;
            take_until_held(&leased).await;
            leased
        });
        let clone = leased.clone();
        drop(first);
        // The refill task ended with its runtime, so the lease cannot be renewed.
        let closed = matches!(leased.try_acquire(1), Err(AcquireError::Closed));
        assert!(closed, "{:?}", leased.stats());
        runtime().block_on(async {
            assert!(leased.acquire(1).await.is_err());
            leased.close().await;
        });
        drop((leased, clone));
        done.send(()).unwrap();
    });
    is_done.recv_timeout(PATIENCE).unwrap();
}
