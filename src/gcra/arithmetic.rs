//! The generic cell rate algorithm (GCRA) as pure arithmetic: no atomics, no clock.
//!
//! A bucket is one number, the *theoretical arrival time* (TAT): the instant at which the bucket
//! is full again. It is counted in *grains*. A token is a whole number of grains, the *emission
//! interval*, so charging is exact. A nanosecond is `whole + fraction / 2^64` grains, so
//! converting a clock reading takes two multiplications.
//!
//! # Accuracy
//!
//! Let a token last `p/n` nanoseconds in lowest terms.
//!
//! * **Exact.** If `n` is at most 2^17, a token is `p` grains and a nanosecond is `n` grains,
//!   provided that the capacity is then at most 2^60 grains. Nothing is rounded, and the bucket
//!   equals one of exact rationals. This covers every rate whose interval is a whole number of
//!   nanoseconds, every number per second up to 131 072, and rates such as 600 million or 10^12
//!   per second.
//! * **Rounded.** Otherwise a nanosecond is up to 32 grains, or as many as the tokens that flow in
//!   during it if those are more. Grains are made coarser until the capacity is at most 2^60
//!   grains. `fraction` is rounded **down**, so the bucket's clock is never fast. It is slow by
//!   less than 2^-64 grains per nanosecond: less than a grain in 584 years. An instant is rounded
//!   down when a call is judged, and up when an idle bucket is rebased on it. So a token is never
//!   early, and it is late by less than three grains: one for each of these roundings. Errors do
//!   not add up while a bucket is in use, because only a rebase rounds, and a rebase forgets the
//!   past. A bucket that runs full again and again may lose a grain each time, as it loses
//!   everything else that flows in while it is full.
//!
//! With a capacity of up to 9 years of refill, a grain is at most half a nanosecond. A token is
//! then at most 2 ns late on a clock of whole nanoseconds. With the limit of 1 000 years of
//! refill, a grain is at most 56 ns.
//!
//! # Range
//!
//! Grains are counted modulo 2^64 and compared by their signed distance. The distance is
//! unambiguous while a TAT lies within 2^63 grains of the clock.
//! [`AtomicTat`](crate::gcra::AtomicTat) keeps it there.

#![deny(clippy::arithmetic_side_effects)]

mod level;

pub(crate) use level::Level;

use core::time::Duration;

use crate::quota::Quota;

/// Up to this many grains per nanosecond, a rate is represented without rounding. At this rate
/// 2^60 grains, and so the longest debt, last 2.4 hours.
const EXACT_GRAINS_PER_NANO: u64 = 1 << 17;

/// Grains per nanosecond where rounding is needed: fine enough that a grain is negligible beside
/// a nanosecond, coarse enough that 2^60 grains last for more than a year. Rates of more than 32
/// tokens per nanosecond need more.
const ROUNDED_GRAINS_PER_NANO: u128 = 32;

/// Grains per nanosecond where a TAT must not wrap. Three grains are then less than 2 ns, and 2^63
/// grains are 146 years.
const WORD_GRAINS_PER_NANO: u64 = 2;

/// Shortfalls below this many grains become a wait by one product, where a nanosecond has whole
/// grains. 2^46 grains last for 10 hours at 2 grains per nanosecond, and for half a second at the
/// most, 2^17.
const ONE_PRODUCT: u64 = 1 << 46;

/// The largest capacity, and the largest debt beyond it, in grains. Eight times this is half the
/// circle of 2^64 grains. A TAT and a clock reading must be less than that apart: see
/// [`AtomicTat`](super::AtomicTat).
pub(crate) const MAX_LEVEL: u64 = 1 << 60;

/// A quota, prepared so that a decision needs no division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gcra {
    /// Whole grains per nanosecond.
    whole: u64,
    /// The fraction of a grain that a nanosecond adds, in 2^-64 grains, rounded down.
    fraction: u64,
    /// Grains per token.
    emission_interval: u64,
    /// Tokens per grain, in 2^-64 tokens, rounded down. Less than 1.
    per_grain: u64,
    /// The capacity in grains.
    limit: u64,
    /// The capacity in tokens.
    capacity: u64,
    /// Nanoseconds per grain, in 2^-64 ns, rounded down. Turns grains into a wait. Not used below
    /// one grain per nanosecond.
    inverse: u64,
    /// Nanoseconds in at most `MAX_LEVEL` grains.
    epoch_length: u64,
}

