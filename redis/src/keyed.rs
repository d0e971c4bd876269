//! A bucket, or several, for every key.

use tidegate::Quota;

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError, SetQuotaError};
use crate::limits::{BucketSet, Limits};
use crate::options::LimiterOptions;
use crate::shared_limit::Quotas;
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::token_bucket::RedisTokenBucket;
use crate::wait_line::WaitLine;

/// A token bucket or a window on a server for every key: user, tenant, address. Or several for
/// each, charged all or none: see [`SharedLimit`](crate::SharedLimit).
///
/// Keys are bytes. Otherwise it works as a [`RedisTokenBucket`](crate::RedisTokenBucket) or a
/// [`RedisSlidingWindow`](crate::RedisSlidingWindow), whose guarantees hold for each key.
///
/// The server stores keys as they are. Digest long or secret keys first, as
/// `tidegate::KeyDigester::with_secret` does, with the same secret on all nodes.
///
/// # Memory, also under hostile keys
///
/// A key that is full takes no memory, and a denied call writes nothing. So each admitted token
/// keeps one key alive for the time that the token takes to refill, and no longer. If clients make
/// up a new key for each call, then at any time:
///
/// memory ≤ calls per second · time of a token · bytes per key, for each limit
///
/// A key takes 200 bytes of the server: its name of up to 48 bytes, its value, and its places in
/// the tables of keys and of expiries. Measured on Redis 7.0 with 10 000 to 1 000 000 keys: 176-200
/// bytes, with fractions 192-202. A longer name takes that much more, and a quota that was changed
/// for all nodes 60 bytes more. So 50 000 calls per second, each with a new digest as its key,
/// take:
///
/// | limit | time of a token | keys at a time | memory |
/// |---|---|---|---|
/// | 100 per minute | 0.6 s | 30 000 | 6 MB |
/// | 10 000 per day | 8.64 s | 432 000 | 86 MB |
/// | 100 per day | 864 s | 43 200 000 | 8.6 GB |
///
/// The key of a window takes up to 500 bytes more, and lasts until the window is empty.
///
/// Nothing else limits the number of keys: a count of all keys would be on another node of a
/// cluster, and so a second round trip. Where the product is too much, limit the rate of new keys
/// before: by address on this node (`tidegate::FixedKeyed`, whose memory is fixed), or accept only
/// keys that exist. Digests keep names short. Without `maxmemory-policy noeviction` a full server
/// would evict buckets that are in use; with it, calls are decided by the
/// [`FailurePolicy`](crate::FailurePolicy) until there is memory again.
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
        let quotas = quotas.into();
        Ok(Self {
            limits: Limits::table(store, name, quotas.clone(), options)?,
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
    /// all nodes together, whether they lease the key or call the table. Its quota is that of the
    /// table, so only [`set_quota`](Self::set_quota) of the table changes it. Sends nothing.
    ///
    /// A lease pays for a key of which each node admits more than about 150 calls per second. Below
    /// that, it takes more of the server's time than it saves: see `docs::scale`.
    ///
    /// # Errors
    ///
    /// [`BuildError::SeveralLimits`] if keys of this table have more than one limit, and
    /// [`BuildError::Unsupported`] if that is a window.
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

    /// Changes the quota of all keys, for all nodes.
    ///
    /// Each key changes with its first call after that, and keeps its level in tokens, as
    /// [`RedisTokenBucket::set_quota`](crate::RedisTokenBucket::set_quota) describes. Until then it
    /// refills by the old quota. A key that is full needs no memory on the server, so it counts as
    /// full under the new quota, like a new key.
    ///
    /// The quota has a key of its own on the server, for all keys of the table. Nodes ask for it at
    /// their first call and then once a second
    /// ([`LimiterOptions::follow_changes`](crate::LimiterOptions::follow_changes)), and see it
    /// sooner in the keys that another node has used since. A key takes 60 bytes more from then on.
    ///
    /// # Errors
    ///
    /// [`SetQuotaError::UnknownLimit`] if the limits have names: see
    /// [`set_quota_of`](Self::set_quota_of). Otherwise as for one bucket.
    pub async fn set_quota(&self, quota: Quota) -> Result<(), SetQuotaError> {
        self.change(None, quota).await
    }

    /// Changes the quota of one of several limits, by its name.
    ///
    /// # Errors
    ///
    /// As [`set_quota`](Self::set_quota), and [`SetQuotaError::UnknownLimit`] if there is none of
    /// this name.
    pub async fn set_quota_of(&self, limit: &str, quota: Quota) -> Result<(), SetQuotaError> {
        self.change(Some(limit), quota).await
    }

    async fn change(&self, limit: Option<&str>, quota: Quota) -> Result<(), SetQuotaError> {
        let index = self.limits.index_of(limit);
        let index = index.ok_or(SetQuotaError::UnknownLimit)?;
        self.limits.set_quota(None, index, quota).await
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
