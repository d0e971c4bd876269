//! The state of a table after a change of its quota.

use alloc::boxed::Box;

use super::set::Set;
use super::state::TableState;
use crate::gcra::WordGcra;
use crate::quota::Quota;
use crate::sync::{Closed, Successor};

/// The state of a table after a change of its quota.
///
/// Each set takes over by itself, from the set with its number. The thread that changes the quota
/// lets all of them take over before this state becomes the latest. Until then, a call comes here
/// only from the state before, and lets its own set take over from there.
pub(super) struct ChangedTable {
    state: TableState,
    /// The time of the change in nanoseconds.
    since: u64,
}

impl ChangedTable {
    /// The successor of the `latest` state, or of the `first` if there is none. `None` if that has
    /// this quota.
    pub(super) fn after(
        latest: Option<&Self>,
        first: &TableState,
        quota: Quota,
        since: u64,
    ) -> Option<Self> {
        let old = latest.map_or(first, |latest| &latest.state);
        if old.quota == quota {
            return None;
        }
        let sets: Box<[Set]> = old.sets.iter().map(|_| Set::unopened()).collect();
        let state = TableState {
            sets,
            gcra: WordGcra::new(quota),
            quota,
            number: old.number.wrapping_add(1),
        };
        Some(Self { state, since })
    }

    pub(super) const fn quota(&self) -> Quota {
        self.state.quota
    }

    /// Runs an operation on a set. `before` is the state before this one, if the set may have to
    /// take over from it.
    pub(super) fn on_set<R>(
        &self,
        before: Option<&TableState>,
        number: usize,
        operation: impl Fn(&TableState, &Set) -> Result<R, Closed>,
    ) -> Result<R, Closed> {
        if let Some(before) = before {
            self.take_over_set(before, number);
        }
        operation(&self.state, &self.state.sets[number])
    }

    fn take_over_set(&self, old: &TableState, number: usize) {
        let TableState { sets, gcra, .. } = &self.state;
        sets[number].take_over(gcra, &old.sets[number], &old.gcra, self.since);
    }
}

impl Successor for ChangedTable {
    type State = TableState;

    fn state(&self) -> &TableState {
        &self.state
    }

    fn close(&self, old: &TableState) {
        for number in 0..old.sets.len() {
            self.take_over_set(old, number);
        }
    }

    /// Does nothing: each set takes over by itself.
    fn take_over(&self, _: &TableState) {}
}
