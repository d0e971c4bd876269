//! What limiters do without their server, and what the server learns of it afterwards.
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
    reason = "servers and processes live in real time, and have no clock that a test could turn"
)]

mod support;

use core::num::NonZeroU32;
use core::time::Duration;
use std::thread::sleep;

use tidegate::{Denied, Quota};
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LeasedTokenBucket, LimiterOptions,
    RedisCombined, RedisStore, RedisTokenBucket,
};

use support::admissions::{Admission, now_ns};
use support::bound::Bound;
use support::kinds::Kind;
use support::processes::{self, Child, Children};
use support::servers::{self, Server};
use support::until::{eventually, until};

const TIMEOUT: Duration = Duration::from_millis(300);
const PROBE: Duration = Duration::from_millis(100);
const NODES: NonZeroU32 = NonZeroU32::new(4).unwrap();

fn store(url: &str) -> RedisStore {
    let builder = RedisStore::builder().timeout(TIMEOUT).probe_interval(PROBE);
    builder.connect(url).unwrap()
}

/// So slow that nothing flows in while a test runs.
fn slow(capacity: u64) -> Quota {
    Quota::new(1, Duration::from_secs(100_000))
        .unwrap()
        .burst(capacity)
}

const fn on_failure(policy: FailurePolicy) -> LimiterOptions {
    LimiterOptions::new().on_failure(policy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_admits_everything_and_counts_it() {
    let server = Server::start(servers::Options::default());
    let store = store(&server.url());
    let options = on_failure(FailurePolicy::Open);
    let bucket = RedisTokenBucket::with_options(&store, "open", slow(10), options).unwrap();
    eventually("the server", async || {
        (bucket.try_acquire(10).await.ok()?.by() == AdmittedBy::Server).then_some(())
    })
    .await;
    let leased = RedisTokenBucket::with_options(&store, "open", slow(10), options).unwrap();
    let leased = leased.lease(LeaseOptions::new());
    server.pause();
    for _ in 0..50 {
        let admitted = bucket.try_acquire(10).await.unwrap();
        assert_eq!(
            (admitted.by(), admitted.available()),
            (AdmittedBy::FailOpen, None)
        );
    }
    for _ in 0..50 {
        leased.try_acquire(10).unwrap();
    }
    assert_eq!(bucket.stats().open_admitted, 50);
    assert_eq!(leased.limit_stats().open_admitted, 50);
    let never = bucket.try_acquire(11).await.unwrap_err().denied();
    assert_eq!(never, Some(Denied::Never { capacity: 10 }));
    assert!(bucket.peek(1).await.unwrap_err().is_unavailable());
    assert!(bucket.available().await.unwrap_err().is_unavailable());
    server.resume();
    eventually("a refusal", async || {
        bucket.try_acquire(10).await.err()?.denied()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_says_when_to_come_back() {
    let mut server = Server::start(servers::Options::default());
    let store = store(&server.url());
    let bucket = RedisTokenBucket::new(&store, "closed", slow(10_000)).unwrap();
    for killed in [false, true] {
        eventually("the server", async || {
            bucket.try_acquire(1).await.is_ok().then_some(())
        })
        .await;
        let before = bucket.stats().unavailable;
        if killed {
            server.kill();
        } else {
            server.pause();
        }
        let first = bucket.try_acquire(1).await.unwrap_err();
        assert!(
            matches!(first, AcquireError::Unavailable { cause: Some(_), .. }),
            "{first:?}"
        );
        for _ in 0..20 {
            let error = bucket.try_acquire(1).await.unwrap_err();
            assert!(
                matches!(error, AcquireError::Unavailable { cause: None, .. }),
                "{error:?}"
            );
            let wait = error.retry_after().unwrap();
            assert!(
                wait >= Duration::from_millis(1) && wait <= PROBE * 5 / 4,
                "{wait:?}"
            );
        }
        assert_eq!(bucket.stats().unavailable, before + 21);
        if killed {
            server.restart();
        } else {
            server.resume();
        }
        // Nothing but the hints' waits.
        eventually("an admission", async || match bucket.try_acquire(1).await {
            Ok(admitted) => (admitted.by() == AdmittedBy::Server).then_some(()),
            Err(error) => {
                tokio::time::sleep(error.retry_after().unwrap()).await;
                None
            }
        })
        .await;
    }
}

/// Takes as much as there is, one by one, and says how much that was.
async fn drain(mut take: impl AsyncFnMut() -> Result<(), AcquireError>) -> u64 {
    for taken in 0.. {
        if take().await.is_err() {
            return taken;
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_share_of_a_bucket_admitted_is_charged_afterwards() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server.url());
        let options = on_failure(FailurePolicy::Local { nodes: NODES });
        let bucket = RedisTokenBucket::with_options(&store, "local", slow(100), options).unwrap();
        let quotas = [("calls", slow(100)), ("tokens", slow(1_000))];
        let both = RedisCombined::with_options(&store, "both", quotas, options).unwrap();
        eventually("the server", async || {
            (bucket.available().await.ok()? == 100).then_some(())
        })
        .await;
        server.pause();
        // One of the calls may have arrived, and been charged.
        assert_eq!(
            drain(async || bucket.try_acquire(1).await.map(drop)).await,
            25
        );
        let stats = bucket.stats();
        assert_eq!((stats.local_admitted, stats.local_denied), (25, 1));
        let share = drain(async || both.try_acquire_each(&[1, 10]).await.map(drop)).await;
        assert_eq!(share, 25);
        let refused = both.try_acquire_each(&[0, 10]).await.unwrap_err();
        assert_eq!(refused.limit(), Some("tokens"));
        server.resume();

        let left = eventually("the server", async || bucket.available().await.ok()).await;
        assert!((74..=75).contains(&left), "{left}");
        let left = eventually("the server", async || both.available().await.ok()).await;
        assert!((74..=75).contains(&left[0]), "{left:?}");
        assert!((740..=750).contains(&left[1]), "{left:?}");
        // And once only.
        assert!(bucket.available().await.unwrap() >= 74);
        assert!(both.available().await.unwrap()[0] >= 74);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_node_begins_an_outage_without_a_burst() {
    let server = Server::start(servers::Options::default());
    let store = store(&server.url());
    let options = on_failure(FailurePolicy::Local { nodes: NODES });
    let bucket = RedisTokenBucket::with_options(&store, "busy", slow(100), options).unwrap();
    let mut by_server = 0;
    eventually("twenty by the server", async || {
        by_server += u64::from(bucket.try_acquire(1).await.ok()?.by() == AdmittedBy::Server);
        (by_server == 20).then_some(())
    })
    .await;
    let by_share = bucket.stats().local_admitted;
    server.pause();
    let more = drain(async || bucket.try_acquire(1).await.map(drop)).await;
    assert!(by_share + more <= 5, "{by_share} {more}");
    server.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_goes_on_into_an_outage_and_reports_what_follows() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server.url());
        let options = on_failure(FailurePolicy::Local { nodes: NODES });
        let bucket = |name| RedisTokenBucket::with_options(&store, name, slow(1_000), options);
        let observer = bucket("leased").unwrap();
        let leased = bucket("leased").unwrap();
        let leased = leased.lease(LeaseOptions::new().ttl(Duration::from_millis(500)));
        leased.acquire(1).await.unwrap();
        server.pause();
        let mut admitted = 1;
        eventually("a share that is used up", async || {
            admitted += drain(async || leased.try_acquire(1)).await;
            (leased.limit_stats().local_denied > 0).then_some(())
        })
        .await;
        let by_share = leased.limit_stats().local_admitted;
        assert!((249..=250).contains(&by_share), "{by_share}");
        server.resume();
        // The lease ends, or is asked for again; then all that was admitted counts.
        eventually("the debit", async || {
            drop(leased.try_acquire(1_000));
            (observer.available().await.ok()? <= 1_000 - admitted).then_some(())
        })
        .await;
        leased.close().await;
        // Besides, a grant whose answer did not arrive counts as spent, and nothing counts twice.
        eventually("the end of all leases", async || {
            let left = observer.available().await.ok()?;
            (left >= 1_000 - admitted - 10).then_some(())
        })
        .await;
    }
}

/// A client process; every other one leases.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn hammer(child: &Child) {
    let store = store(&child.arguments[0]);
    let options = on_failure(FailurePolicy::Local { nodes: NODES });
    let bucket = RedisTokenBucket::with_options(&store, "shared", shared(), options).unwrap();
    child.meet("start");
    if child.number.is_multiple_of(2) {
        let leased = bucket.lease(LeaseOptions::new().ttl(Duration::from_millis(300)));
        while !child.should_end() {
            spend(child, &leased).await;
        }
    } else {
        while !child.should_end() {
            call(child, &bucket).await;
        }
    }
}

const fn shared() -> Quota {
    Quota::per_second(400).burst(100)
}

async fn spend(child: &Child, leased: &LeasedTokenBucket) {
    match Admission::around(1, || leased.try_acquire(1).is_ok()) {
        Some(admission) => child.admitted(admission),
        None => tokio::time::sleep(Duration::from_millis(1)).await,
    }
    child.tell(leased.limit_stats().local_admitted);
}

async fn call(child: &Child, bucket: &RedisTokenBucket) {
    let start_ns = now_ns();
    let admitted = bucket.try_acquire(1).await.is_ok();
    let end_ns = now_ns();
    if admitted {
        child.admitted(Admission {
            start_ns,
            end_ns,
            permits: 1,
        });
    } else {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.tell(bucket.stats().local_admitted);
}

#[test]
fn shares_of_four_processes_add_a_capacity_at_most() {
    let test = "shares_of_four_processes_add_a_capacity_at_most";
    if let Some(child) = processes::child(test) {
        hammer(&child);
        return;
    }
    for kind in Kind::available() {
        let mut server = Server::start(servers::Options::new(kind).tcp(0).durable());
        let mut children = Children::start(test, 4, &[&server.url()]);
        let goes_on = |children: &Children| {
            let from = now_ns();
            until("an admission in each process", || {
                let goes_on = |number| Some(children.last_admission(number)?.start_ns >= from);
                (0..4)
                    .all(|number| goes_on(number) == Some(true))
                    .then_some(())
            });
        };
        let all_by_share = |children: &Children, before: &[u64]| {
            let now = by_share(children);
            now.iter().zip(before).all(|(now, before)| now > before)
        };
        for killed in [false, true, false] {
            goes_on(&children);
            let before = by_share(&children);
            if killed {
                server.kill();
            } else {
                server.pause();
            }
            until("shares in each process", || {
                all_by_share(&children, &before).then_some(())
            });
            sleep(TIMEOUT);
            if killed {
                server.restart();
            } else {
                server.resume();
            }
        }
        goes_on(&children);
        children.end();
        children.finish();
        let bound = Bound {
            capacity: 2 * shared().capacity(),
            ..Bound::new(shared())
        };
        let admissions = children.admissions();
        eprintln!(
            "{} admissions; {}",
            admissions.len(),
            bound.excess(&admissions)
        );
        bound.assert_within(&admissions);
    }
}

/// How much each process admitted without the server.
fn by_share(children: &Children) -> Vec<u64> {
    let told = children.told();
    told.iter().map(|told| told.parse().unwrap_or(0)).collect()
}
