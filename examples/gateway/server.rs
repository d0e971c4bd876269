//! The server: asks the limits before every request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::counted::Refusal;
use crate::limits::Limits;
use crate::stats::Stats;

/// The header that names the limit which refused.
pub(crate) const REFUSED_BY: &str = "x-refused-by";

/// The header with a client's API key.
pub(crate) const API_KEY: &str = "x-api-key";

/// In bytes. Memory does not depend on it, as keys are digested; but that takes 1 ns for every 2 bytes, and hyper accepts headers
/// of hundreds of kilobytes.
const LONGEST_API_KEY: usize = 8 << 10;

/// Serves until `stop` is sent or dropped, and then until open requests have finished.
pub(crate) async fn serve(
    listener: TcpListener,
    limits: Arc<Limits>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let router = router(limits).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, router)
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

async fn gate(
    State(limits): State<Arc<Limits>>,
    // The other end of the connection. Whatever headers claim (`X-Forwarded-For`), clients can make up.
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    // The first one counts. Whoever checks keys behind a gateway has to read the same.
    let api_key = request.headers().get(API_KEY).map(HeaderValue::as_bytes);
    if api_key.is_some_and(|key| key.len() > LONGEST_API_KEY) {
        let told = format!("{API_KEY} may have {LONGEST_API_KEY} bytes\n");
        return (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, told).into_response();
    }
    match limits.admit(limits.client(peer, api_key), request.uri().path()) {
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
