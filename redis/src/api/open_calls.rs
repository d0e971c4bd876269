//! The calls of this node that are open.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};

use super::call_id::CallId;

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With the runtime of each, until that has ended.
    calls: BTreeMap<CallId, Option<Handle>>,
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
    pub(super) fn insert(&self, id: CallId, runtime: &Handle) -> bool {
        let mut state = self.lock();
        state.calls.insert(id, Some(runtime.clone()));
        !core::mem::replace(&mut state.is_renewed, true)
    }

    pub(super) fn remove(&self, id: CallId) {
        self.lock().calls.remove(&id);
    }

    /// Returns the calls to renew. `None` if there are none: then the task ends.
    pub(super) fn to_renew(&self) -> Option<Vec<CallId>> {
        let mut state = self.lock();
        state.is_renewed = !state.calls.is_empty();
        let ids = state.calls.keys().copied();
        state.is_renewed.then(|| ids.collect())
    }

    /// The task has ended before there were none, because its runtime has. Returns a runtime in
    /// which the caller has to start it anew. If there is none, the next call does.
    #[must_use]
    pub(super) fn task_was_dropped(&self, ended: Id) -> Option<Handle> {
        let mut state = self.lock();
        let mut other = None;
        for runtime in state.calls.values_mut() {
            if runtime.as_ref().is_some_and(|it| it.id() == ended) {
                *runtime = None;
            } else if other.is_none() {
                other.clone_from(runtime);
            }
        }
        state.is_renewed = other.is_some();
        other
    }
}
