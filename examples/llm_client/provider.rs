//! The provider's HTTP server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time;

use crate::account::{Account, Left, Refused};
use crate::message::{Answer, PATH, Prompt, Usage};

/// Serves until `stop` is sent or dropped, and then until open requests have finished.
pub(crate) async fn serve(
    listener: TcpListener,
    account: Arc<Account>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let router = Router::new().route(PATH, post(answer)).with_state(account);
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = stop.await;
        })
        .await
}

/// What a model will really use: never all that it may, and the same each time.
pub(crate) fn usage(prompt: &Prompt) -> Usage {
    let tenths = 3 + u64::from(prompt.piece % 5);
    Usage {
        input_tokens: prompt.input_tokens,
        output_tokens: prompt.max_tokens * tenths / 10,
    }
}

async fn answer(State(account): State<Arc<Account>>, Json(prompt): Json<Prompt>) -> Response {
    let most = prompt.input_tokens.saturating_add(prompt.max_tokens);
    if most > account.quotas().tokens_at_once {
        // No wait would help.
        return (StatusCode::BAD_REQUEST, "more tokens than there ever are\n").into_response();
    }
    if let Err(refused) = account.admit(most) {
        return refuse(&account, refused);
    }
    let usage = usage(&prompt);
    // It writes its answer.
    time::sleep(Duration::from_millis(15 + usage.output_tokens / 10)).await;
    let left = account.settle(prompt.piece, most, usage.total());
    let piece = prompt.piece;
    (headers(&account, left), Json(Answer { piece, usage })).into_response()
}

fn refuse(account: &Account, refused: Refused) -> Response {
    let retry_after = [(RETRY_AFTER, whole_seconds(refused.retry_after).to_string())];
    let headers = headers(account, refused.left);
    (StatusCode::TOO_MANY_REQUESTS, retry_after, headers).into_response()
}

/// Rounded up, since who comes early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started)
}

type Headers = [(&'static str, String); 4];

fn headers(account: &Account, left: Left) -> Headers {
    let quotas = account.quotas();
    let requests = quotas
        .windows
        .first()
        .map_or(u64::MAX, |first| first.requests);
    let numbers = [
        ("anthropic-ratelimit-requests-limit", requests),
        ("anthropic-ratelimit-requests-remaining", left.requests),
        ("anthropic-ratelimit-tokens-limit", quotas.tokens_per_minute),
        ("anthropic-ratelimit-tokens-remaining", left.tokens),
    ];
    numbers.map(|(name, number)| (name, number.to_string()))
}
