//! Servers without what the scripts use, as programs that answer what Redis 5 does.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tidegate_redis::{PingError, RedisStore};

use crate::support::fake_server::{FakeServer, error, text};
use crate::support::limiters::{bucket, cause, patient_store, slow};
use crate::support::wait::PATIENCE;

/// What a server answers to scripts and to `INFO`. Other commands are unknown to it.
#[derive(Clone)]
struct Answers {
    eval: String,
    info: String,
}

struct OldServer {
    server: FakeServer,
    /// How often it was asked for `INFO`.
    infos: Arc<AtomicU64>,
}

fn redis_5() -> Answers {
    let eval = "ERR Error running script (call to f_7d1): @user_script:143: ERR syntax error";
    Answers {
        eval: error(eval),
        info: text("# Server\r\nredis_version:5.0.7\r\n"),
    }
}

impl OldServer {
    async fn start(answers: Answers) -> Self {
        let infos = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&infos);
        let server = FakeServer::start(move |command| match &*command[0] {
            "EVALSHA" => error("NOSCRIPT No matching script"),
            "EVAL" => answers.eval.clone(),
            "INFO" => {
                counted.fetch_add(1, SeqCst);
                answers.info.clone()
            }
            _ => error("ERR unknown command"),
        });
        let server = server.await;
        Self { server, infos }
    }

    fn store(&self) -> RedisStore {
        let builder = patient_store().probe_interval(PATIENCE);
        builder.connect(self.server.url()).unwrap()
    }
}

#[tokio::test]
async fn errors_of_an_old_server_name_its_version() {
    let eval = "ERR Error running script (call to f_7d1): @user_script:143: Write commands are not \
                allowed after non deterministic commands.";
    let redis_4 = Answers {
        eval: error(eval),
        info: text("# Server\r\nredis_version:4.0.14\r\n"),
    };
    for (answers, version) in [(redis_5(), "5.0.7"), (redis_4, "4.0.14")] {
        let server = OldServer::start(answers).await;
        let store = server.store();
        let bucket = bucket(&store, "bucket", slow(10));
        for _ in 0..10 {
            let text = cause(bucket.try_acquire(1).await).to_string();
            let expected = format!("redis {version}; tidegate needs 6.2 or later");
            assert!(text.contains(&expected), "{text}");
        }
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, PingError::TooOld { .. }), "{error:?}");
        let last = store.last_error().unwrap().to_string();
        assert!(last.starts_with("the server is too old"), "{last}");
        assert_eq!(
            server.infos.load(SeqCst),
            1,
            "asked once, not for each call"
        );
        assert_eq!(store.stats().outages, 0, "each limiter's policy decides");
    }
}

#[tokio::test]
async fn version_of_a_server_that_does_not_tell_it_is_unknown() {
    let silent = Answers {
        info: error("NOPERM this user has no permissions to run the 'info' command"),
        ..redis_5()
    };
    let server = OldServer::start(silent).await;
    let error = server.store().ping().await.unwrap_err();
    assert!(matches!(error, PingError::TooOld { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("the server may be too old"), "{text}");
    assert!(text.contains("syntax error"), "{text}");
}

/// Its error has another reason, and stays as it is.
#[tokio::test]
async fn new_servers_are_not_called_old() {
    let new = Answers {
        info: text("redis_version:7.4.0"),
        ..redis_5()
    };
    let server = OldServer::start(new).await;
    let store = server.store();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, PingError::Refused { .. }), "{error:?}");
    let text = store.last_error().unwrap().to_string();
    assert!(text.contains("syntax error"), "{text}");
    assert!(!text.contains("too old"), "{text}");
}

/// The time limit of a call holds for the question about the server, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_tell_its_version_delays_no_call() {
    let server = FakeServer::start(|command| match &*command[0] {
        "EVALSHA" => {
            thread::sleep(Duration::from_secs(2));
            redis_5().eval
        }
        // The text that it announces never comes.
        "INFO" => "$1000\r\n".to_owned(),
        _ => error("ERR unknown command"),
    });
    let builder = RedisStore::builder().timeout(Duration::from_secs(3));
    let store = builder.connect(server.await.url()).unwrap();
    let start = Instant::now();
    let text = cause(bucket(&store, "bucket", slow(10)).try_acquire(1).await).to_string();
    let time = start.elapsed();
    assert!(text.starts_with("the server may be too old"), "{text}");
    assert!(time < Duration::from_millis(4_500), "{time:?}");
}
