//! What a layer of several limits tells of the one that refused.
#![cfg(feature = "tower")]

use core::convert::Infallible;

use http::{Request, Response};
use tidegate::tower::{Named, RateLimitLayer};
use tidegate::{ManualClock, Quota, TokenBucket};
use tower::{Layer, Service, service_fn};

#[tokio::test]
async fn all_of_it_is_about_one_limit() {
    let clock = ManualClock::new();
    let slow = TokenBucket::with_clock(Quota::per_hour(10), clock.clone());
    let fast = TokenBucket::with_clock(Quota::per_second(10), clock);
    slow.try_acquire(6).expect("full");
    fast.try_acquire(7).expect("full");

    // Both refuse. The fast one has less left, but the slow one makes the client wait.
    let layer = RateLimitLayer::builder((Named::new("slow", slow), Named::new("fast", fast)))
        .cost(|_| 5)
        .build();
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(()))
    }));
    let answer = service.call(Request::new(())).await.expect("infallible");

    assert_eq!(answer.status(), 429);
    assert_eq!(
        answer.headers()["ratelimit-policy"],
        r#""slow";q=10;w=3600"#
    );
    assert_eq!(answer.headers()["ratelimit"], r#""slow";r=4;t=360"#);
    assert_eq!(answer.headers()["retry-after"], "360");
}
