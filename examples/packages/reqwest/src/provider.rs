//! A fake provider: an HTTP server on loopback that is strict about any second.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Mutex, time::Instant};

/// The most requests in any second.
pub(crate) const REQUESTS: u64 = 60;
/// The most tokens in any second.
pub(crate) const TOKENS: u64 = 20_000;

/// This arrival, the first being 1, finds the provider overloaded.
const OVERLOADED_AT: u64 = 25;
/// Google tells the wait in the body.
const OVERLOADED: &str = r#"{"error": {"details": [{
    "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}]}}"#;
/// Just before this arrival another program uses all tokens that are left.
const DRAINED_AT: u64 = 60;

/// A request's body. A real one has a text.
#[derive(Serialize, Deserialize)]
pub(crate) struct Prompt {
    pub(crate) input: u64,
    pub(crate) max_output: u64,
}

/// A response's body: the tokens that the call has used.
#[derive(Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

#[derive(Default)]
pub(crate) struct Account {
    /// When something was used, how many requests, and how many tokens.
    log: Vec<(Instant, u64, u64)>,
    arrived: u64,
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    /// The tokens of all requests that were admitted.
    pub(crate) tokens: u64,
}

type SharedAccount = Arc<Mutex<Account>>;

pub(crate) async fn start() -> io::Result<(SocketAddr, SharedAccount)> {
    let account = SharedAccount::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/v1/messages", post(answer));
    let router = router.with_state(account.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok((address, account))
}

async fn answer(State(account): State<SharedAccount>, Json(prompt): Json<Prompt>) -> Response {
    let (input, output) = (prompt.input, prompt.max_output / 2);
    let status = account.lock().await.admit(input + output);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let [requests, tokens] = account.lock().await.left(Instant::now());
    let retry_after = [("retry-after", "1")];
    let headers = [
        ("x-ratelimit-remaining-requests", requests.to_string()),
        ("x-ratelimit-reset-requests", "1s".into()),
        ("x-ratelimit-remaining-tokens", tokens.to_string()),
        ("x-ratelimit-reset-tokens", "1s".into()),
    ];
    match status {
        StatusCode::OK => (headers, Json(Usage { input, output })).into_response(),
        StatusCode::TOO_MANY_REQUESTS => (status, headers, retry_after).into_response(),
        _ => (status, OVERLOADED).into_response(),
    }
}

impl Account {
    fn admit(&mut self, tokens: u64) -> StatusCode {
        let now = Instant::now();
        self.arrived += 1;
        if self.arrived == OVERLOADED_AT {
            self.refused += 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        if self.arrived == DRAINED_AT {
            self.log.push((now, 0, self.left(now)[1]));
        }
        let [requests_left, tokens_left] = self.left(now);
        if requests_left == 0 || tokens_left < tokens {
            self.refused += 1;
            return StatusCode::TOO_MANY_REQUESTS;
        }
        self.log.push((now, 1, tokens));
        self.admitted += 1;
        self.tokens += tokens;
        StatusCode::OK
    }

    /// Returns the requests and tokens that are left.
    fn left(&self, now: Instant) -> [u64; 2] {
        let [requests, tokens] = self.used(now);
        [REQUESTS - requests, TOKENS - tokens]
    }

    /// Returns the requests and tokens of the second that ends at `end`.
    fn used(&self, end: Instant) -> [u64; 2] {
        let is_in = |at: Instant| at <= end && end - at < Duration::from_secs(1);
        let log = || self.log.iter().filter(|(at, ..)| is_in(*at));
        let requests = log().map(|used| used.1).sum();
        [requests, log().map(|used| used.2).sum()]
    }

    /// Returns the most requests, and the most tokens, of any second.
    pub(crate) fn busiest(&self) -> [u64; 2] {
        let seconds = || self.log.iter().map(|(at, ..)| self.used(*at));
        [0, 1].map(|kind| seconds().map(|used| used[kind]).max().unwrap_or(0))
    }
}
