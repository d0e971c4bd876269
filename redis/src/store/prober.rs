//! The task that asks a server that does not answer, until it does.

use core::time::Duration;
use std::sync::{Arc, Weak};

use redis::{Cmd, Value};

use super::{RedisStore, StoreInner, within};
use crate::breaker::ClosedState;
use crate::connection::Connection;

/// After so many probes in vain a connection to one server is replaced: it may be dead without having been closed.
const REPLACE_AFTER: u32 = 2;
/// A connection to a cluster carries other keys as well, so it is replaced late.
const REPLACE_CLUSTER_AFTER: u32 = 10;

/// Who closes the breaker, however the task ends. If its runtime has ended, the next call finds out whether the server answers.
struct Prober {
    store: Weak<StoreInner>,
    index: usize,
    seen: ClosedState,
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(inner) = self.store.upgrade() {
            inner.breakers[self.index].breaker.close(self.seen);
        }
    }
}

/// Starts it for a part whose breaker was just opened by a call that had seen this. `key` is one of the part's.
pub(super) fn start(store: &RedisStore, index: usize, seen: ClosedState, key: Vec<u8>) {
    let prober = Prober {
        store: Arc::downgrade(&store.inner),
        index,
        seen,
    };
    tokio::spawn(async move {
        let mut command = redis::cmd("GET");
        command.arg(key);
        let mut failures = 0;
        let mut connection = store_connection(&prober.store);
        while let Some(wait) = prober.wait() {
            tokio::time::sleep(wait).await;
            let Some(inner) = prober.store.upgrade() else {
                return;
            };
            let store = RedisStore { inner };
            if answers(&store, &command).await {
                return;
            }
            failures += 1;
            repair(&store, &command, failures, &mut connection).await;
            store.inner.breakers[index]
                .breaker
                .postpone(store.next_probe());
        }
    });
}

impl Prober {
    /// Until the next probe; `None` if nobody has the store any more.
    fn wait(&self) -> Option<Duration> {
        let inner = self.store.upgrade()?;
        let until = inner.breakers[self.index].breaker.open_until()?;
        Some(Duration::from_nanos(
            until.saturating_sub(RedisStore::now()),
        ))
    }
}

/// Whether the server answers. Asks twice, for a connection that was lost fails once before it is made anew.
async fn answers(store: &RedisStore, command: &Cmd) -> bool {
    let timeout = store.inner.timeout;
    for _ in 0..2 {
        let in_flight = store.inner.counts.sent(true);
        let mut connection = store.connection();
        let result = within(timeout, connection.run(command)).await;
        drop(in_flight);
        match result.and_then(Value::extract_error) {
            Ok(_) => return true,
            // It is there, if not of our opinion.
            Err(error) if !store.is_outage(&error) => return true,
            Err(error) if error.is_timeout() => return false,
            Err(_) => tokio::time::sleep((timeout / 4).min(Duration::from_millis(25))).await,
        }
    }
    false
}

fn store_connection(store: &Weak<StoreInner>) -> Option<Arc<Connection>> {
    Some(store.upgrade()?.connection.load_full())
}

/// Has the connection find the server elsewhere, or replaces it, unless somebody else did since `seen`.
async fn repair(
    store: &RedisStore,
    command: &Cmd,
    failures: u32,
    seen: &mut Option<Arc<Connection>>,
) {
    let inner = &store.inner;
    let mut connection = store.connection();
    let after = if connection.is_cluster() {
        if may_ask_around(inner) {
            // Should nobody answer, the next probe tells.
            let _ = tokio::time::timeout(inner.timeout, connection.ask_around(command)).await;
        }
        REPLACE_CLUSTER_AFTER
    } else {
        REPLACE_AFTER
    };
    if !failures.is_multiple_of(after) {
        return;
    }
    let current = inner.connection.load_full();
    let is_seen = seen
        .as_ref()
        .is_some_and(|seen| Arc::ptr_eq(seen, &current));
    if is_seen
        && let Ok(Some(renewed)) = tokio::time::timeout(inner.timeout, current.renewed()).await
    {
        inner.connection.store(Arc::new(renewed));
    }
    *seen = Some(inner.connection.load_full());
}

/// Whether it is time to ask for owners, which is for one of all parts to do: while the connection takes note of the answers it looks after
/// each of the nodes, and if one of them hangs, the calls to all others wait for as long as that takes.
#[cfg(feature = "cluster")]
fn may_ask_around(inner: &StoreInner) -> bool {
    use crate::lease::leased_token_bucket::nanos;
    use crate::sync::Ordering::Relaxed;

    let (now, pause) = (
        RedisStore::now(),
        nanos(inner.probe_interval).saturating_mul(10),
    );
    // Relaxed, twice: an instant that guards nothing.
    inner
        .around
        .fetch_update(Relaxed, Relaxed, |at| {
            (now >= at).then_some(now.saturating_add(pause))
        })
        .is_ok()
}

#[cfg(not(feature = "cluster"))]
const fn may_ask_around(_: &StoreInner) -> bool {
    false
}
