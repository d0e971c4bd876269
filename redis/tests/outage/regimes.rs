//! Faults that begin and end: what is admitted before, during and after them, and why calls fail.

use core::time::Duration;
use std::sync::Arc;

use redis::RedisError;
use tidegate::Quota;
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LeasedTokenBucket, LimiterOptions,
    RedisStore, RedisTokenBucket,
};
use tokio::task::JoinSet;

use super::proxy::Proxy;
use super::{Fault, bucket, store, wait_for_server};
use crate::support::limiters::slow;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::{PATIENCE, eventually};

pub(crate) const LOCAL: FailurePolicy = FailurePolicy::Local {
    nodes: core::num::NonZeroU32::MIN,
};

/// Errors with which a server answers every write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusing {
    ReadOnly,
    NoReplicas,
    OutOfMemory,
}

impl Refusing {
    const ALL: [Self; 3] = [Self::ReadOnly, Self::NoReplicas, Self::OutOfMemory];

    pub(crate) fn begin(self, server: &Server) {
        let () = match self {
            // Of a server that is not there.
            Self::ReadOnly => server.query(&["REPLICAOF", "127.0.0.1", "1"]),
            Self::NoReplicas => server.query(&["CONFIG", "SET", "min-replicas-to-write", "1"]),
            Self::OutOfMemory => server.query(&["CONFIG", "SET", "maxmemory", "1mb"]),
        };
    }

    pub(crate) fn end(self, server: &Server) {
        let () = match self {
            Self::ReadOnly => server.query(&["REPLICAOF", "NO", "ONE"]),
            Self::NoReplicas => server.query(&["CONFIG", "SET", "min-replicas-to-write", "0"]),
            Self::OutOfMemory => server.query(&["CONFIG", "SET", "maxmemory", "0"]),
        };
    }

    fn is(self, error: &RedisError) -> bool {
        let code = match self {
            Self::ReadOnly => "READONLY",
            Self::NoReplicas => "NOREPLICAS",
            Self::OutOfMemory => "OOM",
        };
        error.code() == Some(code) || error.to_string().contains(code)
    }
}

async fn leased(store: &RedisStore, quota: Quota, policy: FailurePolicy) -> LeasedTokenBucket {
    let options = LimiterOptions::new().on_failure(policy);
    let bucket = RedisTokenBucket::with_options(store, "leased", quota, options).unwrap();
    let options = LeaseOptions::new().ttl(Duration::from_millis(100));
    bucket.lease(options).await
}

