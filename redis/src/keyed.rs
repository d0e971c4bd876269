//! A bucket, or several, for every key.

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError};
use crate::limits::{BucketSet, Limits};
use crate::options::LimiterOptions;
use crate::shared_limit::Quotas;
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::wait_line::WaitLine;

/// A token bucket or a window on a server for every key: user, tenant, address. Or several for
/// each, charged all or none: see [`SharedLimit`](crate::SharedLimit).
///
/// Keys are bytes. Only the server's memory limits their number: a bucket that is not full takes
/// about 100 bytes, a window up to 500, and a limit of which nothing is used none. Otherwise it
/// works as a [`RedisTokenBucket`](crate::RedisTokenBucket) or a
/// [`RedisSlidingWindow`](crate::RedisSlidingWindow), whose guarantees hold for each key.
///
/// The server stores keys as they are. Digest long or secret keys first, as
/// `tidegate::KeyDigester::with_secret` does, with the same secret on all nodes.
///
/// # Examples
///
/// ```no_run
/// use tidegate::Quota;
/// use tidegate_redis::{RedisKeyed, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let users = RedisKeyed::new(&store, "user", Quota::per_minute(100).burst(20))?;
/// users.try_acquire("alice", 1).await?;
///
/// let quotas = [("burst", Quota::per_second(10)), ("day", Quota::per_day(5_000))];
/// let tenants = RedisKeyed::new(&store, "tenant", quotas)?;
/// if let Err(error) = tenants.try_acquire("acme", 1).await {
///     println!("{:?}", error.limit()); // "burst" or "day"
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisKeyed {
    limits: Limits,
    name: Box<str>,
}

impl RedisKeyed {
    /// Returns the table of a name, with default options.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no limit, two share a name, or the scripts cannot represent one.
    pub fn new(
        store: &RedisStore,
        name: &str,
        quotas: impl Into<Quotas>,
    ) -> Result<Self, BuildError> {
        Self::with_options(store, name, quotas, LimiterOptions::new())
    }

    /// Returns the table of a name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`BuildError::TooManyNodes`] if a node's share is too small.
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        quotas: impl Into<Quotas>,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            limits: Limits::new(store, quotas.into(), options)?,
            name: name.into(),
        })
    }

    #[cfg(feature = "tower")]
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn buckets(&self, key: impl AsRef<[u8]>) -> BucketSet {
        self.limits.buckets(&self.name, Some(key.as_ref()))
    }

    /// Takes `n` tokens of every limit of a key, or none.
    ///
    /// # Errors
    ///
    /// As [`RedisTokenBucket::try_acquire`](crate::RedisTokenBucket::try_acquire).
    pub async fn try_acquire(
        &self,
        key: impl AsRef<[u8]>,
        n: u64,
    ) -> Result<Admitted, AcquireError> {
        let costs = vec![n; self.limits.len()];
        self.try_acquire_each(key, &costs).await
    }

    /// Takes a different number of tokens of each limit of a key, in the order of the quotas.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`AcquireError::CostCount`].
    pub async fn try_acquire_each(
        &self,
        key: impl AsRef<[u8]>,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.buckets(key), costs).await
    }

    /// Waits until `n` tokens of every limit of a key can be taken. There is no order among those
    /// that wait for a key: each asks the server when the last denial says that it may.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for denials that a wait resolves.
    ///
    /// # Cancel safety
    ///
    /// If a dropped future was asking the server, the call may have been charged.
    pub fn acquire<'a>(&'a self, key: impl AsRef<[u8]> + Send + 'a, n: u64) -> Acquire<'a> {
        Acquire::new(async move |deadline| {
            let line = WaitLine::default();
            let costs = vec![n; self.limits.len()];
            let buckets = self.buckets(key);
            line.acquire(&self.limits, &buckets, &costs, deadline).await
        })
    }

    /// Returns what [`try_acquire`](Self::try_acquire) would, without a charge.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire); without the server always
    /// [`AcquireError::Unavailable`].
    pub async fn peek(&self, key: impl AsRef<[u8]>, n: u64) -> Result<Admitted, AcquireError> {
        let costs = vec![n; self.limits.len()];
        self.limits.peek(&self.buckets(key), &costs).await
    }

    /// Returns how many tokens each limit of a key has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self, key: impl AsRef<[u8]>) -> Result<Vec<u64>, AcquireError> {
        self.limits.available(&self.buckets(key)).await
    }

    /// Charges tokens that were already used, even if the limits do not have them, in the order of
    /// the quotas.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`] and [`AcquireError::CostCount`].
    pub async fn debit_each(
        &self,
        key: impl AsRef<[u8]>,
        costs: &[u64],
    ) -> Result<(), AcquireError> {
        self.limits.debit(&self.buckets(key), costs).await
    }

    /// Fills the limits of a key up.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn reset(&self, key: impl AsRef<[u8]>) -> Result<(), AcquireError> {
        self.limits.reset(&self.buckets(key)).await
    }

    /// Returns the outcomes of this node's calls.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}

/// As pointers to a table do, for code that takes either.
impl AsRef<Self> for RedisKeyed {
    fn as_ref(&self) -> &Self {
        self
    }
}