/// A clock reading in grains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Rounded down, modulo 2^64.
    grains: u64,
    /// The part that was rounded off, in 2^-64 grains.
    remainder: u64,
    /// Nanoseconds by which the caller's own reading is earlier. Positive only if that reading was
    /// too old and was clamped. Hints count from the caller's reading.
    behind: u64,
}

impl Now {
    /// The reading in grains, rounded down.
    #[inline]
    pub(crate) const fn grains(self) -> u64 {
        self.grains
    }

    /// The same reading, for a caller whose own reading is `behind` nanoseconds earlier.
    pub(crate) const fn clamped_by(self, behind: u64) -> Self {
        Self { behind, ..self }
    }
}

/// The grains by which a charge exceeds what the bucket holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Shortfall(u64);

/// What leases hold of a bucket, in grains.
#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leased {
    /// What may have been used of them, or may still be. It does not flow back before.
    pub(crate) held: u64,
    /// What will never be used of them.
    pub(crate) unused: u64,
}

#[cfg(any(feature = "std", tidegate_loom))]
impl Leased {
    pub(crate) const NOTHING: Self = Self { held: 0, unused: 0 };
}

/// The effect of a reservation on a TAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct ReservedTat {
    /// The TAT that the charge leaves.
    pub(crate) next: u64,
    /// Grains by which the charge lies in the future.
    pub(crate) shortfall: Shortfall,
}

impl Shortfall {
    /// The charge fits now.
    pub(crate) const NONE: Self = Self(0);
}

/// The high and the low half of a product.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a 128-bit product"
)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a product of two 64-bit numbers fits 128 bits"
)]
const fn widening_mul(a: u64, b: u64) -> (u64, u64) {
    let product = a as u128 * b as u128;
    ((product >> 64) as u64, product as u64)
}

/// The distance from `earlier` to `later` on the circle of 2^64 grains; 0 if `later` is not later.
#[inline]
const fn distance(earlier: u64, later: u64) -> u64 {
    // Signed, so that one subtraction shows both whether it is later and by how much.
    #[expect(
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "half of the circle is later, half earlier"
    )]
    {
        let distance = later.wrapping_sub(earlier) as i64;
        if distance <= 0 { 0 } else { distance as u64 }
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        #[expect(clippy::arithmetic_side_effects, reason = "b is not zero")]
        let rest = a % b;
        (a, b) = (b, rest);
    }
    a
}

impl Gcra {
    pub(crate) const fn new(quota: Quota) -> Self {
        Self::with_grains(quota, EXACT_GRAINS_PER_NANO, ROUNDED_GRAINS_PER_NANO)
    }

    /// With grains so coarse that an absolute TAT stays below 2^63 until
    /// [`last_nanos`](Self::last_nanos).
    pub(crate) const fn for_word(quota: Quota) -> Self {
        Self::with_grains(quota, WORD_GRAINS_PER_NANO, WORD_GRAINS_PER_NANO as u128)
    }

