//! Where a limiter stands: what it allows, and how much of that is left.

use core::time::Duration;

/// What a limiter allows and has left at an instant, for those who have to be told: the header fields of a response, a dashboard.
///
/// Of a combination it is the limit that has least left. Others may have changed it by the time you look.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Limiter, ManualClock, Quota, TokenBucket};
///
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(20), ManualClock::new());
/// bucket.try_acquire(5)?;
/// let standing = bucket.snapshot_at(bucket.now());
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
    /// The most that one call can ever be admitted for.
    pub capacity: u64,
    /// How long it takes until all of it is there again after all was used: the length of a window.
    pub refill_time: Duration,
    /// How many permits could be had.
    pub available: u64,
    /// How long until there are more if nobody comes; `None` if all are there, or if that cannot be told.
    pub next_permit_in: Option<Duration>,
}

impl Snapshot {
    /// The one that has less left; if both have the same, the one that has more later.
    pub(crate) fn tighter(self, other: Self) -> Self {
        let order = |snapshot: &Self| (u64::MAX - snapshot.available, snapshot.next_permit_in);
        if order(&other) > order(&self) {
            other
        } else {
            self
        }
    }
}
