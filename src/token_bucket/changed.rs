//! The state of a bucket after a change of its quota.

use super::state::{BucketState, Generation};
use crate::gcra::{Gcra, Handover, Leased};
use crate::quota::Quota;
use crate::sync::{Closed, Successor};

/// The state of a bucket after a change of its quota.
pub(super) struct ChangedState {
    state: BucketState,
    handover: Handover,
    generation: Generation,
}

impl ChangedState {
    /// The successor of the `latest` state, or of the `first` if there is none. `None` if that has
    /// this quota.
    pub(super) fn after(
        latest: Option<&Self>,
        first: &BucketState,
        quota: Quota,
        nanos: u64,
    ) -> Option<Self> {
        let (state, generation) = latest.map_or((first, Generation::FIRST), |latest| {
            (&latest.state, latest.generation)
        });
        if state.quota == quota {
            return None;
        }
        let handover = Handover::at(nanos, latest.map(|latest| &latest.handover));
        let gcra = Gcra::new(quota);
        let tat = handover.unopened(&gcra);
        Some(Self {
            state: BucketState { tat, gcra, quota },
            handover,
            generation: generation.next(),
        })
    }

    pub(super) fn run<R>(
        &self,
        operation: impl Fn(&BucketState, Generation) -> Result<R, Closed>,
    ) -> Result<R, Closed> {
        operation(&self.state, self.generation)
    }
}

impl Successor for ChangedState {
    type State = BucketState;

    fn state(&self) -> &BucketState {
        &self.state
    }

    fn close(&self, old: &BucketState) {
        self.handover.close(&old.tat);
    }

    fn take_over(&self, old: &BucketState) {
        let BucketState { tat, gcra, .. } = &self.state;
        let leased = || Leased::NOTHING;
        self.handover
            .take_over(tat, gcra, &old.tat, &old.gcra, leased);
    }
}
