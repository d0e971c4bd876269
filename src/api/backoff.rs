//! Exponential backoff with full jitter, without counting.
//!
//! A caller who is refused again and again, and waits as long as it is told each time, waits about twice as long each time
//! when the ceiling of its wait is the time for which refusals have lasted. So all that is kept is when they began: a
//! streak's first refusal writes one word, the refusals after it only read, and an admission writes only if a streak ends.

use core::time::Duration;

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::{Timestamp, nanos};

use super::config::RateLimitConfig;

/// See the [module](self) documentation. All Relaxed: the word guards nothing, and a streak that is noticed late only makes a
/// hint shorter or longer, within its bounds.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Nanoseconds of the first refusal since an admission, plus 1; 0 if there was none.
    refusing_since: AtomicU64,
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

    /// How much longer than necessary a caller who is refused at `now` is told to wait.
    #[cold]
    pub(super) fn refused(&self, now: Timestamp) -> Duration {
        if self.base == 0 {
            return Duration::ZERO;
        }
        let now = now.as_nanos();
        let mut since = self.refusing_since.load(Relaxed);
        if since == 0 {
            let started = now.saturating_add(1);
            since = match self
                .refusing_since
                .compare_exchange(0, started, Relaxed, Relaxed)
            {
                Ok(_) => started,
                Err(earlier) => earlier,
            };
        }
        let lasted = now.saturating_add(1).saturating_sub(since);
        let ceiling = self.base.saturating_add(lasted).min(self.max);
        Duration::from_nanos(self.jitter(ceiling, now))
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

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    /// The largest and the smallest of many.
    fn range(backoff: &Backoff, start: u64) -> (Duration, Duration) {
        let waits = (0..1_000).map(|nano| backoff.refused(at(start) + Duration::from_nanos(nano)));
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
            now = now + backoff.refused(now);
            refusals += 1;
        }
        // A second each would be 600; a minute each, 10.
        assert!((10..60).contains(&refusals), "{refusals}");
    }

    #[test]
    fn a_seed_makes_it_repeatable_and_none_makes_it_zero() {
        let waits = |config: &RateLimitConfig| {
            let backoff = Backoff::new(config);
            [1, 2, 5, 9].map(|second| backoff.refused(at(second)))
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
