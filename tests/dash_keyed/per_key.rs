//! Requests limited by the sessions of a `DashMap`.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::time::Duration;

use http::{Request, Response, StatusCode};
use tidegate::ManualClock;
use tidegate::layer::{PaceLayer, PerKey, RateLimitLayer, RequestHead};
use tower::{Layer, ServiceExt, service_fn};

use crate::{SECOND, Sessions, session};

const OK: StatusCode = StatusCode::OK;
const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// The session of a request, in its header.
fn session_of(request: &RequestHead<'_>) -> Option<String> {
    let session = request.headers().get("session")?;
    session.to_str().ok().map(str::to_owned)
}

fn request(session: &str) -> Request<()> {
    let request = Request::builder().header("session", session);
    request.body(()).expect("valid")
}

async fn answer(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().expect("a runtime").block_on(future)
}

#[test]
fn requests_are_limited_by_session() {
    let (clock, sessions) = (ManualClock::new(), Arc::new(Sessions::new()));
    sessions.insert("alice".into(), session(2, &clock));
    sessions.insert("bob".into(), session(1, &clock));
    let limits = tidegate::DashKeyed::with_clock(sessions.clone(), crate::limiter, clock.clone());
    let layer = RateLimitLayer::new(PerKey::new(Arc::new(limits), session_of));
    let service = layer.layer(service_fn(answer));
    let status = |name| {
        block_on(service.clone().oneshot(request(name)))
            .unwrap()
            .status()
    };
    let statuses = ["alice", "bob", "alice", "alice", "bob", "eve"].map(status);
    assert_eq!(statuses, [OK, OK, OK, LIMITED, LIMITED, LIMITED]);
    assert_eq!(sessions.len(), 2);
    clock.advance(SECOND);
    assert_eq!(status("alice"), OK);

    let refused = block_on(service.clone().oneshot(request("bob"))).unwrap();
    assert_eq!(refused.status(), OK);
    let refused = block_on(service.clone().oneshot(request("bob"))).unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
}

/// Requests wait in the queue of their session.
#[test]
fn requests_are_paced_by_session() {
    let (clock, sessions) = (ManualClock::new(), Arc::new(Sessions::new()));
    sessions.insert("alice".into(), session(1, &clock));
    let limits = tidegate::DashKeyed::with_clock(sessions, crate::limiter, clock.clone());
    let time = clock.clone();
    let timer = move |wait: Duration| {
        time.advance(wait);
        core::future::ready(())
    };
    let layer = PaceLayer::builder(PerKey::new(limits, session_of))
        .timer(timer)
        .build();
    let service = layer.layer(service_fn(answer));
    for _ in 0..3 {
        let response = block_on(service.clone().oneshot(request("alice"))).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 2_000_000_000);
}
