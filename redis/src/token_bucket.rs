//! One bucket that nodes share.

use std::sync::Arc;

use tidegate::Quota;

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError, SetQuotaError};
use crate::limits::{BucketSet, Limits};
use crate::live_quota::LiveQuota;
use crate::options::LimiterOptions;
use crate::shared_limit::Quotas;
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::unreported::UnreportedCharges;
use crate::wait_line::WaitLine;

/// A token bucket on a server, shared by all nodes that use its name.
///
/// Each call is one round trip, in which a script decides by the server's clock. The calls of one
/// node share a pipelined connection. For the hot path take a [lease](Self::lease).
///
/// All nodes should be built with the same quota; while they differ, each decides by its own. After
/// the limit is lowered in this way, a bucket may be in debt by the difference.
/// [`reset`](Self::reset) forgives it. [`set_quota`](Self::set_quota) changes the quota of all nodes
/// at once.
///
/// # Guarantees
///
/// * **Bound.** All nodes together, leases included, admit at most capacity + rate · (b − a) in any
///   interval `[a, b]` of the server's clock, whatever calls are lost. A call whose reply was lost
///   may have been charged, and is never sent again.
/// * **Exact rates.** All arithmetic uses exact fractions of the server's microseconds. No
///   admission is early, and no rate drifts.
/// * **Exact waits.** Without other callers, a call after `retry_after` succeeds and one a
///   microsecond earlier does not, apart from the time on the network. While other nodes hold
///   leases, `retry_after` ends with the first of these at the latest.
/// * **Clock steps.** If the clock steps back, nothing refills between the last charge and the
///   first call after the step. A step forward refills the bucket, and ends leases that nodes still
///   spend.
/// * **A denial writes nothing**, and neither does a peek.
///
/// The bound does not cover what the server forgets: see [`LimiterOptions::start_empty`] and the
/// [deployment notes](crate#deployment).
///
/// # Cancel safety
///
/// A dropped call may or may not have been charged.
///
/// # Examples
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
    /// Shared with API limiters that charge this bucket.
    limits: Arc<Limits>,
    buckets: BucketSet,
    live_quota: Arc<LiveQuota>,
    wait_line: WaitLine,
}

impl RedisTokenBucket {
    /// Returns the bucket of a name, with default options. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError::Scale`] if the scripts cannot represent the quota.
    pub fn new(store: &RedisStore, name: &str, quota: Quota) -> Result<Self, BuildError> {
        Self::with_options(store, name, quota, LimiterOptions::new())
    }

