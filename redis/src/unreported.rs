//! What was admitted without the server, until it is told.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// For each limit, permits that the server has not counted.
#[derive(Debug)]
pub(crate) struct UnreportedCharges(Box<[AtomicU64]>);

/// What is on its way to the server, and comes back if it does not arrive for sure.
#[derive(Debug)]
pub(crate) struct ChargeReport<'a> {
    owed: &'a UnreportedCharges,
    costs: Box<[u64]>,
}

impl UnreportedCharges {
    pub(crate) fn new(limits: usize) -> Self {
        Self((0..limits).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn add(&self, costs: &[u64]) {
        for (owed, &cost) in self.0.iter().zip(costs) {
            // Relaxed: a sum that guards nothing; each permit is in it once.
            owed.fetch_add(cost, Relaxed);
        }
    }

    pub(crate) fn take_report(&self) -> ChargeReport<'_> {
        // Relaxed: as in `add`. The load first, so that calls do not write while nothing is owed, which is nearly always.
        let take = |owed: &AtomicU64| match owed.load(Relaxed) {
            0 => 0,
            _ => owed.swap(0, Relaxed),
        };
        ChargeReport {
            owed: self,
            costs: self.0.iter().map(take).collect(),
        }
    }
}

impl ChargeReport<'_> {
    pub(crate) fn get(&self, index: usize) -> u64 {
        self.costs[index]
    }

    /// The server has counted it.
    pub(crate) fn confirm(mut self) {
        self.costs.fill(0);
    }
}

impl Drop for ChargeReport<'_> {
    /// Whoever gives up, or gets no answer, leaves it to the next; should the server have counted it nevertheless, it counts twice, and
    /// too little is admitted.
    fn drop(&mut self) {
        if self.costs.iter().any(|cost| *cost > 0) {
            self.owed.add(&self.costs);
        }
    }
}
