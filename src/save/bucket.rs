//! Save and restore of token buckets.

use super::bucket_level::BucketLevel;
use super::error::RestoreError;
use super::saved::{Elapsed, Savable, save_methods};
use crate::clock::Clock;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sharded::ShardedTokenBucket;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

impl<C: Clock> Savable for TokenBucket<C> {
    type State = BucketLevel;

    fn state_at(&self, now: Timestamp) -> BucketLevel {
        BucketLevel::new(self.level_at(now))
    }

    fn restored_at(
        self,
        state: &BucketLevel,
        Elapsed(elapsed): Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        self.restore_level_at(state.level()?, elapsed, now);
        Ok(self)
    }

    fn state_of_word(level: BucketLevel) -> Option<BucketLevel> {
        Some(level)
    }

    fn word_state(state: &BucketLevel) -> Option<BucketLevel> {
        Some(*state)
    }
}

save_methods! { TokenBucket, BucketLevel,
    /// ```
    /// use tidegate::{ManualClock, Quota, Timestamp, TokenBucket, UnixTime};
    ///
    /// let quota = Quota::per_second(1).burst(10);
    /// let bucket = TokenBucket::with_clock(quota, ManualClock::new());
    /// bucket.debit(14);
    /// let wall = UnixTime::from_nanos(1_700_000_000_000_000_000);
    /// let saved = bucket.save_at(Timestamp::ZERO, wall);
    /// assert_eq!((saved.state().available(), saved.state().debt()), (0, 4));
    ///
    /// // Three seconds later, in another process. `TokenBucket::restore` reads both clocks.
    /// let fresh = TokenBucket::with_clock(quota, ManualClock::new());
    /// let wall = UnixTime::from_nanos(1_700_000_003_000_000_000);
    /// let bucket = TokenBucket::restore_at(&saved, fresh, Timestamp::ZERO, wall)?;
    /// assert_eq!((bucket.available(), bucket.debt()), (0, 1));
    /// # Ok::<(), tidegate::RestoreError>(())
    /// ```
}

#[cfg(any(feature = "std", tidegate_loom))]
impl<C: Clock> Savable for ShardedTokenBucket<C> {
    type State = BucketLevel;

    fn state_at(&self, now: Timestamp) -> BucketLevel {
        BucketLevel::new(self.level_at(now))
    }

    fn restored_at(
        self,
        state: &BucketLevel,
        Elapsed(elapsed): Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        self.restore_level_at(state.level()?, elapsed, now);
        Ok(self)
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
save_methods! { ShardedTokenBucket, BucketLevel,
    /// Collects the leases of all threads for a moment, in which other calls may be refused.
    /// Tokens that are left in leases count as available, as in `available`.
    ///
    /// ```
    /// use tidegate::{Quota, ShardedTokenBucket};
    ///
    /// let quota = Quota::per_hour(1).burst(1_000_000);
    /// let bucket = ShardedTokenBucket::new(quota);
    /// for _ in 0..1_000 {
    ///     bucket.try_acquire(1)?;
    /// }
    /// let saved = bucket.save();
    /// let bucket = ShardedTokenBucket::restore(&saved, ShardedTokenBucket::new(quota))?;
    /// assert_eq!(bucket.available(), 999_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
}
