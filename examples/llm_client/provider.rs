//! A fake provider of a language model: an HTTP server on loopback with limits of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::{self, Instant};

const REQUESTS_PER_MINUTE: f64 = 1_200.0;
const REQUESTS_AT_ONCE: f64 = 20.0;
const TOKENS_PER_MINUTE: f64 = 300_000.0;
const TOKENS_AT_ONCE: f64 = 10_000.0;

/// A request's body. A real one has a text. Only its length matters here.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Prompt {
    pub(crate) input_tokens: u32,
    pub(crate) max_tokens: u32,
}

/// A line of an answer's body: a piece of the text, or at the end the tokens that the call used.
#[derive(Serialize, Deserialize)]
pub(crate) enum Event {
    Text(String),
    Usage { input: u32, output: u32 },
}

/// What one customer has left.
pub(crate) struct Account {
    requests: f64,
    tokens: f64,
    updated_at: Instant,
    /// Another program uses all tokens just before this request; the first is 1.
    drained_before: Option<u32>,
    arrived: u32,
    pub(crate) answered: u32,
    pub(crate) refused: u32,
}

type SharedAccount = Arc<Mutex<Account>>;

/// Starts a provider with a full account.
pub(crate) async fn start(drained_before: Option<u32>) -> io::Result<(SocketAddr, SharedAccount)> {
    let account = Arc::new(Mutex::new(Account {
        requests: REQUESTS_AT_ONCE,
        tokens: TOKENS_AT_ONCE,
        updated_at: Instant::now(),
        drained_before,
        arrived: 0,
        answered: 0,
        refused: 0,
    }));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/v1/messages", post(answer))
        .with_state(account.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok((address, account))
}

pub(crate) fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(account): State<SharedAccount>, Json(prompt): Json<Prompt>) -> Response {
    let reserved = prompt.input_tokens + prompt.max_tokens;
    if let Err(wait) = lock(&account).charge(f64::from(reserved)) {
        let retry_after = [("retry-after", wait.ceil().to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, retry_after).into_response();
    }
    let left = lock(&account).tokens;
    let reset = (TOKENS_AT_ONCE - left) / (TOKENS_PER_MINUTE / 60.0);
    let headers = [
        ("x-ratelimit-remaining-tokens", left.floor().to_string()),
        ("x-ratelimit-reset-tokens", format!("{reset:.3}s")),
    ];
    let text = stream::iter(["An ", "answer ", "in ", "pieces."]).then(async |piece| {
        time::sleep(Duration::from_millis(12)).await;
        Event::Text(piece.into())
    });
    let end = stream::once(async move {
        let (input, output) = (prompt.input_tokens, prompt.max_tokens / 2);
        lock(&account).settle(f64::from(reserved - input - output));
        Event::Usage { input, output }
    });
    let line = |event| serde_json::to_string(&event).map(|line| line + "\n");
    (headers, Body::from_stream(text.chain(end).map(line))).into_response()
}

impl Account {
    /// Charges a request and the most tokens that it can use, or returns the seconds to wait.
    fn charge(&mut self, tokens: f64) -> Result<(), f64> {
        self.refill();
        self.arrived += 1;
        if self.drained_before == Some(self.arrived) {
            self.tokens = 0.0;
        }
        let wait = (1.0 - self.requests) / (REQUESTS_PER_MINUTE / 60.0);
        let wait = wait.max((tokens - self.tokens) / (TOKENS_PER_MINUTE / 60.0));
        if wait > 0.0 {
            self.refused += 1;
            return Err(wait);
        }
        self.requests -= 1.0;
        self.tokens -= tokens;
        Ok(())
    }

    /// Ends a call, and takes back the tokens that it did not use.
    fn settle(&mut self, unused: f64) {
        self.answered += 1;
        self.tokens += unused;
        self.refill();
    }

    fn refill(&mut self) {
        let minutes = self.updated_at.elapsed().as_secs_f64() / 60.0;
        self.updated_at = Instant::now();
        let requests = self.requests + minutes * REQUESTS_PER_MINUTE;
        self.requests = requests.min(REQUESTS_AT_ONCE);
        let tokens = self.tokens + minutes * TOKENS_PER_MINUTE;
        self.tokens = tokens.min(TOKENS_AT_ONCE);
    }
}
