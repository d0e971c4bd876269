//! One window that nodes share.

use core::time::Duration;

use crate::acquire::Acquire;
use crate::admitted::Admitted;
use crate::error::{AcquireError, BuildError};
use crate::limits::{BucketSet, Limits};
use crate::options::LimiterOptions;
use crate::shared_limit::{Quotas, SharedLimit};
use crate::stats::LimitStats;
use crate::store::RedisStore;
use crate::wait_line::WaitLine;

/// At most `limit` admissions in *any* interval of the window's length, over all nodes that use its
/// name.
///
/// Stricter than a [`RedisTokenBucket`](crate::RedisTokenBucket), which may admit a burst and a
/// period's refill within one period, and than a fixed window by `INCR` and `EXPIRE`, which may
/// admit twice the limit around its edge. Use it where a provider or a contract counts that way, as
/// in "50 requests per minute".
///
/// Each call is one round trip, in which a script decides by the server's clock. As
/// [`SharedLimit::window`], a window is also one of several limits, or one for each key.
///
/// # Guarantees
///
/// * **Bound.** No interval of the window's length, wherever it starts on the server's clock, holds
///   more than `limit` admissions of all nodes, whatever calls are lost. A call whose reply was
///   lost may have been charged, and is never sent again.
/// * **No false refusal.** A refusal of `n` means that at least `limit − n + 1` permits were
///   admitted in the last window and slot. The slots are those of
///   [`tidegate::SlidingWindow`]: 64, or one per microsecond of a shorter window. So capacity
///   returns at most 1/64 of the window late.
/// * **Exact waits.** Without other callers, a call after `retry_after` succeeds and one a
///   microsecond earlier does not, apart from the time on the network.
/// * **Clock steps.** If the clock steps back, time stands still for the window from the start of
///   its current slot to the first call after the step, so never more is admitted. A step forward
///   lets permits age out.
/// * **A denial writes nothing**, and neither does a peek.
///
/// The bound does not cover what the server forgets: see [`LimiterOptions::start_empty`] and the
/// [deployment notes](crate#deployment).
///
/// # Cost
///
/// A call takes the server about as long as that of a bucket, up to twice as long if a slot has
/// ended since the last one, for any number of admissions. A key takes at most some 500 bytes, or
/// 900 if 64 does not divide the window's microseconds, and ends when the window is empty.
///
/// # Other limits under the same name
///
/// Nodes with another limit decide by theirs. If the window's length differs, what was admitted in
/// a slot counts as admitted at the end of that slot. So neither admits more than its own limit.
/// While nodes with both lengths call, capacity may return later by up to a slot of either, or
/// until the ends of their slots coincide.
///
/// # Cancel safety
///
/// A dropped call may or may not have been charged.
///
/// # Examples
///
/// ```no_run
/// use core::time::Duration;
/// use tidegate_redis::{RedisSlidingWindow, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let minute = Duration::from_secs(60);
/// let provider = RedisSlidingWindow::new(&store, "provider", 50, minute)?;
/// match provider.try_acquire(1).await {
///     Ok(admitted) => println!("{:?} left", admitted.available()),
///     Err(error) => println!("{error}: come back in {:?}", error.retry_after()),
/// }
/// provider.acquire(1).timeout(minute).await?; // waits
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisSlidingWindow {
    limits: Limits,
    buckets: BucketSet,
    limit: u64,
    window: Duration,
    wait_line: WaitLine,
}

impl RedisSlidingWindow {
    /// Returns the window of a name, with default options. Sends nothing.
    ///
    /// The server counts in microseconds, so the length is rounded up to these.
    ///
    /// # Errors
    ///
    /// [`BuildError::Window`] where [`tidegate::SlidingWindow::new`] fails, or if the limit is above
    /// 2⁴⁶.
    pub fn new(
        store: &RedisStore,
        name: &str,
        limit: u64,
        window: Duration,
    ) -> Result<Self, BuildError> {
        Self::with_options(store, name, limit, window, LimiterOptions::new())
    }

    /// Returns the window of a name. Sends nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        limit: u64,
        window: Duration,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        let shared = SharedLimit::window(limit, window);
        let (limits, buckets) = Limits::named(store, name, Quotas::from(shared), options)?;
        Ok(Self {
            limits,
            buckets,
            limit,
            window,
            wait_line: WaitLine::default(),
        })
    }

    pub(crate) const fn buckets(&self) -> &BucketSet {
        &self.buckets
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the most permits that any interval of the window's length admits.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the window's length.
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// Takes `n` permits if the window has them. With `n` = 0 it only reads the state.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if the window does not have them yet, or `n` is above the limit.
    /// [`AcquireError::Unavailable`] if the server does not answer and the
    /// [`FailurePolicy`](crate::FailurePolicy) is closed.
    pub async fn try_acquire(&self, n: u64) -> Result<Admitted, AcquireError> {
        self.limits.take(&self.buckets, &[n]).await
    }

    /// Waits until `n` permits can be taken, as
    /// [`RedisTokenBucket::acquire`](crate::RedisTokenBucket::acquire) does: the waiters of this
    /// node are served in the order of their arrival, and asked for together.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for denials that a wait resolves.
    ///
    /// # Cancel safety
    ///
    /// As that of a bucket.
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

    /// Returns how many permits the window has.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn available(&self) -> Result<u64, AcquireError> {
        let available = self.limits.available(&self.buckets).await?;
        Ok(available[0])
    }

    /// Charges `n` permits that were already used, even if the window does not have them. They
    /// count for a window, as if admitted now. At most 2⁴⁶ count at a time.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; the charge may have been made.
    pub async fn debit(&self, n: u64) -> Result<(), AcquireError> {
        self.limits.debit(&self.buckets, &[n]).await
    }

    /// Forgets all admissions.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`]; the admissions may have been forgotten.
    pub async fn reset(&self) -> Result<(), AcquireError> {
        self.limits.reset(&self.buckets).await
    }

    /// Returns the outcomes of this node's calls.
    pub fn stats(&self) -> LimitStats {
        self.limits.stats()
    }
}
