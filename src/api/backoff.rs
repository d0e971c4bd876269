//! Exponential backoff with full jitter, without counting.
//!
//! A caller who is refused again and again, and waits as long as it is told each time, waits about twice as long each time
//! when the ceiling of its wait is the time for which refusals have lasted. So all that is kept is when they began: a
//! streak's first refusal writes one word, of the refusals after it few do, and an admission writes only if a streak ends. A
//! streak ends as well when nobody has come for longer than anybody was told to wait.

use core::time::Duration;

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::{Timestamp, nanos};

use super::config::RateLimitConfig;

/// See the [module](self) documentation. All Relaxed: the words guard nothing, and a streak that is noticed late only makes a
/// hint shorter or longer, within its bounds.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Nanoseconds of the first refusal since an admission, plus 1; 0 if there was none.
    refusing_since: AtomicU64,
    /// Nanoseconds, within `base`: by then everybody who was refused had been told to come back. Only ever raised.
    expected_by: AtomicU64,
    /// Nanoseconds; 0 for no backoff.
    base: u64,
    max: u64,
    seed: Option<u64>,
}

impl Backoff {
    const_fn! {
        pub(super) const fn new(config: &RateLimitConfig) -> Self {
            let (base, max) = if config.enable_backoff {
                (nanos(config.backoff_base), nanos(config.backoff_max))
            } else {
                (0, 0)
            };
            Self {
                refusing_since: AtomicU64::new(0),
                expected_by: AtomicU64::new(0),
                base,
                max,
                seed: config.backoff_seed,
            }
        }
    }

    /// Ends a streak of refusals.
    #[inline]
    pub(super) fn admitted(&self) {
        // Looked at first, so that admissions in a row write nothing.
        if self.refusing_since.load(Relaxed) != 0 {
            self.refusing_since.store(0, Relaxed);
        }
    }

    /// How much longer than `retry_after` a caller who is refused at `now` is told to wait.
    #[cold]
    pub(super) fn refused(&self, now: Timestamp, retry_after: Duration) -> Duration {
        if self.base == 0 {
            return Duration::ZERO;
        }
        let now = now.as_nanos();
        let lasted = now.saturating_add(1).saturating_sub(self.started(now));
        let ceiling = self.base.saturating_add(lasted).min(self.max);
        let longer = self.jitter(ceiling, now);
        let until = now
            .saturating_add(nanos(retry_after))
            .saturating_add(longer);
        // Not for every nanosecond more, so that most refusals write nothing.
        if until > self.expected_by.load(Relaxed).saturating_add(self.base) {
            self.expected_by.fetch_max(until, Relaxed);
        }
        Duration::from_nanos(longer)
    }

    /// When the streak of refusals began that one at `now` belongs to, plus 1.
    fn started(&self, now: u64) -> u64 {
        let since = self.refusing_since.load(Relaxed);
        // Nobody came back for so long that those who were told to wait must have given up.
        let is_over = now > self.expected_by.load(Relaxed).saturating_add(self.max);
        if since != 0 && !is_over {
            return since;
        }
        let started = now.saturating_add(1);
        // Relaxed: a number on its own.
        let first = self
            .refusing_since
            .compare_exchange(since, started, Relaxed, Relaxed);
        match first {
            Err(another) if another != 0 => another,
            // Should it have been an admission that was faster, this refusal is alone.
            _ => started,
        }
    }

    /// Something from 0 to `ceiling`.
    fn jitter(&self, ceiling: u64, now: u64) -> u64 {
        match self.seed {
            Some(seed) => fastrand::Rng::with_seed(seed ^ now).u64(0..=ceiling),
            #[cfg(feature = "std")]
            None => fastrand::u64(0..=ceiling),
            #[cfg(not(feature = "std"))]
            None => fastrand::Rng::with_seed(now).u64(0..=ceiling),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Backoff;
    use crate::api::RateLimitConfig;
    use crate::time::Timestamp;

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

    /// The largest and the smallest of many.
    fn range(backoff: &Backoff, start: u64) -> (Duration, Duration) {
        let waits =
            (0..1_000).map(|nano| backoff.refused(at(start) + Duration::from_nanos(nano), HOUR));
        (waits.clone().min().unwrap(), waits.max().unwrap())
    }

    #[test]
    fn the_ceiling_follows_the_streak_and_ends_with_it() {
        let backoff = Backoff::new(&CONFIG);
        for (lasted, ceiling) in [(0, 1), (3, 4), (29, 30), (59, 60), (1_000, 60)] {
            let (least, most) = range(&backoff, 100 + lasted);
            let ceiling = Duration::from_secs(ceiling);
            assert!(most <= ceiling + Duration::from_micros(1), "{most:?}");
            // Full jitter: from next to nothing to nearly all. Seeded, so this is not chance.
            assert!(
                least < ceiling / 50 && most > ceiling * 49 / 50,
                "{least:?} {most:?}"
            );
        }
        backoff.admitted();
        assert!(range(&backoff, 5_000).1 <= Duration::from_secs(1) + Duration::from_micros(1));
    }

    #[test]
    fn a_caller_who_waits_as_told_waits_longer_and_longer() {
        let backoff = Backoff::new(&CONFIG);
        let (mut now, mut refusals) = (at(0), 0);
        while now < at(600) {
            now = now + backoff.refused(now, Duration::ZERO);
            refusals += 1;
        }
        // A second each would be 600; a minute each, 10.
        assert!((10..60).contains(&refusals), "{refusals}");
    }

    #[test]
    fn a_streak_ends_when_nobody_comes_any_more() {
        let second = Duration::from_secs(1);
        let backoff = Backoff::new(&CONFIG);
        assert!(backoff.refused(at(10), second) <= second);
        // Told to come back by 12 s, and 60 s more are the longest stretch.
        assert!(range(&backoff, 71).1 > 50 * second);
        let backoff = Backoff::new(&CONFIG);
        assert!(backoff.refused(at(10), second) <= second);
        assert!(range(&backoff, 73).1 <= second + Duration::from_micros(1));
    }

    #[test]
    fn a_seed_makes_it_repeatable_and_none_makes_it_zero() {
        let waits = |config: &RateLimitConfig| {
            let backoff = Backoff::new(config);
            [1, 2, 5, 9].map(|second| backoff.refused(at(second), Duration::ZERO))
        };
        assert_eq!(waits(&CONFIG), waits(&CONFIG));
        let other = RateLimitConfig {
            backoff_seed: Some(8),
            ..CONFIG
        };
        assert_ne!(waits(&CONFIG), waits(&other));
        let off = RateLimitConfig {
            enable_backoff: false,
            ..CONFIG
        };
        assert_eq!(waits(&off), [Duration::ZERO; 4]);
    }
}
