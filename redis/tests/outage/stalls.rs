//! A stalled server costs one timeout, not one per call.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tidegate_redis::{AdmittedBy, FailurePolicy};
use tokio::task::JoinSet;

use super::{
    CALLERS, PROBE_INTERVAL, TIMEOUT, bucket, call_from_many_tasks, store, wait_for_server,
};
use crate::support::limiters::slow;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

/// Returns the result of a call that does not wait.
fn ready<T>(call: impl Future<Output = T>) -> T {
    // Otherwise tokio would let other tasks run after many calls, which is not a wait for the
    // server.
    let call = tokio::task::unconstrained(call);
    let Poll::Ready(result) = pin!(call).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the call waits");
    };
    result
}

/// The largest number of commands that probes can have sent since then, two for each probe.
fn max_probe_calls(start: Instant) -> u64 {
    let shortest = PROBE_INTERVAL * 3 / 4;
    let probes = start.elapsed().as_nanos() / shortest.as_nanos();
    2 * (1 + u64::try_from(probes).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_server_costs_a_timeout_per_probe_and_none_per_call() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let bucket = bucket(&store, slow(1_000_000), FailurePolicy::Open);
        wait_for_server(&store, &bucket).await;

        let before = store.stats();
        server.pause();
        let start = Instant::now();
        for admitted in call_from_many_tasks(&bucket).await {
            assert_eq!(admitted.unwrap().by(), AdmittedBy::FailOpen);
        }
        let found = store.stats();
        assert!(!found.is_available());
        assert_eq!(found.outages, before.outages + 1);
        let sent = found.calls - before.calls;
        assert!(sent <= CALLERS + max_probe_calls(start), "{found:?}");

        // Long enough for several probes, which all fail.
        let mut calls = 0_u64;
        eventually("some probes", async || {
            for _ in 0..100 {
                let admitted = ready(bucket.try_acquire(1)).unwrap();
                assert_eq!(admitted.by(), AdmittedBy::FailOpen);
                calls += 1;
            }
            store.stats().calls >= found.calls + 4
        })
        .await;
        let after = store.stats();
        let sent = after.calls - found.calls;
        assert!(
            sent <= max_probe_calls(start),
            "{sent} round trips: {after:?}"
        );
        assert!(calls > sent, "{calls} calls, {sent} round trips");
        assert_eq!(after.outages, found.outages, "one outage");
        assert_eq!(after.errors, before.errors, "only timeouts");
        assert_eq!(bucket.stats().open_admitted, CALLERS + calls);

        server.resume();
        wait_for_server(&store, &bucket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_timeout_releases_all_waiting_calls() {
    let server = ServerOptions::default().start();
    let store = store(server.url());
    let bucket = bucket(&store, slow(1_000_000), FailurePolicy::Closed);
    // If the machine hangs for a timeout, all calls time out by themselves. Then try again.
    eventually("released calls", async || {
        wait_for_server(&store, &bucket).await;
        let before = store.stats();
        server.pause();
        let first = Arc::clone(&bucket);
        let first = tokio::spawn(async move { first.try_acquire(1).await });
        tokio::time::sleep(TIMEOUT / 4).await;
        let others = call_from_many_tasks(&bucket).await;
        let after = store.stats();
        let first = first.await.unwrap().unwrap_err();
        server.resume();
        assert!(first.is_unavailable(), "{first:?}");
        assert!(others.iter().all(Result::is_err));
        let released = after.released - before.released;
        let timeouts = after.timeouts - before.timeouts;
        // Calls made after the outage was found are not sent. One probe may have timed out.
        assert!(released + timeouts <= CALLERS + 2, "{after:?}");
        released > 0 && timeouts <= 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_callers_do_not_flood_a_server_that_comes_back() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let bucket = bucket(&store, slow(1_000_000), FailurePolicy::Closed);
        wait_for_server(&store, &bucket).await;
        let counts = || (server.calls("evalsha"), store.stats().outages);
        let before = counts();
        server.pause();
        // More callers than probes wait for the server.
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let bucket = Arc::clone(&bucket);
            callers.spawn(async move {
                while bucket.try_acquire(1).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        tokio::time::sleep(TIMEOUT + 3 * PROBE_INTERVAL).await;
        server.resume();
        callers.join_all().await;
        let after = counts();
        // Each caller's last call, and at most one that failed when the outage was found.
        let outages = after.1 - before.1;
        assert!(outages >= 1);
        let (calls, stats) = (after.0 - before.0, store.stats());
        assert!(calls <= CALLERS * (1 + outages), "{calls} calls: {stats:?}");
    }
}
