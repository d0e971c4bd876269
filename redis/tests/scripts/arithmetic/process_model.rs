//! The buckets of the crate `tidegate`, whose time begins with the case.

use core::time::Duration;

use tidegate::{Denied, ManualClock, Quota, Timestamp, TokenBucket};

use super::action::Case;
use super::comparison::Model;

pub(crate) struct ProcessModel {
    buckets: Vec<TokenBucket<ManualClock>>,
    start_us: u64,
}

impl ProcessModel {
    pub(crate) fn new(case: &Case) -> Self {
        let bucket = |quota: &Quota| TokenBucket::with_clock(*quota, ManualClock::new());
        Self {
            buckets: case.quotas.iter().map(bucket).collect(),
            start_us: case.start_us,
        }
    }

    const fn at(&self, now_us: u64) -> Timestamp {
        Timestamp::from_nanos((now_us - self.start_us) * 1_000)
    }
}

fn us_ceil(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap()
}

impl Model for ProcessModel {
    fn available(&self, index: usize, now_us: u64) -> u64 {
        self.buckets[index].available_at(self.at(now_us))
    }

    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64> {
        match self.buckets[index].peek_at(cost, self.at(now_us)) {
            Ok(()) => None,
            Err(Denied::NotYet { retry_after }) => Some(us_ceil(retry_after.into())),
            Err(other) => panic!("{other}"),
        }
    }

    fn take(&mut self, index: usize, cost: u64, now_us: u64) {
        let taken = self.buckets[index].try_acquire_at(cost, self.at(now_us));
        taken.expect("`wait_us` returned `None`");
    }

    fn debit(&mut self, index: usize, cost: u64, now_us: u64) {
        self.buckets[index].debit_at(cost, self.at(now_us));
    }

    fn credit(&mut self, index: usize, cost: u64, now_us: u64) {
        self.buckets[index].credit_at(cost, self.at(now_us));
    }

    fn level(&mut self, index: usize, level: u64, now_us: u64) {
        let bucket = &self.buckets[index];
        bucket.reset_at(self.at(now_us));
        bucket.debit_at(bucket.capacity() - level, self.at(now_us));
    }

    fn report(&mut self, index: usize, cost: u64, now_us: u64) {
        unreachable!("a bucket of the process admits nothing elsewhere: {index} {cost} {now_us}");
    }

    fn reset(&mut self, index: usize, now_us: u64) {
        self.buckets[index].reset_at(self.at(now_us));
    }

    /// Never called after a step back.
    fn observe_clock(&mut self, _: usize, _: u64) -> bool {
        false
    }

    fn full_us(&self, index: usize, now_us: u64) -> u64 {
        let (bucket, now) = (&self.buckets[index], self.at(now_us));
        let wait = bucket.wait_time_at(bucket.capacity(), now);
        now_us + us_ceil(wait.expect("a full bucket holds its capacity"))
    }
}
