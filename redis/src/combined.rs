//! Several limits behind one call, charged all or none.

use tidegate::Quota;

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError, SetQuotaError};
use crate::limits::{BucketSet, Limits};
use crate::options::LimiterOptions;
use crate::shared_limit::Quotas;
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::wait_line::WaitLine;

/// Several limits behind one call and one round trip: requests and tokens per minute, a burst and a
/// day. Each is a bucket or a window: see [`SharedLimit`](crate::SharedLimit).
///
/// A call charges all limits or none. Otherwise it works as a
/// [`RedisTokenBucket`](crate::RedisTokenBucket) or a
/// [`RedisSlidingWindow`](crate::RedisSlidingWindow).
///
/// # Examples
///
/// ```no_run
/// use tidegate::Quota;
/// use tidegate_redis::{RedisCombined, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let quotas = [("requests", Quota::per_minute(500)), ("tokens", Quota::per_minute(200_000))];
/// let model = RedisCombined::new(&store, "model", quotas)?;
/// if let Err(error) = model.try_acquire_each(&[1, 1_500]).await {
///     println!("denied by {:?}: {error}", error.limit());
/// }
/// model.debit_each(&[0, 300]).await?; // the response was longer than expected
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCombined {
    limits: Limits,
    buckets: BucketSet,
    wait_line: WaitLine,
}

impl RedisCombined {
    /// Returns the limits of a name, with default options. Each quota has a name of its own.
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

    /// Returns the limits of a name.
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
        let (limits, buckets) = Limits::named(store, name, quotas.into(), options)?;
        Ok(Self {
            limits,
            buckets,
            wait_line: WaitLine::default(),
        })
    }

    #[cfg(feature = "tower")]
    pub(crate) const fn buckets(&self) -> &BucketSet {
        &self.buckets
    }

    #[cfg(feature = "tower")]
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes `n` tokens of every limit, or none.
    ///
    /// # Errors
    ///
    /// As [`RedisTokenBucket::try_acquire`](crate::RedisTokenBucket::try_acquire), with the limit
    /// that has the longest wait.
    pub async fn try_acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.try_acquire_each(&vec![n; self.limits.len()]).await
    }

    /// Takes a different number of tokens of each limit, in the order of the quotas.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`AcquireError::CostCount`].
    pub async fn try_acquire_each(&self, costs: &[u64]) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.buckets, costs).await
    }

    /// Waits until `n` tokens of every limit can be taken, as
    /// [`RedisTokenBucket::acquire`](crate::RedisTokenBucket::acquire) does.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for denials that a wait resolves.
    ///
    /// # Cancel safety
    ///
    /// As that of a bucket.
    pub fn acquire(&self, n: u64) -> Acquire<'_> {
        Acquire::new(async move |deadline| self.wait(&vec![n; self.limits.len()], deadline).await)
    }

    /// Waits until a different number of tokens of each limit can be taken, in the order of the
    /// quotas.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`AcquireError::CostCount`].
    ///
    /// # Cancel safety
    ///
    /// As that of a bucket.
    pub fn acquire_each<'a>(&'a self, costs: &'a [u64]) -> Acquire<'a> {
        Acquire::new(move |deadline| self.wait(costs, deadline))
    }

    async fn wait(&self, costs: &[u64], deadline: u64) -> Result<Admitted, AcquireError> {
        let line = &self.wait_line;
        line.acquire(&self.limits, &self.buckets, costs, deadline)
            .await
    }

    /// Returns what [`try_acquire_each`](Self::try_acquire_each) would, without a charge.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each); without the server always
    /// [`AcquireError::Unavailable`].
    pub async fn peek_each(&self, costs: &[u64]) -> Result<Admitted, AcquireError> {
        self.limits.peek(&self.buckets, costs).await
    }

    /// Returns how many tokens each limit has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self) -> Result<Vec<u64>, AcquireError> {
        self.limits.available(&self.buckets).await
    }

    /// Charges tokens that were already used, even if the limits do not have them.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`] and [`AcquireError::CostCount`].
    pub async fn debit_each(&self, costs: &[u64]) -> Result<(), AcquireError> {
        self.limits.debit(&self.buckets, costs).await
    }

    /// Fills all limits up.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn reset(&self) -> Result<(), AcquireError> {
        self.limits.reset(&self.buckets).await
    }

    /// Changes the quota of one limit, by its name, for all nodes: see
    /// [`RedisTokenBucket::set_quota`](crate::RedisTokenBucket::set_quota).
    ///
    /// # Errors
    ///
    /// As there, and [`SetQuotaError::UnknownLimit`] if there is none of this name.
    pub async fn set_quota(&self, limit: &str, quota: Quota) -> Result<(), SetQuotaError> {
        let index = self.limits.index_of(Some(limit));
        let index = index.ok_or(SetQuotaError::UnknownLimit)?;
        let buckets = Some(&self.buckets);
        self.limits.set_quota(buckets, index, quota).await
    }

    /// Returns the outcomes of this node's calls.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}
