//! Leases on a real server: what they take, give back and refuse, in which order, and at what cost.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]
#![allow(
    clippy::std_instead_of_alloc,
    reason = "nothing here works without the standard library"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "servers live in real time, and have no clock that a test could turn"
)]

mod support;

use core::time::Duration;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use redis::Commands;
use tidegate::{Denied, Quota};
use tidegate_redis::{AcquireError, LeaseOptions, LeasedTokenBucket, RedisStore, RedisTokenBucket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use support::kinds::Kind;
use support::servers::{self, Server};
use support::until::{PATIENCE, eventually};

const HOUR: Duration = Duration::from_secs(3_600);

/// So patient that a machine that stands still is no outage.
fn store(server: &Server) -> RedisStore {
    let builder = RedisStore::builder().timeout(Duration::from_secs(20));
    builder.connect(server.url()).unwrap()
}

fn bucket(store: &RedisStore, quota: Quota) -> RedisTokenBucket {
    RedisTokenBucket::new(store, "leases", quota).unwrap()
}

/// So slow that nothing flows in while a test runs.
fn slow(capacity: u64) -> Quota {
    Quota::new(1, Duration::from_secs(100_000))
        .unwrap()
        .burst(capacity)
}

/// How many leases the server knows of the bucket.
fn leases(server: &Server) -> usize {
    let value: Option<String> = server.connection().get("tidegate:{leases}").unwrap();
    value.map_or(0, |value| (value.split(' ').count() - 5) / 7)
}

/// Takes so many one by one, and says how often it was refused.
async fn take(leased: &LeasedTokenBucket, permits: u64) -> u64 {
    let (mut taken, mut refused) = (0, 0);
    while taken < permits {
        if leased.try_acquire(1).is_ok() {
            taken += 1;
        } else {
            refused += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    refused
}

/// A lease that holds something, and how much was admitted.
async fn holding(leased: &LeasedTokenBucket) -> u64 {
    let mut admitted = 0;
    while leased.held() < 4 {
        admitted += u64::from(leased.try_acquire(1).is_ok());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_make_hardly_any_round_trips() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let quota = Quota::per_second(1_000_000).burst(100_000);
        let leased = bucket(&store(&server), quota).lease(LeaseOptions::new());
        take(&leased, 30_000).await;
        let stats = leased.stats();
        let calls = server.calls("evalsha") + server.calls("eval");
        assert!(calls <= 30_000 / 50, "{calls} {stats:?}");
        assert!(stats.spent() >= 30_000 || stats.held > 0, "{stats:?}");
        // The demand was for more than the first batch of one.
        assert!(stats.granted / stats.refills > 50, "{stats:?}");
        leased.close().await;
        assert_eq!(leased.stats().spent(), 30_000, "{:?}", leased.stats());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_gives_everything_back() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server);
        let observer = bucket(&store, slow(1_000));
        let options = LeaseOptions::new().ttl(Duration::from_millis(400));
        let leased = bucket(&store, slow(1_000)).lease(options);
        for round in 1..=2 {
            take(&leased, 30).await;
            eventually("everything back", async || {
                let available = observer.available().await.unwrap();
                let admitted = 30 * round;
                assert!(available <= 1_000 - admitted, "{available}");
                let back = available == 1_000 - admitted && leased.held() == 0;
                (back && leases(&server) == 0).then_some(())
            })
            .await;
            // And then it is quiet, but for this test.
            let refills = leased.stats().refills;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(leased.stats().refills, refills);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_closed_or_dropped_gives_back_at_once() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server);
        let observer = bucket(&store, slow(1_000));
        let lease = || bucket(&store, slow(1_000)).lease(LeaseOptions::new().ttl(HOUR));

        let leased = lease();
        let mut admitted = holding(&leased).await;
        assert_eq!(leases(&server), 1);
        assert!(observer.available().await.unwrap() + 4 <= 1_000 - admitted);
        leased.close().await;
        assert_eq!(observer.available().await.unwrap(), 1_000 - admitted);
        assert_eq!((leases(&server), leased.held()), (0, 0));
        leased.close().await;

        let leased = lease();
        admitted += holding(&leased).await;
        let other = leased.clone();
        drop(leased);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(leases(&server), 1, "somebody has it still");
        drop(other);
        eventually("all back", async || {
            let available = observer.available().await.unwrap();
            (available == 1_000 - admitted).then_some(())
        })
        .await;
        assert_eq!(leases(&server), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_closed_admits_nothing() {
    let server = Server::start(servers::Options::default());
    let leased = bucket(&store(&server), slow(100)).lease(LeaseOptions::new());
    leased.acquire(90).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let leased = leased.clone();
        waiting.spawn(async move { leased.acquire(50).await });
    }
    eventually("a refusal by the server", async || {
        (leased.stats().refills > 3).then_some(())
    })
    .await;
    leased.close().await;
    let is_closed = |result| matches!(result, Err(AcquireError::Closed));
    assert!(waiting.join_all().await.into_iter().all(is_closed));
    let other = leased.clone();
    assert!(is_closed(other.try_acquire(1)) && is_closed(other.acquire(1).await));
    assert_eq!(other.try_acquire(1).unwrap_err().retry_after(), None);
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_served_in_order() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let quota = Quota::per_second(500).burst(100);
        let leased = bucket(&store(&server), quota).lease(LeaseOptions::new());
        leased.acquire(100).await.unwrap();
        let done = Mutex::new(Vec::new());
        let acquire = async |n| {
            leased.acquire(n).await.unwrap();
            done.lock().unwrap().push(n);
        };
        // Their first turns are in this order.
        tokio::join!(
            acquire(50),
            acquire(1),
            acquire(100),
            acquire(7),
            async {
                // Gives its place up, wherever it is.
                let in_time = tokio::time::timeout(Duration::from_millis(30), leased.acquire(99));
                drop(in_time.await);
            },
            acquire(2),
            acquire(20),
        );
        assert_eq!(done.into_inner().unwrap(), [50, 1, 100, 7, 2, 20]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_lets_the_next_one_through() {
    let server = Server::start(servers::Options::default());
    let leased = bucket(&store(&server), slow(100)).lease(LeaseOptions::new());
    leased.acquire(50).await.unwrap();
    let too_much = tokio::spawn({
        let leased = leased.clone();
        async move { leased.acquire(60).await }
    });
    eventually("it is at the front", async || {
        (leased.stats().refills > 2).then_some(())
    })
    .await;
    let small = tokio::spawn({
        let leased = leased.clone();
        async move { leased.acquire(2).await }
    });
    too_much.abort();
    small.await.unwrap().unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_at_the_edges() {
    let server = Server::start(servers::Options::default());
    let store = store(&server);
    let lease = |quota| bucket(&store, quota).lease(LeaseOptions::new());
    let leased = lease(slow(10));
    leased.try_acquire(0).unwrap();
    leased.acquire(0).await.unwrap();
    for n in [11, u64::MAX] {
        let never = Some(Denied::Never { capacity: 10 });
        assert_eq!(leased.try_acquire(n).unwrap_err().denied(), never);
        assert_eq!(leased.acquire(n).await.unwrap_err().denied(), never);
    }
    assert_eq!(leased.stats().granted, 0);
    leased.acquire(10).await.unwrap();
    leased.try_acquire(0).unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 0);
    leased.bucket().reset().await.unwrap();

    // The whole capacity is one token.
    let one = lease(Quota::per_hour(1));
    one.acquire(1).await.unwrap();
    let hint = eventually("the server's hint", async || {
        let hint = one.try_acquire(1).unwrap_err().retry_after().unwrap();
        (hint > Duration::from_millis(200)).then_some(hint)
    })
    .await;
    assert!(hint <= HOUR, "{hint:?}");
    one.close().await;
    one.bucket().reset().await.unwrap();
    // Each takes another one ahead, which the other has to wait for until it is given back.
    let options = LeaseOptions::new().ttl(Duration::from_millis(100));
    let two = [(); 2].map(|()| bucket(&store, Quota::per_second(50).burst(1)).lease(options));
    for _ in 0..5 {
        two[0].acquire(1).await.unwrap();
        two[1].acquire(1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_leases_of_one_bucket() {
    const LEASES: u64 = 1_000;
    let server = Server::start(servers::Options::default());
    let store = store(&server);
    let options = LeaseOptions::new().ttl(HOUR);
    let all: Vec<_> = (0..LEASES)
        .map(|_| bucket(&store, slow(10_000)).lease(options))
        .collect();
    let mut calls = JoinSet::new();
    for leased in &all {
        let leased = leased.clone();
        calls.spawn(async move { leased.acquire(1).await.unwrap() });
    }
    calls.join_all().await;
    let held = all.iter().map(LeasedTokenBucket::held).sum::<u64>();
    let observer = bucket(&store, slow(10_000));
    let available = observer.available().await.unwrap();
    assert!(available + held <= 10_000 - LEASES, "{available} {held}");
    let bytes: usize = server.connection().strlen("tidegate:{leases}").unwrap();
    assert!(bytes < 100 * 1_000, "{bytes}");
    let mut closing = JoinSet::new();
    for leased in all {
        closing.spawn(async move { leased.close().await });
    }
    closing.join_all().await;
    assert_eq!(observer.available().await.unwrap(), 10_000 - LEASES);
    assert_eq!(leases(&server), 0);
    // A grant ahead of need, and what goes back.
    let calls = server.calls("evalsha") + server.calls("eval");
    assert!(calls <= 5 * LEASES, "{calls}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_is_when_to_come_back() {
    let server = Server::start(servers::Options::default());
    let quota = Quota::per_second(50).burst(10);
    let leased = bucket(&store(&server), quota).lease(LeaseOptions::new());
    // The way to the server, which is a hint as long as nothing better is known, may take longer than the last time. Then again.
    eventually("hints that are good", async || {
        let mut most = 0;
        for n in [10, 1, 5, 1, 10, 2] {
            let mut refusals = 0;
            while let Err(error) = leased.try_acquire(n) {
                refusals += 1;
                tokio::time::sleep(error.retry_after().unwrap()).await;
            }
            most = most.max(refusals);
        }
        (most <= 20).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_do_not_wait_for_as_long_as_many() {
    let server = Server::start(servers::Options::default());
    let store = store(&server);
    let observer = bucket(&store, slow(60));
    // Where the machine stands still meanwhile, that shows nothing. Then again.
    eventually("one before sixty are asked for again", async || {
        observer.reset().await.unwrap();
        observer.debit(55).await.unwrap();
        // Anew, so that it holds nothing.
        let leased = bucket(&store, slow(60)).lease(LeaseOptions::new());
        eventually("the server's refusal", async || {
            let hint = leased.try_acquire(60).unwrap_err().retry_after().unwrap();
            (hint > Duration::from_millis(900)).then_some(())
        })
        .await;
        let refused = take(&leased, 1).await;
        leased.close().await;
        // A second, in which there are some hundred attempts, is how long the task waits with sixty.
        (refused < 50).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_get_their_share() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let quota = Quota::per_second(2_000).burst(200);
        let nodes = [(); 4].map(|()| {
            let leased = bucket(&store(&server), quota).lease(LeaseOptions::new());
            Arc::new(leased)
        });
        let mut callers = JoinSet::new();
        for node in &nodes {
            let node = Arc::clone(node);
            callers.spawn(async move {
                take(&node, u64::MAX).await;
            });
        }
        let spent = eventually("enough in all", async || {
            let spent = nodes.each_ref().map(|node| node.stats().spent());
            (spent.iter().sum::<u64>() >= 4_000).then_some(spent)
        })
        .await;
        callers.shutdown().await;
        let least = spent.iter().min().unwrap();
        assert!(least * 10 * 4 >= spent.iter().sum(), "{spent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_bucket_is_asked_once_per_interval() {
    let server = Server::start(servers::Options::default());
    let interval = Duration::from_millis(40);
    let options = LeaseOptions::new().refill_interval(interval);
    let leased = bucket(&store(&server), Quota::per_second(200).burst(4)).lease(options);
    take(&leased, 4).await;
    let (before, start) = (leased.stats().refills, Instant::now());
    take(&leased, 100).await;
    let refills = leased.stats().refills - before;
    let elapsed = start.elapsed().as_nanos() * 4 / 3;
    // An answer that is all that was asked for is no sign of an empty bucket; there may be one each time.
    let most = 2 + 2 * elapsed / interval.as_nanos();
    assert!(u128::from(refills) <= most, "{refills} of {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_has_forgotten_is_not_held_any_more() {
    for kind in Kind::available() {
        let mut server = Server::start(servers::Options::new(kind));
        let leased = bucket(&store(&server), slow(1_000)).lease(LeaseOptions::new().ttl(HOUR));
        holding(&leased).await;
        let held = leased.held();
        server.restart();
        // More than it holds, so that it asks.
        eventually("the server", async || leased.try_acquire(held + 1).ok()).await;
        assert_eq!(leased.stats().expired, held, "{:?}", leased.stats());
        leased.close().await;
        let left = leased.bucket().available().await.unwrap();
        assert_eq!(left, 1_000 - (held + 1), "of the new bucket alone");
    }
}

/// With all that tokio has.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_runtime_may_end_before_its_leases() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let server = Server::start(servers::Options::default());
        let first = runtime();
        let leased = first.block_on(async {
            let leased = bucket(&store(&server), slow(1_000)).lease(LeaseOptions::new());
            holding(&leased).await;
            leased
        });
        let other = leased.clone();
        drop(first);
        // The task is gone, and with it whoever could ask for more.
        let closed = matches!(leased.try_acquire(1), Err(AcquireError::Closed));
        assert!(closed, "{:?}", leased.stats());
        runtime().block_on(async {
            assert!(leased.acquire(1).await.is_err());
            leased.close().await;
        });
        drop((leased, other));
        done.send(()).unwrap();
    });
    is_done.recv_timeout(PATIENCE).unwrap();
}
