//! One server or cluster, its time limits, and whether it answers.

mod builder;
mod prober;
mod send;

pub use builder::StoreBuilder;

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwap;
use redis::{FromRedisValue, IntoConnectionInfo, RedisError, Value};
use tidegate::{Clock, DefaultClock};
use tokio::sync::Notify;

use crate::base_key::BaseKey;
use crate::breaker::{Breaker, ClosedState};
use crate::connection::Connection;
use crate::lease::leased_token_bucket::nanos;
use crate::script::{ErrorClass, Script, ScriptArgs, classify};
use crate::stats::{StoreCounters, StoreStats};
#[cfg(feature = "cluster")]
use crate::sync::AtomicU64;

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
    inner: Arc<StoreInner>,
}

struct StoreInner {
    connection: ArcSwap<Connection>,
    /// Nodes of a cluster that no connection is known to are not asked before, in nanoseconds.
    #[cfg(feature = "cluster")]
    unroutable: AtomicU64,
    /// A cluster's nodes are not asked for the owners of keys before, in nanoseconds.
    #[cfg(feature = "cluster")]
    around: AtomicU64,
    prefix: Box<str>,
    timeout: Duration,
    probe_interval: Duration,
    breakers: Box<[BreakerGroup]>,
    take: Script,
    lease: Script,
    counts: StoreCounters,
}

/// Keys that are on one server, as far as we know.
struct BreakerGroup {
    breaker: Breaker,
    opened: Notify,
}

/// As many as a small cluster's nodes can lose keys of, each with a task that asks while it is lost.
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

/// ScriptKind of the two scripts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScriptKind {
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
            .breakers
            .iter()
            .filter(|part| part.breaker.open_until().is_some());
        self.inner
            .counts
            .stats(open.count(), self.inner.breakers.len())
    }

    pub(crate) fn place(&self, name: &str, key: Option<&[u8]>) -> BaseKey {
        BaseKey::new(&self.inner.prefix, name, key)
    }

    /// Nanoseconds of the clock that waits for the server are measured with.
    pub(crate) fn now() -> u64 {
        DefaultClock.now().as_nanos()
    }

    pub(crate) fn probe_interval(&self) -> Duration {
        self.inner.probe_interval
    }

    fn connection(&self) -> Connection {
        Connection::clone(&self.inner.connection.load())
    }

    fn part(&self, place: &BaseKey) -> usize {
        if self.inner.breakers.len() == 1 {
            0
        } else {
            usize::from(place.slot() / (SLOTS / CLUSTER_PARTS))
        }
    }

    /// How long until the server is asked again, if it is not to be asked now.
    pub(crate) fn closed_for(&self, place: &BaseKey) -> Option<Duration> {
        let until = self.inner.breakers[self.part(place)].breaker.open_until()?;
        Some(Self::wait_for_probe(until))
    }

    /// How long until a probe that is due then; a moment if it is under way, for whoever comes back at once would not let it run.
    pub(crate) fn wait_for_probe(until: u64) -> Duration {
        Duration::from_nanos(until.saturating_sub(Self::now())).max(Duration::from_millis(1))
    }

    /// Runs a script once.
    pub(crate) async fn run(
        &self,
        which: ScriptKind,
        place: &BaseKey,
        keys: &[Vec<u8>],
        arguments: &ScriptArgs,
    ) -> Result<Vec<i64>, Failure> {
        let inner = &self.inner;
        let index = self.part(place);
        let part = &inner.breakers[index];
        // Before the look at the breaker, so that no opening is missed.
        let opened = part.opened.notified();
        let seen = part.breaker.check().map_err(Failure::Open)?;
        let script = match which {
            ScriptKind::Take => &inner.take,
            ScriptKind::Lease => &inner.lease,
        };
        let call = send::send(self, script, keys, arguments);
        let Some(result) = first(within(inner.timeout, call), opened).await else {
            inner.counts.released();
            return Err(Failure::Open(part.breaker.open_until().unwrap_or(0)));
        };
        let result = result.and_then(|value| Ok(Vec::<i64>::from_redis_value(value)?));
        result.map_err(|error| {
            inner.counts.failed(&error);
            if self.is_outage(&error) {
                self.open(index, seen, place.key(None), &error);
            }
            Failure::Failed(error)
        })
    }

    /// Whether other calls for keys that are there will fail too.
    ///
    /// A call that is sent elsewhere as often as it is tried is for a cluster's node that the connection has lost: it asks any other
    /// instead, and that one names the lost one.
    fn is_outage(&self, error: &RedisError) -> bool {
        match classify(error) {
            ErrorClass::Outage => true,
            ErrorClass::Moved => self.connection().is_cluster(),
            _ => false,
        }
    }

    /// Lets nobody wait for the server any more, and has it asked again.
    fn open(&self, index: usize, seen: ClosedState, key: Vec<u8>, error: &RedisError) {
        let part = &self.inner.breakers[index];
        // A connection that was lost is made anew at once; who does not answer is given time.
        let until = if error.is_timeout() {
            self.next_probe()
        } else {
            Self::now()
        };
        if part.breaker.open(seen, until) {
            self.inner.counts.opened();
            part.opened.notify_waiters();
            prober::start(self, index, seen, key);
        }
    }

    /// Between three and five quarters of the interval from now, so that nodes that lost the server together do not come back together.
    fn next_probe(&self) -> u64 {
        // At most an hour.
        let interval = nanos(self.inner.probe_interval);
        let spread = fastrand::u64(0..=interval / 2);
        Self::now().saturating_add(interval - interval / 4 + spread)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connection", &self.inner.connection.load())
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
