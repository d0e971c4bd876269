//! A provider that counts for itself: calls, tokens, and how many calls are open at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::worker::{BoxError, MOST_OUTPUT};

/// What the provider has counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    pub(crate) most_open: u64,
    /// Open calls of each worker.
    open: HashMap<String, u64>,
}

impl Counts {
    pub(crate) fn open(&self) -> u64 {
        self.open.values().sum()
    }

    pub(crate) fn open_of(&self, worker: &str) -> u64 {
        self.open.get(worker).copied().unwrap_or(0)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Provider {
    counts: Arc<Mutex<Counts>>,
}

/// Counts a call as open until it is answered or its client is gone.
struct OpenCall {
    provider: Provider,
    worker: String,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Some(open) = self.provider.lock().open.get_mut(&self.worker) {
            *open -= 1;
        }
    }
}

impl Provider {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // No panic is possible while it is locked.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Listens on the loopback interface, and returns the address.
    pub(crate) async fn start(&self) -> Result<String, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let router = Router::new()
            .route("/{worker}/{prompt}", get(answer))
            .with_state(self.clone());
        // Ends with the program.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}

/// Answers with the number of output tokens, after some time.
async fn answer(
    State(provider): State<Provider>,
    Path((worker, prompt)): Path<(String, u64)>,
) -> String {
    let output = fastrand::u64(50..=MOST_OUTPUT);
    {
        let mut counts = provider.lock();
        counts.requests += 1;
        counts.tokens += prompt + output;
        *counts.open.entry(worker.clone()).or_default() += 1;
        counts.most_open = counts.most_open.max(counts.open());
    }
    let open = OpenCall { provider, worker };
    sleep(Duration::from_millis(40 + output / 5)).await;
    // Before the client reads the answer, and its limiter lets another call go.
    drop(open);
    output.to_string()
}
