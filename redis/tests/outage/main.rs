//! What calls do while the server is missing, and what happens when it comes back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod api_limiter;
#[cfg(feature = "tracing")]
mod events;
mod local_shares;
mod policies;
mod proxy;
mod recovery;
mod regimes;
mod semaphores;
mod server_errors;
mod shares;
mod stalls;
mod windows;

use core::time::Duration;
use std::sync::Arc;

use tidegate::Quota;
use tidegate_redis::{
    AcquireError, Admitted, AdmittedBy, FailurePolicy, LimiterOptions, RedisStore, RedisTokenBucket,
};
use tokio::task::JoinSet;

use support::server::Server;
use support::wait::eventually;

const TIMEOUT: Duration = Duration::from_millis(300);
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const CALLERS: u64 = 200;

/// A store that gives up soon and probes often.
fn store(url: impl redis::IntoConnectionInfo) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(TIMEOUT)
        .probe_interval(PROBE_INTERVAL);
    builder.connect(url).unwrap()
}

fn bucket(store: &RedisStore, quota: Quota, policy: FailurePolicy) -> Arc<RedisTokenBucket> {
    let options = LimiterOptions::new().on_failure(policy);
    let bucket = RedisTokenBucket::with_options(store, "bucket", quota, options);
    Arc::new(bucket.unwrap())
}

/// Calls the bucket once from each of many tasks.
async fn call_from_many_tasks(
    bucket: &Arc<RedisTokenBucket>,
) -> Vec<Result<Admitted, AcquireError>> {
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let bucket = Arc::clone(bucket);
        calls.spawn(async move { bucket.try_acquire(1).await });
    }
    calls.join_all().await
}

/// Waits until the server admits a call and the store considers it available.
async fn wait_for_server(store: &RedisStore, bucket: &RedisTokenBucket) {
    eventually("the server", async || {
        let admitted = bucket.try_acquire(1).await.ok();
        let by_server = admitted.is_some_and(|admitted| admitted.by() == AdmittedBy::Server);
        by_server && store.stats().is_available()
    })
    .await;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Pause,
    Kill,
}

impl Fault {
    fn begin(self, server: &mut Server) {
        match self {
            Self::Pause => server.pause(),
            Self::Kill => server.kill(),
        }
    }

    fn end(self, server: &mut Server) {
        match self {
            Self::Pause => server.resume(),
            Self::Kill => server.restart(),
        }
    }
}