    /// Returns the bucket of a name. Sends nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`BuildError::TooManyNodes`] if a node's share is too small.
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        quota: Quota,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        let (limits, buckets) = Limits::named(store, name, Quotas::from(quota), options)?;
        let live_quota = limits.quota(0).cloned().ok_or(BuildError::NoLimits)?;
        Ok(Self {
            limits: Arc::new(limits),
            buckets,
            live_quota,
            wait_line: WaitLine::default(),
        })
    }

    /// Returns the bucket of a key in a table of one limit.
    pub(crate) fn of_key(
        table: &Limits,
        quotas: &Quotas,
        name: &str,
        key: &[u8],
    ) -> Result<Self, BuildError> {
        if table.len() > 1 {
            return Err(BuildError::SeveralLimits);
        }
        let options = table.options().cached_keys(1);
        let limits = Limits::table(table.store(), name, quotas.clone(), options)?;
        let live_quota = limits.quota(0).cloned();
        let live_quota = live_quota.ok_or(BuildError::Unsupported("the bucket of a window"))?;
        let mut buckets = limits.buckets(name, Some(key));
        buckets.unreported = Some(UnreportedCharges::new(1));
        Ok(Self {
            limits: Arc::new(limits),
            buckets,
            live_quota,
            wait_line: WaitLine::default(),
        })
    }

    pub(crate) const fn live_quota(&self) -> &Arc<LiveQuota> {
        &self.live_quota
    }

    pub(crate) const fn buckets(&self) -> &BucketSet {
        &self.buckets
    }

    pub(crate) fn store(&self) -> &RedisStore {
        self.limits.store()
    }

    pub(crate) const fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Returns the quota: the one that this node was built with, or the one of the newest
    /// [change](Self::set_quota) that it knows.
    pub fn quota(&self) -> Quota {
        self.live_quota.get().quota
    }

    /// Changes the quota for all nodes while they use the bucket.
    ///
    /// The server converts the bucket at one instant. The level stays in tokens: at most the new
    /// capacity, and a debt stays a debt. So a larger capacity is not a free burst. It fills at the
    /// new rate. What other nodes hold in leases stays with them, in tokens.
    ///
    /// From then on the server's quota counts, whatever the nodes are built with. A node that was
    /// built with another quota learns of it by its first call, which is then sent once more. So a
    /// node with an old configuration does not undo the change. Another change replaces it. To go
    /// back, set the quota of the configuration.
    ///
    /// # Bound
    ///
    /// Over an interval from `a` to `b` with changes in it, all nodes together admit at most the
    /// capacity before the first change, and what flows in at the rate of each part of the
    /// interval. In numbers for one change at `s`, from rate r to rate r': capacity + r · (s − a) +
    /// r' · (b − s).
    ///
    /// # What else to know
    ///
    /// * The key of a changed bucket stays on the server, also when the bucket is full. If it is
    ///   lost, the next call of a node that knows the change stores it again.
    /// * A level is kept to a part of a microsecond of refill, rounded down, and exactly if the
    ///   numbers are not too long for the scripts: below 2⁵³ in common units.
    /// * A node refuses calls above the capacity that it knows without asking the server. It learns
    ///   of a larger one by any other call, [`available`](Self::available) too.
    /// * Calls that wait on a node are decided by the new quota as soon as the node learns of it.
    /// * API limiters that [share](crate::RedisApiRateLimiterBuilder::shared) the bucket follow, too.
    /// * A denial that a node has cached lasts for up to
    ///   [`cache_denials`](LimiterOptions::cache_denials) longer.
    /// * A limit that was never changed costs nothing more. A decision of a changed one takes the
    ///   server about 2.6 times as long, 15 µs instead of 5.7.
    ///
    /// # Errors
    ///
    /// [`SetQuotaError::Scale`] if the scripts cannot represent the quota, and
    /// [`SetQuotaError::KeyOfTable`] for the [bucket of a key](crate::RedisKeyed::bucket). Nothing
    /// was sent then. [`SetQuotaError::Unavailable`] if the server does not answer; the change may
    /// have been made.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the change may have been made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use tidegate::Quota;
    /// # use tidegate_redis::RedisTokenBucket;
    /// # async fn example(uploads: RedisTokenBucket) -> Result<(), Box<dyn std::error::Error>> {
    /// uploads.set_quota(Quota::per_second(200).burst(40)).await?;
    /// assert_eq!(uploads.quota().capacity(), 40);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_quota(&self, quota: Quota) -> Result<(), SetQuotaError> {
        let buckets = Some(&self.buckets);
        self.limits.set_quota(buckets, 0, quota).await
    }

    /// Takes `n` tokens if the bucket has them. With `n` = 0 it only reads the state.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if the bucket does not have them yet, or `n` is above the capacity.
    /// [`AcquireError::Unavailable`] if the server does not answer and the
    /// [`FailurePolicy`](crate::FailurePolicy) is closed.
    pub async fn try_acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.buckets, &[n]).await
    }

    /// Waits until `n` tokens can be taken. The waiters of this bucket on this node are served in
    /// the order of their arrival, and asked for together: one round trip serves as many as the
    /// server has tokens for. Between nodes there is no order. See [`Acquire::timeout`].
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for denials that a wait resolves.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the line. If the server was being asked, the call may have been
    /// charged, and so may those that were asked for with it, which are then asked for again.
    pub fn acquire(&self, n: u64) -> Acquire<'_> {
        Acquire::new(async move |deadline| {
            let line = &self.wait_line;
            line.acquire(&self.limits, &self.buckets, &[n], deadline)
                .await
        })
    }

    /// Returns what [`try_acquire`](Self::try_acquire) would, without a charge. Always asks the
    /// server, also while a denial is cached.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire); without the server always
    /// [`AcquireError::Unavailable`].
    pub async fn peek(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.limits.peek(&self.buckets, &[n]).await
    }

    /// Returns how many tokens the bucket has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self) -> Result<u64, AcquireError> {
        let available = self.limits.available(&self.buckets).await?;
        Ok(available[0])
    }

    /// Charges `n` tokens that were already used, even if the bucket does not have them. Later
    /// calls wait until the debt is refilled. The debt is at most 50 years of refill.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; the charge may have been made.
    pub async fn debit(&self, n: u64) -> Result<(), AcquireError> {
        self.limits.debit(&self.buckets, &[n]).await
    }

    /// Fills the bucket up and forgives its debt. Tokens that nodes hold in leases stay with them.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; the bucket may have been filled up.
    pub async fn reset(&self) -> Result<(), AcquireError> {
        self.limits.reset(&self.buckets).await
    }

    /// Returns the outcomes of this node's calls.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}
