//! The provider's HTTP server, and the JSON that it exchanges with clients.

use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time;

use crate::account::{Account, Refused, Remaining};

/// The path for prompts.
pub(crate) const PATH: &str = "/v1/messages";

/// The body of a request. A real one has a text, of which only the length matters here.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Prompt {
    /// The number of this piece of work. Both sides count by it what was done twice or never.
    pub(crate) piece: u32,
    pub(crate) input_tokens: u64,
    /// The most tokens that the answer may have.
    pub(crate) max_tokens: u64,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) piece: u32,
    pub(crate) usage: Usage,
}

/// The tokens that a call used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Usage {
    pub(crate) const fn total(self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}

impl Prompt {
    /// Returns what a model will use: less than allowed, and the same each time.
    pub(crate) fn usage(&self) -> Usage {
        let tenths = 3 + u64::from(self.piece % 5);
        Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.max_tokens * tenths / 10,
        }
    }
}

/// Starts a server, which ends with the runtime.
pub(crate) async fn start(account: Arc<Account>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route(PATH, post(answer)).with_state(account);
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn answer(State(account): State<Arc<Account>>, Json(prompt): Json<Prompt>) -> Response {
    let most = prompt.input_tokens.saturating_add(prompt.max_tokens);
    if most > account.limits().tokens_at_once {
        // No wait would help.
        return (StatusCode::BAD_REQUEST, "too many tokens\n").into_response();
    }
    if let Err(refused) = account.admit(most) {
        return refuse(&account, refused);
    }
    let usage = prompt.usage();
    // The time to write the answer.
    time::sleep(Duration::from_millis(15 + usage.output_tokens / 10)).await;
    let piece = prompt.piece;
    let remaining = account.settle(piece, most, usage.total());
    let headers = headers(&account, remaining);
    (headers, Json(Answer { piece, usage })).into_response()
}

fn refuse(account: &Account, refused: Refused) -> Response {
    let retry_after = [(RETRY_AFTER, whole_seconds(refused.retry_after).to_string())];
    let headers = headers(account, refused.remaining);
    (StatusCode::TOO_MANY_REQUESTS, retry_after, headers).into_response()
}

/// Rounds up, because a client that comes early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started)
}

fn headers(account: &Account, remaining: Remaining) -> [(&'static str, String); 4] {
    let limits = account.limits();
    let requests = limits.windows[0].requests;
    let numbers = [
        ("anthropic-ratelimit-requests-limit", requests),
        ("anthropic-ratelimit-requests-remaining", remaining.requests),
        ("anthropic-ratelimit-tokens-limit", limits.tokens_per_minute),
        ("anthropic-ratelimit-tokens-remaining", remaining.tokens),
    ];
    numbers.map(|(name, number)| (name, number.to_string()))
}
