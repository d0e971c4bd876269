//! Errors of a server that answers: those that are about one call leave the others alone, and those that are about all count as an outage.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints do not see that helpers of tests are tests"
)]

mod support;

use core::time::Duration;

use redis::Commands;
use tidegate::Quota;
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LimiterOptions, RedisStore,
    RedisTokenBucket,
};

use support::kinds::Kind;
use support::servers::{self, Server};
use support::until::eventually;

fn store(url: &str) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(Duration::from_secs(5))
        .probe_interval(Duration::from_millis(100));
    builder.connect(url).unwrap()
}

fn bucket(store: &RedisStore, name: &str) -> RedisTokenBucket {
    RedisTokenBucket::new(store, name, Quota::per_hour(100)).unwrap()
}

/// What the server said of a call, which was not that it is not there.
#[track_caller]
fn cause(error: &AcquireError) -> String {
    let AcquireError::Unavailable {
        cause: Some(cause),
        retry_after,
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(!retry_after.is_zero());
    let source = core::error::Error::source(error).expect("a source");
    assert_eq!(source.to_string(), cause.to_string());
    cause.to_string()
}

fn tell(server: &Server, command: &[&str]) {
    let mut told = redis::cmd(command[0]);
    let () = told
        .arg(&command[1..])
        .query(&mut server.connection())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_holds_something_else_is_the_matter_of_its_calls() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind));
        let mut connection = server.connection();
        let () = connection.lpush("tidegate:{list}", 1).unwrap();
        let () = connection.set("tidegate:{text}", "something else").unwrap();
        let store = store(&server.url());
        for (name, says) in [("list", "WRONGTYPE"), ("text", "something else")] {
            let error = bucket(&store, name).try_acquire(1).await.unwrap_err();
            assert!(cause(&error).contains(says), "{error}");
            let leased = bucket(&store, name).lease(LeaseOptions::new());
            let before = store.stats().errors;
            drop(leased.try_acquire(1).unwrap_err());
            eventually("an error of the lease's", async || {
                (store.stats().errors > before).then_some(())
            })
            .await;
            leased.close().await;
        }
        assert_eq!(store.stats().outages, 0, "{:?}", store.stats());
        let other = bucket(&store, "other").try_acquire(1).await.unwrap();
        assert_eq!(other.by(), AdmittedBy::Server);
        let list: Vec<u64> = connection.lrange("tidegate:{list}", 0, -1).unwrap();
        assert_eq!(list, [1], "untouched");
        let text: String = connection.get("tidegate:{text}").unwrap();
        assert_eq!(text, "something else");
    }
}

/// The rights that the crate's documentation says.
const RIGHTS: &[&str] = &[
    "resetchannels",
    "-@all",
    "+eval",
    "+evalsha",
    "+get",
    "+set",
    "+time",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_are_enough_and_a_lack_of_them_is_no_outage() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind).tcp(0));
        let user = ["ACL", "SETUSER", "tide", "on", ">secret", "~tidegate:{a*"];
        tell(&server, &[&user, RIGHTS].concat());
        let url = format!("redis://tide:secret@127.0.0.1:{}", server.port().unwrap());
        let store = store(&url);
        let allowed = bucket(&store, "allowed");
        assert_eq!(
            allowed.try_acquire(1).await.unwrap().by(),
            AdmittedBy::Server
        );
        let leased = bucket(&store, "also").lease(LeaseOptions::new());
        leased.acquire(1).await.unwrap();
        leased.close().await;

        let error = bucket(&store, "forbidden")
            .try_acquire(1)
            .await
            .unwrap_err();
        assert!(cause(&error).contains("NoPerm"), "{error}");
        assert_eq!(store.stats().outages, 0, "{:?}", store.stats());
        assert_eq!(
            allowed.try_acquire(1).await.unwrap().by(),
            AdmittedBy::Server
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_wrong_for_a_while_is_an_outage_that_ends() {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind).tcp(0));
        let user = ["ACL", "SETUSER", "tide", "on", ">secret", "~tidegate:*"];
        tell(&server, &[&user, RIGHTS].concat());
        let url = format!("redis://tide:secret@127.0.0.1:{}", server.port().unwrap());
        let store = store(&url);
        let bucket = bucket(&store, "a");
        assert_eq!(
            bucket.try_acquire(1).await.unwrap().by(),
            AdmittedBy::Server
        );

        tell(&server, &["ACL", "SETUSER", "tide", "resetpass", ">other"]);
        tell(&server, &["CLIENT", "KILL", "USER", "tide"]);
        eventually("an outage and some probes", async || {
            drop(bucket.try_acquire(0).await);
            let stats = store.stats();
            (!stats.is_available() && stats.calls > 10).then_some(())
        })
        .await;
        tell(&server, &["ACL", "SETUSER", "tide", "resetpass", ">secret"]);
        eventually("the server", async || {
            (bucket.try_acquire(1).await.ok()?.by() == AdmittedBy::Server).then_some(())
        })
        .await;
        assert_eq!(bucket.available().await.unwrap(), 98);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_is_an_outage_until_there_is_some() {
    for kind in Kind::available() {
        let options = servers::Options::new(kind).set("maxmemory-policy", "noeviction");
        let server = Server::start(options);
        let store = store(&server.url());
        let open = LimiterOptions::new().on_failure(FailurePolicy::Open);
        let bucket =
            RedisTokenBucket::with_options(&store, "a", Quota::per_hour(100), open).unwrap();
        assert_eq!(
            bucket.try_acquire(1).await.unwrap().by(),
            AdmittedBy::Server
        );

        // Less than it uses already.
        tell(&server, &["CONFIG", "SET", "maxmemory", "1mb"]);
        let mut let_through = 0;
        eventually("an opening after each probe", async || {
            let admitted = bucket.try_acquire(1).await.unwrap();
            assert_eq!(
                admitted.by(),
                AdmittedBy::FailOpen,
                "nothing can be written"
            );
            let_through += 1;
            (store.stats().outages >= 3).then_some(())
        })
        .await;
        assert_eq!(bucket.stats().open_admitted, let_through);
        assert!(store.stats().errors <= store.stats().outages + 1);

        tell(&server, &["CONFIG", "SET", "maxmemory", "0"]);
        eventually("the server", async || {
            (bucket.try_acquire(1).await.unwrap().by() == AdmittedBy::Server).then_some(())
        })
        .await;
        assert_eq!(bucket.available().await.unwrap(), 98);
    }
}