fn cause(error: &AcquireError) -> &RedisError {
    let AcquireError::Unavailable {
        cause: Some(cause), ..
    } = error
    else {
        panic!("no cause: {error:?}");
    };
    cause
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_decide_while_the_server_answers_with_errors() {
    for options in ServerOptions::each_kind() {
        let server = options.set("maxmemory-policy", "noeviction").start();
        for refusing in Refusing::ALL {
            let store = store(server.url());
            let closed = bucket(&store, Quota::per_second(100_000), FailurePolicy::Closed);
            let open = bucket(&store, Quota::per_second(100_000), FailurePolicy::Open);
            let quota = Quota::per_second(100_000);
            let closed_lease = leased(&store, quota, FailurePolicy::Closed).await;
            let open_lease = leased(&store, quota, FailurePolicy::Open).await;
            wait_for_server(&store, &closed).await;

            refusing.begin(&server);
            eventually("an outage, and the end of all leases", async || {
                let _ = closed.try_acquire(1).await;
                let held = closed_lease.held() + open_lease.held();
                !store.stats().is_available() && held == 0
            })
            .await;
            let outages = store.stats().outages;
            let calls = store.stats().calls;
            eventually("ten probes", async || {
                for error in [
                    closed.try_acquire(1).await.map(drop).unwrap_err(),
                    closed_lease.try_acquire(1).unwrap_err(),
                    closed_lease.acquire(1).await.unwrap_err(),
                ] {
                    let cause = cause(&error);
                    assert!(refusing.is(cause), "{refusing:?}: {cause}");
                    assert!(error.retry_after().is_some());
                }
                let admitted = open.try_acquire(1).await.unwrap();
                assert_eq!(admitted.by(), AdmittedBy::FailOpen);
                open_lease.try_acquire(1).unwrap();
                store.stats().calls >= calls + 10
            })
            .await;
            // One outage, however many probes it has outlasted.
            assert_eq!(store.stats().outages, outages, "{refusing:?}");
            assert!(store.last_error().is_some_and(|last| refusing.is(&last)));

            refusing.end(&server);
            wait_for_server(&store, &closed).await;
            eventually("the leases", async || {
                closed_lease.try_acquire(1).is_ok() && open_lease.held() > 0
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_cannot_work_says_why() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let () = server.query(&["SET", "tidegate:{leased}", "something else"]);
        let closed = leased(&store, slow(10), FailurePolicy::Closed).await;
        for error in [
            closed.try_acquire(1).unwrap_err(),
            closed.acquire(1).await.unwrap_err(),
        ] {
            let text = cause(&error).to_string();
            assert!(text.contains("holds something else"), "{text}");
        }
        let open = leased(&store, slow(10), FailurePolicy::Open).await;
        open.try_acquire(1).unwrap();
        assert!(store.stats().is_available(), "other limits work");
        let _: u64 = server.query(&["DEL", "tidegate:{leased}"]);
        eventually("tokens", async || closed.try_acquire(1).is_ok()).await;
    }
}

/// What was admitted without the server leaves the bucket empty at most. It refilled meanwhile, so
/// nothing is paid twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_paid_for_twice() {
    for mut server in Server::each_kind() {
        for fault in [Fault::Pause, Fault::Kill] {
            let store = store(server.url());
            // Empty for half a second at most, whatever was admitted.
            let quota = Quota::per_second(1_000).burst(500);
            let bucket = bucket(&store, quota, LOCAL);
            wait_for_server(&store, &bucket).await;
            fault.begin(&mut server);
            eventually("three capacities of local admissions", async || {
                let _ = bucket.try_acquire(1).await;
                bucket.stats().local_admitted >= 1_500
            })
            .await;
            fault.end(&mut server);
            eventually("the report", async || {
                let _ = bucket.try_acquire(1).await;
                store.stats().is_available() && bucket.peek(0).await.is_ok()
            })
            .await;
            if let Err(error) = bucket.peek(500).await {
                let wait = error.retry_after().unwrap();
                assert!(wait <= Duration::from_millis(500), "{wait:?}");
            }
        }
    }
}

/// A proxy, or a name that moved, leads to another server for new connections only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_the_wrong_server_is_replaced() {
    let [replica, primary] = [0, 1].map(|_| ServerOptions::default().tcp().start());
    let proxy = Proxy::start(replica.port().unwrap()).await;
    let store = store(proxy.url());
    let bucket = bucket(&store, slow(1_000), FailurePolicy::Closed);
    wait_for_server(&store, &bucket).await;
    Refusing::ReadOnly.begin(&replica);
    eventually("an outage", async || {
        let _ = bucket.try_acquire(1).await;
        !store.stats().is_available()
    })
    .await;
    proxy.lead_to(primary.port().unwrap());
    // Each failed probe makes a new connection.
    wait_for_server(&store, &bucket).await;
    assert_eq!(primary.query::<u64>(&["EXISTS", "tidegate:{bucket}"]), 1);
}

/// As a name does after a failover. The old server is gone, or its connections hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_moves_is_followed() {
    for fault in [Fault::Kill, Fault::Pause] {
        let [mut old, new] = [0, 1].map(|_| ServerOptions::default().tcp().start());
        let proxy = Proxy::start(old.port().unwrap()).await;
        let store = store(proxy.url());
        let bucket = bucket(&store, slow(1_000), FailurePolicy::Closed);
        wait_for_server(&store, &bucket).await;
        fault.begin(&mut old);
        eventually("an outage", async || {
            let _ = bucket.try_acquire(1).await;
            !store.stats().is_available()
        })
        .await;
        proxy.lead_to(new.port().unwrap());
        wait_for_server(&store, &bucket).await;
        assert_eq!(new.query::<u64>(&["EXISTS", "tidegate:{bucket}"]), 1);
        store.ping().await.unwrap();
        fault.end(&mut old);
        let calls = old.script_calls();
        bucket.try_acquire(1).await.unwrap();
        assert_eq!(old.script_calls(), calls, "the old server is not used");
    }
}

/// A foreign script keeps the server busy while the connection chooses its database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_server_is_found_again_by_a_connection_with_a_database() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().set("lua-time-limit", "50").start();
        let port = server.port().unwrap();
        let store = store(format!("redis://127.0.0.1:{port}/3"));
        let bucket = Arc::clone(&bucket(&store, slow(1_000), FailurePolicy::Closed));
        wait_for_server(&store, &bucket).await;
        let busy = std::thread::spawn(move || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
            let mut connection = client.get_connection().unwrap();
            let script = "while true do end";
            let ended = redis::cmd("EVAL")
                .arg(script)
                .arg(0)
                .query::<()>(&mut connection);
            assert!(ended.is_err());
        });
        eventually("an outage", async || {
            let _ = bucket.try_acquire(1).await;
            !store.stats().is_available()
        })
        .await;
        // Long enough for probes that time out to replace the connection.
        let calls = store.stats().calls;
        eventually("probes", async || store.stats().calls >= calls + 6).await;
        assert!(!store.stats().is_available());
        let _ = server.try_query::<()>(&["SCRIPT", "KILL"]);
        wait_for_server(&store, &bucket).await;
        busy.join().unwrap();
    }
}

