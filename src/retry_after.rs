//! The wait of a refusal.

use core::cmp::Ordering;
use core::fmt;
use core::ops::Add;
use core::time::Duration;

use crate::time::{Timestamp, nanos};

/// How long to wait before a retry: a [`Duration`] in whole nanoseconds, at most 584 years.
///
/// A refusal holds one number instead of a `Duration`, so that every decision is returned in two
/// registers, and seconds are computed only where the wait is read.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(2), clock.clone());
/// bucket.try_acquire(2)?;
/// if let Err(Denied::NotYet { retry_after }) = bucket.try_acquire(1) {
///     assert_eq!(retry_after, Duration::from_millis(500));
///     clock.advance(retry_after); // or `thread::sleep(retry_after.into())`
/// }
/// bucket.try_acquire(1)?;
/// # Ok::<(), Denied>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryAfter(u64);

impl RetryAfter {
    /// Creates a wait of nanoseconds.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the wait in nanoseconds.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the wait.
    #[inline]
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl From<RetryAfter> for Duration {
    #[inline]
    fn from(wait: RetryAfter) -> Self {
        wait.as_duration()
    }
}

/// A duration of more than 584 years becomes 584 years.
impl From<Duration> for RetryAfter {
    #[inline]
    fn from(wait: Duration) -> Self {
        Self(nanos(wait))
    }
}

impl PartialEq<Duration> for RetryAfter {
    fn eq(&self, other: &Duration) -> bool {
        self.as_duration() == *other
    }
}

impl PartialOrd<Duration> for RetryAfter {
    fn partial_cmp(&self, other: &Duration) -> Option<Ordering> {
        self.as_duration().partial_cmp(other)
    }
}

/// Saturates: see [`Timestamp::saturating_add`].
impl Add<RetryAfter> for Timestamp {
    type Output = Self;

    #[inline]
    fn add(self, wait: RetryAfter) -> Self {
        Self::from_nanos(self.as_nanos().saturating_add(wait.as_nanos()))
    }
}

/// As a [`Duration`]: `1.5s`.
impl fmt::Debug for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_duration(), f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use core::cmp::Ordering;
    use core::time::Duration;

    use super::RetryAfter;
    use crate::time::Timestamp;

    #[test]
    fn is_a_duration_to_the_nanosecond() {
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 1_500_000_001, u64::MAX] {
            let (wait, duration) = (RetryAfter::from_nanos(nanos), Duration::from_nanos(nanos));
            assert_eq!(wait, duration);
            assert_eq!(wait.as_duration(), duration);
            assert_eq!(Duration::from(wait), duration);
            assert_eq!(RetryAfter::from(duration), wait);
            assert_eq!(format!("{wait:?}"), format!("{duration:?}"));
            assert_eq!(wait.partial_cmp(&duration), Some(Ordering::Equal));
            assert_eq!(
                Timestamp::from_nanos(5) + wait,
                Timestamp::from_nanos(5) + duration
            );
        }
    }

    #[test]
    fn ends_with_the_range_of_clocks() {
        let longest = RetryAfter::from_nanos(u64::MAX);
        assert_eq!(RetryAfter::from(Duration::MAX), longest);
        let longer = Duration::from_nanos(u64::MAX) + Duration::from_nanos(1);
        assert_eq!(RetryAfter::from(longer), longest);
        assert!(longest < longer);
    }
}
