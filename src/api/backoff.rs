//! Exponential backoff with full jitter, without counters.
//!
//! The ceiling of an extra wait is the time for which refusals have lasted. So a caller that is
//! refused repeatedly, and waits as long as it is asked to, waits about twice as long each time.
//! The only state is the start of the streak of refusals, and the time by which callers should be
//! back. The first refusal of a streak writes, and few later ones do. An admission writes only if
//! it ends a streak. A streak also ends when no call comes for longer than any caller was asked to
//! wait.

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::{Timestamp, nanos};

use super::config::RateLimitConfig;

/// See the [module](self) documentation. Relaxed throughout: the words guard no memory. A streak
/// that is noticed late only makes a hint shorter or longer, within its bounds.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Nanoseconds of the first refusal since an admission, plus 1; 0 without a refusal.
    refusing_since: AtomicU64,
    /// Nanoseconds, exact to `base`: by then all refused callers should have returned. Monotone.
    expected_by: AtomicU64,
    /// Nanoseconds; 0 without backoff.
    base: AtomicU64,
    max: AtomicU64,
    seed: Option<u64>,
}

/// The base and the longest backoff in nanoseconds; 0 without backoff.
const fn bounds(config: &RateLimitConfig) -> (u64, u64) {
    if config.enable_backoff {
        (nanos(config.backoff_base), nanos(config.backoff_max))
    } else {
        (0, 0)
    }
}

impl Backoff {
    const_fn! {
        pub(super) const fn new(config: &RateLimitConfig) -> Self {
            let (base, max) = bounds(config);
            Self {
                refusing_since: AtomicU64::new(0),
                expected_by: AtomicU64::new(0),
                base: AtomicU64::new(base),
                max: AtomicU64::new(max),
                seed: config.backoff_seed,
            }
        }
    }

    /// For a save: for how long refusals have lasted, and how long until all refused callers
    /// should have returned.
    pub(super) fn streak_at(&self, now: Timestamp) -> (Option<u64>, u64) {
        let now = now.as_nanos();
        let since = self.refusing_since.load(Relaxed).checked_sub(1);
        let expected_by = self.expected_by.load(Relaxed);
        (
            since.map(|since| now.saturating_sub(since)),
            expected_by.saturating_sub(now),
        )
    }

    /// Goes on with a streak that was saved `elapsed` nanoseconds ago.
    pub(super) fn restore_streak_at(
        &self,
        lasted: Option<u64>,
        expected_in: u64,
        elapsed: u64,
        now: Timestamp,
    ) {
        let now = now.as_nanos();
        if let Some(lasted) = lasted {
            // A start before the clock's origin is rounded to it. It only shortens hints.
            let since = now.saturating_sub(lasted.saturating_add(elapsed));
            self.refusing_since.store(since.saturating_add(1), Relaxed);
        }
        let left = expected_in.saturating_sub(elapsed);
        // Relaxed, as all: see the type.
        self.expected_by
            .fetch_max(now.saturating_add(left), Relaxed);
    }