/// It keeps what one call asks for, so the next one is admitted, however rare they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_node_is_admitted_at_each_call() {
    let server = ServerOptions::default().start();
    let store = RedisStore::connect(server.url()).unwrap();
    let bucket = |name| RedisTokenBucket::new(&store, name, slow(1_000)).unwrap();
    // Renewed after three seconds, with a second to spare.
    let options = LeaseOptions::new().ttl(Duration::from_secs(4));
    let single = bucket("single").lease(options).await;
    single.try_acquire(1).unwrap();
    let several = bucket("several").lease(options).await;
    several.acquire(20).await.unwrap();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(4_500)).await;
        single.try_acquire(1).unwrap();
    }
    // An eighth less of what it asked for with each renewal.
    assert!((10..=18).contains(&several.held()), "{}", several.held());
    several.try_acquire(10).unwrap();
}

/// One round trip serves all that the server has, so its length does not bound the rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_wait_are_asked_for_together() {
    let server = ServerOptions::default().tcp().start();
    let proxy = Proxy::slow(server.port().unwrap(), Duration::from_millis(3)).await;
    let builder = RedisStore::builder().timeout(PATIENCE);
    let store = builder.connect(proxy.url()).unwrap();
    let quota = Quota::per_second(5_000).burst(200);
    let bucket = bucket(&store, quota, FailurePolicy::Closed);
    let mut waiting = JoinSet::new();
    for _ in 0..64 {
        let bucket = Arc::clone(&bucket);
        waiting.spawn(async move {
            for _ in 0..50 {
                bucket.acquire(1).await.unwrap();
            }
        });
    }
    waiting.join_all().await;
    // Fifteen refill while a call is on its way.
    let calls = store.stats().calls;
    assert!(calls <= 64 * 50 / 3, "{calls} calls for 3200 admissions");
    assert_eq!(bucket.stats().unavailable, 0);
}
