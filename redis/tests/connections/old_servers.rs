//! Servers without what the scripts use, as programs that answer what Redis 5 does.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::Arc;

use tidegate_redis::{PingError, RedisStore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::limiters::{bucket, cause, patient_store, slow};
use crate::support::wait::PATIENCE;

/// What a server answers to some commands. Other commands are unknown to it.
#[derive(Clone, Copy)]
struct Answers {
    eval: &'static str,
    info: &'static str,
}

const REDIS_5: Answers = Answers {
    eval: "-ERR Error running script (call to f_7d1): @user_script:143: ERR syntax error",
    info: "$21\r\nredis_version:5.0.7\r\n",
};

/// A server that ends with the runtime of its test.
struct FakeServer {
    port: u16,
    infos: Arc<AtomicU64>,
}

impl FakeServer {
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let infos = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&infos);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, answers, Arc::clone(&counted)));
            }
        });
        Self { port, infos }
    }

    fn store(&self) -> RedisStore {
        let builder = patient_store().probe_interval(PATIENCE);
        let store = builder.connect(format!("redis://127.0.0.1:{}", self.port));
        store.unwrap()
    }
}

async fn serve(client: TcpStream, answers: Answers, infos: Arc<AtomicU64>) {
    let mut client = BufReader::new(client);
    while let Some(name) = read_command(&mut client).await {
        let answer = match &*name {
            "EVALSHA" => "-NOSCRIPT No matching script",
            "EVAL" => answers.eval,
            "INFO" => {
                infos.fetch_add(1, SeqCst);
                answers.info
            }
            _ => "-ERR unknown command",
        };
        let answer = format!("{answer}\r\n");
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads an array of strings, and returns the first one. `None` at the end.
async fn read_command(client: &mut BufReader<TcpStream>) -> Option<String> {
    let mut words = Vec::new();
    for _ in 0..read_number(client).await? {
        let length = read_number(client).await?;
        let mut word = vec![0; length + 2];
        client.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word).trim_end().to_uppercase());
    }
    words.into_iter().next()
}

/// Reads a line such as `*3` or `$11`.
async fn read_number(client: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

#[tokio::test]
async fn errors_of_an_old_server_name_its_version() {
    let redis_4 = Answers {
        eval: "-ERR Error running script (call to f_7d1): @user_script:143: @user_script: 143: Write \
               commands are not allowed after non deterministic commands.",
        info: "$22\r\nredis_version:4.0.14\r\n",
    };
    for (answers, version) in [(REDIS_5, "5.0.7"), (redis_4, "4.0.14")] {
        let server = FakeServer::start(answers).await;
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
        info: "-NOPERM this user has no permissions to run the 'info' command",
        ..REDIS_5
    };
    let server = FakeServer::start(silent).await;
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
        info: "$19\r\nredis_version:7.4.0",
        ..REDIS_5
    };
    let server = FakeServer::start(new).await;
    let store = server.store();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, PingError::Refused { .. }), "{error:?}");
    let text = store.last_error().unwrap().to_string();
    assert!(text.contains("syntax error"), "{text}");
    assert!(!text.contains("too old"), "{text}");
}

/// The time limit of a call holds for the question about the server, too.
#[tokio::test]
async fn a_server_that_does_not_tell_its_version_delays_no_call() {
    let hanging = Answers {
        // The text that it announces never comes.
        info: "$1000",
        ..REDIS_5
    };
    let server = FakeServer::start(hanging).await;
    let builder = RedisStore::builder().timeout(Duration::from_millis(300));
    let store = builder.connect(format!("redis://127.0.0.1:{}", server.port));
    let call = bucket(&store.unwrap(), "bucket", slow(10));
    let error = tokio::time::timeout(PATIENCE / 2, call.try_acquire(1)).await;
    let text = cause(error.unwrap()).to_string();
    assert!(text.starts_with("the server may be too old"), "{text}");
}
