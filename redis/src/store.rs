//! One server or cluster, its time limits, and whether it answers.
//!
//! `store_inner` is what all clones of a store share, `send` sends a script and follows
//! redirections, `explain` says what a server lacks, and `probe_task` asks a server that is down
//! until it answers.

mod explain;
mod ping;
mod probe_task;
mod send;
mod store_inner;
#[cfg(feature = "tls")]
mod tls;
mod turns;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redis::{FromRedisValue, IntoConnectionInfo, RedisError, Value};
use tokio::time::Instant;

use crate::base_key::BaseKey;
use crate::breaker::ClosedState;
use crate::connection::Connection;
#[cfg(feature = "sentinel")]
use crate::connection::sentinels::{OpenClient, Service};
use crate::connection::timeouts::Timeouts;
use crate::script::ScriptCall;
use crate::stats::StoreStats;
use crate::time;
use crate::unless::unless;
use explain::explain;
use store_inner::{GuardedSlots, StoreInner, within};
#[cfg(feature = "tls")]
use tls::Tls;
use turns::Turns;

/// A Redis or Valkey server, or a cluster of them, that holds buckets.
///
/// Clones are cheap. They share one connection and one view of whether the server answers. Needs a
/// tokio runtime with its timer. In another runtime than the one it was made in, a store that
/// connects to one server makes another connection, so a store in a `static` serves one test after
/// the other. A [lease](crate::LeasedTokenBucket) ends with its runtime.
///
/// # When the server does not answer
///
/// A call waits for the server no longer than [`timeout`](StoreBuilder::timeout). When one call
/// times out or the connection is lost, all waiting calls are released at once, and further calls
/// do not wait. Each limiter's [`FailurePolicy`](crate::FailurePolicy) decides, while a task asks
/// the server again once per [`probe_interval`](StoreBuilder::probe_interval). A cluster has 64
/// such breakers, each for a range of slots, so that the loss of one node leaves the keys of the
/// others usable.
///
/// A call whose reply did not arrive is not sent again, because the server may have charged it. A
/// call is sent again if the server said that it did nothing: it did not have the script, or
/// another node owns the key.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<StoreInner>,
}

/// Ends the keys that probes write, where the name of a limit would be.
const PROBE_KEY: &str = "?probe";

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The call was not sent. The instant of the next probe, on the store's clock.
    BreakerOpen(u64),
    /// The server did not answer, or answered with an error.
    Failed(RedisError),
    /// The call was not sent, because too many wait to be sent.
    Overloaded,
}

