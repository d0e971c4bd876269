//! One server or cluster, its time limits, and whether it answers.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, IntoConnectionInfo, RedisError, Value};
use tidegate::{Clock, DefaultClock};
use tokio::sync::Notify;

use crate::breaker::Breaker;
use crate::connection::Connection;
use crate::key::Place;
use crate::script::{Arguments, Meaning, Script, meaning};
use crate::stats::{StoreCounts, StoreStats};

/// A Redis or Valkey server, or a cluster of them, which holds buckets.
///
/// Cloning is cheap, and all clones share one connection and one view of whether the server answers. Needs a runtime of tokio with
/// its timer.
///
/// # When the server does not answer
///
/// A call waits for the server no longer than [`timeout`](StoreBuilder::timeout). When one has waited in vain, or the connection is lost,
/// all others that wait are released at once, and from then on no call waits: each limiter's [`FailurePolicy`](crate::FailurePolicy)
/// decides, while a task asks the server again once per [`probe_interval`](StoreBuilder::probe_interval). In a cluster that goes for 64
/// parts of the keys each by itself, so that one lost node does not take the others away.
///
/// A call whose answer did not arrive is not sent again: the server may have charged it. It is sent again where the server has said that it
/// did nothing: it did not know the script, or another node has the key.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    prefix: Box<str>,
    timeout: Duration,
    probe_interval: Duration,
    parts: Box<[Part]>,
    take: Script,
    lease: Script,
    counts: StoreCounts,
}

/// Keys that are on one server, as far as we know.
struct Part {
    breaker: Breaker,
    opened: Notify,
}

const CLUSTER_PARTS: u16 = 64;
const SLOTS: u16 = 16_384;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server was not asked. The instant of the next probe, on the store's clock.
    Open(u64),
    /// It did not answer, or with an error.
    Failed(RedisError),
}

/// Which of the two scripts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Take,
    Lease,
}

