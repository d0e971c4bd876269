//! Buckets in exact fractions.

use tidegate::Quota;

use super::action::Case;
use super::comparison::Model;
use crate::scaled_quota::MAX_REFILL_US;

pub(crate) struct ExactModel {
    buckets: Vec<ExactBucket>,
}

/// A microsecond is `1000 × rate` units, and a token is `period` units.
struct ExactBucket {
    us: i128,
    token: i128,
    capacity: i128,
    /// How far the TAT was ahead at the last write.
    ahead: i128,
    written_us: Option<u64>,
    /// The last millisecond in which the key exists. Afterwards the bucket is full, even if the
    /// clock steps back.
    last_ms: u64,
}

impl ExactBucket {
    fn new(quota: Quota) -> Self {
        Self {
            us: i128::from(quota.rate()) * 1_000,
            token: i128::try_from(quota.period().as_nanos()).unwrap(),
            capacity: i128::from(quota.capacity()),
            ahead: 0,
            written_us: None,
            last_ms: 0,
        }
    }

    /// Time passes only while the clock is later than the last write.
    fn ahead(&self, now_us: u64) -> i128 {
        let elapsed = now_us.saturating_sub(self.written_us.unwrap_or(now_us));
        (self.ahead - i128::from(elapsed) * self.us).max(0)
    }

    fn write(&mut self, ahead: i128, now_us: u64) {
        self.ahead = ahead;
        self.written_us = Some(now_us);
        let refill_us = u64::try_from(ahead / self.us).unwrap();
        self.last_ms = (now_us + refill_us) / 1_000 + 2;
    }

    const fn full(&self) -> i128 {
        self.capacity * self.token
    }

    fn cost(&self, permits: u64) -> i128 {
        i128::from(permits).saturating_mul(self.token)
    }
}

/// Rounds up; for positive numbers.
fn div_ceil(a: i128, b: i128) -> u64 {
    u64::try_from((a + b - 1) / b).unwrap()
}

impl ExactModel {
    pub(crate) fn new(case: &Case) -> Self {
        let buckets = case.quotas.iter().copied().map(ExactBucket::new);
        Self {
            buckets: buckets.collect(),
        }
    }
}

impl Model for ExactModel {
    fn available(&self, index: usize, now_us: u64) -> u64 {
        let bucket = &self.buckets[index];
        let room = (bucket.full() - bucket.ahead(now_us)).max(0);
        u64::try_from(room / bucket.token).unwrap()
    }

    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64> {
        let bucket = &self.buckets[index];
        let over = bucket.ahead(now_us) + bucket.cost(cost) - bucket.full();
        (cost > 0 && over > 0).then(|| div_ceil(over, bucket.us))
    }

    fn take(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let ahead = bucket.ahead(now_us) + bucket.cost(cost);
        bucket.write(ahead, now_us);
    }

    fn debit(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let before = bucket.ahead(now_us);
        let max = bucket.full() + i128::from(MAX_REFILL_US) * bucket.us;
        let ahead = bucket.cost(cost).saturating_add(before);
        bucket.write(ahead.min(max.max(before)), now_us);
    }

    fn credit(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let ahead = bucket.ahead(now_us) - bucket.cost(cost);
        bucket.write(ahead.max(0), now_us);
    }

    fn level(&mut self, index: usize, level: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let ahead = bucket.full() - bucket.cost(level);
        bucket.write(ahead.max(0), now_us);
    }

    fn report(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let before = bucket.ahead(now_us);
        let ahead = bucket.cost(cost).saturating_add(before);
        let most = bucket.full().max(before);
        bucket.write(ahead.min(most), now_us);
    }

    fn reset(&mut self, index: usize, now_us: u64) {
        self.buckets[index].write(0, now_us);
    }

    fn observe_clock(&mut self, index: usize, now_us: u64) -> bool {
        let bucket = &mut self.buckets[index];
        if now_us / 1_000 > bucket.last_ms {
            (bucket.ahead, bucket.written_us) = (0, None);
        }
        let stepped_back = bucket.written_us.is_some_and(|written| written > now_us);
        if stepped_back {
            let ahead = bucket.ahead(now_us);
            bucket.write(ahead, now_us);
        }
        stepped_back
    }

    fn full_us(&self, index: usize, now_us: u64) -> u64 {
        let bucket = &self.buckets[index];
        now_us + div_ceil(bucket.ahead(now_us), bucket.us)
    }
}
