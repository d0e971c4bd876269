//! A bucket, or several, for every key.

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError};
use crate::limits::{BucketSet, Limits};
use crate::options::{LimiterOptions, Quotas};
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::token_bucket::RedisTokenBucket;
use crate::wait_line::WaitLine;

/// A token bucket on a server for every key: user, tenant, address. Or several for each, charged
/// all or none.
///
/// Keys are bytes. Only the server's memory limits their number: a key that is not full takes about
/// 100 bytes, and a full one none. Otherwise it works as a
/// [`RedisTokenBucket`](crate::RedisTokenBucket), whose guarantees hold for each key.
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
    quotas: Quotas,
    name: Box<str>,
}

impl RedisKeyed {
    /// Returns the table of a name, with default options.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no quota, two share a name, or the scripts cannot represent one.
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
        let quotas = quotas.into();
        Ok(Self {
            limits: Limits::new(store, quotas.clone(), options)?,
            quotas,
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

    /// Returns the bucket of one key, for a key that is known to be hot: a node that
    /// [leases](RedisTokenBucket::lease) it decides calls for it without a round trip.
    ///
    /// The bucket is the table's own. What either admits counts for both, and the bound holds for
    /// all nodes together, whether they lease the key or call the table. Sends nothing.
    ///
    /// A lease pays for a key of which each node admits more than about 150 calls per second. Below
    /// that, it takes more of the server's time than it saves: see `docs::scale`.
    ///
    /// # Errors
    ///
    /// [`BuildError::SeveralLimits`] if keys of this table have more than one limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use tidegate::Quota;
    /// use tidegate_redis::{LeaseOptions, RedisKeyed, RedisStore};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = RedisStore::connect("redis://127.0.0.1/")?;
    /// let tenants = RedisKeyed::new(&store, "tenant", Quota::per_second(20_000))?;
    /// let largest = tenants.bucket("acme")?.lease(LeaseOptions::new()).await;
    /// largest.try_acquire(1)?; // no round trip
    /// tenants.try_acquire("other", 1).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bucket(&self, key: impl AsRef<[u8]>) -> Result<RedisTokenBucket, BuildError> {
        RedisTokenBucket::of_key(&self.limits, &self.quotas, &self.name, key.as_ref())
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
