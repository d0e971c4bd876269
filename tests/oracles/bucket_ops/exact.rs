//! A token bucket in exact rational arithmetic, and how far the real one may deviate from it.

use tidegate::Quota;

/// An exact instant: nanoseconds, and parts of a nanosecond, `rate` of which make another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    nanos: u128,
    parts: u128,
}

impl Moment {
    pub(crate) const fn at(nanos: u128) -> Self {
        Self { nanos, parts: 0 }
    }
}

/// Bounds on the exact theoretical arrival time, the instant at which the bucket is full.
///
/// They differ only where the crate rounds: after a debit that reached the largest debt, or after a
/// clock stepped back by years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TatBounds {
    pub(crate) low: Moment,
    pub(crate) high: Moment,
}

/// The bounds of the instant that a call may use as its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTime {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A quota in exact integers.
///
/// Spans of time are counted in parts. A nanosecond is `rate` parts and a token is `period` parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExactQuota {
    rate: u128,
    pub(crate) period: u128,
    /// The capacity in parts.
    pub(crate) full: u128,
    /// A grain of the real bucket in parts, rounded up. It is 0 if the real bucket is exact.
    pub(crate) grain: u128,
    /// The largest debt, 2^60 grains, in parts.
    pub(crate) max_debt: u128,
    /// The number of nanoseconds by which the real bucket may be late.
    pub(crate) lateness: u64,
    /// At most the nanoseconds in 2^60 grains. A clock may step back by half of it unclamped.
    pub(crate) span: u64,
}

/// The most grains of a capacity, and of the debt beyond it.
const MAX_GRAINS: u128 = 1 << 60;

const YEAR: u128 = 31_557_600_000_000_000;

const fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl ExactQuota {
    pub(crate) fn new(quota: Quota) -> Self {
        let rate = u128::from(quota.rate());
        let period = quota.period().as_nanos();
        let capacity = u128::from(quota.capacity());

        let divisor = gcd(rate, period);
        let (tokens, nanos) = (rate / divisor, period / divisor);
        let exact = tokens <= 1 << 17 && capacity * nanos <= MAX_GRAINS;
        // Grains per token, as the crate documents them.
        let token = if exact {
            nanos
        } else {
            (32 * nanos / tokens).min(MAX_GRAINS / capacity).max(1)
        };
        let grain = if exact { 0 } else { period.div_ceil(token) };
        let refill = capacity * period / rate;
        let lateness = if exact {
            0
        } else if refill <= 9 * YEAR {
            2
        } else {
            // One grain for each of three roundings. Grains are at most 56 ns.
            u64::try_from((3 * grain).div_ceil(rate)).expect("grains are short")
        };
        let span = (MAX_GRAINS * nanos / (token * tokens)).min(1 << 62);
        Self {
            rate,
            period,
            full: capacity * period,
            grain,
            max_debt: MAX_GRAINS * period / token,
            lateness,
            span: u64::try_from(span).expect("limited to 2^62"),
        }
    }

    /// Returns `n` tokens in parts.
    pub(crate) fn tokens(&self, n: u64) -> u128 {
        u128::from(n) * self.period
    }

    /// Returns a grain in nanoseconds, rounded up.
    pub(crate) const fn grain_nanos(&self) -> u128 {
        self.grain.div_ceil(self.rate)
    }

    /// Returns `moment + parts`, saturated at 128 bits. Only a debit comes near that end.
    pub(crate) const fn later(&self, moment: Moment, parts: u128) -> Moment {
        let sum = moment.parts + parts % self.rate;
        Moment {
            nanos: (parts / self.rate).saturating_add(moment.nanos + sum / self.rate),
            parts: sum % self.rate,
        }
    }

    /// Returns `moment - parts`, but not before the origin.
    pub(crate) fn earlier(&self, moment: Moment, parts: u128) -> Moment {
        let (nanos, parts) = (parts / self.rate, parts % self.rate);
        if moment < (Moment { nanos, parts }) {
            return Moment::at(0);
        }
        let borrow = u128::from(moment.parts < parts);
        Moment {
            nanos: moment.nanos - nanos - borrow,
            parts: moment.parts + borrow * self.rate - parts,
        }
    }

    /// Returns the parts from `start` to `end`, or 0 if `end` is not later. Saturates.
    pub(crate) fn between(&self, start: Moment, end: Moment) -> u128 {
        if end <= start {
            return 0;
        }
        let borrow = u128::from(end.parts < start.parts);
        let nanos = end.nanos - start.nanos - borrow;
        let parts = end.parts + borrow * self.rate - start.parts;
        nanos.saturating_mul(self.rate).saturating_add(parts)
    }

    /// Reports whether `n` tokens are available at `nanos`.
    pub(crate) fn admits(&self, tat: Moment, n: u64, nanos: u128) -> bool {
        let ahead = self.between(Moment::at(nanos), tat);
        self.tokens(n) <= self.full && ahead <= self.full - self.tokens(n)
    }

    /// Returns the whole tokens available at `nanos`.
    pub(crate) fn available(&self, tat: Moment, nanos: u128) -> u128 {
        let ahead = self.between(Moment::at(nanos), tat);
        self.full.saturating_sub(ahead) / self.period
    }

    /// Returns the debt below an empty bucket in tokens, rounded up.
    pub(crate) fn debt(&self, tat: Moment, nanos: u128) -> u128 {
        let ahead = self.between(Moment::at(nanos), tat);
        ahead.saturating_sub(self.full).div_ceil(self.period)
    }

    /// Returns the parts that are missing until `n` tokens are available.
    pub(crate) fn shortfall(&self, tat: Moment, n: u64, nanos: u64) -> u128 {
        let ahead = self.between(Moment::at(nanos.into()), tat);
        ahead
            .saturating_add(self.tokens(n))
            .saturating_sub(self.full)
    }

    pub(crate) fn charge(&self, tat: TatBounds, n: u64, when: CallTime) -> TatBounds {
        let charge =
            |tat: Moment, now: u64| self.later(tat.max(Moment::at(now.into())), self.tokens(n));
        TatBounds {
            low: charge(tat.low, when.from),
            high: charge(tat.high, when.to),
        }
    }

    /// Charges `n`, but not beyond the largest debt.
    pub(crate) fn debit(&self, tat: TatBounds, n: u64, when: CallTime) -> TatBounds {
        let charged = self.charge(tat, n, when);
        let end = |now: u64| self.later(Moment::at(now.into()), self.full + self.max_debt);
        let low_end = self.earlier(end(when.from), 2 * self.grain);
        let high_end = self.later(end(when.to), 2 * self.grain);
        TatBounds {
            low: charged.low.min(low_end.max(tat.low)),
            high: charged.high.min(high_end.max(tat.high)),
        }
    }

    /// Returns `n` tokens, up to a full bucket.
    pub(crate) fn credit(&self, tat: TatBounds, n: u64, when: CallTime) -> TatBounds {
        let credit = |tat: Moment, parts: u128, now: u64| {
            let now = Moment::at(now.into());
            if tat > now {
                self.earlier(tat, parts).max(now)
            } else {
                tat
            }
        };
        // The real bucket credits at most 2^61 grains at once.
        let most = self.tokens(n).min(2 * self.max_debt);
        TatBounds {
            low: credit(tat.low, self.tokens(n), when.from),
            high: credit(tat.high, most, when.to),
        }
    }

    /// Fills the bucket. The real one may be full a grain earlier, which an older caller could
    /// observe.
    pub(crate) fn filled(&self, when: CallTime) -> TatBounds {
        TatBounds {
            low: self.earlier(Moment::at(when.from.into()), self.grain),
            high: Moment::at(when.to.into()),
        }
    }
}
