//! The calls of this node that are open.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call_id::CallId;

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ids: BTreeSet<CallId>,
    /// Whether a task renews them.
    is_renewed: bool,
}

impl OpenCalls {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic is possible while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call. Returns whether the caller has to start the task that renews all.
    #[must_use]
    pub(super) fn insert(&self, id: CallId) -> bool {
        let mut state = self.lock();
        state.ids.insert(id);
        !core::mem::replace(&mut state.is_renewed, true)
    }

    pub(super) fn remove(&self, id: CallId) {
        self.lock().ids.remove(&id);
    }

    /// Returns the calls to renew. `None` if there are none: then the task ends.
    pub(super) fn to_renew(&self) -> Option<Vec<CallId>> {
        let mut state = self.lock();
        state.is_renewed = !state.ids.is_empty();
        let ids = state.ids.iter().copied();
        state.is_renewed.then(|| ids.collect())
    }

    /// The task has ended before there were none, because its runtime has.
    pub(super) fn task_was_dropped(&self) {
        self.lock().is_renewed = false;
    }
}
