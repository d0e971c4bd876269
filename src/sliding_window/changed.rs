//! The state of a window after a change of its limit or its length.

use super::charge::Generation;
use super::handover::Handover;
use super::history::History;
use super::ring::Ring;
use super::slots::WindowError;
use super::state::{Deciding, WindowState};
use super::windows::Windows;
use crate::sync::{Closed, Successor};
use crate::time::Timestamp;

/// The state of a window after a change of its limit or its length.
pub(super) struct ChangedState {
    state: WindowState,
    handover: Handover,
    generation: Generation,
}

impl ChangedState {
    /// The state that replaces `latest`, or the `first` one if there is none, with what `change`
    /// makes of its windows. `None` if limits and lengths are the same.
    pub(super) fn replacing(
        first: &WindowState,
        latest: Option<&Self>,
        change: impl FnOnce(Windows) -> Result<Windows, WindowError>,
        now: Timestamp,
    ) -> Result<Option<Self>, WindowError> {
        let (state, generation) = latest.map_or((first, Generation::FIRST), |latest| {
            (&latest.state, latest.generation)
        });
        let old = state.ring.windows();
        let new = change(old)?;
        Ok((!old.are_like(&new)).then(|| Self {
            state: WindowState::new(Ring::unopened(&new)),
            handover: Handover::at(now.as_nanos()),
            generation: generation.next(),
        }))
    }

    /// This state, which has taken over.
    pub(super) fn deciding(&self) -> Result<Deciding<'_, &History>, Closed> {
        let WindowState { ring, history } = &self.state;
        let generation = self.generation;
        // Set before the ring was opened, and calls come after that.
        let carried = history.get().ok_or(Closed)?;
        Ok(Deciding {
            ring,
            carried,
            generation,
        })
    }
}

impl Successor for ChangedState {
    type State = WindowState;

    fn state(&self) -> &WindowState {
        &self.state
    }

    fn close(&self, old: &WindowState) {
        self.handover.close(&old.ring);
    }

    fn take_over(&self, old: &WindowState) {
        self.handover.take_over(&self.state, old);
    }
}
