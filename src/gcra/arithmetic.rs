//! The generic cell rate algorithm as pure arithmetic: no atomics, no clock.
//!
//! A bucket is one number, the *theoretical arrival time* (TAT): the instant at which it is full again. It is kept in
//! *grains*, and both a token and a nanosecond are counted in them: a token is a whole number of grains, so that charging
//! is exact, and a nanosecond is `whole + fraction / 2^64` grains, so that reading the clock is two multiplications.
//!
//! # Accuracy
//!
//! Let a token last `p/n` nanoseconds in lowest terms.
//!
//! * If `n` is at most 2^17, a token is `p` grains and a nanosecond is `n` grains, without any rounding: the bucket equals
//!   one of exact rationals. So it is for every rate whose interval is a whole number of nanoseconds, for every number per
//!   second up to 131 072, and for 600 million or 10^12 per second.
//! * Otherwise a nanosecond is up to 32 grains (or as many as tokens flow in, if more) and `fraction` is rounded **down**: the
//!   bucket's clock is slow by less than 2^-64 grains per nanosecond, never fast, and so by less than a grain in 584 years. An
//!   instant is rounded down when it is judged, and up when an idle bucket is rebased on it. So nothing is ever early, and a
//!   token is late by less than three grains: one for each of these. Only a rebase rounds, and a rebase forgets what was before,
//!   so errors do not add up while a bucket is in use; one that runs full again and again may lose a grain each time, as it
//!   loses everything else that flows in while it is full.
//!
//! In both cases a capacity of 2^60 grains is the most, and grains are made coarser until it fits: with a capacity of up to 9
//! years of refill a grain is at most half a nanosecond, and so a token at most 2 ns late (on a clock of whole nanoseconds); with
//! the limit of 1 000 years of refill a grain is at most 56 ns.
//!
//! # Range
//!
//! Grains are counted modulo 2^64 and compared by their distance. That is unambiguous while a TAT lies within 2^63 grains
//! of the clock; [`AtomicTat`](crate::gcra::AtomicTat) keeps it there.

#![deny(clippy::arithmetic_side_effects)]

use core::time::Duration;

use crate::quota::Quota;

/// With at most this many grains per nanosecond a rate is represented without rounding. More would make 2^60 grains, and so
/// the longest debt, shorter than 2 hours.
const EXACT_GRAINS_PER_NANO: u64 = 1 << 17;

/// Grains per nanosecond where rounding is needed: fine enough that a grain is nothing beside a nanosecond, coarse enough
/// that 2^60 grains last for more than a year (unless more than 32 tokens flow in per nanosecond).
const ROUNDED_GRAINS_PER_NANO: u128 = 32;

/// Grains per nanosecond where a TAT may not go around: three grains are less than 2 ns, and 2^63 of them are 146 years.
const LASTING_GRAINS_PER_NANO: u64 = 2;

/// The largest capacity, and the largest debt beyond it, in grains. Eight times this is half the circle, in which a TAT and a
/// clock reading must lie: see the `tat` module.
pub(crate) const MAX_LEVEL: u64 = 1 << 60;

/// A quota, prepared so that a decision needs no division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gcra {
    /// Whole grains per nanosecond.
    whole: u64,
    /// The rest of it, in 2^-64 grains, rounded down.
    fraction: u64,
    /// Grains per token.
    token: u64,
    /// Tokens per grain in 2^-64, rounded down, and less than 1.
    per_grain: u64,
    /// The capacity in grains.
    limit: u64,
    /// The capacity in tokens.
    capacity: u64,
    /// 2^64 grains in nanoseconds, divided by 2^64 and rounded down: turns grains into a wait.
    inverse: u64,
    /// Nanoseconds in at most `MAX_LEVEL` grains.
    span: u64,
}

/// A clock reading in grains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Rounded down, modulo 2^64.
    grains: u64,
    /// What was rounded off, in 2^-64 grains.
    remainder: u64,
    /// Nanoseconds by which the caller's own reading is earlier: more than 0 only where time stands still for a clock that
    /// stepped back. Hints count from the caller's reading.
    behind: u64,
}

impl Now {
    /// The reading in grains, rounded down.
    #[inline]
    pub(crate) const fn grains(self) -> u64 {
        self.grains
    }

    /// The same reading, used for a caller whose own is `behind` nanoseconds earlier.
    pub(crate) const fn clamped_by(self, behind: u64) -> Self {
        Self { behind, ..self }
    }
}

/// A charge that does not fit now: by so many grains is the level too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Shortfall(u64);

/// What a reservation makes of a TAT.
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

/// High and low half of a product.
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

