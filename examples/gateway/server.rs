//! The server: asks the limits before every request.

use std::io;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::limits::{Limits, Refusal, Stats};

/// The header that names the limit which refused.
pub(crate) const REFUSED_BY: &str = "x-refused-by";

/// Serves until `stop` is sent or dropped, and then until open requests have finished.
pub(crate) async fn serve(
    listener: TcpListener,
    limits: Arc<Limits>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    axum::serve(listener, router(limits))
        .with_graceful_shutdown(async {
            let _ = stop.await;
        })
        .await
}

fn router(limits: Arc<Limits>) -> Router {
    Router::new()
        .route("/", get(async || "welcome\n"))
        .route("/search", get(async || "nothing found\n"))
        .route("/upload", post(async || "stored\n"))
        .fallback(async || (StatusCode::NOT_FOUND, "no such page\n"))
        // Covers what stands above it, wrong methods and unknown paths included.
        .layer(middleware::from_fn_with_state(Arc::clone(&limits), gate))
        // Below the layer, and so not gated: under load is when one wants to read it.
        .route("/stats", get(stats))
        .with_state(limits)
}

async fn gate(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    match limits.admit(request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refuse(refusal),
    }
}

fn refuse(refusal: Refusal) -> Response {
    let Refusal { limit, wait } = refusal;
    let headers = [
        (
            RETRY_AFTER.as_str(),
            refusal.retry_after_seconds().to_string(),
        ),
        (REFUSED_BY, limit.to_owned()),
    ];
    let body = format!("too many requests ({limit}): retry after {wait:?}\n");
    (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
}

async fn stats(State(limits): State<Arc<Limits>>) -> Json<Stats> {
    Json(limits.stats())
}
