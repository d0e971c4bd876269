//! Masters that are killed or replaced while nodes call: what is admitted before, meanwhile and
//! afterwards.

use core::time::Duration;
use std::time::Instant;

use tidegate::Quota;
use tidegate_redis::{AcquireError, RedisStore};

use super::LOGIN;
use crate::support::admission::{Admission, now_ns};
use crate::support::bound::Bound;
use crate::support::limiters::{bucket, lease};
use crate::support::load::{Load, Target};
use crate::support::sentinels::{SERVICE, Watched};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::{PATIENCE, eventually};

/// Far below what a server can serve, and with a capacity that a failover may give twice.
const RATE: u64 = 300;
const CAPACITY: u64 = 100;

const fn quota() -> Quota {
    Quota::per_second(RATE).burst(CAPACITY)
}

/// Four tasks on two stores, which ask for more than the quota.
fn load(watched: &Watched, timeout: Duration) -> (Vec<RedisStore>, Load) {
    let store = |_| {
        let builder = RedisStore::builder().timeout(timeout);
        builder.connect_sentinel(watched.urls(), SERVICE, LOGIN)
    };
    let stores: Vec<_> = (0..2).map(|number| store(number).unwrap()).collect();
    let targets = stores.iter().flat_map(|store| {
        let target = || Target::Bucket(bucket(store, "bucket", quota()));
        [target(), target()]
    });
    let load = Load::start(targets.collect::<Vec<_>>(), check);
    (stores, load)
}

/// Calls are denied or fail, but none panics or is called wrong.
fn check(error: &AcquireError) {
    let expected = error.denied().is_some() || error.is_unavailable();
    assert!(expected, "{error}");
}

fn admitted_between(admissions: &[Admission], from_ns: u64, to_ns: u64) -> u64 {
    let mut within = 0;
    for admission in admissions {
        if admission.start_ns >= from_ns && admission.end_ns <= to_ns {
            within += admission.permits;
        }
    }
    within
}

/// Checks that the quota was used. On a busy machine many calls come late.
#[track_caller]
fn check_share(admissions: &[Admission], from_ns: u64, to_ns: u64) {
    let admitted = admitted_between(admissions, from_ns, to_ns);
    let quota = u128::from(RATE) * u128::from(to_ns - from_ns) / 1_000_000_000;
    assert!(u128::from(admitted) * 2 >= quota, "{admitted} of {quota}");
}

/// Checks a failover after which no store can reach the old master. Replication is asynchronous, so
/// the new one may lack what was charged last, and admits up to a capacity again.
#[track_caller]
fn check_bound(admissions: &[Admission]) {
    let bound = Bound::new(quota()).with_capacity_times(2);
    bound.assert_within(admissions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_is_replaced_and_does_not_come_back() {
    for options in ServerOptions::each_kind() {
        check_failed_master(&options, Server::kill, Server::restart).await;
    }
}

/// Its connections stay open. When it goes on, it thinks that it is a master still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_is_replaced_and_does_not_come_back() {
    let pause = |server: &mut Server| server.pause();
    let resume = |server: &mut Server| server.resume();
    check_failed_master(&ServerOptions::default(), pause, resume).await;
}

async fn check_failed_master(
    options: &ServerOptions,
    fail: fn(&mut Server),
    come_back: fn(&mut Server),
) {
    let mut watched = Watched::start(options, 2);
    let (stores, load) = load(&watched, Duration::from_secs(1));
    let leased = lease(&stores[0], "leased", quota()).await;
    let started = now_ns();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let killed = now_ns();
    fail(watched.node_mut(0));
    let master = watched.wait_for_new_master();
    let promoted = Instant::now();
    let node = watched.node(master);
    eventually("an admission of the new master", async || {
        node.script_calls() > 0 && stores.iter().all(|store| store.stats().is_available())
    })
    .await;
    let recovery = promoted.elapsed();
    let recovered = now_ns();
    come_back(watched.node_mut(0));
    // Those that were sent before it hung have run at its first answer.
    let before = watched.node(0).script_calls();
    eventually("the old master as a replica", async || {
        watched.role(0).as_deref() == Some("slave")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let end = now_ns();
    let admissions = load.stop().await.concat();
    let after = watched.node(0).script_calls();
    assert_eq!(after, before, "the old master is not used");
    check_share(&admissions, started, killed);
    check_share(&admissions, recovered, end);
    check_bound(&admissions);
    // A second, and what a busy machine adds.
    assert!(recovery < Duration::from_secs(6), "{recovery:?}");
    eventually("tokens of a lease", async || leased.try_acquire(1).is_ok()).await;
    for store in stores {
        assert!(store.stats().outages > 0, "{:?}", store.stats());
    }
}

/// The old master accepts writes for seconds after it was replaced. It is not called until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_replaced_on_demand_is_left_without_an_outage() {
    for options in ServerOptions::each_kind() {
        let watched = Watched::start(&options, 1);
        watched.demote_late(true);
        // So patient that a slow machine is no outage.
        let (stores, load) = load(&watched, PATIENCE);
        let started = now_ns();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let master = watched.fail_over();
        let mut last = watched.node(master).script_calls();
        eventually("calls of both stores at the new master", async || {
            let calls = |node| watched.node(node).script_calls();
            let (old, new) = (calls(0), calls(master));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let has_moved = calls(0) == old && calls(master) > new.max(last);
            last = new;
            has_moved
        })
        .await;
        assert_eq!(watched.role(0).as_deref(), Some("master"), "demoted later");
        let moved = now_ns();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let end = now_ns();
        let old_calls = watched.node(0).script_calls();
        // The sentinels make it a replica. That closes all connections to it.
        watched.demote_late(false);
        eventually("the old master as a replica", async || {
            watched.role(0).as_deref() == Some("slave")
        })
        .await;
        assert_eq!(watched.node(0).script_calls(), old_calls);
        for store in stores {
            let stats = store.stats();
            assert_eq!((stats.outages, stats.errors), (0, 0), "{stats:?}");
        }
        let admissions = load.stop().await;
        // Stores move one after the other. Meanwhile both masters admit.
        for of_store in admissions.chunks(2) {
            check_bound(&of_store.concat());
        }
        let admissions = admissions.concat();
        let twice = Bound::new(Quota::per_second(2 * RATE).burst(2 * CAPACITY));
        twice.assert_within(&admissions);
        check_share(&admissions, started, end);
        check_share(&admissions, moved, end);
    }
}
