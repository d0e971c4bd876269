//! What can be chosen for a layer: costs, exemptions, a dry run, a name, and what is answered.

use alloc::sync::Arc;
use std::sync::Mutex;

use http::{Method, Request, Response, Version};
use tidegate::tower::{PerKey, RateLimitLayer, RateLimitLayerStats, Reason, RequestHead};
use tidegate::{Keyed, ManualClock};

use crate::{SERVED, answer, bucket, drain, key_of, served, stats, with_key};

/// What the request says that it costs.
fn cost(request: &RequestHead<'_>) -> u64 {
    let cost = request
        .headers()
        .get("cost")
        .expect("every request has one");
    cost.to_str().expect("ASCII").parse().expect("a number")
}

fn costing(cost: u64) -> Request<()> {
    Request::builder()
        .header("cost", cost)
        .body(())
        .expect("valid")
}

#[test]
fn requests_take_what_they_cost() {
    let bucket = Arc::new(bucket(10, &ManualClock::new()));
    let layer = RateLimitLayer::builder(Arc::clone(&bucket))
        .cost(cost)
        .build();
    for (cost, status, left) in [
        (3, 200, 7),
        (8, 429, 7),
        (7, 200, 0),
        (1, 429, 0),
        // Nothing is always there.
        (0, 200, 0),
        (11, 429, 0),
        (u64::MAX, 429, 0),
    ] {
        assert_eq!(answer(&layer, costing(cost)).status(), status, "{cost}");
        assert_eq!(bucket.available(), left, "{cost}");
    }
    assert_eq!(layer.stats(), stats(3, 4));
}

#[test]
fn a_request_that_costs_nothing_needs_no_key() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(1, &clock));
    let layer = RateLimitLayer::builder(PerKey::new(limits, key_of))
        .cost(cost)
        .build();
    let free = answer(&layer, costing(0));
    assert_eq!(free.status(), 200);
    assert!(free.headers().is_empty());
    assert_eq!(answer(&layer, costing(1)).status(), 500);
    let mut counts = stats(1, 0);
    counts.no_key = 1;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn an_exempt_request_is_asked_nothing() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let no_key = |_: &RequestHead<'_>| -> Option<String> { panic!("no key is looked for") };
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| crate::bucket(1, &clock));
    let layer = RateLimitLayer::builder((PerKey::new(limits, no_key), bucket))
        .cost(|_| panic!("it costs nothing"))
        .exempt(|request| request.path() == "/health")
        .build();
    let request = Request::get("/health?full").body(()).expect("valid");
    let free = answer(&layer, request);
    assert_eq!(
        (free.status().as_u16(), free.body().as_str()),
        (200, SERVED)
    );
    assert!(free.headers().is_empty());
    let mut counts = RateLimitLayerStats::default();
    counts.exempt = 1;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn a_dry_run_refuses_nothing_and_says_nothing() {
    let bucket = Arc::new(bucket(10, &ManualClock::new()));
    let layer = RateLimitLayer::builder(Arc::clone(&bucket))
        .cost(cost)
        .dry_run(true)
        .reject_with(|_| -> Response<String> { panic!("nothing is refused") })
        .build();
    for (cost, left) in [(8, 2), (3, 2), (2, 0), (1, 0), (11, 0)] {
        let passed = answer(&layer, costing(cost));
        assert_eq!(
            (passed.status().as_u16(), passed.body().as_str()),
            (200, SERVED)
        );
        assert!(passed.headers().is_empty(), "{:?}", passed.headers());
        // As much is taken as if it were in earnest.
        assert_eq!(bucket.available(), left, "{cost}");
    }
    let mut counts = stats(2, 0);
    counts.shadow_denied = 3;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn a_dry_run_lets_requests_without_a_key_through() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(1, &clock));
    let layer = RateLimitLayer::builder(PerKey::new(limits, key_of))
        .dry_run(true)
        .build();
    assert_eq!(served(&layer, 3), 3);
    assert_eq!(answer(&layer, with_key("a")).body(), SERVED);
    assert_eq!(answer(&layer, with_key("a")).body(), SERVED);
    let mut counts = stats(1, 0);
    (counts.no_key, counts.shadow_denied) = (3, 1);
    assert_eq!(layer.stats(), counts);
}

#[test]
fn a_dry_run_can_be_called_off() {
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new()));
    let layer = layer.dry_run(true).dry_run(false).build();
    assert_eq!(served(&layer, 3), 1);
}

#[test]
fn a_refusal_knows_the_request() {
    let seen = Arc::new(Mutex::new(String::new()));
    let writing = Arc::clone(&seen);
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let layer = RateLimitLayer::builder(bucket)
        .name("all")
        .reject_with(move |rejection| {
            let request = rejection.request();
            assert_eq!(request.extension::<u8>(), Some(&7));
            assert_eq!(request.extensions().get(), Some(&7_u8));
            assert_eq!(request.version(), Version::HTTP_2);
            let text = format!(
                "{} {} {}",
                request.method(),
                request.uri(),
                rejection.limit()
            );
            *writing.lock().expect("no panic") = text;
            assert!(matches!(rejection.reason(), Reason::Limited(_)));
            Response::new(String::new())
        });
    let request = Request::builder()
        .method(Method::DELETE)
        .uri("/a?b=c")
        .version(Version::HTTP_2)
        .extension(7_u8);
    _ = answer(&layer.build(), request.body(()).expect("valid"));
    assert_eq!(*seen.lock().expect("no panic"), "DELETE /a?b=c all");
}

#[test]
fn pictures_for_people_show_no_secrets() {
    let request = Request::get("/path?secret=s3cret").header("authorization", "s3cret");
    let request = request.extension("s3cret").body(()).expect("valid");
    let head = format!("{:?}", RequestHead::new(&request));
    assert!(head.contains("/path") && head.contains("GET"), "{head}");
    assert!(!head.contains("s3cret"), "{head}");
    // Where nothing can be shown of a limit's parts, they need not be able to show anything.
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new())).name("shown");
    let builder = format!("{layer:?}");
    let layer = format!("{:?}", layer.build());
    assert!(
        builder.contains("shown") && layer.contains("shown"),
        "{builder} {layer}"
    );
}

#[test]
fn what_refuses_may_be_chosen_at_any_point() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    // Nothing that was chosen before is lost.
    let layer = RateLimitLayer::builder(bucket)
        .name("kept")
        .headers(tidegate::tower::HeaderStyle::RetryAfterOnly)
        .cost(|_| 1)
        .exempt(|request| request.path() == "/free")
        .reject_with(|rejection| Response::new(rejection.limit().to_owned()))
        .build();
    let refusal = answer(&layer, Request::new(()));
    assert_eq!(refusal.body(), "kept");
    assert_eq!(refusal.headers().len(), 1);
    let free = Request::get("/free").body(()).expect("valid");
    assert_eq!(answer(&layer, free).body(), SERVED);
    let dry = RateLimitLayer::builder(crate::bucket(1, &ManualClock::new())).cost(|_| 2);
    let dry = dry
        .dry_run(true)
        .reject_with(|_| Response::new(String::new()));
    assert_eq!(answer(&dry.build(), Request::new(())).body(), SERVED);
}
