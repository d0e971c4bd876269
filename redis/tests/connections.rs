//! Stores on connections of the user's own, and addresses that are none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints do not see that helpers of tests are tests"
)]

mod support;

use core::time::Duration;

use redis::aio::ConnectionManager;
use tidegate::Quota;
use tidegate_redis::{
    AcquireError, Connection, LeaseOptions, RedisCombined, RedisKeyed, RedisStore, RedisTokenBucket,
};

use support::kinds::Kind;
use support::servers::{Options, Server};
use support::until::PATIENCE;

fn store(connection: impl Into<Connection>, prefix: &str) -> RedisStore {
    RedisStore::builder()
        .prefix(prefix)
        .timeout(PATIENCE)
        .connection(connection)
}

/// All kinds of limiters, each charged once.
async fn works(store: &RedisStore) {
    let quota = Quota::per_day(10);
    let limits = [("x", quota), ("y", quota)];
    let bucket = RedisTokenBucket::new(store, "b", quota).unwrap();
    let several = RedisCombined::new(store, "s", limits).unwrap();
    let table = RedisKeyed::new(store, "t", limits).unwrap();
    assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(9));
    several.try_acquire_each(&[1, 2]).await.unwrap();
    assert_eq!(several.available().await.unwrap(), [9, 8]);
    table.try_acquire_each("key", &[1, 2]).await.unwrap();
    assert_eq!(table.available("key").await.unwrap(), [9, 8]);
    let leased = bucket.lease(LeaseOptions::new());
    leased.acquire(1).await.unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 8);
    assert_eq!((store.stats().errors, store.stats().open_breakers), (0, 0));
}

#[tokio::test]
async fn connections_of_ones_own() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).tcp(0));
        for (prefix, url) in [("tcp", server.url()), ("unix", server.socket_url())] {
            let client = redis::Client::open(url).unwrap();
            let manager = ConnectionManager::new(client.clone()).await.unwrap();
            let manager = store(manager, &format!("{prefix} manager"));
            works(&manager).await;
            assert!(format!("{manager:?}").contains("ConnectionManager"));
            let one = client.get_multiplexed_async_connection().await.unwrap();
            let one = store(one, &format!("{prefix} multiplexed"));
            works(&one).await;
            assert!(format!("{one:?}").contains("MultiplexedConnection"));
            assert_eq!(one.stats().breakers, 1);
        }
    }
}

#[tokio::test]
async fn a_database_and_a_protocol_of_ones_own() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).tcp(0));
        let urls = ["/0", "/5", "/6?protocol=resp3"].map(|end| format!("{}{end}", server.url()));
        // The same names, and yet each finds its buckets full.
        for url in urls {
            let builder = RedisStore::builder().timeout(PATIENCE);
            works(&builder.connect(url).unwrap()).await;
        }
    }
}

#[tokio::test]
async fn a_password_is_needed() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).tcp(0));
        let mut acl = redis::cmd("ACL");
        // What the documentation says that a limiter needs, and no more.
        acl.arg(&[
            "SETUSER",
            "limits",
            "on",
            ">secret",
            "~tidegate:*",
            "resetchannels",
            "-@all",
        ]);
        acl.arg(&["+eval", "+evalsha", "+get", "+set", "+time"]);
        let () = acl.query(&mut server.connection()).unwrap();
        let url = |user| {
            server
                .url()
                .replace("redis://", &format!("redis://{user}@"))
        };
        let builder = || RedisStore::builder().timeout(PATIENCE);
        works(&builder().connect(url("limits:secret")).unwrap()).await;

        let outside = builder()
            .prefix("other")
            .connect(url("limits:secret"))
            .unwrap();
        let outside = RedisTokenBucket::new(&outside, "b", Quota::per_day(1)).unwrap();
        let error = outside.try_acquire(1).await.unwrap_err();
        let AcquireError::Unavailable {
            cause: Some(cause), ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(cause.code(), Some("NOPERM"), "{cause}");

        let wrong = builder().connect(url("limits:wrong")).unwrap();
        let wrong = RedisTokenBucket::new(&wrong, "b", Quota::per_day(1)).unwrap();
        let error = wrong.try_acquire(1).await.unwrap_err();
        assert!(
            matches!(error, AcquireError::Unavailable { cause: Some(_), .. }),
            "{error}"
        );
        assert!(
            !error.to_string().contains("wrong"),
            "nobody's password is shown: {error}"
        );
    }
}

#[tokio::test]
async fn addresses_that_are_none() {
    for url in [
        "",
        "no address",
        "http://127.0.0.1/",
        "redis://",
        "redis://127.0.0.1/x",
        "redis://a:b:c",
    ] {
        let error = RedisStore::connect(url).expect_err(url);
        assert_eq!(
            error.kind(),
            redis::ErrorKind::InvalidClientConfig,
            "{url:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_connected_to_when_it_is() {
    for kind in Kind::available() {
        let mut server = Server::start(Options::new(kind).tcp(0));
        server.kill();
        let builder = RedisStore::builder()
            .timeout(Duration::from_secs(5))
            .probe_interval(Duration::from_millis(20));
        let store = builder.connect(server.url()).unwrap();
        let bucket = RedisTokenBucket::new(&store, "b", Quota::per_day(10)).unwrap();
        for _ in 0..10 {
            let error = bucket.try_acquire(1).await.unwrap_err();
            assert!(error.is_unavailable(), "{error}");
        }
        server.restart();
        let admitted = async {
            while bucket.try_acquire(1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, admitted)
            .await
            .expect("it is there now");
        assert_eq!(bucket.available().await.unwrap(), 9);
        assert!(store.stats().is_available());
    }
}

#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_connection_of_ones_own() {
    use redis::cluster::ClusterClient;
    use support::cluster::Cluster;

    for kind in Kind::available() {
        let cluster = Cluster::start_with(&Options::new(kind));
        // One node is enough to find the others.
        let nodes = [cluster.node(1).url()];
        let client = ClusterClient::builder(nodes).retries(0).build().unwrap();
        let own = store(client.get_async_connection().await.unwrap(), "own");
        works(&own).await;
        assert!(format!("{own:?}").contains("ClusterConnection"));
        assert_eq!(own.stats().breakers, 64);
    }
    let nowhere = ["redis://127.0.0.1:1"];
    RedisStore::builder()
        .connect_cluster(nowhere)
        .await
        .unwrap_err();
}
