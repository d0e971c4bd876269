//! How a store is made.

use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwap;
use redis::{IntoConnectionInfo, RedisError};
use tokio::sync::Notify;

use super::{BreakerGroup, CLUSTER_PARTS, RedisStore, StoreInner};
use crate::breaker::Breaker;
use crate::connection::Connection;
use crate::script::Script;
use crate::stats::StoreCounters;
#[cfg(feature = "cluster")]
use crate::sync::AtomicU64;

/// Builds a [`RedisStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreBuilder {
    prefix: Box<str>,
    timeout: Duration,
    probe_interval: Duration,
}

impl Default for StoreBuilder {
    fn default() -> Self {
        Self {
            prefix: "tidegate".into(),
            timeout: Duration::from_millis(100),
            probe_interval: Duration::from_millis(500),
        }
    }
}

impl StoreBuilder {
    /// What all keys begin with. `tidegate` by default. No prefix of one server should be another's and a colon more.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call waits for the server. 100 ms by default: some hundred times what a call in one data centre takes, and less than
    /// people notice.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a server that does not answer is asked again, give or take a quarter. 500 ms by default, at least a millisecond, at
    /// most an hour.
    pub fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval.clamp(Duration::from_millis(1), Duration::from_secs(3_600));
        self
    }

    /// As [`RedisStore::connect`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn connect(self, server: impl IntoConnectionInfo) -> Result<RedisStore, RedisError> {
        let client = redis::Client::open(server)?;
        let connection = Connection::to_server(client, self.timeout)?;
        Ok(self.connection(connection))
    }

    /// A cluster, of which some nodes are named. Connects to it.
    ///
    /// # Errors
    ///
    /// If none of the nodes can be reached.
    #[cfg(feature = "cluster")]
    pub async fn connect_cluster<T: IntoConnectionInfo>(
        self,
        nodes: impl IntoIterator<Item = T>,
    ) -> Result<RedisStore, RedisError> {
        let client = redis::cluster::ClusterClient::builder(nodes)
            // Whatever was not charged is sent again by the store; what may have been is not.
            .retries(0)
            .response_timeout(self.timeout)
            // Whenever owners change, the connection waits for each node in turn to be connected to, and all calls wait for it.
            .connection_timeout(self.timeout / 4)
            .build()?;
        Ok(self.connection(Connection::to_cluster(client).await?))
    }

    /// A connection of your own, with its own time limits beside those of the store.
    pub fn connection(self, connection: impl Into<Connection>) -> RedisStore {
        let connection = connection.into();
        let breakers = if connection.is_cluster() {
            CLUSTER_PARTS
        } else {
            1
        };
        let part = |_| BreakerGroup {
            breaker: Breaker::new(),
            opened: Notify::new(),
        };
        RedisStore {
            inner: Arc::new(StoreInner {
                connection: ArcSwap::from_pointee(connection),
                #[cfg(feature = "cluster")]
                unroutable: AtomicU64::new(0),
                #[cfg(feature = "cluster")]
                around: AtomicU64::new(0),
                prefix: self.prefix,
                timeout: self.timeout,
                probe_interval: self.probe_interval,
                breakers: (0..breakers).map(part).collect(),
                take: Script::take(),
                lease: Script::lease(),
                counts: StoreCounters::default(),
            }),
        }
    }
}
