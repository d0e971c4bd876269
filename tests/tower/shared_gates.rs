//! Layers with a limit that is decided elsewhere, which stands in memory here.

mod cancelled;
mod decisions;
mod header_fields;
mod rejections;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use tidegate::layer::{NoKey, RequestHead, SharedDecision, SharedGate};
use tidegate::{Denied, Snapshot};
use tokio::sync::Semaphore;

const MINUTE: Duration = Duration::from_secs(60);

/// Decides as the test has said, and admits otherwise. Clones are one.
#[derive(Clone)]
pub(crate) struct Remote(Arc<State>);

struct State {
    decisions: Mutex<VecDeque<SharedDecision>>,
    asked: Mutex<Vec<u64>>,
    /// A permit for each answer that may be given.
    answers: Semaphore,
}

impl Remote {
    /// Answers at once.
    pub(crate) fn new(decisions: impl IntoIterator<Item = SharedDecision>) -> Self {
        let remote = Self::silent(decisions);
        remote.0.answers.add_permits(1_000);
        remote
    }

    /// Answers when the test lets it.
    fn silent(decisions: impl IntoIterator<Item = SharedDecision>) -> Self {
        Self(Arc::new(State {
            decisions: Mutex::new(decisions.into_iter().collect()),
            asked: Mutex::default(),
            answers: Semaphore::new(0),
        }))
    }

    fn answer(&self, requests: usize) {
        self.0.answers.add_permits(requests);
    }

    /// The costs that it was asked for.
    fn asked(&self) -> Vec<u64> {
        self.0.asked.lock().expect("no panic").clone()
    }
}

impl SharedGate for Remote {
    type Key = ();

    fn find(&self, request: &RequestHead<'_>) -> Result<(), NoKey> {
        if request.headers().contains_key("lost") {
            return Err(NoKey::NotAttached);
        }
        Ok(())
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        self.0.asked.lock().expect("no panic").push(n);
        self.0.answers.acquire().await.expect("open").forget();
        let next = self.0.decisions.lock().expect("no panic").pop_front();
        next.unwrap_or_else(SharedDecision::admitted)
    }
}

pub(crate) fn refused() -> SharedDecision {
    SharedDecision::denied(Denied::NotYet {
        retry_after: MINUTE.into(),
    })
}

pub(crate) const fn unavailable() -> SharedDecision {
    SharedDecision::unavailable(Some(Duration::from_millis(1_500)))
}

/// What is left of a limit of 100 in a minute.
const fn snapshot(available: u64) -> Snapshot {
    let mut snapshot = Snapshot::new(100, MINUTE);
    (snapshot.available, snapshot.next_permit_in) = (available, Some(MINUTE));
    snapshot
}
