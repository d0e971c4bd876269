//! How sentinels are asked, and what a store says if none names a master.

use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use redis::ErrorKind;
use tidegate::Quota;
use tidegate_redis::RedisStore;

use super::LOGIN;
use crate::support::acl::{documented_rights, set_user};
use crate::support::fake_server::{FakeServer, array, error};
use crate::support::limiters::{bucket, cause, patient_store, slow};
use crate::support::sentinels::{SERVICE, Watched};
use crate::support::server::ServerOptions;
use crate::support::wait::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentinel_that_answers_is_enough() {
    for options in ServerOptions::each_kind() {
        let mut watched = Watched::start(&options, 0);
        // The first one is gone, and the second one hangs.
        watched.kill_sentinel(0);
        watched.pause_sentinel(1);
        let store = RedisStore::builder()
            .timeout(Duration::from_secs(4))
            // The one that hangs is not waited for that long.
            .connect_timeout(PATIENCE)
            .connect_sentinel(watched.urls(), SERVICE, LOGIN)
            .unwrap();
        let bucket = bucket(&store, "bucket", slow(10));
        bucket.try_acquire(1).await.unwrap();
        watched.kill_sentinel(1);
        watched.kill_sentinel(2);
        // A connection that works needs no sentinel.
        bucket.try_acquire(1).await.unwrap();
        assert!(format!("{store:?}").contains("MasterConnection"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_each_sentinel_said() {
    let watched = Watched::start(&ServerOptions::default(), 0);
    let cause_with = async |sentinels: &[String], service: &str| {
        let store = patient_store().connect_sentinel(sentinels.to_vec(), service, LOGIN);
        cause(
            bucket(&store.unwrap(), "bucket", slow(10))
                .try_acquire(1)
                .await,
        )
    };
    let urls = watched.urls();
    let unknown = cause_with(&urls, "other").await;
    assert_eq!(unknown.kind(), ErrorKind::MasterNameNotFoundBySentinel);
    let text = unknown.to_string();
    assert!(text.contains("`other`"), "{text}");
    assert_eq!(text.matches("does not know it").count(), 3, "{text}");

    let absent = "redis://127.0.0.1:1".to_owned();
    let no_sentinel = watched.node(0).url();
    let text = cause_with(&[absent, no_sentinel], SERVICE)
        .await
        .to_string();
    assert!(text.contains("127.0.0.1:1: Connection refused"), "{text}");
    assert!(text.to_lowercase().contains("unknown command"), "{text}");

    // One that does not know it does not keep a store from the others.
    let () = watched.ask(0, &["REMOVE", SERVICE]).unwrap();
    let store = patient_store()
        .connect_sentinel(watched.urls(), SERVICE, LOGIN)
        .unwrap();
    bucket(&store, "bucket", slow(10))
        .try_acquire(1)
        .await
        .unwrap();
}

#[test]
fn invalid_addresses_are_rejected() {
    let connect = |sentinels: &[&str], login: &str| {
        let store = patient_store().connect_sentinel(sentinels.iter().copied(), SERVICE, login);
        store.map(drop).unwrap_err().kind()
    };
    assert_eq!(connect(&[], LOGIN), ErrorKind::EmptySentinelList);
    let sentinel = "redis://127.0.0.1:26379";
    assert_eq!(
        connect(&["no address"], LOGIN),
        ErrorKind::InvalidClientConfig
    );
    assert_eq!(
        connect(&[sentinel], "no address"),
        ErrorKind::InvalidClientConfig
    );
    assert_eq!(
        connect(&[sentinel], "unix:///socket"),
        ErrorKind::InvalidClientConfig
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_has_user_and_database() {
    for options in ServerOptions::each_kind() {
        let watched = Watched::start(&options, 0);
        let node = watched.node(0);
        set_user(node, &documented_rights(false));
        set_user(node, &["tidegate", "+select"]);
        let login = "redis://tidegate:secret@master/3";
        let store = patient_store().connect_sentinel(watched.urls(), SERVICE, login);
        let bucket = bucket(&store.unwrap(), "bucket", Quota::per_hour(10));
        bucket.try_acquire(1).await.unwrap();
        let keys = node.info("db3").expect("a key in the database");
        assert!(keys.starts_with("keys=1,"), "{keys}");
        assert_eq!(node.info("db0"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_may_have_users_with_two_rights() {
    for options in ServerOptions::each_kind() {
        let watched = Watched::start(&options, 0);
        let rights = ["+sentinel|master", "+sentinel|get-master-addr-by-name"];
        let connect = |user: &[&str]| {
            watched.set_users(&[&["tidegate", "reset", "on", ">secret"], user].concat());
            let urls = watched.urls();
            let urls = urls
                .iter()
                .map(|url| url.replace("//", "//tidegate:secret@"));
            let store = patient_store().connect_sentinel(urls, SERVICE, LOGIN);
            bucket(&store.unwrap(), "bucket", slow(10))
        };
        connect(&rights).try_acquire(1).await.unwrap();
        for right in rights {
            let text = cause(connect(&[right]).try_acquire(1).await).to_string();
            assert!(text.contains("permissions"), "{text}");
        }
    }
}

/// As in a `static` that several tests use.
#[test]
fn store_works_in_one_runtime_after_the_other() {
    let watched = Watched::start(&ServerOptions::default(), 0);
    let store = patient_store()
        .connect_sentinel(watched.urls(), SERVICE, LOGIN)
        .unwrap();
    let bucket = bucket(&store, "bucket", slow(10));
    for left in [9, 8, 7] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let start = Instant::now();
        let admitted = runtime.block_on(bucket.try_acquire(1)).unwrap();
        assert_eq!(admitted.available(), Some(left), "{:?}", start.elapsed());
    }
    assert_eq!(store.stats().errors, 0);
}

/// A sentinel that names whatever port it is told, at whatever epoch.
struct ToldSentinel {
    server: FakeServer,
    epoch_and_port: Arc<Mutex<(u64, u16)>>,
}

impl ToldSentinel {
    async fn start(epoch: u64, port: u16) -> Self {
        let told = Arc::new(Mutex::new((epoch, port)));
        let epoch_and_port = Arc::clone(&told);
        let server = FakeServer::start(move |command| {
            let (epoch, port) = *told.lock().unwrap();
            let (epoch, port) = (epoch.to_string(), port.to_string());
            match command.get(1).map(String::as_str) {
                Some("MASTER") => array(&["name", SERVICE, "config-epoch", &epoch]),
                Some("GET-MASTER-ADDR-BY-NAME") => array(&["127.0.0.1", &port]),
                _ => error("ERR unknown command"),
            }
        });
        Self {
            server: server.await,
            epoch_and_port,
        }
    }
}

/// One that missed a failover names the old master, which may accept writes still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_answer_counts() {
    let [old, new] = [0, 1].map(|_| ServerOptions::default().tcp().start());
    let (old_port, new_port) = (old.port().unwrap(), new.port().unwrap());
    let [first, second] = [
        ToldSentinel::start(3, old_port).await,
        ToldSentinel::start(4, new_port).await,
    ];
    let urls = [first.server.url(), second.server.url()];
    for _ in 0..10 {
        let store = patient_store().connect_sentinel(urls.clone(), SERVICE, LOGIN);
        let bucket = bucket(&store.unwrap(), "bucket", slow(1_000));
        bucket.try_acquire(1).await.unwrap();
    }
    assert_eq!((old.script_calls(), new.script_calls()), (0, 11));

    let store = patient_store()
        .connect_sentinel(urls, SERVICE, LOGIN)
        .unwrap();
    let bucket = bucket(&store, "bucket", slow(1_000));
    bucket.try_acquire(1).await.unwrap();
    // Only the one that missed the failover answers, when the store asks again.
    *second.epoch_and_port.lock().unwrap() = (3, old_port);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    bucket.try_acquire(1).await.unwrap();
    assert_eq!(old.script_calls(), 0, "an older answer changes nothing");
    // Another failover, which the first one has seen.
    *first.epoch_and_port.lock().unwrap() = (5, old_port);
    eventually("a call of the next master", async || {
        bucket.try_acquire(1).await.unwrap();
        old.script_calls() > 0
    })
    .await;
    assert_eq!((store.stats().outages, store.stats().errors), (0, 0));
}

/// No probe is due for an hour, apart from the first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_or_a_replica_leads_to_the_master_at_once() {
    let [old, new] = [0, 1].map(|_| ServerOptions::default().tcp().start());
    let sentinel = ToldSentinel::start(1, old.port().unwrap()).await;
    let builder = patient_store().probe_interval(PATIENCE * 60);
    let store = builder.connect_sentinel([sentinel.server.url()], SERVICE, LOGIN);
    let store = store.unwrap();
    let bucket = bucket(&store, "bucket", slow(10));
    bucket.try_acquire(1).await.unwrap();

    let _: u64 = old.query(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let admitted = eventually("a new connection", async || {
        bucket.try_acquire(1).await.ok()
    })
    .await;
    assert_eq!(admitted.available(), Some(8));

    *sentinel.epoch_and_port.lock().unwrap() = (2, new.port().unwrap());
    // Of a server that is not there.
    let () = old.query(&["REPLICAOF", "127.0.0.1", "1"]);
    let admitted = eventually("the new master", async || bucket.try_acquire(1).await.ok()).await;
    assert_eq!(admitted.available(), Some(9));
}
