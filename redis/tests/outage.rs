//! A server that stalls or dies costs one timeout, and is used again when it is back; no call is sent twice.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints do not see that helpers of tests are tests"
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

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use tidegate::Quota;
use tidegate_redis::{
    AcquireError, Admitted, AdmittedBy, FailurePolicy, LeaseOptions, LimiterOptions, RedisStore,
    RedisTokenBucket,
};
use tokio::task::JoinSet;

use support::kinds::Kind;
use support::servers::{self, Server};
use support::until::eventually;

const TIMEOUT: Duration = Duration::from_millis(200);
const PROBE: Duration = Duration::from_millis(200);
const CALLERS: usize = 200;
/// As many as a test may take, and hardly any more while it runs.
const CAPACITY: u64 = 1_000_000;

fn store(server: &Server) -> RedisStore {
    let builder = RedisStore::builder().timeout(TIMEOUT).probe_interval(PROBE);
    builder.connect(server.url()).unwrap()
}

fn bucket(store: &RedisStore, policy: FailurePolicy) -> Arc<RedisTokenBucket> {
    let quota = Quota::new(1, Duration::from_secs(1_000))
        .unwrap()
        .burst(CAPACITY);
    let options = LimiterOptions::new().on_failure(policy);
    Arc::new(RedisTokenBucket::with_options(store, "outage", quota, options).unwrap())
}

/// What a call says that needs not wait.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    // Giving others their turn after many calls is no wait.
    let call = tokio::task::unconstrained(call);
    let Poll::Ready(result) = pin!(call).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    result
}

/// Each of many tasks calls once.
async fn all_call(bucket: &Arc<RedisTokenBucket>) -> Vec<Result<Admitted, AcquireError>> {
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let bucket = Arc::clone(bucket);
        calls.spawn(async move { bucket.try_acquire(1).await });
    }
    calls.join_all().await
}