impl RedisStore {
    /// One server, which is connected to with the first call, and again whenever the connection is lost.
    ///
    /// # Errors
    ///
    /// If the address is none.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    pub fn connect(server: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        Self::builder().connect(server)
    }

    /// Time limits, and other connections.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::default()
    }

    /// What was sent, what failed, and whether the server answers.
    pub fn stats(&self) -> StoreStats {
        let open = self
            .inner
            .parts
            .iter()
            .filter(|part| part.breaker.open_until().is_some());
        self.inner
            .counts
            .stats(open.count(), self.inner.parts.len())
    }

    pub(crate) fn place(&self, name: &str, key: Option<&[u8]>) -> Place {
        Place::new(&self.inner.prefix, name, key)
    }

    /// Nanoseconds of the clock that waits for the server are measured with.
    pub(crate) fn now() -> u64 {
        DefaultClock.now().as_nanos()
    }

    pub(crate) fn probe_interval(&self) -> Duration {
        self.inner.probe_interval
    }

    fn part(&self, place: &Place) -> usize {
        if self.inner.parts.len() == 1 {
            0
        } else {
            usize::from(place.slot() / (SLOTS / CLUSTER_PARTS))
        }
    }

    /// How long until the server is asked again, if it is not to be asked now.
    pub(crate) fn closed_for(&self, place: &Place) -> Option<Duration> {
        let until = self.inner.parts[self.part(place)].breaker.open_until()?;
        Some(Self::wait_for_probe(until))
    }

    /// How long until a probe that is due then; a moment if it is under way, for whoever comes back at once would not let it run.
    pub(crate) fn wait_for_probe(until: u64) -> Duration {
        Duration::from_nanos(until.saturating_sub(Self::now())).max(Duration::from_millis(1))
    }

    /// Runs a script once.
    pub(crate) async fn run(
        &self,
        which: Which,
        place: &Place,
        keys: &[Vec<u8>],
        arguments: &Arguments,
    ) -> Result<Vec<i64>, Failure> {
        let inner = &self.inner;
        let index = self.part(place);
        let part = &inner.parts[index];
        // Before the look at the breaker, so that no opening is missed.
        let opened = part.opened.notified();
        if let Some(until) = part.breaker.open_until() {
            return Err(Failure::Open(until));
        }
        let script = match which {
            Which::Take => &inner.take,
            Which::Lease => &inner.lease,
        };
        let call = self.send(script, keys, arguments);
        let Some(result) = first(within(inner.timeout, call), opened).await else {
            inner.counts.released();
            return Err(Failure::Open(part.breaker.open_until().unwrap_or(0)));
        };
        let result = result.and_then(|value| Ok(Vec::<i64>::from_redis_value(value)?));
        result.map_err(|error| {
            inner.counts.failed(&error);
            if meaning(&error) == Meaning::Outage {
                self.open(index, place.key(None));
            }
            Failure::Failed(error)
        })
    }

    /// Sends a script, again where the server says that it has not run.
    async fn send(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        arguments: &Arguments,
    ) -> Result<Value, RedisError> {
        const MOST_TRIES: u32 = 8;
        let mut known = true;
        let mut tries = 0;
        loop {
            tries += 1;
            let command = script.command(known, keys, arguments);
            let answer = self.inner.counts.sent(known);
            let result = self.inner.connection.clone().run(&command).await;
            drop(answer);
            let error = match result.and_then(Value::extract_error) {
                Err(error) if tries < MOST_TRIES => error,
                other => return other,
            };
            match meaning(&error) {
                Meaning::Unknown if known => known = false,
                // The connection has taken note of the new owner.
                Meaning::Moved => tokio::task::yield_now().await,
                Meaning::Ask => match self.ask(script, keys, arguments, &error).await {
                    Some(result) => return result,
                    None => return Err(error),
                },
                // Milliseconds: the server moves a few small keys.
                Meaning::Soon => tokio::time::sleep(Duration::from_millis(u64::from(tries))).await,
                _ => return Err(error),
            }
        }
    }

    #[cfg(feature = "cluster")]
    async fn ask(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        arguments: &Arguments,
        error: &RedisError,
    ) -> Option<Result<Value, RedisError>> {
        // That node may not know the script, and asking it twice needs asking twice.
        let command = script.command(false, keys, arguments);
        let _answer = self.inner.counts.sent(false);
        let node = error.redirect_node()?;
        self.inner
            .connection
            .clone()
            .run_asking(&command, node)
            .await
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_async, reason = "a cluster is asked")]
    async fn ask(
        &self,
        _: &Script,
        _: &[Vec<u8>],
        _: &Arguments,
        _: &RedisError,
    ) -> Option<Result<Value, RedisError>> {
        None
    }

    /// Lets nobody wait for the server any more, and starts the task that asks it again.
    fn open(&self, index: usize, key: Vec<u8>) {
        let part = &self.inner.parts[index];
        let until = self.next_probe();
        if !part.breaker.open(until) {
            return;
        }
        self.inner.counts.opened();
        part.opened.notify_waiters();
        let store = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                let Some(inner) = store.upgrade() else { return };
                let store = Self { inner };
                let until = store.inner.parts[index].breaker.open_until().unwrap_or(0);
                let wait = until.saturating_sub(Self::now());
                let weak = Arc::downgrade(&store.inner);
                drop(store);
                tokio::time::sleep(Duration::from_nanos(wait)).await;
                let Some(inner) = weak.upgrade() else { return };
                let store = Self { inner };
                if store.probe(&key).await {
                    store.inner.parts[index].breaker.close();
                    return;
                }
                store.inner.parts[index]
                    .breaker
                    .postpone(store.next_probe());
            }
        });
    }

    /// Between three and five quarters of the interval from now, so that nodes that lost the server together do not come back together.
    fn next_probe(&self) -> u64 {
        let interval = u64::try_from(self.inner.probe_interval.as_nanos()).unwrap_or(u64::MAX / 4);
        let spread = fastrand::u64(0..=interval / 2);
        Self::now().saturating_add(interval - interval / 4 + spread)
    }

    /// Whether the server answers: twice, for a broken connection fails once before it is made anew.
    async fn probe(&self, key: &[u8]) -> bool {
        for _ in 0..2 {
            let mut command = redis::cmd("GET");
            command.arg(key);
            let answer = self.inner.counts.sent(true);
            let mut connection = self.inner.connection.clone();
            let result = within(self.inner.timeout, connection.run(&command)).await;
            drop(answer);
            match result.and_then(Value::extract_error) {
                Ok(_) => return true,
                // It is there, if not of our opinion.
                Err(error) if meaning(&error) != Meaning::Outage => return true,
                Err(error) if error.is_timeout() => return false,
                Err(_) => tokio::time::sleep(self.inner.timeout / 4).await,
            }
        }
        false
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connection", &self.inner.connection)
            .field("prefix", &self.inner.prefix)
            .field("timeout", &self.inner.timeout)
            .field("probe_interval", &self.inner.probe_interval)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A call, or an error of the kind that a connection reports when it waited in vain.
async fn within(
    timeout: Duration,
    call: impl Future<Output = Result<Value, RedisError>>,
) -> Result<Value, RedisError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(RedisError::from(std::io::Error::from(
            std::io::ErrorKind::TimedOut,
        ))),
    }
}

/// The outcome of the first, unless the second ends before it.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = ()>) -> Option<T> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        if let Poll::Ready(result) = one.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        other.as_mut().poll(cx).map(|()| None)
    })
    .await
}

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
    /// What all keys begin with. `tidegate` by default.
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

    /// How often a server that does not answer is asked again, give or take a quarter. 500 ms by default.
    pub const fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval;
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
        let config = ConnectionManagerConfig::new()
            // The breaker says when to try again.
            .set_number_of_retries(0)
            .set_response_timeout(Some(self.timeout))
            .set_connection_timeout(Some(self.timeout));
        let client = redis::Client::open(server)?;
        let manager = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(self.connection(manager))
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
            .connection_timeout(self.timeout)
            .build()?;
        let connection = client.get_async_connection().await?;
        Ok(self.connection(connection))
    }

    /// A connection of your own, with its own time limits beside those of the store.
    pub fn connection(self, connection: impl Into<Connection>) -> RedisStore {
        let connection = connection.into();
        let parts = if connection.is_cluster() {
            CLUSTER_PARTS
        } else {
            1
        };
        let part = |_| Part {
            breaker: Breaker::new(),
            opened: Notify::new(),
        };
        RedisStore {
            inner: Arc::new(Inner {
                connection,
                prefix: self.prefix,
                timeout: self.timeout,
                probe_interval: self.probe_interval,
                parts: (0..parts).map(part).collect(),
                take: Script::take(),
                lease: Script::lease(),
                counts: StoreCounts::default(),
            }),
        }
    }
}