/// How far `later` is behind `earlier` on the circle of 2^64 grains; 0 if it is not later.
#[inline]
const fn distance(earlier: u64, later: u64) -> u64 {
    // Signed, so that one subtraction answers both questions: whether it is later, and by how much.
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

    /// With grains so coarse that a word holds a TAT without going around, for as long as [`lasts`](Self::lasts) says.
    pub(crate) const fn lasting(quota: Quota) -> Self {
        Self::with_grains(
            quota,
            LASTING_GRAINS_PER_NANO,
            LASTING_GRAINS_PER_NANO as u128,
        )
    }

    #[expect(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "bounds of `Quota`: 1 <= rate <= 1000 * period, capacity <= 2^60, refill <= 1000 years; each line says why it fits"
    )]
    const fn with_grains(quota: Quota, exact_most: u64, rounded_to: u128) -> Self {
        let divisor = gcd(quota.rate(), quota.period_nanos());
        let tokens = quota.rate() / divisor;
        let nanos = quota.period_nanos() / divisor;
        let capacity = quota.capacity();

        // 2^60 times 2^64 at the most.
        let exact = tokens <= exact_most && capacity as u128 * nanos as u128 <= MAX_LEVEL as u128;
        let token = if exact {
            nanos
        } else {
            let finest = rounded_to * nanos as u128 / tokens as u128;
            // At least 1, as a capacity is at most 2^60.
            let roomiest = MAX_LEVEL / capacity;
            if finest >= roomiest as u128 {
                roomiest
            } else if finest == 0 {
                // More tokens per nanosecond than grains were asked for: a token is a grain.
                1
            } else {
                finest as u64
            }
        };

        if exact {
            // At most 2^17 grains per nanosecond, and no fraction: the common case takes no long division.
            return Self {
                whole: tokens,
                fraction: 0,
                token,
                per_grain: u64::MAX / token,
                limit: token * capacity,
                capacity,
                inverse: u64::MAX / tokens,
                span: MAX_LEVEL / tokens,
            };
        }

        // Both at most 2^60.
        let scaled = token as u128 * tokens as u128;
        // At most 2^17: `token` was chosen so, and a token of one grain is limited by the highest rate.
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
        // 2^60 << 64 fits; below one grain per nanosecond the quotient may not.
        let span = ((MAX_LEVEL as u128) << 64) / grains_per_nano;
        let span = if span > 1 << 62 { 1 << 62 } else { span as u64 };

        Self {
            whole,
            fraction,
            token,
            per_grain: u64::MAX / token,
            limit: token * capacity,
            capacity,
            inverse,
            span,
        }
    }

    /// The capacity in tokens.
    #[inline]
    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether a clock reading may be compared with TATs that were read while `epoch` stood: it lies in the span of at most
    /// `MAX_LEVEL` grains that begins there.
    #[inline]
    pub(crate) const fn spans(&self, epoch: u64, nanos: u64) -> bool {
        // Two comparisons, not one that wraps: a epoch near the end of time must not reach round to its beginning.
        nanos >= epoch && nanos.wrapping_sub(epoch) < self.span
    }

    /// Half of that span in nanoseconds.
    pub(crate) const fn half_span(&self) -> u64 {
        self.span >> 1
    }

    /// The last clock reading at which a TAT, with its capacity, is still below 2^63 grains: after 109 years with two grains per
    /// nanosecond, later with fewer, earlier with more.
    pub(crate) const fn lasts(&self) -> u64 {
        // 6 * 2^60 grains and a capacity of 2^60 at the most.
        self.span.saturating_mul(6)
    }

    /// The cost of `n` tokens in grains; `n` is at most the capacity.
    #[inline]
    pub(crate) const fn cost(&self, n: u64) -> u64 {
        n.wrapping_mul(self.token)
    }

    /// The cost of `n` tokens in grains, where `n` may be anything: more than a TAT can ever move is as much as it can.
    pub(crate) const fn cost_clamped(&self, n: u64) -> u64 {
        const MOST: u64 = 2 * MAX_LEVEL;
        let cost = n.saturating_mul(self.token);
        if cost > MOST { MOST } else { cost }
    }

    /// A clock reading in grains.
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

    /// How far the TAT is ahead of the clock; 0 for an idle (full) bucket.
    #[inline]
    const fn ahead(tat: u64, now: Now) -> u64 {
        distance(now.grains, tat)
    }

    /// Whether the bucket is full.
    #[inline]
    pub(crate) const fn is_idle(tat: u64, now: Now) -> bool {
        Self::ahead(tat, now) == 0
    }

    /// What is missing until the bucket is full.
    pub(crate) const fn until_full(tat: u64, now: Now) -> Shortfall {
        Shortfall(Self::ahead(tat, now))
    }

    /// The TAT after a charge that fits now.
    #[inline]
    pub(crate) const fn admit(&self, tat: u64, now: Now, cost: u64) -> Result<u64, Shortfall> {
        debug_assert!(cost <= self.limit, "an idle bucket covers no more");
        let ahead = Self::ahead(tat, now);
        if ahead == 0 {
            // Judged without rounding up: an idle bucket holds its whole capacity, and that covers `cost`.
            return Ok(Self::rounded_up(now).wrapping_add(cost));
        }
        let level = ahead.wrapping_add(cost);
        if level <= self.limit {
            Ok(tat.wrapping_add(cost))
        } else {
            Err(Shortfall(level.wrapping_sub(self.limit)))
        }
    }

    /// The TAT after a charge that fits now, beside `held` grains that were charged before and are not used yet. They do not
    /// flow back: the TAT is taken to be at least as far ahead as they are many.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    pub(crate) const fn admit_beside(
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

    /// Grains that can be had now beside `held` that are not used yet.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    pub(crate) const fn room_beside(&self, tat: u64, now: Now, held: u64) -> u64 {
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

    /// Whether a booking stays within the debt that the word can hold.
    pub(crate) const fn can_hold(shortfall: Shortfall) -> bool {
        shortfall.0 <= MAX_LEVEL
    }

    /// The TAT after a charge that is not asked whether it fits. The debt ends at `MAX_LEVEL`.
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
            // A caller with an older clock must not lower what others have charged.
            tat
        }
    }

    /// The TAT after tokens came back: never below that of an idle bucket.
    pub(crate) const fn credit(tat: u64, now: Now, cost: u64) -> u64 {
        let floor = Self::rounded_up(now);
        let room = distance(floor, tat);
        tat.wrapping_sub(if room < cost { room } else { cost })
    }

    /// Whole tokens that can be had now.
    #[inline]
    pub(crate) const fn available(&self, tat: u64, now: Now) -> u64 {
        self.tokens_in(self.room(tat, now))
    }

    /// Grains that can be had now.
    #[inline]
    pub(crate) const fn room(&self, tat: u64, now: Now) -> u64 {
        self.limit.saturating_sub(Self::ahead(tat, now))
    }

    /// Whole tokens in so many grains.
    #[inline]
    pub(crate) const fn tokens_in(&self, grains: u64) -> u64 {
        // Instead of a division. Both roundings down make this too small by at most 1.
        let (tokens, _) = widening_mul(grains, self.per_grain);
        let next = tokens.wrapping_add(1);
        // At most `grains` and a token more.
        if next.wrapping_mul(self.token) <= grains {
            next
        } else {
            tokens
        }
    }

    /// Tokens that were charged beyond what was there, rounded up; 0 where the level is not negative.
    pub(crate) const fn debt(&self, tat: u64, now: Now) -> u64 {
        let owed = Self::ahead(tat, now).saturating_sub(self.limit);
        owed.div_ceil(self.token)
    }

    /// The TAT of a bucket that holds `tokens` now.
    pub(crate) const fn holding(&self, tokens: u64, now: Now) -> u64 {
        match self.capacity.checked_sub(tokens) {
            Some(missing) if missing > 0 => Self::rounded_up(now).wrapping_add(self.cost(missing)),
            _ => now.grains,
        }
    }

    /// The smallest wait after which the shortfall is gone.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a wait of less than 2^62 grains is less than 2^62 ns"
    )]
    pub(crate) const fn wait(&self, now: Now, shortfall: Shortfall) -> Duration {
        if self.whole == 0 {
            let (seconds, nanos) = wait_wide(self.fraction, now.remainder, now.behind, shortfall.0);
            return Duration::new(seconds, nanos);
        }
        // Rounding `inverse` and the product down makes this too short by at most 2; the two lines after it make up for it.
        // No loop and no call, so that a caller who does not look at the hint does not pay for it.
        let (mut nanos, _) = widening_mul(shortfall.0, self.inverse);
        nanos += (self.refill(now, nanos) < shortfall.0) as u64;
        nanos += (self.refill(now, nanos) < shortfall.0) as u64;
        // Saturates only beyond the end of time.
        Duration::from_nanos(nanos.saturating_add(now.behind))
    }

    /// How many grains the clock will have gained in `nanos`.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a product of 64-bit numbers leaves room for one more"
    )]
    const fn refill(&self, now: Now, nanos: u64) -> u64 {
        let carried = (nanos as u128 * self.fraction as u128 + now.remainder as u128) >> 64;
        nanos.wrapping_mul(self.whole).wrapping_add(carried as u64)
    }
}

/// [`Gcra::wait`] where a nanosecond is less than one grain, and a wait may not fit 64 bits.
// Numbers only, and no panic, so that the call disappears with a hint that nobody reads.
#[cold]
#[inline(never)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a grain of at most 56 ns makes a shortfall of less than 2^62 a wait of less than 2^68 ns"
)]
const fn wait_wide(fraction: u64, remainder: u64, behind: u64, shortfall: u64) -> (u64, u32) {
    let missing = ((shortfall as u128) << 64).saturating_sub(remainder as u128);
    let rounded_up = missing.saturating_add(fraction.saturating_sub(1) as u128);
    // Without whole grains the fraction is not zero.
    let nanos = match rounded_up.checked_div(fraction as u128) {
        Some(nanos) => nanos.saturating_add(behind as u128),
        None => 0,
    };
    (
        (nanos / 1_000_000_000) as u64,
        (nanos % 1_000_000_000) as u32,
    )
}
