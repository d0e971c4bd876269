//! A bucket, or several, for every key.

use crate::error::{AcquireError, BuildError};
use crate::limits::{Admitted, Limits, Target};
use crate::options::{Options, Quotas};
use crate::stats::LimitStats;
use crate::store::RedisStore;

/// A token bucket on a server for every key: user, tenant, address. Or several for each, charged all or none.
///
/// Keys are bytes; there are as many as the server has memory for, about 100 bytes for each that is not full, and a bucket that is full is not
/// there. Otherwise as a [`RedisTokenBucket`](crate::RedisTokenBucket), whose guarantees hold for each key.
///
/// Keys are in the server as they are: what is long or secret is better digested before, as `tidegate::KeyDigester::with_secret` does, with one
/// secret for all nodes.
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
    /// A table of that name.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no quota, if two have one name, or if one cannot be counted in the server's numbers.
    pub fn new(
        store: &RedisStore,
        name: &str,
        quotas: impl Into<Quotas>,
    ) -> Result<Self, BuildError> {
        Self::with_options(store, name, quotas, Options::new())
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
        options: Options,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            limits: Limits::new(store.clone(), quotas.into(), options.settings())?,
            name: name.into(),
        })
    }

    fn at(&self, key: &[u8]) -> Target {
        self.limits.target(&self.name, Some(key))
    }

    /// Admits `n` for a key if all its limits have them.
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

    /// Admits a call that costs each limit something else, in the order in which they were named.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`AcquireError::CostCount`].
    pub async fn try_acquire_each(
        &self,
        key: impl AsRef<[u8]>,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.at(key.as_ref()), costs).await
    }

    /// Whether `n` would be admitted for a key. Charges nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire); without the server always [`AcquireError::Unavailable`].
    pub async fn peek(&self, key: impl AsRef<[u8]>, n: u64) -> Result<Admitted, AcquireError> {
        let costs = vec![n; self.limits.len()];
        self.limits.peek(&self.at(key.as_ref()), &costs).await
    }

    /// How much each limit of a key has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self, key: impl AsRef<[u8]>) -> Result<Vec<u64>, AcquireError> {
        self.limits.available(&self.at(key.as_ref())).await
    }

    /// Charges what was spent already, whether it is there or not, in the order of the limits.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`], [`AcquireError::CostCount`].
    pub async fn debit_each(
        &self,
        key: impl AsRef<[u8]>,
        costs: &[u64],
    ) -> Result<(), AcquireError> {
        self.limits.debit(&self.at(key.as_ref()), costs).await
    }

    /// Fills a key's buckets up.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn reset(&self, key: impl AsRef<[u8]>) -> Result<(), AcquireError> {
        self.limits.reset(&self.at(key.as_ref())).await
    }

    /// What became of the calls on this node.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}
