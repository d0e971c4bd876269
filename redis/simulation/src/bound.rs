//! Checks the bound of a bucket, exactly, by the times of the admissions.

use std::time::Duration;

use tidegate::Quota;

/// Follows admissions at known instants, and keeps the closest approach to the bound.
///
/// In every interval `[a, b]` at most capacity + rate · (b − a) permits may be admitted. That is so
/// if and only if a bucket of this capacity, filled by the admissions and emptied at this rate,
/// never overflows. The level is exact: its unit is a permit divided by the nanoseconds of the
/// period.
#[derive(Clone, Debug)]
pub struct Bound {
    tokens: u128,
    period: u128,
    capacity: u128,
    level: u128,
    highest: u128,
    at: u64,
}

impl Bound {
    /// Begins without admissions.
    pub fn new(quota: Quota) -> Self {
        let period = quota.period().as_nanos();
        Self {
            tokens: quota.rate().into(),
            period,
            capacity: u128::from(quota.capacity()) * period,
            level: 0,
            highest: 0,
            at: 0,
        }
    }

    /// Begins without admissions, for instants that are up to `late` after those of the decisions.
    ///
    /// What is seen in `[a, b]` was then decided in `[a - late, b]`.
    pub fn of_late_news(quota: Quota, late: Duration) -> Self {
        let mut bound = Self::new(quota);
        bound.capacity += late.as_nanos() * bound.tokens;
        bound
    }

    /// Adds permits that were admitted at an instant, in nanoseconds.
    ///
    /// # Panics
    ///
    /// If the instant is before an earlier one.
    pub fn admit(&mut self, at: u64, permits: u64) {
        let elapsed = at.checked_sub(self.at).expect("in order of time");
        let emptied = u128::from(elapsed) * self.tokens;
        self.level = self.level.saturating_sub(emptied) + u128::from(permits) * self.period;
        self.highest = self.highest.max(self.level);
        self.at = at;
    }

    /// Returns whether no interval holds more than the bound.
    pub fn holds(&self) -> bool {
        self.highest <= self.capacity
    }

    /// Returns the most that an interval held beyond what its length admits, in percent of the
    /// capacity. The bound holds up to 100.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn percent_of_capacity(&self) -> f64 {
        100.0 * self.highest as f64 / self.capacity as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;
    use tidegate::Quota;

    #[test]
    fn one_permit_too_many_is_found() {
        let mut bound = Bound::new(Quota::per_second(10).burst(3));
        bound.admit(5, 3);
        bound.admit(100_000_005, 1);
        bound.admit(300_000_005, 2);
        assert!(bound.holds(), "{bound:?}");
        let mut early = bound.clone();
        early.admit(400_000_004, 1);
        assert!(!early.holds(), "{early:?}");
        bound.admit(400_000_005, 1);
        assert!(bound.holds(), "{bound:?}");
        assert!((bound.percent_of_capacity() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn time_without_admissions_is_not_saved_up() {
        let mut bound = Bound::new(Quota::per_second(10).burst(3));
        bound.admit(0, 1);
        bound.admit(60_000_000_000, 3);
        assert!(bound.holds());
        bound.admit(60_000_000_000, 1);
        assert!(!bound.holds());
    }
}
