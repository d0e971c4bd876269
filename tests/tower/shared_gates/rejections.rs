//! Responses when the shared limit refuses or cannot decide.

use core::time::Duration;

use http::{Request, Response, StatusCode};
use tidegate::Denied;
use tidegate::layer::{
    Named, NoKey, ProblemJson, RateLimitLayer, Reason, Reject, Rejection, RequestHead,
    ResourceExhausted, SharedDecision, TooManyRequests,
};

use super::{MINUTE, Remote, refused, snapshot, unavailable};
use crate::{answer, field};

fn grpc() -> Request<()> {
    let request = Request::post("/").header("content-type", "application/grpc");
    request.body(()).expect("valid")
}

/// The response to a request that the shared limit `redis` decides so.
fn rejected<R: Reject<String> + Send + Sync + 'static>(
    decision: SharedDecision,
    reject: R,
    request: Request<()>,
) -> Response<String> {
    let gate = Named::new("redis", Remote::new([decision]));
    let layer = RateLimitLayer::shared_builder(gate).reject(reject).build();
    answer(&layer, request)
}

#[test]
fn unavailable_limit_is_a_503_that_says_when_to_retry() {
    let response = rejected(unavailable(), TooManyRequests, Request::new(()));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(field(&response, "retry-after"), Some("2"));
    let unknown = SharedDecision::unavailable(None);
    let response = rejected(unknown, TooManyRequests, Request::new(()));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(field(&response, "retry-after"), None);
}

#[test]
fn problem_of_an_unavailable_limit_is_none_of_the_quota() {
    let response = rejected(unavailable(), ProblemJson, Request::new(()));
    assert_eq!(response.status(), 503);
    assert_eq!(
        field(&response, "content-type"),
        Some("application/problem+json")
    );
    let problem = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
                   \"detail\":\"the limit is unavailable: retry after 1.5s\"}";
    assert_eq!(response.body(), problem);
    let response = rejected(refused(), ProblemJson, Request::new(()));
    assert_eq!(response.status(), 429);
    let policies = r#""violated-policies":["redis"]"#;
    assert!(response.body().contains(policies), "{}", response.body());
}

#[test]
fn grpc_clients_get_unavailable_and_the_wait() {
    const UNAVAILABLE: &str = "14";
    const RESOURCE_EXHAUSTED: &str = "8";
    let unknown = SharedDecision::unavailable(None);
    let never = SharedDecision::denied(Denied::Never { capacity: 3 });
    for (decision, status, pushback, message) in [
        (
            unavailable(),
            UNAVAILABLE,
            Some("1500"),
            "the limit is unavailable: retry after 1.5s",
        ),
        // The client's own backoff decides.
        (unknown, UNAVAILABLE, None, "the limit is unavailable"),
        (
            refused(),
            RESOURCE_EXHAUSTED,
            Some("60000"),
            "not yet: retry after 60s",
        ),
        (
            never,
            RESOURCE_EXHAUSTED,
            Some("-1"),
            "never: more than the capacity of 3",
        ),
    ] {
        for response in [
            rejected(decision.clone(), TooManyRequests, grpc()),
            rejected(decision.clone(), ProblemJson, grpc()),
            rejected(decision.clone(), ResourceExhausted, Request::new(())),
        ] {
            assert_eq!(response.status(), 200);
            assert_eq!(field(&response, "grpc-status"), Some(status));
            assert_eq!(field(&response, "grpc-retry-pushback-ms"), pushback);
            let message = format!("limit `redis`: {message}");
            assert_eq!(field(&response, "grpc-message"), Some(&*message));
        }
    }
}

#[test]
fn functions_see_the_reason() {
    let see = |rejection: &Rejection<'_>| {
        let text = format!("{}: {}", rejection.limit(), rejection.reason());
        let available = rejection.snapshot().map(|snapshot| snapshot.available);
        Response::new(format!(
            "{text}, {:?}, {available:?}",
            rejection.retry_after()
        ))
    };
    let described = refused().describe([snapshot(4)]);
    for (decision, seen) in [
        (
            described,
            "redis: not yet: retry after 60s, Some(60s), Some(4)",
        ),
        (
            refused(),
            "redis: not yet: retry after 60s, Some(60s), None",
        ),
        (
            unavailable(),
            "redis: the limit is unavailable: retry after 1.5s, Some(1.5s), None",
        ),
    ] {
        assert_eq!(rejected(decision, see, Request::new(())).body(), seen);
    }
}

/// By hand, as for a limit that is decided in a handler.
#[test]
fn rejection_by_hand_has_the_same_status() {
    let request = Request::new(());
    let head = RequestHead::new(&request);
    for (reason, status) in [
        (Reason::Unavailable { retry_after: None }, 503),
        (Reason::NoKey(NoKey::NotSent), 400),
        (
            Reason::Limited(Denied::NotYet {
                retry_after: MINUTE.into(),
            }),
            429,
        ),
    ] {
        assert_eq!(Rejection::new(head, reason, "limit").status(), status);
    }
    let retry_after = Some(Duration::from_millis(1));
    let rejection = Rejection::new(head, Reason::Unavailable { retry_after }, "limit");
    assert_eq!(rejection.retry_after_seconds(), Some(1));
}
