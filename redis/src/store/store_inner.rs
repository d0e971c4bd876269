//! What all clones of a store, their calls and their probe tasks share.

use core::future::Future;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use redis::{RedisError, Value};
use tokio::sync::Notify;

use super::turns::Turns;
use crate::base_key::BaseKey;
use crate::breaker::Breaker;
use crate::connection::Connection;
use crate::error_class::{ErrorClass, classify};
use crate::observer::StoreObserver;
use crate::server_info::Identity;
#[cfg(feature = "cluster")]
use crate::sync::AtomicU64;
use crate::time;

pub(super) struct StoreInner {
    pub(super) current_connection: ArcSwap<Connection>,
    /// Connections of other runtimes, the oldest first.
    others: Mutex<Vec<Connection>>,
    /// The instant, in nanoseconds, before which no call goes to a node that the cluster connection
    /// does not know.
    #[cfg(feature = "cluster")]
    pub(super) unknown_nodes_until: AtomicU64,
    /// The instant, in nanoseconds, before which no probe asks a cluster for the owners of keys.
    #[cfg(feature = "cluster")]
    pub(super) next_owner_refresh: AtomicU64,
    pub(super) prefix: Box<str>,
    pub(super) timeout: Duration,
    pub(super) probe_interval: Duration,
    pub(super) turns: Turns,
    pub(super) breakers: Box<[GuardedSlots]>,
    pub(super) observer: StoreObserver,
    /// Why a call failed last.
    pub(super) last_error: ArcSwapOption<RedisError>,
    /// What the server said about itself after an error, and when, in nanoseconds.
    pub(super) identity: tokio::sync::Mutex<Option<(u64, Identity)>>,
}

/// A range of slots that are taken to be on one server, and its breaker.
pub(super) struct GuardedSlots {
    pub(super) breaker: Breaker,
    pub(super) opened: Notify,
}

/// Fine enough for the nodes of a small cluster to fail one by one; each open breaker has a probe
/// task.
const CLUSTER_BREAKERS: u16 = 64;
const SLOTS: u16 = 16_384;

/// The connections kept for other runtimes. The oldest is dropped for a new one, because the
/// store cannot tell which runtimes have ended.
const MOST_OTHERS: usize = 16;

impl StoreInner {
    pub(super) fn new(
        connection: Connection,
        prefix: Box<str>,
        timeout: Duration,
        probe_interval: Duration,
        turns: Turns,
    ) -> Self {
        let breakers = if connection.is_cluster() {
            CLUSTER_BREAKERS
        } else {
            1
        };
        let slots = |_| GuardedSlots {
            breaker: Breaker::new(),
            opened: Notify::new(),
        };
        Self {
            current_connection: ArcSwap::from_pointee(connection),
            others: Mutex::new(Vec::new()),
            #[cfg(feature = "cluster")]
            unknown_nodes_until: AtomicU64::new(0),
            #[cfg(feature = "cluster")]
            next_owner_refresh: AtomicU64::new(0),
            prefix,
            timeout,
            probe_interval,
            turns,
            breakers: (0..breakers).map(slots).collect(),
            observer: StoreObserver::default(),
            last_error: ArcSwapOption::empty(),
            identity: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) fn connection(&self) -> Connection {
        let current = self.current_connection.load();
        if current.is_of_this_runtime() {
            return Connection::clone(&current);
        }
        self.elsewhere(&current)
    }

    /// The connection of another runtime than that of the current connection.
    #[cold]
    fn elsewhere(&self, current: &Connection) -> Connection {
        let others = self.others.lock();
        let mut others = others.unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = others.iter().find(|other| other.is_of_this_runtime()) {
            return other.clone();
        }
        let Some(new) = current.for_this_runtime() else {
            return current.clone();
        };
        if others.len() == MOST_OTHERS {
            others.remove(0);
        }
        others.push(new.clone());
        new
    }

    pub(super) fn breaker_index(&self, base: &BaseKey) -> usize {
        if self.breakers.len() == 1 {
            0
        } else {
            usize::from(base.slot() / (SLOTS / CLUSTER_BREAKERS))
        }
    }

    /// Returns whether other calls for keys of the same server will fail, too.
    ///
    /// A call that is redirected at every attempt is one for a node that the cluster connection has
    /// lost: the connection asks another node, which names the lost one.
    pub(super) fn is_outage(&self, error: &RedisError) -> bool {
        match classify(error) {
            ErrorClass::Outage | ErrorClass::WrongServer => true,
            ErrorClass::Moved => self.connection().is_cluster(),
            _ => false,
        }
    }

    /// Returns the instant of the next probe: three to five quarters of the interval from now, so
    /// that nodes that lost the server together do not come back together.
    pub(super) fn next_probe(&self) -> u64 {
        // At most an hour.
        let interval = time::nanos(self.probe_interval);
        let spread = fastrand::u64(0..=interval / 2);
        time::now().saturating_add(interval - interval / 4 + spread)
    }
}

/// Awaits a call, or returns the error that connections report for a timeout.
pub(super) async fn within(
    timeout: Duration,
    call: impl Future<Output = Result<Value, RedisError>>,
) -> Result<Value, RedisError> {
    tokio::time::timeout(timeout, call)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}
