//! The state of a window after a change of its limit or its length.

use super::charge::Generation;
use super::handover::Handover;
use super::history::History;
use super::ring::Ring;
use super::slots::Window;
use super::state::{Deciding, WindowState};
use crate::sync::{Closed, Successor};
use crate::time::Timestamp;

/// The state of a window after a change of its limit or its length.
pub(super) struct ChangedState {
    state: WindowState,
    handover: Handover,
    generation: Generation,
}

impl ChangedState {
    /// The state that replaces `latest`, or the `first` one if there is none. `None` if limit and
    /// length are the same.
    pub(super) fn replacing(
        first: &WindowState,
        latest: Option<&Self>,
        window: Window,
        now: Timestamp,
    ) -> Option<Self> {
        let (state, generation) = latest.map_or((first, Generation::FIRST), |latest| {
            (&latest.state, latest.generation)
        });
        (!state.ring.window().is_like(&window)).then(|| Self {
            state: WindowState::new(Ring::unopened(window)),
            handover: Handover::at(now.as_nanos()),
            generation: generation.next(),
        })
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
