//! Charges that were made without the server, until they are reported to it.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// For each limit, the permits that the server has not counted.
#[derive(Debug)]
pub(crate) struct UnreportedCharges(Box<[AtomicU64]>);

/// Charges on their way to the server. Unless they are confirmed, dropping the report restores
/// them.
#[derive(Debug)]
pub(crate) struct ChargeReport<'a> {
    unreported: &'a UnreportedCharges,
    costs: Box<[u64]>,
}

impl UnreportedCharges {
    pub(crate) fn new(limits: usize) -> Self {
        Self((0..limits).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn add(&self, costs: &[u64]) {
        for (sum, &cost) in self.0.iter().zip(costs) {
            // Relaxed: a sum that guards no memory; each permit enters it once.
            let add = |sum: u64| Some(sum.saturating_add(cost));
            // The closure never refuses.
            let _ = sum.fetch_update(Relaxed, Relaxed, add);
        }
    }

    /// Takes all charges out, to be sent with the next call.
    pub(crate) fn take_report(&self) -> ChargeReport<'_> {
        // Relaxed: as in `add`. The load avoids a write while the sum is 0, which is nearly always.
        let take = |sum: &AtomicU64| match sum.load(Relaxed) {
            0 => 0,
            _ => sum.swap(0, Relaxed),
        };
        ChargeReport {
            unreported: self,
            costs: self.0.iter().map(take).collect(),
        }
    }
}

impl ChargeReport<'_> {
    pub(crate) fn get(&self, index: usize) -> u64 {
        self.costs[index]
    }

    /// Records that the server has counted the charges.
    pub(crate) fn confirm(mut self) {
        self.costs.fill(0);
    }
}

impl Drop for ChargeReport<'_> {
    /// Leaves the charges to the next call if this one was dropped or got no reply. If the server
    /// has counted them nevertheless, they count twice and too little is admitted, never too much.
    fn drop(&mut self) {
        if self.costs.iter().any(|cost| *cost > 0) {
            self.unreported.add(&self.costs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_beyond_all_numbers_stays_the_largest() {
        let unreported = UnreportedCharges::new(2);
        unreported.add(&[u64::MAX, 1]);
        unreported.add(&[5, 2]);
        let report = unreported.take_report();
        assert_eq!([report.get(0), report.get(1)], [u64::MAX, 3]);
        unreported.add(&[7, 4]);
        // Without a reply, its charges are added to the new ones.
        drop(report);
        let report = unreported.take_report();
        assert_eq!([report.get(0), report.get(1)], [u64::MAX, 7]);
    }
}
