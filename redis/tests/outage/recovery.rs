//! A server that comes back is used again, and no call is executed twice.

use core::time::Duration;
use std::fs;
use std::sync::{Arc, mpsc};
use std::thread::{self, sleep};

use tidegate_redis::{FailurePolicy, LeaseOptions};

use super::{
    CALLERS, Fault, PROBE_INTERVAL, TIMEOUT, bucket, call_from_many_tasks, store, wait_for_server,
};
use crate::support::limiters::slow;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::{PATIENCE, eventually};

/// More permits than a test takes, and none refill while it runs.
const CAPACITY: u64 = 1_000_000;

const OUTAGES: [fn(&mut Server); 4] = [
    |server| {
        server.pause();
        sleep(TIMEOUT * 2);
        server.resume();
    },
    Server::restart,
    |server| {
        server.kill();
        sleep(PROBE_INTERVAL * 2);
        server.restart();
    },
    |server| {
        fs::remove_file(server.socket()).unwrap();
        server.kill();
        sleep(PROBE_INTERVAL * 2);
        server.restart();
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_is_used_again_after_each_outage() {
    let options = ServerOptions::each_kind();
    for options in options.flat_map(|options| [options.clone(), options.tcp()]) {
        let mut server = options.start();
        let store = store(server.url());
        let bucket = bucket(&store, slow(CAPACITY), FailurePolicy::Open);
        let call_forever = |bucket: Arc<_>| async move {
            loop {
                let bucket: &tidegate_redis::RedisTokenBucket = &bucket;
                let _ = bucket.try_acquire(1).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let callers = [(); 8].map(|()| tokio::spawn(call_forever(Arc::clone(&bucket))));
        for (number, outage) in OUTAGES.into_iter().cycle().take(6).enumerate() {
            wait_for_server(&store, &bucket).await;
            let before = store.stats();
            // In a thread of its own, since it blocks.
            let blocking = tokio::task::spawn_blocking(move || {
                outage(&mut server);
                server
            });
            server = blocking.await.unwrap();
            wait_for_server(&store, &bucket).await;
            assert!(store.stats().outages > before.outages, "outage {number}");
        }
        for caller in callers {
            caller.abort();
            let end: Result<(), _> = caller.await;
            assert!(end.unwrap_err().is_cancelled(), "no call panicked");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_may_exist_before_its_server() {
    let options = ServerOptions::each_kind();
    for options in options.flat_map(|options| [options.clone(), options.tcp()]) {
        let mut server = options.start();
        server.kill();
        let store = store(server.url());
        let bucket = bucket(&store, slow(10), FailurePolicy::Closed);
        assert!(store.stats().is_available(), "no call has failed yet");
        for _ in 0..10 {
            let error = bucket.try_acquire(1).await.unwrap_err();
            assert!(error.is_unavailable(), "{error}");
        }
        assert!(!store.stats().is_available());
        server.restart();
        eventually("an admission", async || bucket.try_acquire(1).await.ok()).await;
        assert_eq!(bucket.available().await.unwrap(), 9);
        assert!(store.stats().is_available());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_executed_at_most_once() {
    for options in ServerOptions::each_kind() {
        let mut server = options.durable().start();
        let store = store(server.url());
        let bucket = bucket(&store, slow(CAPACITY), FailurePolicy::Closed);
        let (mut calls, mut admitted) = (0, 0);
        for kills in [false, true, false, true] {
            eventually("the server", async || {
                calls += 1;
                bucket.try_acquire(1).await.ok()
            })
            .await;
            admitted += 1;
            server.pause();
            calls += CALLERS;
            let results = call_from_many_tasks(&bucket).await;
            admitted += results.iter().filter(|result| result.is_ok()).count() as u64;
            if kills {
                server.restart();
            } else {
                server.resume();
            }
            let available = eventually("the server", async || bucket.available().await.ok()).await;
            let charged = CAPACITY - available;
            let range = admitted..=calls;
            assert!(
                range.contains(&charged),
                "{charged} charged, not in {range:?}"
            );
            if !kills {
                // Every command that ran was sent, whatever became of its reply.
                let (ran, stats) = (server.script_calls(), store.stats());
                assert!(ran <= stats.calls, "{ran} scripts ran: {stats:?}");
            }
        }
    }
}

/// The refill task must let the probe run, even on a single thread, and before the first
/// connection.
#[test]
fn lease_lets_the_probe_run() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let mut server = ServerOptions::default().start();
            let store = store(server.url());
            let bucket = bucket(&store, slow(CAPACITY), FailurePolicy::Closed);
            server.kill();
            let bucket = Arc::into_inner(bucket).unwrap();
            let leased = bucket.lease(LeaseOptions::new()).await;
            for fault in [Fault::Kill, Fault::Pause, Fault::Kill] {
                fault.begin(&mut server);
                eventually("an unavailable server", async || {
                    let result = leased.try_acquire(CAPACITY / 4);
                    result.is_err_and(|error| error.is_unavailable())
                })
                .await;
                let (calls, refills) = (store.stats().calls, leased.stats().refills);
                eventually("some probes and refills", async || {
                    let error = leased.try_acquire(CAPACITY / 4).unwrap_err();
                    assert!(error.retry_after() >= Some(Duration::from_millis(1)));
                    store.stats().calls > calls + 5 && leased.stats().refills > refills
                })
                .await;
                fault.end(&mut server);
                eventually("the server", async || leased.try_acquire(1).ok()).await;
            }
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(PATIENCE).unwrap();
}