    // Bounds of `Quota`: 1 <= rate <= 1000 * period, capacity <= 2^60, refill <= 1000 years.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "by the bounds of `Quota`; each line says why it fits"
    )]
    const fn with_grains(quota: Quota, exact_most: u64, rounded_to: u128) -> Self {
        let divisor = gcd(quota.rate(), quota.period_nanos());
        let tokens = quota.rate() / divisor;
        let nanos = quota.period_nanos() / divisor;
        let capacity = quota.capacity();

        // At most 2^60 times 2^64.
        let exact = tokens <= exact_most && capacity as u128 * nanos as u128 <= MAX_LEVEL as u128;
        let emission_interval = if exact {
            nanos
        } else {
            let finest = rounded_to * nanos as u128 / tokens as u128;
            // At least 1, as a capacity is at most 2^60.
            let roomiest = MAX_LEVEL / capacity;
            if finest >= roomiest as u128 {
                roomiest
            } else if finest == 0 {
                // More tokens flow in per nanosecond than it should have grains: a token is a
                // grain.
                1
            } else {
                finest as u64
            }
        };

        if exact {
            // At most 2^17 grains per nanosecond and no fraction, so no long division is needed.
            return Self {
                whole: tokens,
                fraction: 0,
                emission_interval,
                per_grain: u64::MAX / emission_interval,
                limit: emission_interval * capacity,
                capacity,
                inverse: u64::MAX / tokens,
                epoch_length: MAX_LEVEL / tokens,
            };
        }

        // At most 2^60 times 2^64.
        let scaled = emission_interval as u128 * tokens as u128;
        // At most 32 by the choice of `emission_interval`, or 1 000, the highest rate, where that
        // is 1 grain.
        let whole = (scaled / nanos as u128) as u64;
        // The remainder is below `nanos`, so the quotient is below 2^64.
        let fraction = (((scaled % nanos as u128) << 64) / nanos as u128) as u64;

        let grains_per_nano = ((whole as u128) << 64) | fraction as u128;
        // Exceeds 64 bits only below one grain per nanosecond, where it is not used.
        let inverse = u128::MAX / grains_per_nano;
        let inverse = if inverse > u64::MAX as u128 {
            u64::MAX
        } else {
            inverse as u64
        };
        // 2^60 << 64 fits 128 bits. Below one grain per nanosecond the quotient may exceed 64.
        let epoch_length = ((MAX_LEVEL as u128) << 64) / grains_per_nano;
        let epoch_length = if epoch_length > 1 << 62 {
            1 << 62
        } else {
            epoch_length as u64
        };

        Self {
            whole,
            fraction,
            emission_interval,
            per_grain: u64::MAX / emission_interval,
            limit: emission_interval * capacity,
            capacity,
            inverse,
            epoch_length,
        }
    }

    /// The capacity in tokens.
    #[inline]
    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The capacity in grains.
    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether a clock reading lies after the start of an epoch, and within the `MAX_LEVEL` grains
    /// that begin there. Then it may be compared with TATs that were loaded in this epoch.
    #[inline]
    pub(crate) const fn covers(&self, epoch: u64, nanos: u64) -> bool {
        // Two comparisons, not one that wraps: an epoch near the end of time must not reach around
        // to its beginning. The very start is left out, so that no reading is in an epoch that
        // starts at `u64::MAX`, which stands for a closed bucket.
        nanos > epoch && nanos.wrapping_sub(epoch) < self.epoch_length
    }

    /// The start of an epoch that contains a clock reading.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn epoch_at(&self, nanos: u64) -> u64 {
        let since = nanos.checked_rem(self.half_epoch()).unwrap_or(0);
        nanos.saturating_sub(since)
    }

    /// Half the length of an epoch in nanoseconds.
    pub(crate) const fn half_epoch(&self) -> u64 {
        self.epoch_length >> 1
    }

    /// The last clock reading for an absolute TAT: with the capacity on top, the TAT is still below
    /// 2^63 grains. With two grains per nanosecond that is after 109 years. With fewer grains it is
    /// later, with more it is earlier.
    pub(crate) const fn last_nanos(&self) -> u64 {
        // At most 6 * 2^60 grains and a capacity of 2^60.
        self.epoch_length.saturating_mul(6)
    }

    /// The cost of `n` tokens in grains. `n` must be at most the capacity.
    #[inline]
    pub(crate) const fn cost(&self, n: u64) -> u64 {
        n.wrapping_mul(self.emission_interval)
    }

    /// The cost of any number of tokens in grains, capped at the most that a TAT can ever move.
    pub(crate) const fn cost_clamped(&self, n: u64) -> u64 {
        const MOST: u64 = 2 * MAX_LEVEL;
        let cost = n.saturating_mul(self.emission_interval);
        if cost > MOST { MOST } else { cost }
    }

    /// Converts a clock reading to grains.
    #[inline]
    pub(crate) const fn now(&self, nanos: u64) -> Now {
        let (carried, remainder) = widening_mul(nanos, self.fraction);
        Now {
            grains: nanos.wrapping_mul(self.whole).wrapping_add(carried),
            remainder,
            behind: 0,
        }
    }

    /// The reading, rounded up.
    #[inline]
    const fn rounded_up(now: Now) -> u64 {
        now.grains.wrapping_add((now.remainder != 0) as u64)
    }

    /// The grains by which the TAT is ahead of the clock; 0 for an idle (full) bucket.
    #[inline]
    const fn ahead(tat: u64, now: Now) -> u64 {
        distance(now.grains, tat)
    }

    /// Whether the bucket is full.
    #[inline]
    pub(crate) const fn is_idle(tat: u64, now: Now) -> bool {
        Self::ahead(tat, now) == 0
    }

    /// The TAT after a charge that fits now.
    #[inline]
    pub(crate) const fn admit(&self, tat: u64, now: Now, cost: u64) -> Result<u64, Shortfall> {
        debug_assert!(cost <= self.limit, "the cost is above the capacity");
        let ahead = Self::ahead(tat, now);
        if ahead == 0 {
            // Judged without rounding up: an idle bucket holds its whole capacity, which covers
            // `cost`.
            return Ok(Self::rounded_up(now).wrapping_add(cost));
        }
        let level = ahead.wrapping_add(cost);
        if level <= self.limit {
            Ok(tat.wrapping_add(cost))
        } else {
            Err(Shortfall(level.wrapping_sub(self.limit)))
        }
    }

    /// The TAT after a charge that fits now, while `held` grains are charged but not yet used. Held
    /// grains do not flow back, so the TAT counts as at least `held` grains ahead of the clock.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    pub(crate) const fn admit_with_held(
        &self,
        tat: u64,
        now: Now,
        held: u64,
        cost: u64,
    ) -> Result<u64, Shortfall> {
        let ahead = Self::ahead(tat, now);
        let (base, level) = if ahead > held {
            (tat, ahead.wrapping_add(cost))
        } else {
            // Judged without rounding up, as in `admit`.
            (
                Self::rounded_up(now).wrapping_add(held),
                held.wrapping_add(cost),
            )
        };
        if level <= self.limit {
            Ok(base.wrapping_add(cost))
        } else {
            Err(Shortfall(level.wrapping_sub(self.limit)))
        }
    }

    /// Grains available now while `held` grains are charged but not yet used.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    pub(crate) const fn room_with_held(&self, tat: u64, now: Now, held: u64) -> u64 {
        let ahead = Self::ahead(tat, now);
        self.limit
            .saturating_sub(if ahead > held { ahead } else { held })
    }

    /// The TAT after a charge that may lie in the future.
    #[inline]
    pub(crate) const fn reserve(&self, tat: u64, now: Now, cost: u64) -> ReservedTat {
        match self.admit(tat, now, cost) {
            Ok(next) => ReservedTat {
                next,
                shortfall: Shortfall::NONE,
            },
            Err(shortfall) => ReservedTat {
                next: tat.wrapping_add(cost),
                shortfall,
            },
        }
    }

    /// Whether a reservation stays within the longest debt that the word can represent.
    pub(crate) const fn can_hold(shortfall: Shortfall) -> bool {
        shortfall.0 <= MAX_LEVEL
    }

    /// The TAT after a charge that is made whether or not it fits. The debt ends at `MAX_LEVEL`.
    pub(crate) const fn debit(&self, tat: u64, now: Now, cost: u64) -> u64 {
        let base = if Self::is_idle(tat, now) {
            Self::rounded_up(now)
        } else {
            tat
        };
        let next = base.wrapping_add(cost);
        let end = now.grains.wrapping_add(self.limit).wrapping_add(MAX_LEVEL);
        if distance(end, next) == 0 {
            next
        } else if distance(tat, end) > 0 {
            end
        } else {
            // A caller with an older clock must not lower what other calls have charged.
            tat
        }
    }

    /// The TAT after tokens were credited: never below that of an idle bucket.
    pub(crate) const fn credit(tat: u64, now: Now, cost: u64) -> u64 {
        let floor = Self::rounded_up(now);
        let room = distance(floor, tat);
        tat.wrapping_sub(if room < cost { room } else { cost })
    }

    /// Whole tokens available now.
    #[inline]
    pub(crate) const fn available(&self, tat: u64, now: Now) -> u64 {
        self.tokens_in(self.room(tat, now))
    }

    /// Whole tokens available now, and the time until there is one more; `None` if it is full.
    #[inline]
    pub(crate) const fn left(&self, tat: u64, now: Now) -> (u64, Option<Duration>) {
        let available = self.available(tat, now);
        if available >= self.capacity {
            return (available, None);
        }
        let next = match self.admit(tat, now, self.cost(available.wrapping_add(1))) {
            Ok(_) => Duration::ZERO,
            Err(shortfall) => self.wait(now, shortfall),
        };
        (available, Some(next))
    }

    /// Grains available now.
    #[inline]
    pub(crate) const fn room(&self, tat: u64, now: Now) -> u64 {
        self.limit.saturating_sub(Self::ahead(tat, now))
    }

    /// Whole tokens in `grains`.
    #[inline]
    pub(crate) const fn tokens_in(&self, grains: u64) -> u64 {
        // A product replaces a division. Rounding down twice makes it too small by at most 1.
        let (tokens, _) = widening_mul(grains, self.per_grain);
        let next = tokens.wrapping_add(1);
        // Cannot overflow: this is at most `grains` and one token more.
        if next.wrapping_mul(self.emission_interval) <= grains {
            next
        } else {
            tokens
        }
    }

    /// Tokens charged beyond the level, rounded up; 0 where the level is not negative.
    pub(crate) const fn debt(&self, tat: u64, now: Now) -> u64 {
        let debt = Self::ahead(tat, now).saturating_sub(self.limit);
        debt.div_ceil(self.emission_interval)
    }

    /// The TAT of a bucket that holds `tokens` now.
    pub(crate) const fn holding(&self, tokens: u64, now: Now) -> u64 {
        match self.capacity.checked_sub(tokens) {
            Some(missing) if missing > 0 => Self::rounded_up(now).wrapping_add(self.cost(missing)),
            _ => now.grains,
        }
    }

    /// The TAT of a bucket that holds at `now` as many tokens as another bucket, `old`, holds at
    /// `old_now`: at most the capacity. A debt stays a debt, up to the longest. Part of a grain is
    /// dropped. What is unused of the leases of `old` comes back, and the rest counts as used.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn taking_over(
        &self,
        now: Now,
        old: &Self,
        old_tat: u64,
        old_now: Now,
        leased: Leased,
    ) -> u64 {
        let used = Self::ahead(old_tat, old_now).max(leased.held);
        // At most 2^63 grains, times at most 2^60.
        let level = i128::from(old.limit)
            .saturating_sub(used.into())
            .saturating_add(leased.unused.into());
        let level = level
            .saturating_mul(self.emission_interval.into())
            .checked_div_euclid(old.emission_interval.into())
            .unwrap_or(0);
        let missing = i128::from(self.limit).saturating_sub(level);
        if missing <= 0 {
            return now.grains;
        }
        let most = self.limit.saturating_add(MAX_LEVEL);
        let missing = u64::try_from(missing).map_or(most, |missing| missing.min(most));
        Self::rounded_up(now).wrapping_add(missing)
    }

    /// The shortest wait after which the shortfall is gone.
    #[inline]
    pub(crate) const fn wait(&self, now: Now, shortfall: Shortfall) -> Duration {
        if let Some(nanos) = self.usual_wait_nanos(now, shortfall) {
            return Duration::from_nanos(nanos);
        }
        wide_duration(wait_wide(
            self.fraction,
            now.remainder,
            now.behind,
            shortfall.0,
        ))
    }

    /// The same in nanoseconds, at most 584 years: the range of clocks.
    #[inline]
    pub(crate) const fn wait_nanos(&self, now: Now, shortfall: Shortfall) -> u64 {
        if let Some(nanos) = self.usual_wait_nanos(now, shortfall) {
            return nanos;
        }
        let wait = wait_wide(self.fraction, now.remainder, now.behind, shortfall.0);
        if wait.0 > 0 { u64::MAX } else { wait.1 }
    }

    /// [`wait_nanos`](Self::wait_nanos) where a nanosecond has a whole grain: in a bucket's own
    /// form unless it takes decades to refill. `None` elsewhere.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shortfall is below 2^63 grains, and here a grain lasts at most 1 ns"
    )]
    pub(crate) const fn usual_wait_nanos(&self, now: Now, shortfall: Shortfall) -> Option<u64> {
        // Without a fraction this is a division that rounds up. In most quotas a token lasts whole
        // nanoseconds, so that a grain is a nanosecond.
        if self.fraction == 0 {
            if self.whole == 1 {
                return Some(shortfall.0.saturating_add(now.behind));
            }
            if shortfall.0 < ONE_PRODUCT {
                // `inverse + 1` times `whole` exceeds 2^64 by at most `whole`, 2^17. So the product
                // exceeds the quotient by less than 1 / `whole`, which no whole number is within.
                let (nanos, _) = widening_mul(shortfall.0 + (self.whole - 1), self.inverse + 1);
                return Some(nanos.saturating_add(now.behind));
            }
        }
        if self.whole == 0 {
            return None;
        }
        // Rounding `inverse` and the product down makes this too short by at most 2. It is
        // corrected without a loop or a call, so that a caller that ignores the hint does not pay
        // for it.
        let (nanos, _) = widening_mul(shortfall.0, self.inverse);
        let (refill, rest) = self.refill(now, nanos);
        // A nanosecond later, without a product that has to wait for the comparison.
        let (_, carry) = rest.overflowing_add(self.fraction);
        let next = refill + self.whole + carry as u64;
        let nanos = nanos + (refill < shortfall.0) as u64 + (next < shortfall.0) as u64;
        // Saturates only beyond the clock's range.
        Some(nanos.saturating_add(now.behind))
    }

    /// The first clock reading that is at least `grains`, which must be below 2^63.
    #[cfg(feature = "std")]
    pub(crate) const fn reached_at(&self, grains: u64) -> Duration {
        self.wait(self.now(0), Shortfall(grains))
    }

    /// Grains that the clock gains in `nanos`, and the part that is rounded off.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "a product of 64-bit numbers leaves room for one more, and has two halves"
    )]
    const fn refill(&self, now: Now, nanos: u64) -> (u64, u64) {
        let carried = nanos as u128 * self.fraction as u128 + now.remainder as u128;
        let grains = nanos
            .wrapping_mul(self.whole)
            .wrapping_add((carried >> 64) as u64);
        (grains, carried as u64)
    }
}

/// [`Gcra::wait`] below one grain per nanosecond, where a wait may exceed 64 bits of nanoseconds.
// Takes and returns plain numbers and cannot panic, so that the compiler can drop the call if the
// hint is unused.
#[cold]
#[inline(never)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a shortfall below 2^63 grains of at most 56 ns is a wait below 2^69 ns"
)]
const fn wait_wide(fraction: u64, remainder: u64, behind: u64, shortfall: u64) -> (u64, u64) {
    let missing = ((shortfall as u128) << 64).saturating_sub(remainder as u128);
    let rounded_up = missing.saturating_add(fraction.saturating_sub(1) as u128);
    // Without whole grains the fraction is not zero.
    let nanos = match rounded_up.checked_div(fraction as u128) {
        Some(nanos) => nanos.saturating_add(behind as u128),
        None => 0,
    };
    ((nanos >> 64) as u64, nanos as u64)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a wait below 2^69 ns, and less than a second"
)]
const fn wide_duration((high, low): (u64, u64)) -> Duration {
    let nanos = ((high as u128) << 64) | low as u128;
    Duration::new(
        (nanos / 1_000_000_000) as u64,
        (nanos % 1_000_000_000) as u32,
    )
}
