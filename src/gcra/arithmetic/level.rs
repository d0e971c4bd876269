//! The level of a bucket without its clock: what a save keeps, and the TAT that restores it.
//!
//! A level is a fraction of integers, so it is exact whatever the grain. It is rounded only where
//! it moves to a bucket with other grains, and then down.

use super::{Gcra, MAX_LEVEL, Now};

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Grains below full. More than the capacity's grains are a debt.
    pub(crate) spent: u64,
    /// Grains per token, at least 1.
    pub(crate) token: u64,
    /// The capacity in tokens, at least 1.
    pub(crate) capacity: u64,
}

impl Level {
    /// Whether a bucket may have this level.
    pub(crate) const fn is_valid(self) -> bool {
        self.token > 0
            && self.capacity > 0
            && (self.token as u128).saturating_mul(self.capacity as u128) <= MAX_LEVEL as u128
            && self.spent <= 2 * MAX_LEVEL
    }
}

impl Gcra {
    /// The level at `now`.
    pub(crate) const fn level(&self, tat: u64, now: Now) -> Level {
        Level {
            spent: Self::ahead(tat, now),
            token: self.emission_interval,
            capacity: self.capacity,
        }
    }

    /// The level at `now` while `held` grains are charged but not yet used, of which `left` tokens
    /// will not be used.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn level_with_held(&self, tat: u64, now: Now, held: u64, left: u64) -> Level {
        let ahead = Self::ahead(tat, now);
        let charged = if ahead > held { ahead } else { held };
        Level {
            spent: charged.saturating_sub(self.cost_clamped(left)),
            token: self.emission_interval,
            capacity: self.capacity,
        }
    }

    /// The TAT of a bucket that had `tat`, and that also spent what was missing from `level`
    /// `elapsed` nanoseconds ago. The debt ends at `MAX_LEVEL`.
    pub(crate) const fn restored(&self, tat: u64, now: Now, level: Level, elapsed: u64) -> u64 {
        let refilled = self.gained_in(elapsed);
        let spent = self.spent_of(level);
        let Some(spent) = spent.checked_sub(refilled) else {
            return tat;
        };
        if spent == 0 {
            return tat;
        }
        // Both are below 2^128: a refill of 2^64 ns has less than 2^82 grains.
        let spent = spent.saturating_add(Self::ahead(tat, now) as u128);
        let most = self.limit.saturating_add(MAX_LEVEL) as u128;
        // `most` is at most 2^61.
        #[expect(clippy::cast_possible_truncation, reason = "at most `most`")]
        let spent = if spent < most { spent } else { most } as u64;
        Self::rounded_up(now).wrapping_add(spent)
    }

    /// Grains that flow in during `nanos`, rounded down.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "two products of 64-bit numbers, of which one is shifted down"
    )]
    const fn gained_in(&self, nanos: u64) -> u128 {
        let carried = (nanos as u128 * self.fraction as u128) >> 64;
        // `whole` is at most 2^17.
        nanos as u128 * self.whole as u128 + carried
    }

    /// Grains below full of a bucket of this quota that holds the tokens of `level`, at most all.
    /// Rounded up.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "by the bounds of `Level`; each line says why it fits"
    )]
    const fn spent_of(&self, level: Level) -> u128 {
        if level.token == self.emission_interval && level.capacity == self.capacity {
            return level.spent as u128;
        }
        let token = level.token as u128;
        // At most 2^60 times 2^60, and 2^61 more.
        let full = self.capacity as u128 * token + level.spent as u128;
        let Some(missing) = full.checked_sub(level.capacity as u128 * token) else {
            return 0;
        };
        let (tokens, part) = (missing / token, missing % token);
        // At most 2^62 tokens of 2^60 grains, and a part of one token.
        let interval = self.emission_interval as u128;
        tokens * interval + (part * interval).div_ceil(token)
    }
}
