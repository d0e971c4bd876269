//! A slow and obvious token bucket in exact integers, and the bound on admissions.

use tidegate::Quota;

/// A token bucket in exact rational arithmetic.
///
/// Its theoretical arrival time is counted in units of 1/rate nanoseconds. A token is `period`
/// units and a nanosecond is `rate` units.
#[derive(Clone, Debug)]
pub(crate) struct IdealBucket {
    rate: u128,
    period: u128,
    capacity: u128,
    tat: u128,
}

impl IdealBucket {
    /// Creates a full bucket.
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            rate: quota.rate().into(),
            period: quota.period().as_nanos(),
            capacity: quota.capacity().into(),
            tat: 0,
        }
    }

    /// Reports whether `n` tokens are available at `nanos`.
    pub(crate) fn admits(&self, n: u64, nanos: u64) -> bool {
        let now = u128::from(nanos) * self.rate;
        self.tat.max(now) + u128::from(n) * self.period <= now + self.capacity * self.period
    }

    /// Charges `n` tokens, available or not.
    pub(crate) fn charge(&mut self, n: u64, nanos: u64) {
        let now = u128::from(nanos) * self.rate;
        self.tat = self.tat.max(now) + u128::from(n) * self.period;
    }
}

/// Returns how late a bucket may be in nanoseconds, as `TokenBucket` documents.
pub(crate) fn lateness(quota: Quota) -> u64 {
    const YEAR: u128 = 31_557_600_000_000_000;
    let (rate, period) = (quota.rate(), quota.period().as_nanos());
    let divisor = gcd(rate.into(), period);
    let refill = u128::from(quota.capacity()) * period / u128::from(rate);
    let grains = u128::from(quota.capacity()) * (period / divisor);
    if u128::from(rate) / divisor <= 1 << 17 && grains <= 1 << 60 {
        0
    } else if refill <= 9 * YEAR {
        2
    } else {
        170
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Asserts that no interval admitted more than `capacity + rate * length`.
///
/// An interval includes both of its ends. `history` lists times and tokens in any order.
pub(crate) fn assert_bound(quota: Quota, history: &[(u64, u64)]) {
    let rate = u128::from(quota.rate());
    let period = quota.period().as_nanos();
    let mut history = history.to_vec();
    history.sort_unstable();
    for (i, &(start, _)) in history.iter().enumerate() {
        let mut admitted: u128 = 0;
        for &(end, n) in &history[i..] {
            admitted += u128::from(n);
            // Multiplied by `period`, to avoid a division.
            assert!(
                admitted * period
                    <= u128::from(quota.capacity()) * period + u128::from(end - start) * rate,
                "{quota}: {admitted} admitted in [{start}, {end}]"
            );
        }
    }
}
