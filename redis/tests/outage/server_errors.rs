//! Errors of a server that answers but cannot serve any call count as an outage.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{AdmittedBy, FailurePolicy, RedisStore};

use super::{PROBE_INTERVAL, bucket, wait_for_server};
use crate::support::acl::{documented_rights, set_user, user_url};
use crate::support::server::ServerOptions;
use crate::support::wait::eventually;

/// A store whose calls do not time out.
fn slow_store(url: String) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(Duration::from_secs(5))
        .probe_interval(PROBE_INTERVAL);
    builder.connect(url).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_password_is_an_outage_until_it_is_accepted() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        set_user(&server, &documented_rights(false));
        let store = slow_store(user_url(&server));
        let bucket = bucket(&store, Quota::per_hour(100), FailurePolicy::Closed);
        wait_for_server(&store, &bucket).await;

        set_user(&server, &["tidegate", "resetpass", ">other"]);
        let _: u64 = server.query(&["CLIENT", "KILL", "USER", "tidegate"]);
        eventually("an outage and some probes", async || {
            drop(bucket.try_acquire(0).await);
            let stats = store.stats();
            !stats.is_available() && stats.calls > 10
        })
        .await;
        set_user(&server, &["tidegate", "resetpass", ">secret"]);
        wait_for_server(&store, &bucket).await;
        assert_eq!(bucket.available().await.unwrap(), 98);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_memory_is_an_outage_until_there_is_room() {
    for options in ServerOptions::each_kind() {
        let server = options.set("maxmemory-policy", "noeviction").start();
        let store = slow_store(server.url());
        let bucket = bucket(&store, Quota::per_hour(100), FailurePolicy::Open);
        wait_for_server(&store, &bucket).await;

        // Less than the server uses already.
        let () = server.query(&["CONFIG", "SET", "maxmemory", "1mb"]);
        let mut open_admitted = 0;
        let calls = store.stats().calls;
        eventually("some probes", async || {
            let admitted = bucket.try_acquire(1).await.unwrap();
            assert_eq!(admitted.by(), AdmittedBy::FailOpen, "writes fail");
            open_admitted += 1;
            store.stats().calls >= calls + 10
        })
        .await;
        assert_eq!(bucket.stats().open_admitted, open_admitted);
        // A probe writes, so none of them takes the server for available.
        assert_eq!((store.stats().errors, store.stats().outages), (1, 1));

        let () = server.query(&["CONFIG", "SET", "maxmemory", "0"]);
        wait_for_server(&store, &bucket).await;
        assert_eq!(bucket.available().await.unwrap(), 98);
    }
}
