//! What a limiter allows and has left at an instant.

use core::time::Duration;

/// What a limiter allows and has left at an instant, for header fields and dashboards.
///
/// A combination reports the limit that has the least left. A concurrent call may change the
/// limiter before the snapshot is used.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Limiter, ManualClock, Quota, TokenBucket};
///
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(20), ManualClock::new());
/// bucket.try_acquire(5)?;
/// let snapshot = bucket.snapshot_at(bucket.now());
/// assert_eq!((snapshot.capacity, snapshot.available), (20, 15));
/// assert_eq!(snapshot.refill_time, Duration::from_secs(2));
/// assert_eq!(snapshot.next_permit_in, Some(Duration::from_millis(100)));
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the limit in a combination; `None` where there is only one.
    pub limit: Option<&'static str>,
    /// The most permits that one call can ever be admitted for.
    pub capacity: u64,
    /// The time after which the whole capacity is available again once all of it was used. For a
    /// window that is its length.
    pub refill_time: Duration,
    /// Permits available at that instant.
    pub available: u64,
    /// Time until `available` next rises if no call is made; `None` if full or unknown.
    pub next_permit_in: Option<Duration>,
    /// What the permits stand for.
    pub unit: QuotaUnit,
}

/// What the permits of a limit stand for: the quota units of the IETF draft for `RateLimit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaUnit {
    /// Requests, or whatever the calls are.
    #[default]
    Requests,
    /// Bytes of responses' content.
    ContentBytes,
    /// Requests at the same time. Their permits come back when the requests end, and not with time,
    /// so the `refill_time` is zero.
    ConcurrentRequests,
}

impl Snapshot {
    /// Describes a limit that is full, for limits that are decided elsewhere. Change the fields to
    /// what is left.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::Snapshot;
    ///
    /// let mut snapshot = Snapshot::new(100, Duration::from_secs(60));
    /// assert_eq!((snapshot.available, snapshot.next_permit_in), (100, None));
    /// snapshot.available = 99;
    /// snapshot.next_permit_in = Some(Duration::from_millis(600));
    /// ```
    pub const fn new(capacity: u64, refill_time: Duration) -> Self {
        Self {
            limit: None,
            capacity,
            refill_time,
            available: capacity,
            next_permit_in: None,
            unit: QuotaUnit::Requests,
        }
    }

    /// With this many permits left, and the wait for one more. `wait` is that for a number.
    pub(crate) fn with_available(
        self,
        available: u64,
        wait: impl FnOnce(u64) -> Option<Duration>,
    ) -> Self {
        let more = available.checked_add(1).filter(|n| *n <= self.capacity);
        Self {
            available,
            next_permit_in: more.and_then(wait),
            ..self
        }
    }

    /// Whether both are of a limit with this name and these numbers.
    #[cfg(feature = "tower")]
    pub(crate) fn is_of_same_limit(&self, other: &Self) -> bool {
        let limit = |snapshot: &Self| {
            (
                snapshot.limit,
                snapshot.capacity,
                snapshot.refill_time,
                snapshot.unit,
            )
        };
        limit(self) == limit(other)
    }

    /// The snapshot with less left. If both have the same, the one whose next permit is later.
    pub(crate) fn tighter(self, other: Self) -> Self {
        let order = |snapshot: &Self| (u64::MAX - snapshot.available, snapshot.next_permit_in);
        if order(&other) > order(&self) {
            other
        } else {
            self
        }
    }
}