impl RedisStore {
    /// Returns a store on one server. It connects with the first call, and again whenever the
    /// connection is lost.
    ///
    /// # Errors
    ///
    /// If the address is invalid.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect(server: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        Self::builder().connect(server)
    }

    /// Returns a builder, which sets time limits and takes other connections.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::default()
    }

    /// Returns what was sent, what failed, and whether the server answers.
    pub fn stats(&self) -> StoreStats {
        let all = &self.inner.breakers;
        let open = all
            .iter()
            .filter(|slots| slots.breaker.open_until().is_some());
        self.inner.observer.counters.stats(open.count(), all.len())
    }

    /// Returns the error with which a call failed last, also if calls work again since.
    pub fn last_error(&self) -> Option<RedisError> {
        let error = self.inner.last_error.load();
        error.as_deref().cloned()
    }

    /// Returns the prefix of all keys.
    pub(crate) fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// Returns the time limit of a call.
    pub(crate) fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    pub(crate) fn connection(&self) -> Connection {
        self.inner.connection()
    }

    pub(crate) fn base_key(&self, name: &str, key: Option<&[u8]>) -> BaseKey {
        BaseKey::new(&self.inner.prefix, name, key)
    }

    /// Returns whether one script can use keys of both bases: both are of this store, and in a
    /// cluster in one slot.
    pub(crate) fn has_both(&self, other: &Self, base: &BaseKey, other_base: &BaseKey) -> bool {
        let is_cluster = self.inner.breakers.len() > 1;
        let is_one_slot = base.slot() == other_base.slot();
        Arc::ptr_eq(&self.inner, &other.inner) && (is_one_slot || !is_cluster)
    }

    /// Returns how long it is until the next probe if the breaker is open.
    pub(crate) fn outage(&self, base: &BaseKey) -> Option<Duration> {
        let index = self.inner.breaker_index(base);
        let until = self.inner.breakers[index].breaker.open_until()?;
        Some(Self::wait_for_probe(until))
    }

    /// Returns when it is worth asking again after a call failed.
    pub(crate) fn retry_after(&self, base: &BaseKey) -> Duration {
        self.outage(base).unwrap_or(self.inner.probe_interval)
    }

    /// Returns how long it is until a probe at `until`. At least 1 ms: while a probe is under way,
    /// a caller that retries at once would not let it run.
    pub(crate) fn wait_for_probe(until: u64) -> Duration {
        time::until(until).max(Duration::from_millis(1))
    }

    /// Runs a script at most once, and returns the numbers of its reply.
    pub(crate) async fn run(
        &self,
        base: &BaseKey,
        call: &ScriptCall<'_>,
    ) -> Result<Vec<i64>, CallFailure> {
        let numbers = |value| match value {
            Value::Int(number) => Ok(vec![number]),
            several => Vec::from_redis_value(several).map_err(RedisError::from),
        };
        self.run_and_read(base, call, numbers).await
    }

    /// Runs a script at most once, and reads its reply.
    pub(crate) async fn run_and_read<T>(
        &self,
        base: &BaseKey,
        call: &ScriptCall<'_>,
        read: impl FnOnce(Value) -> Result<T, RedisError>,
    ) -> Result<T, CallFailure> {
        let inner = &self.inner;
        let index = inner.breaker_index(base);
        let GuardedSlots { breaker, opened } = &inner.breakers[index];
        // Registered before the breaker is checked, so that no opening is missed.
        let opened = opened.notified();
        let seen = breaker.check().map_err(CallFailure::BreakerOpen)?;
        // The time limit begins with the turn, so calls that wait for one are not charged in vain.
        let sent = async {
            let _turn = inner.turns.take().await?;
            let start = Instant::now();
            let result = within(inner.timeout, send::send(inner, call)).await;
            Some(match result {
                Ok(value) => Ok(value),
                Err(error) => Err((inner.is_outage(&error), explain(inner, error, start).await)),
            })
        };
        let Ok(result) = unless(opened, sent).await else {
            inner.observer.record_released(&inner.prefix);
            let until = breaker.open_until().unwrap_or(0);
            return Err(CallFailure::BreakerOpen(until));
        };
        let result = result.ok_or(CallFailure::Overloaded)?;
        let read = result.and_then(|value| read(value).map_err(|error| (false, error)));
        read.map_err(|(is_outage, error)| {
            inner.observer.record_failure(&inner.prefix, &error);
            inner.last_error.store(Some(Arc::new(error.clone())));
            if is_outage {
                self.open(index, seen, base, &error);
            }
            CallFailure::Failed(error)
        })
    }

    /// Opens a breaker after an error, releases the calls that wait, and starts the probe task.
    fn open(&self, index: usize, seen: ClosedState, base: &BaseKey, error: &RedisError) {
        let GuardedSlots { breaker, opened } = &self.inner.breakers[index];
        // A lost connection is made anew at once. A server that does not answer is given time.
        let until = if error.is_timeout() {
            self.inner.next_probe()
        } else {
            time::now()
        };
        if breaker.open(seen, until) {
            self.inner.observer.record_opened(&self.inner.prefix, error);
            opened.notify_waiters();
            probe_task::start(&self.inner, index, seen, base.limit_key(Some(PROBE_KEY)));
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connection", &self.inner.connection())
            .field("prefix", &self.inner.prefix)
            .field("timeout", &self.inner.timeout)
            .field("probe_interval", &self.inner.probe_interval)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Builds a [`RedisStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreBuilder {
    prefix: Box<str>,
    timeout: Duration,
    connect_timeout: Duration,
    probe_interval: Duration,
    max_in_flight: usize,
    max_waiting: usize,
    #[cfg(feature = "tls")]
    tls: Tls,
}

impl Default for StoreBuilder {
    fn default() -> Self {
        Self {
            prefix: "tidegate".into(),
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
            probe_interval: Duration::from_millis(500),
            max_in_flight: 512,
            max_waiting: usize::MAX,
            #[cfg(feature = "tls")]
            tls: Tls::default(),
        }
    }
}

impl StoreBuilder {
    /// Sets the prefix of all keys, `tidegate` by default. On one server, no prefix may be another
    /// one followed by a colon and more.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call waits for the server. 100 ms by default: some hundred times what a call
    /// takes within a data center, and less than people notice.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a connection may take to be made, 1 s by default. A call waits no longer than
    /// its [`timeout`](Self::timeout); the connection goes on with the next call or probe.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how often a server that is down is asked again, give or take a quarter. 500 ms by
    /// default, at least a millisecond, at most an hour.
    pub fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval.clamp(Duration::from_millis(1), Duration::from_secs(3_600));
        self
    }

    /// Sets how many calls this node sends without waiting for replies: 512 by default, at least 1.
    /// Calls beyond these wait for their turn, in order, and the [`timeout`](Self::timeout) of each
    /// begins when it is sent. So a burst of thousands of callers is served as fast as the server
    /// can, instead of timing out after it was charged.
    pub const fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls;
        self
    }

    /// Sets how many calls may wait for their turn, any number by default. Those beyond are refused
    /// at once, with [`AcquireError::Overloaded`](crate::AcquireError::Overloaded), or decided by a
    /// [`FailurePolicy`](crate::FailurePolicy) that admits.
    pub const fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Trusts the servers that this certificate authority has signed for, instead of those of the
    /// system. `pem` is its certificate. For addresses that begin with `rediss://`.
    ///
    /// ```no_run
    /// use tidegate_redis::RedisStore;
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let root = std::fs::read("/etc/ssl/limits-ca.pem")?;
    /// let builder = RedisStore::builder().root_certificate(root);
    /// let store = builder.connect("rediss://limits.internal:6380/")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root = Some(pem.into());
        self
    }

    /// Shows this certificate to the server, for servers that ask for one. Both are in PEM format.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Returns a store on one server, as [`RedisStore::connect`] does.
    ///
    /// # Errors
    ///
    /// If the address is invalid.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect(self, server: impl IntoConnectionInfo) -> Result<RedisStore, RedisError> {
        #[cfg(feature = "tls")]
        let client = self.tls.client(server)?;
        #[cfg(not(feature = "tls"))]
        let client = redis::Client::open(server)?;
        let connection = Connection::to_server(client, self.timeouts())?;
        Ok(self.connection(connection))
    }

    const fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.connect_timeout,
            response: self.timeout,
        }
    }

    /// Returns a store on the master of a service that sentinels watch. It connects with the first
    /// call. Whenever the connection is lost or the server turns out to be a replica, the next
    /// connection asks the sentinels anew.
    ///
    /// `service` is the name by which the sentinels know it. `login` is the address of a master,
    /// with the user, the password and the database: its host and port are placeholders, because
    /// the sentinels name those. The addresses of the sentinels have users and passwords of their
    /// own. Either may begin with `rediss://` (feature `tls`).
    ///
    /// ```no_run
    /// use tidegate_redis::RedisStore;
    ///
    /// # async fn example() -> Result<(), redis::RedisError> {
    /// let sentinels = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|host| (host, 26379));
    /// let login = "redis://tidegate:secret@master/0";
    /// let store = RedisStore::builder().connect_sentinel(sentinels, "limits", login)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// All sentinels are asked at the same time, and the newest answer counts, so it is enough if
    /// one of them answers. While a connection works, they are asked once a second whether another
    /// master has taken over, because a master that was replaced on demand serves its connections
    /// for some more seconds. A user of sentinels needs the rights `+sentinel|master` and
    /// `+sentinel|get-master-addr-by-name`.
    ///
    /// A new master admits within a second after the first sentinel names it, with the default
    /// [`probe_interval`](Self::probe_interval). [Failover](crate#deployment) says what it may
    /// lack.
    ///
    /// # Errors
    ///
    /// If an address is invalid, or there is no sentinel. A service that no sentinel knows is the
    /// cause in the error of the first call.
    #[cfg(feature = "sentinel")]
    pub fn connect_sentinel<T: IntoConnectionInfo>(
        self,
        sentinels: impl IntoIterator<Item = T>,
        service: &str,
        login: impl IntoConnectionInfo,
    ) -> Result<RedisStore, RedisError> {
        let sentinels = sentinels.into_iter().map(T::into_connection_info);
        let sentinels = sentinels.collect::<Result<_, _>>()?;
        let login = login.into_connection_info()?;
        #[cfg(feature = "tls")]
        let open: Box<OpenClient> = {
            let tls = self.tls.clone();
            Box::new(move |info| tls.client(info))
        };
        #[cfg(not(feature = "tls"))]
        let open: Box<OpenClient> = Box::new(redis::Client::open);
        let service = Service::new(sentinels, service, login, open, self.timeouts())?;
        Ok(self.connection(Connection::to_master(Arc::new(service))))
    }

    /// Connects to a cluster through any of the given nodes.
    ///
    /// # Errors
    ///
    /// If none of the nodes can be reached.
    #[cfg(feature = "cluster")]
    pub async fn connect_cluster<T: IntoConnectionInfo>(
        self,
        nodes: impl IntoIterator<Item = T>,
    ) -> Result<RedisStore, RedisError> {
        let client = redis::cluster::ClusterClient::builder(nodes);
        #[cfg(feature = "tls")]
        let client = {
            tls::install_cryptography();
            match self.tls.certificates() {
                Some(certificates) => client.certs(certificates),
                None => client,
            }
        };
        let client = client
            // The store itself resends the calls that were not charged, and only these.
            .retries(0)
            .response_timeout(self.timeout)
            // When owners change, the client connects to one node after the other while all calls
            // wait.
            .connection_timeout(self.timeout / 4)
            .build()?;
        Ok(self.connection(Connection::to_cluster(client).await?))
    }

    /// Returns a store on a connection of your own, whose time limits apply besides those of the
    /// store.
    pub fn connection(self, connection: impl Into<Connection>) -> RedisStore {
        let inner = StoreInner::new(
            connection.into(),
            self.prefix,
            self.timeout,
            self.probe_interval,
            Turns::new(self.max_in_flight, self.max_waiting),
        );
        RedisStore {
            inner: Arc::new(inner),
        }
    }
}
