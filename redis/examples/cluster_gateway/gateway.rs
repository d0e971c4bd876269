//! One gateway: requests that must pass a limit of their user and one of all, both shared with the other gateways.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tidegate::{DefaultClock, Quota};
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LeasedTokenBucket, LimiterOptions,
    RedisKeyed, RedisStore, RedisTokenBucket,
};
use tokio::net::TcpListener;

use crate::args::{Quotas, Serve};
use crate::stats::{Answers, Stats};
use crate::{BoxError, asked_to_stop, print};

/// How many gateways share the limits: without the server, each admits so much of a user's quota.
pub(crate) const NODES: NonZeroU32 = NonZeroU32::new(3).unwrap();

/// Who a request is from. A real gateway would take it from a token that it has checked.
pub(crate) const USER: &str = "x-user";
/// Names are keys on the server as they are, so they should be short.
const LONGEST_USER: usize = 64;
/// The header that says who let a request pass its user's limit: the server, or this gateway's share.
pub(crate) const PASSED: HeaderName = HeaderName::from_static("x-user-limit-passed");

struct Gateway {
    store: RedisStore,
    users: RedisKeyed,
    global: LeasedTokenBucket,
    answers: Answers,
}

impl Gateway {
    fn new(redis: &str, prefix: &str, quotas: Quotas) -> Result<Self, BoxError> {
        let store = RedisStore::builder()
            .prefix(prefix)
            // More often than by default, so that a short demo shows how they come back.
            .probe_interval(Duration::from_millis(200))
            .connect(redis)?;
        // Both limits of a user are one round trip. Without the server users get a share at each gateway: a little too much is
        // better than nothing.
        let of_user = [("second", quotas.user), ("day", Quota::per_day(10_000))];
        let share = LimiterOptions::new().on_failure(FailurePolicy::Local { nodes: NODES });
        let users = RedisKeyed::with_options(&store, "user", of_user, share)?;
        // This one protects what is behind all gateways, so without the server it admits what they hold, and then nothing. Leased,
        // for a round trip to a single bucket with every request would be the slowest part of it.
        let strict = LimiterOptions::new().on_failure(FailurePolicy::Closed);
        let global = RedisTokenBucket::with_options(&store, "global", quotas.global, strict)?;
        Ok(Self {
            global: global.lease(LeaseOptions::new()),
            store,
            users,
            answers: Answers::default(),
        })
    }

    /// The limit of the user comes first, so that what it refuses costs nothing of the one for all.
    async fn answer(&self, user: &str) -> Response {
        let by = match self.users.try_acquire(user, 1).await {
            Ok(admitted) => admitted.by(),
            Err(error) => return refuse("user", &error),
        };
        let response = match self.global.try_acquire(1) {
            Ok(()) => "welcome\n".into_response(),
            Err(error) => refuse("global", &error),
        };
        let by = match by {
            AdmittedBy::Server => "server",
            _ => "share",
        };
        ([(PASSED, by)], response).into_response()
    }
}

/// 429 if the limit refuses, 503 if it cannot be asked; with the time after which it is worth asking again.
fn refuse(limit: &str, error: &AcquireError) -> Response {
    let status = if error.is_unavailable() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::TOO_MANY_REQUESTS
    };
    let wait = error.retry_after().unwrap_or_default();
    // Whole seconds, rounded up; 0 would invite them to come at once.
    let seconds = (wait.as_millis().div_ceil(1_000)).max(1);
    let headers = [(header::RETRY_AFTER, seconds.to_string())];
    (status, headers, format!("{limit}: {error}\n")).into_response()
}

async fn welcome(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let user = headers.get(USER).and_then(|user| user.to_str().ok());
    let Some(user) = user.filter(|user| user.len() <= LONGEST_USER) else {
        let message = format!("who is it? ({USER}: at most {LONGEST_USER} characters)\n");
        return (StatusCode::BAD_REQUEST, message).into_response();
    };
    let response = gateway.answer(user).await;
    gateway.answers.count(response.status());
    response
}

async fn stats(State(gateway): State<Arc<Gateway>>) -> Json<Stats> {
    Json(Stats::new(
        gateway.answers.read(),
        &gateway.global,
        &gateway.users,
        &gateway.store,
    ))
}

/// Serves until it is asked to stop, then gives back what it holds of the limit for all.
pub(crate) async fn serve(options: Serve) -> Result<(), BoxError> {
    // At start-up, so that no request waits for it.
    DefaultClock::calibrate();
    let gateway = Gateway::new(&options.redis, &options.prefix, options.quotas)
        .map_err(|error| format!("--redis `{}`: {error}", options.redis))?;
    let gateway = Arc::new(gateway);
    let port = options.port;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    print(&format!("listening on http://{}\n", listener.local_addr()?))?;

    let router = Router::new()
        .route("/", get(welcome))
        .route("/stats", get(stats))
        .with_state(Arc::clone(&gateway));
    tokio::select! {
        ended = axum::serve(listener, router) => ended?,
        () = asked_to_stop() => {}
    }
    gateway.global.close().await;
    Ok(())
}
