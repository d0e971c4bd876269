//! One bucket that nodes share.

use tidegate::{Denied, Quota};
use tokio::sync::Mutex;

use crate::error::{AcquireError, BuildError};
use crate::lease::lease_options::LeaseOptions;
use crate::lease::leased_token_bucket::LeasedTokenBucket;
use crate::limits::{Admitted, BucketSet, Limits};
use crate::options::{LimiterOptions, Quotas};
use crate::stats::LimitStats;
use crate::store::RedisStore;

/// A token bucket on a server, shared by all nodes that name it.
///
/// Each call is one round trip, in which a script decides on the server's clock; calls of one node share a connection and travel
/// together. For the hot path take a [lease](Self::lease). All nodes should name the same quota; while they do not, each judges by
/// its own. A bucket that is used up further than a lowered limit allows is in debt by the difference; [`reset`](Self::reset) forgives it.
///
/// # Guarantees
///
/// * **Bound.** At most capacity + rate · (b − a) is admitted in any interval `[a, b]` of the server's clock, by all nodes together, leases
///   included, whatever calls are lost on the way. A call whose answer was lost may have been charged, and is never sent again.
/// * **Exact rates.** All arithmetic is in fractions of the server's microseconds; nothing is early, and no rate drifts.
/// * **Honest hints.** Waiting `retry_after` succeeds if nobody else comes, a microsecond less does not, but for the way to the server.
///   (While other nodes hold leases it is when the first of these ends, at the latest.)
/// * **A clock that steps back** counts as standing still from the last charge to the first call after the step; one that steps forward
///   refills, as one that runs does, and ends leases that nodes still spend.
/// * **A refusal writes nothing**, neither does a look.
///
/// What the server forgets is out of the bound: see [`LimiterOptions::start_empty`], and the crate's part on deployment.
///
/// # Cancel safety
///
/// A call that is dropped may or may not have been charged.
///
/// ```no_run
/// use tidegate::Quota;
/// use tidegate_redis::{RedisStore, RedisTokenBucket};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let uploads = RedisTokenBucket::new(&store, "uploads", Quota::per_second(100).burst(20))?;
/// match uploads.try_acquire(1).await {
///     Ok(admitted) => println!("{:?} left", admitted.available()),
///     Err(error) => println!("{error}: come back in {:?}", error.retry_after()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisTokenBucket {
    limits: Limits,
    target: BucketSet,
    quota: Quota,
    line: Mutex<()>,
}

impl RedisTokenBucket {
    /// The bucket of that name. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError::ScaledQuota`] if the quota cannot be counted in the server's numbers.
    pub fn new(store: &RedisStore, name: &str, quota: Quota) -> Result<Self, BuildError> {
        Self::with_options(store, name, quota, LimiterOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`BuildError::TooManyNodes`] if a node's share is less than a quota can say.
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        quota: Quota,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        let limits = Limits::new(store.clone(), Quotas::from(quota), options.of_one_key())?;
        Ok(Self {
            target: limits.target(name, None),
            limits,
            quota,
            line: Mutex::new(()),
        })
    }

    pub(crate) const fn target(&self) -> &BucketSet {
        &self.target
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How much is allowed.
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Admits `n` if they are there. Of none it only says what is left.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if they are not there, or never can be; [`AcquireError::Unavailable`] if the server does not answer and
    /// the [`FailurePolicy`](crate::FailurePolicy) is closed.
    pub async fn try_acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.target, &[n]).await
    }

    /// Waits until `n` are admitted. Those who wait on this node are served in the order of their arrival, and only the first of them asks the
    /// server; over all nodes whoever asks first is first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), but for refusals that a wait helps against.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped gives its place up; what it was asking for at that moment may have been charged.
    pub async fn acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        let _first = self.line.lock().await;
        loop {
            match self.try_acquire(n).await {
                Err(AcquireError::Denied {
                    denied: Denied::NotYet { retry_after },
                    ..
                }) => tokio::time::sleep(retry_after).await,
                other => return other,
            }
        }
    }

    /// Whether `n` would be admitted. Charges nothing, and asks the server even if a refusal is denied_from_cache.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire); without the server always [`AcquireError::Unavailable`].
    pub async fn peek(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.limits.peek(&self.target, &[n]).await
    }

    /// How many are there.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self) -> Result<u64, AcquireError> {
        let available = self.limits.available(&self.target).await?;
        Ok(available[0])
    }

    /// Charges `n` that were spent already, whether they are there or not. Later calls wait until the debt is paid, which is 50 years
    /// of refill at the most.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; then it may have been charged or not.
    pub async fn debit(&self, n: u64) -> Result<(), AcquireError> {
        self.limits.debit(&self.target, &[n]).await
    }

    /// Fills the bucket up and forgives its debts. What nodes hold in leases they hold.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; then it may be full or not.
    pub async fn reset(&self) -> Result<(), AcquireError> {
        self.limits.reset(&self.target).await
    }

    /// What became of the calls on this node.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }

    /// A limiter that takes tokens from this bucket by the batch, and admits without a round trip.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    pub fn lease(self, options: LeaseOptions) -> LeasedTokenBucket {
        LeasedTokenBucket::new(self, options)
    }
}
