//! Several limits, charged all or none.

use crate::error::{AcquireError, BuildError};
use crate::limits::{Admitted, BucketSet, Limits};
use crate::options::{LimiterOptions, Quotas};
use crate::stats::LimitStats;
use crate::store::RedisStore;

/// Several buckets on a server behind one call, in one round trip: requests and tokens per minute, a burst and a day.
///
/// All are charged or none. Otherwise as a [`RedisTokenBucket`](crate::RedisTokenBucket).
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
///     println!("{:?} refuses: {error}", error.limit());
/// }
/// model.debit_each(&[0, 300]).await?; // the answer was longer than expected
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCombined {
    limits: Limits,
    target: BucketSet,
}

impl RedisCombined {
    /// Limits of one name, each with a name of its own.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is none, if two have one name, or if a quota cannot be counted in the server's numbers.
    pub fn new(
        store: &RedisStore,
        name: &str,
        quotas: impl Into<Quotas>,
    ) -> Result<Self, BuildError> {
        Self::with_options(store, name, quotas, LimiterOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`BuildError::TooManyNodes`] if a node's share is less than a quota can say.
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        quotas: impl Into<Quotas>,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        let limits = Limits::new(store.clone(), quotas.into(), options.of_one_key())?;
        Ok(Self {
            target: limits.target(name, None),
            limits,
        })
    }

    /// Admits `n` if all limits have them.
    ///
    /// # Errors
    ///
    /// As [`RedisTokenBucket::try_acquire`](crate::RedisTokenBucket::try_acquire), with the limit that refuses the longest.
    pub async fn try_acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.try_acquire_each(&vec![n; self.limits.len()]).await
    }

    /// Admits a call that costs each limit something else, in the order in which they were named.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`AcquireError::CostCount`].
    pub async fn try_acquire_each(&self, costs: &[u64]) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.target, costs).await
    }

    /// Whether a call would be admitted. Charges nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each); without the server always [`AcquireError::Unavailable`].
    pub async fn peek_each(&self, costs: &[u64]) -> Result<Admitted, AcquireError> {
        self.limits.peek(&self.target, costs).await
    }

    /// How much each limit has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self) -> Result<Vec<u64>, AcquireError> {
        self.limits.available(&self.target).await
    }

    /// Charges what was spent already, whether it is there or not.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`], [`AcquireError::CostCount`].
    pub async fn debit_each(&self, costs: &[u64]) -> Result<(), AcquireError> {
        self.limits.debit(&self.target, costs).await
    }

    /// Fills all of them up.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn reset(&self) -> Result<(), AcquireError> {
        self.limits.reset(&self.target).await
    }

    /// What became of the calls on this node.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}