    /// Takes the bounds of another configuration. A refusal at that moment may take one of each.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn reconfigure(&self, config: &RateLimitConfig) {
        let (base, max) = bounds(config);
        // Relaxed, both: see the type.
        self.base.store(base, Relaxed);
        self.max.store(max, Relaxed);
    }

    /// Ends a streak of refusals.
    #[inline]
    pub(super) fn end_streak(&self) {
        // Loads first, so that admissions in a row write nothing.
        if self.refusing_since.load(Relaxed) != 0 {
            self.refusing_since.store(0, Relaxed);
        }
    }

    /// The time to add to `retry_after` for a caller that is refused at `now`, both in nanoseconds.
    #[inline]
    pub(super) fn extra_wait(&self, now: Timestamp, retry_after: u64) -> u64 {
        let (base, max) = self.bounds();
        if base == 0 {
            return 0;
        }
        let now = now.as_nanos();
        let lasted = now
            .saturating_add(1)
            .saturating_sub(self.streak_start(now, max));
        let ceiling = base.saturating_add(lasted).min(max);
        let extra = self.jitter(ceiling, now);
        let until = now.saturating_add(retry_after).saturating_add(extra);
        // Only for a difference of `base`, so that most refusals write nothing.
        if until > self.expected_by.load(Relaxed).saturating_add(base) {
            self.expected_by.fetch_max(until, Relaxed);
        }
        extra
    }

    /// The start of the streak of refusals at `now`, plus 1.
    #[inline]
    fn streak_start(&self, now: u64, max: u64) -> u64 {
        let since = self.refusing_since.load(Relaxed);
        // All callers that were asked to wait must have given up.
        let is_over = now > self.expected_by.load(Relaxed).saturating_add(max);
        if since != 0 && !is_over {
            return since;
        }
        let started = now.saturating_add(1);
        // Relaxed: one word decides which refusal begins the streak, and it guards no memory.
        let first = self
            .refusing_since
            .compare_exchange(since, started, Relaxed, Relaxed);
        match first {
            Err(another) if another != 0 => another,
            // If an admission was faster, this refusal starts a streak of its own.
            _ => started,
        }
    }

    /// The base and the longest backoff in nanoseconds; 0 without backoff.
    #[inline]
    pub(super) fn bounds(&self) -> (u64, u64) {
        // Relaxed, both: see the type.
        (self.base.load(Relaxed), self.max.load(Relaxed))
    }

    /// A random number from 0 to `ceiling`.
    #[inline]
    pub(super) fn jitter(&self, ceiling: u64, now: u64) -> u64 {
        let random = match self.seed {
            Some(seed) => fastrand::Rng::with_seed(seed ^ now).u64(..),
            #[cfg(feature = "std")]
            None => fastrand::u64(..),
            #[cfg(not(feature = "std"))]
            None => fastrand::Rng::with_seed(now).u64(..),
        };
        // Without a division. Some results are more likely than others by 1 in 2^64.
        let product = u128::from(random) * (u128::from(ceiling) + 1);
        (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Backoff;
    use crate::api::RateLimitConfig;
    use crate::time::{Timestamp, nanos};

    const CONFIG: RateLimitConfig = RateLimitConfig {
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60),
        backoff_seed: Some(7),
        ..RateLimitConfig::DEFAULT
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn extra(backoff: &Backoff, now: Timestamp, retry_after: Duration) -> Duration {
        Duration::from_nanos(backoff.extra_wait(now, nanos(retry_after)))
    }

    /// The smallest and the largest of a thousand extra waits.
    fn range(backoff: &Backoff, start: u64) -> (Duration, Duration) {
        let waits =
            (0..1_000).map(|nano| extra(backoff, at(start) + Duration::from_nanos(nano), HOUR));
        (waits.clone().min().unwrap(), waits.max().unwrap())
    }

    #[test]
    fn ceiling_follows_the_streak_and_ends_with_it() {
        let backoff = Backoff::new(&CONFIG);
        for (lasted, ceiling) in [(0, 1), (3, 4), (29, 30), (59, 60), (1_000, 60)] {
            let (least, most) = range(&backoff, 100 + lasted);
            let ceiling = Duration::from_secs(ceiling);
            assert!(most <= ceiling + Duration::from_micros(1), "{most:?}");
            // Full jitter: from almost nothing to almost the ceiling. Seeded, so not by chance.
            assert!(
                least < ceiling / 50 && most > ceiling * 49 / 50,
                "{least:?} {most:?}"
            );
        }
        backoff.end_streak();
        assert!(range(&backoff, 5_000).1 <= Duration::from_secs(1) + Duration::from_micros(1));
    }

    #[test]
    fn waits_grow_for_a_patient_caller() {
        let backoff = Backoff::new(&CONFIG);
        let (mut now, mut refusals) = (at(0), 0);
        while now < at(600) {
            now = now + extra(&backoff, now, Duration::ZERO);
            refusals += 1;
        }
        // Waits of a second would make 600 refusals; waits of a minute, 10.
        assert!((10..60).contains(&refusals), "{refusals}");
    }

    #[test]
    fn streak_ends_after_idle_period() {
        let second = Duration::from_secs(1);
        let backoff = Backoff::new(&CONFIG);
        assert!(extra(&backoff, at(10), second) <= second);
        // The caller should be back by 12 s, and the longest extra wait is 60 s.
        assert!(range(&backoff, 71).1 > 50 * second);
        let backoff = Backoff::new(&CONFIG);
        assert!(extra(&backoff, at(10), second) <= second);
        assert!(range(&backoff, 73).1 <= second + Duration::from_micros(1));
    }
}