/// Returns when the server admits, and the store says that it does.
async fn served_again(store: &RedisStore, bucket: &RedisTokenBucket) {
    eventually("the server", async || {
        let admitted = bucket.try_acquire(1).await.ok()?;
        (admitted.by() == AdmittedBy::Server && store.stats().is_available()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_server_costs_a_timeout_per_probe_and_none_per_call() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server);
        let bucket = bucket(&store, FailurePolicy::Open);
        served_again(&store, &bucket).await;

        let before = store.stats();
        server.pause();
        let start = Instant::now();
        for admitted in all_call(&bucket).await {
            assert_eq!(admitted.unwrap().by(), AdmittedBy::FailOpen);
        }
        let found = store.stats();
        assert!(!found.is_available());
        assert_eq!(found.outages, before.outages + 1);
        let sent = found.calls - before.calls;
        assert!(sent <= CALLERS as u64 + probes(start), "{found:?}");

        // Long enough for several probes, each of which is in vain.
        let mut calls = 0_u64;
        eventually("some probes", async || {
            for _ in 0..100 {
                assert_eq!(
                    at_once(bucket.try_acquire(1)).unwrap().by(),
                    AdmittedBy::FailOpen,
                    "without waiting"
                );
                calls += 1;
            }
            (store.stats().calls >= found.calls + 4).then_some(())
        })
        .await;
        let after = store.stats();
        let asked = after.calls - found.calls;
        assert!(asked <= probes(start), "{asked} round trips: {after:?}");
        assert!(calls > asked, "{calls}");
        assert_eq!(after.outages, found.outages, "one outage");
        assert_eq!(after.errors, before.errors, "nothing but timeouts");
        let limit = bucket.stats();
        assert_eq!(limit.open_admitted, CALLERS as u64 + calls);

        server.resume();
        served_again(&store, &bucket).await;
    }
}

/// How many there may have been since then, each of at most two commands.
fn probes(start: Instant) -> u64 {
    let each = PROBE * 3 / 4;
    2 * (1 + u64::try_from(start.elapsed().as_nanos() / each.as_nanos()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_released_as_soon_as_one_has_waited_in_vain() {
    let server = Server::start(servers::Options::default());
    let store = store(&server);
    let bucket = bucket(&store, FailurePolicy::Closed);
    // Where the machine stands still for a timeout, all have waited in vain by themselves. Then again.
    eventually("some that are released", async || {
        served_again(&store, &bucket).await;
        let before = store.stats();
        server.pause();
        let first = tokio::spawn({
            let bucket = Arc::clone(&bucket);
            async move { bucket.try_acquire(1).await }
        });
        tokio::time::sleep(TIMEOUT / 4).await;
        let others = all_call(&bucket).await;
        let after = store.stats();
        let first = first.await.unwrap().unwrap_err();
        server.resume();
        assert!(first.is_unavailable(), "{first:?}");
        assert_eq!(others.iter().filter(|other| other.is_ok()).count(), 0);
        let released = after.released - before.released;
        let timeouts = after.timeouts - before.timeouts;
        // Those that came after it was found out were not sent at all.
        assert!(released + timeouts <= 1 + CALLERS as u64 + 1, "{after:?}");
        (released > 0 && timeouts <= 3).then_some(())
    })
    .await;
}

/// How a server goes, and comes back.
const OUTAGES: [fn(&mut Server); 4] = [
    |server| {
        server.pause();
        std::thread::sleep(TIMEOUT * 2);
        server.resume();
    },
    Server::restart,
    |server| {
        server.kill();
        std::thread::sleep(PROBE * 2);
        server.restart();
    },
    |server| {
        let socket = server.socket_url();
        fs::remove_file(&socket["unix://".len()..]).unwrap();
        server.kill();
        std::thread::sleep(PROBE * 2);
        server.restart();
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_used_again_however_often() {
    for kind in Kind::available() {
        let on = servers::Options::new(kind);
        for mut server in [Server::start(on.clone()), Server::start(on.tcp(0))] {
            let store = store(&server);
            let bucket = bucket(&store, FailurePolicy::Open);
            let callers: Vec<_> = (0..8)
                .map(|_| {
                    let bucket = Arc::clone(&bucket);
                    tokio::spawn(async move {
                        loop {
                            let _ = bucket.try_acquire(1).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    })
                })
                .collect();
            for (number, outage) in OUTAGES.into_iter().cycle().take(6).enumerate() {
                served_again(&store, &bucket).await;
                let before = store.stats();
                // In a thread of its own, since it blocks.
                server = tokio::task::spawn_blocking(move || {
                    outage(&mut server);
                    server
                })
                .await
                .unwrap();
                served_again(&store, &bucket).await;
                assert!(store.stats().outages > before.outages, "{number}");
            }
            for caller in callers {
                caller.abort();
                assert!(caller.await.unwrap_err().is_cancelled(), "it goes on");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_may_be_there_before_its_server() {
    for on in [
        servers::Options::default(),
        servers::Options::default().tcp(0),
    ] {
        let mut server = Server::start(on);
        server.kill();
        let store = store(&server);
        let bucket = bucket(&store, FailurePolicy::Closed);
        assert!(store.stats().is_available(), "as far as is known");
        assert!(bucket.try_acquire(1).await.unwrap_err().is_unavailable());
        assert!(!store.stats().is_available());
        server.restart();
        served_again(&store, &bucket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_not_overrun() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let store = store(&server);
        let bucket = bucket(&store, FailurePolicy::Closed);
        served_again(&store, &bucket).await;
        let before = (server.calls("evalsha"), store.stats().outages);
        server.pause();
        // All of these, and more of them than probes, wait for the server.
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let bucket = Arc::clone(&bucket);
            callers.spawn(async move {
                while bucket.try_acquire(1).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        tokio::time::sleep(TIMEOUT + 3 * PROBE).await;
        server.resume();
        callers.join_all().await;
        let after = (server.calls("evalsha"), store.stats().outages);
        // Each caller's last, and at most one in vain when it was found gone.
        let openings = after.1 - before.1;
        let most = CALLERS as u64 * (1 + openings);
        assert!(openings >= 1);
        assert!(
            after.0 - before.0 <= most,
            "{before:?} {after:?} {:?}",
            store.stats()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_executed_once_at_most() {
    for kind in Kind::available() {
        let mut server = Server::start(servers::Options::new(kind).durable());
        let store = store(&server);
        let bucket = bucket(&store, FailurePolicy::Closed);
        let (mut begun, mut admitted) = (0, 0);
        for killed in [false, true, false, true] {
            eventually("the server", async || {
                begun += 1;
                bucket.try_acquire(1).await.is_ok().then_some(())
            })
            .await;
            admitted += 1;
            server.pause();
            begun += CALLERS as u64;
            let results = all_call(&bucket).await;
            admitted += results.iter().filter(|result| result.is_ok()).count() as u64;
            if killed {
                server.restart();
            } else {
                server.resume();
            }
            let available = eventually("the server", async || bucket.available().await.ok()).await;
            let charged = CAPACITY - available;
            assert!(
                (admitted..=begun).contains(&charged),
                "{charged} of {begun}, {admitted} admitted"
            );
            if !killed {
                // As many as were sent, whatever the store thought of their answers. A look is one too.
                let ran = server.calls("evalsha") + server.calls("eval");
                assert!(ran <= store.stats().calls, "{ran} {:?}", store.stats());
            }
        }
    }
}

/// In a runtime of one thread, where a task that does not wait lets no other run.
#[test]
fn a_lease_leaves_the_probe_alone() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut server = Server::start(servers::Options::default());
            let store = store(&server);
            let bucket = bucket(&store, FailurePolicy::Closed);
            let leased = Arc::into_inner(bucket).unwrap().lease(LeaseOptions::new());
            leased.acquire(1).await.unwrap();
            for paused in [true, false] {
                if paused {
                    server.pause();
                } else {
                    server.kill();
                }
                eventually("a lease that is spent", async || {
                    let result = leased.try_acquire(CAPACITY / 4);
                    result.is_err_and(|e| e.is_unavailable()).then_some(())
                })
                .await;
                let before = store.stats().calls;
                eventually("some probes", async || {
                    let error = leased.try_acquire(CAPACITY / 4).unwrap_err();
                    assert!(error.retry_after() >= Some(Duration::from_millis(1)));
                    (store.stats().calls > before + 5).then_some(())
                })
                .await;
                if paused {
                    server.resume();
                } else {
                    server.restart();
                }
                eventually("the server", async || leased.try_acquire(1).ok()).await;
            }
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(support::until::PATIENCE).unwrap();
}
