//! Layers with a limit that is decided elsewhere, which stands in memory here.

mod cancelled;
mod decisions;
mod header_fields;
mod rejections;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::time::Duration;
use std::sync::Mutex;

use http::{Request, Response};
use tidegate::layer::{NoKey, RequestHead, SharedDecision, SharedGate};
use tidegate::{Denied, Snapshot};
use tokio::sync::Semaphore;
use tower::{Layer, Service, service_fn};

use crate::{Serve, answer_of, serve};

const MINUTE: Duration = Duration::from_secs(60);

/// Decides as the test has said, and admits otherwise. Clones are one.
#[derive(Clone)]
struct Remote(Arc<State>);

struct State {
    decisions: Mutex<VecDeque<SharedDecision>>,
    asked: Mutex<Vec<u64>>,
    /// A permit for each answer that may be given.
    answers: Semaphore,
}

impl Remote {
    /// Answers at once.
    fn new(decisions: impl IntoIterator<Item = SharedDecision>) -> Self {
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
        match request.headers().contains_key("lost") {
            true => Err(NoKey::NotAttached),
            false => Ok(()),
        }
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        self.0.asked.lock().expect("no panic").push(n);
        self.0.answers.acquire().await.expect("open").forget();
        let next = self.0.decisions.lock().expect("no panic").pop_front();
        next.unwrap_or_else(SharedDecision::admitted)
    }
}

fn refused() -> SharedDecision {
    SharedDecision::denied(Denied::NotYet {
        retry_after: MINUTE,
    })
}

fn unavailable() -> SharedDecision {
    SharedDecision::unavailable(Some(Duration::from_millis(1_500)))
}

/// What is left of a limit of 100 in a minute.
fn snapshot(available: u64) -> Snapshot {
    let mut snapshot = Snapshot::new(100, MINUTE);
    (snapshot.available, snapshot.next_permit_in) = (available, Some(MINUTE));
    snapshot
}

/// The response of a service behind `layer`, when the shared limit answers at once.
fn ask<L>(layer: &L, request: Request<()>) -> Response<String>
where
    L: Layer<tower::util::ServiceFn<Serve<()>>>,
    L::Service: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    answer_of(layer.layer(service_fn(serve as Serve<()>)), request)
}
