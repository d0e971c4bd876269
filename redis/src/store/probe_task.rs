//! The task that asks a server that is down until it answers.

use core::time::Duration;
use std::sync::{Arc, Weak};

use redis::{Cmd, Value};

use super::store_inner::{StoreInner, within};
use crate::breaker::ClosedState;
use crate::connection::Connection;
use crate::error_class::{ErrorClass, classify};
use crate::script::{PROBE, ScriptArgs, ScriptCall};
use crate::time;

/// A connection to one server is replaced after so many failed probes: it may be dead without
/// having been closed.
const REPLACE_AFTER: u32 = 2;
/// A connection to a cluster also carries the keys of other nodes, so it is replaced later.
const REPLACE_CLUSTER_AFTER: u32 = 10;

/// Closes the breaker when the task ends in any way. If its runtime has ended, the next call finds
/// out whether the server answers.
struct ProbeTask {
    store: Weak<StoreInner>,
    index: usize,
    seen: ClosedState,
    /// When the outage began, in nanoseconds.
    began: u64,
}

impl Drop for ProbeTask {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.breakers[self.index].breaker.close(self.seen);
            let lasted = Duration::from_nanos(time::now().saturating_sub(self.began));
            store.observer.record_closed(&store.prefix, lasted);
        }
    }
}

/// What a probe has found.
enum Probe {
    Answers,
    Down,
    /// Another server is to be found at the address.
    WrongServer,
}

/// Starts the task for a breaker that a call has just opened, from the state `seen`. `key` is one
/// for probes, on the breaker's server.
pub(super) fn start(store: &Arc<StoreInner>, index: usize, seen: ClosedState, key: Vec<u8>) {
    let task = ProbeTask {
        store: Arc::downgrade(store),
        index,
        seen,
        began: time::now(),
    };
    let mut last_connection = store.current_connection.load_full();
    tokio::spawn(async move {
        // As text, because a server that has lost its scripts answers as well.
        let call = ScriptCall {
            script: &PROBE,
            keys: &[key],
            arguments: ScriptArgs::default(),
        };
        let command = call.command(false);
        let mut failures = 0;
        while let Some(wait) = task.wait() {
            tokio::time::sleep(wait).await;
            let Some(store) = task.store.upgrade() else {
                return;
            };
            let replace_now = match probe(&store, &command).await {
                Probe::Answers => return,
                Probe::Down => false,
                Probe::WrongServer => true,
            };
            failures += 1;
            repair(
                &store,
                &command,
                failures,
                replace_now,
                &mut last_connection,
            )
            .await;
            store.breakers[index].breaker.postpone(store.next_probe());
        }
    });
}

impl ProbeTask {
    /// Returns how long it is until the next probe; `None` if the store was dropped.
    fn wait(&self) -> Option<Duration> {
        let store = self.store.upgrade()?;
        let until = store.breakers[self.index].breaker.open_until()?;
        Some(time::until(until))
    }
}

/// Asks the server twice, because a lost connection fails once before it reconnects.
async fn probe(store: &StoreInner, command: &Cmd) -> Probe {
    let timeout = store.timeout;
    for _ in 0..2 {
        let in_flight = store.observer.counters.sent(false);
        let mut connection = store.connection();
        let result = within(timeout, connection.run(command)).await;
        drop(in_flight);
        match result.and_then(Value::extract_error) {
            Ok(_) => return Probe::Answers,
            // An error of this command only: the server answers.
            Err(error) if !store.is_outage(&error) => return Probe::Answers,
            Err(error) if error.is_timeout() => return Probe::Down,
            Err(error) if classify(&error) == ErrorClass::WrongServer => {
                return Probe::WrongServer;
            }
            Err(_) => tokio::time::sleep((timeout / 4).min(Duration::from_millis(25))).await,
        }
    }
    Probe::Down
}

/// Has a cluster connection look for the new owner of the key. After enough failures, or if
/// `replace_now`, replaces the connection, unless another task replaced `last` already.
async fn repair(
    store: &StoreInner,
    command: &Cmd,
    failures: u32,
    replace_now: bool,
    last: &mut Arc<Connection>,
) {
    let replace_after = if last.is_cluster() {
        refresh_owner(store, command).await;
        REPLACE_CLUSTER_AFTER
    } else {
        REPLACE_AFTER
    };
    if !replace_now && !failures.is_multiple_of(replace_after) {
        return;
    }
    let current = store.current_connection.load_full();
    if Arc::ptr_eq(last, &current)
        && let Ok(Some(new)) = tokio::time::timeout(store.timeout, current.reconnected()).await
    {
        store.current_connection.store(Arc::new(new));
    }
    *last = store.current_connection.load_full();
}

/// Looks for the new owner of a key, for one breaker of all at a time.
///
/// While the connection processes the reply it contacts each node. If one of them hangs, the calls
/// to all others wait for as long.
#[cfg(feature = "cluster")]
async fn refresh_owner(store: &StoreInner, command: &Cmd) {
    use crate::sync::Ordering::Relaxed;

    let now = time::now();
    let pause = time::nanos(store.probe_interval).saturating_mul(10);
    let next = |at| (now >= at).then_some(now.saturating_add(pause));
    // Relaxed, twice: an instant that guards no other memory.
    let is_due = store
        .next_owner_refresh
        .fetch_update(Relaxed, Relaxed, next);
    if is_due.is_ok() {
        let mut connection = store.connection();
        // If no node answers, the next probe fails, too.
        let _ = tokio::time::timeout(store.timeout, connection.refresh_owner(command)).await;
    }
}

#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "a cluster is asked")]
async fn refresh_owner(_: &StoreInner, _: &Cmd) {}
