//! The layer of a client: it acquires, sends, observes, retries and settles.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

use http::{Request, Response, StatusCode};
use tidegate::layer::{ApiClientError, ApiClientLayer, ResponsePermit};
use tidegate::{
    ApiRateLimiter, Clock, LimitKind, Quota, RateLimitConfig, Timestamp, TokenBucket, TokenUsage,
    TokioClock,
};
use tower::{Layer, ServiceExt, service_fn};

type Api = ApiRateLimiter<TokioClock>;

const SECOND: Duration = Duration::from_secs(1);

fn api(limits: &str) -> Api {
    let config = RateLimitConfig {
        backoff_seed: Some(1),
        ..limits.parse().expect("valid")
    };
    ApiRateLimiter::with_clock(config, TokioClock::new()).expect("valid")
}

/// What a server answers, call by call: a status, and a field.
type Script = &'static [(u16, Option<(&'static str, &'static str)>)];

/// A server that follows a script and then answers 200. Counts its calls.
fn server(
    script: Script,
) -> (
    impl tower::Service<
        Request<String>,
        Response = Response<String>,
        Error = &'static str,
        Future: Send,
    > + Clone
    + Send
    + 'static,
    Arc<AtomicUsize>,
) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let answer = move |request: Request<String>| {
        let call = counted.fetch_add(1, Relaxed);
        async move {
            let (status, field) = script.get(call).copied().unwrap_or((200, None));
            if status == 0 {
                return Err("connection closed");
            }
            let mut response = Response::new(request.into_body());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            if let Some((name, value)) = field {
                let value = value.parse().expect("a value");
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
    };
    (service_fn(answer), calls)
}

fn prompt() -> Request<String> {
    Request::new(String::from("a prompt"))
}

#[tokio::test(start_paused = true)]
async fn refused_request_is_sent_again_when_the_server_allows() {
    let api = api("600/min, 10k tokens/min");
    let script: Script = &[
        (429, Some(("retry-after", "7"))),
        (503, Some(("retry-after-ms", "2500"))),
    ];
    let (server, calls) = server(script);
    let client = ApiClientLayer::new(api.clone())
        .estimate(|_| TokenUsage::new(100, 900).into())
        .layer(server);
    let start = api.clock().now();
    let response = client.oneshot(prompt()).await.expect("answered");
    let took = api.clock().now() - start;
    // Two waits, and after each a random time below 100 ms.
    assert!(took >= Duration::from_millis(9_500), "{took:?}");
    assert!(took <= Duration::from_millis(9_720), "{took:?}");
    assert_eq!(
        (response.body().as_str(), calls.load(Relaxed)),
        ("a prompt", 3)
    );

    assert_eq!(api.stats().in_flight, 1);
    let permit = ResponsePermit::<TokioClock>::take_from(&response).expect("not taken");
    permit.settle(TokenUsage::new(100, 50));
    assert!(ResponsePermit::<TokioClock>::take_from(&response).is_none());
    let stats = api.stats();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (3, 150));
    assert_eq!(stats.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn last_refusal_is_handed_out() {
    let always: Script = &[(429, None); 10];
    let api = api("600/min");
    let (server, calls) = server(always);
    let client = ApiClientLayer::new(api.clone()).retries(2).layer(server);
    let start = api.clock().now();
    let response = client.oneshot(prompt()).await.expect("answered");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(ResponsePermit::<TokioClock>::take_from(&response).is_none());
    assert_eq!(calls.load(Relaxed), 3);
    // Backoffs of half a second to one, and of one to two.
    let took = api.clock().now() - start;
    assert!(
        (Duration::from_millis(1_500)..4 * SECOND).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_their_budget() {
    let always: Script = &[(503, Some(("retry-after", "1"))); 40];
    let api = api("6k/min");
    let (server, calls) = server(always);
    let budget = TokenBucket::with_clock(Quota::per_hour(1).burst(5), TokioClock::new());
    let client = ApiClientLayer::new(api).retry_budget(budget).layer(server);
    for _ in 0..10 {
        let response = client.clone().oneshot(prompt()).await.expect("answered");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(calls.load(Relaxed), 15);
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_apart() {
    let api = api("600/min burst 2, 1k tokens/min");
    let (server, calls) = server(&[(0, None)]);
    let layer = ApiClientLayer::new(api.clone())
        .timeout(SECOND)
        .estimate(|head| TokenUsage::from(*head.extension::<u64>().unwrap_or(&10)).into());
    let client = layer.layer(server);
    let error = client.clone().oneshot(prompt()).await.expect_err("closed");
    assert!(matches!(
        error,
        ApiClientError::Service("connection closed")
    ));
    // The server may have counted it.
    assert_eq!(api.stats().tokens_remaining_minute, 990);
    assert_eq!(api.stats().in_flight, 0);

    let with_tokens = |tokens: u64| {
        let mut request = prompt();
        request.extensions_mut().insert(tokens);
        client.clone().oneshot(request)
    };
    let error = with_tokens(1_001).await.expect_err("above the limit");
    let ApiClientError::Limited(status) = error else {
        panic!("{error:?}");
    };
    assert!(status.is_permanent);
    drop(with_tokens(990).await.expect("answered"));
    assert_eq!(
        api.stats().tokens_remaining_minute,
        0,
        "the estimate is kept"
    );
    let error = with_tokens(500)
        .await
        .expect_err("within a second there are 16");
    assert!(
        error
            .to_string()
            .starts_with("minute limit of 1000 tokens reached")
    );
    assert_eq!(calls.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_remains_is_believed_and_dropped_calls_leave() {
    let api = api("600/min");
    let script: Script = &[(200, Some(("ratelimit", r#""default";r=0;t=30"#)))];
    let (server, calls) = server(script);
    let client = ApiClientLayer::new(api.clone()).layer(server);
    let first = client.clone().oneshot(prompt()).await.expect("answered");
    assert_eq!(api.check().limited_by, Some(LimitKind::Provider));
    let second = tokio::time::timeout(10 * SECOND, client.clone().oneshot(prompt()));
    assert!(second.await.is_err(), "waits for the reset");
    let start = api.clock().now();
    client.oneshot(prompt()).await.expect("answered");
    assert_eq!(api.clock().now() - start, 20 * SECOND);
    assert_eq!((calls.load(Relaxed), api.waiting()), (2, 0));
    drop(first);
    assert_eq!(api.stats().total_requests, 2);
    assert!(api.clock().now() >= Timestamp::ZERO + 30 * SECOND);
}
