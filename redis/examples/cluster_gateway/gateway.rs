//! One gateway. A request must pass the limit of its user and a limit for all requests. The
//! gateways share both.

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidegate::{DefaultClock, Quota};
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LeasedTokenBucket, LimiterOptions,
    RedisKeyed, RedisStore, RedisTokenBucket,
};
use tokio::net::TcpListener;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The limit of all requests together.
pub(crate) const GLOBAL: Quota = Quota::per_second(1_000).burst(250);
/// The limits of each user.
const PER_SECOND: Quota = Quota::per_second(20).burst(10);
const PER_DAY: Quota = Quota::per_day(10_000);

/// How many gateways share the limits. Without the server, each admits this part of a user's quota.
pub(crate) const NODES: NonZeroU32 = NonZeroU32::new(3).unwrap();

/// The header with the user's name. A real gateway would take the name from a verified token.
const USER: &str = "x-user";
/// Names are stored on the server as they are, so they should be short.
const MAX_USER_LENGTH: usize = 64;
/// The header that names the source of the admission: the server or this gateway's share.
const ADMITTED_BY: &str = "x-user-admitted-by";

pub(crate) struct Gateway {
    store: RedisStore,
    users: RedisKeyed,
    global: LeasedTokenBucket,
}

impl Gateway {
    pub(crate) async fn new(redis: &str) -> Result<Self, BoxError> {
        let store = RedisStore::builder()
            // More often than by default, so that a short demo shows the recovery.
            .probe_interval(Duration::from_millis(200))
            .connect(redis)
            .map_err(|error| format!("invalid address `{redis}`: {error}"))?;
        // Both limits of a user take one round trip. Without the server, a user gets a share at
        // each gateway: admitting a little too much is better than an outage.
        let quotas = [("second", PER_SECOND), ("day", PER_DAY)];
        let share = LimiterOptions::new().on_failure(FailurePolicy::Local { nodes: NODES });
        let users = RedisKeyed::with_options(&store, "user", quotas, share)?;
        // The global limit protects the services behind the gateways. Without the server it admits
        // what the gateways hold, and then nothing. It is leased, because a round trip to one
        // bucket for every request would be the slowest part.
        let global = RedisTokenBucket::new(&store, "global", GLOBAL)?;
        let global = global.lease(LeaseOptions::new()).await;
        Ok(Self {
            store,
            users,
            global,
        })
    }

    /// Charges the user's limit before the global one, so that its denials cost other users
    /// nothing.
    pub(crate) async fn respond(&self, user: &str) -> Response {
        let admitted = match self.users.try_acquire(user, 1).await {
            Ok(admitted) => admitted,
            Err(error) => return refusal("user", &error),
        };
        let by = match admitted.by() {
            AdmittedBy::Server => "server",
            _ => "share",
        };
        let response = match self.global.try_acquire(1) {
            Ok(()) => "welcome\n".into_response(),
            Err(error) => refusal("global", &error),
        };
        ([(ADMITTED_BY, by)], response).into_response()
    }
}

/// Responds 429 if a limit denies the request and 503 if the server does not answer, with the time
/// to wait.
fn refusal(limit: &str, error: &AcquireError) -> Response {
    let status = if error.is_unavailable() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::TOO_MANY_REQUESTS
    };
    let wait = error.retry_after().unwrap_or_default();
    // Whole seconds, rounded up. With 0 clients would retry at once.
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    let headers = [(header::RETRY_AFTER, seconds.to_string())];
    (status, headers, format!("{limit}: {error}\n")).into_response()
}

async fn welcome(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let user = headers.get(USER).and_then(|user| user.to_str().ok());
    match user.filter(|user| user.len() <= MAX_USER_LENGTH) {
        Some(user) => gateway.respond(user).await,
        None => (StatusCode::BAD_REQUEST, "missing or invalid x-user\n").into_response(),
    }
}

async fn stats(State(gateway): State<Arc<Gateway>>) -> String {
    format!(
        "{:#?}\n{:#?}\n{:#?}\n",
        gateway.users.stats(),
        gateway.global.stats(),
        gateway.store.stats()
    )
}

/// Serves until Ctrl-C, then gives back what it holds of the global limit.
pub(crate) async fn serve(redis: &str, address: &str) -> Result<(), BoxError> {
    // Calibrates now, so that no request waits for it.
    DefaultClock::calibrate();
    let gateway = Arc::new(Gateway::new(redis).await?);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(welcome))
        .route("/stats", get(stats))
        .with_state(Arc::clone(&gateway));
    tokio::select! {
        ended = axum::serve(listener, router) => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    gateway.global.close().await;
    Ok(())
}
