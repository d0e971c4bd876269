//! The options of a layer: cost, exemption, dry run, name, and rejection.

use alloc::sync::Arc;
use std::sync::Mutex;

use http::{Method, Request, Response, Version};
use tidegate::layer::{PerKey, RateLimitLayer, RateLimitLayerStats, Reason, RequestHead};
use tidegate::{Keyed, ManualClock};

use crate::{SERVED, answer, bucket, drain, key_of, served, stats, with_key};

/// Reads the cost from the request.
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
fn requests_take_their_cost() {
    let bucket = Arc::new(bucket(10, &ManualClock::new()));
    let layer = RateLimitLayer::builder(Arc::clone(&bucket))
        .cost(cost)
        .build();
    for (cost, status, left) in [
        (3, 200, 7),
        (8, 429, 7),
        (7, 200, 0),
        (1, 429, 0),
        // A free request always passes.
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
fn free_request_needs_no_key() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(1, &clock));
    let layer = RateLimitLayer::builder(PerKey::new(limits, key_of))
        .cost(cost)
        .build();
    let free = answer(&layer, costing(0));
    assert_eq!(free.status(), 200);
    assert!(free.headers().is_empty());
    assert_eq!(answer(&layer, costing(1)).status(), 400);
    let mut counts = stats(1, 0);
    counts.no_key = 1;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn exempt_request_needs_no_key_and_no_cost() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let no_key = |_: &RequestHead<'_>| -> Option<String> { panic!("no key is needed") };
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| crate::bucket(1, &clock));
    let layer = RateLimitLayer::builder((PerKey::new(limits, no_key), bucket))
        .cost(|_| panic!("no cost is needed"))
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
fn dry_run_forwards_all_without_headers() {
    let bucket = Arc::new(bucket(10, &ManualClock::new()));
    let layer = RateLimitLayer::builder(Arc::clone(&bucket))
        .cost(cost)
        .dry_run(true)
        .reject_with(|_| -> Response<String> { panic!("nothing is rejected") })
        .build();
    for (cost, left) in [(8, 2), (3, 2), (2, 0), (1, 0), (11, 0)] {
        let passed = answer(&layer, costing(cost));
        assert_eq!(
            (passed.status().as_u16(), passed.body().as_str()),
            (200, SERVED)
        );
        assert!(passed.headers().is_empty(), "{:?}", passed.headers());
        // A dry run takes as much as a real one.
        assert_eq!(bucket.available(), left, "{cost}");
    }
    let mut counts = stats(2, 0);
    counts.shadow_denied = 3;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn dry_run_forwards_requests_without_a_key() {
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
fn dry_run_can_be_turned_off() {
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new()));
    let layer = layer.dry_run(true).dry_run(false).build();
    assert_eq!(served(&layer, 3), 1);
}

#[test]
fn rejection_holds_the_request() {
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
fn debug_output_shows_no_secrets() {
    let request = Request::get("/path?secret=s3cret").header("authorization", "s3cret");
    let request = request.extension("s3cret").body(()).expect("valid");
    let head = format!("{:?}", RequestHead::new(&request));
    assert!(head.contains("/path") && head.contains("GET"), "{head}");
    assert!(!head.contains("s3cret"), "{head}");
    // The parts of a layer need not implement `Debug`.
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new())).name("shown");
    let builder = format!("{layer:?}");
    let layer = format!("{:?}", layer.build());
    assert!(
        builder.contains("shown") && layer.contains("shown"),
        "{builder} {layer}"
    );
}

#[test]
fn setting_the_rejection_keeps_other_options() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    // The options that were set before stay.
    let layer = RateLimitLayer::builder(bucket)
        .name("kept")
        .headers(tidegate::layer::HeaderStyle::RetryAfterOnly)
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
