//! Header fields cover the limits here and the shared ones alike.

use core::time::Duration;

use http::Request;
use tidegate::layer::{HeaderStyle, Named, RateLimitLayer, Reset, SharedDecision};
use tidegate::{Denied, InFlight, ManualClock, Snapshot};
use tower::ServiceExt;

use super::{MINUTE, Remote, refused, snapshot, unavailable};
use crate::{answer, answer_of, bucket, field};

const fn named(limit: &'static str, snapshot: Snapshot) -> Snapshot {
    let mut named = snapshot;
    named.limit = Some(limit);
    named
}

#[test]
fn policies_of_all_limits_are_listed_in_one_order() {
    let decisions = [
        SharedDecision::admitted().describe([snapshot(60)]),
        SharedDecision::admitted().describe([snapshot(2)]),
        refused().describe([snapshot(0)]),
    ];
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .in_flight(Named::new("busy", InFlight::new(9)))
        .shared(Remote::new(decisions))
        .name("api")
        .build();
    let policy = r#""api";q=5;w=5, "busy";q=9;qu="concurrent-requests", "api-2";q=100;w=60"#;
    let ask = || {
        let service = tower::Layer::layer(&layer, tower::service_fn(crate::serve));
        let response = futures_util::FutureExt::now_or_never(service.oneshot(Request::new(())));
        let response = response.expect("ready").expect("no error");
        assert_eq!(field(&response, "ratelimit-policy"), Some(policy));
        let limit = field(&response, "ratelimit").map(str::to_owned);
        let wait = field(&response, "retry-after").map(str::to_owned);
        (limit.expect("described"), wait)
    };
    // The one that has the least left.
    assert_eq!(ask(), (r#""api";r=4;t=1"#.to_owned(), None));
    assert_eq!(ask(), (r#""api-2";r=2;t=60"#.to_owned(), None));
    // On a rejection, the one that has refused.
    let wait = Some("60".to_owned());
    assert_eq!(ask(), (r#""api-2";r=0;t=60"#.to_owned(), wait));
}

#[test]
fn each_limit_of_a_shared_gate_has_its_name() {
    let minute = named("minute", snapshot(7));
    let mut day = named("day", snapshot(0));
    (day.capacity, day.refill_time) = (1_000, 1_440 * MINUTE);
    let denied = Denied::NotYet {
        retry_after: Duration::from_millis(86_400).into(),
    };
    let refusal = SharedDecision::denied(denied).by("day");
    let decisions = || [refusal.clone().describe([minute, day])];
    let name = |rejection: &tidegate::layer::Rejection<'_>| {
        http::Response::new(rejection.limit().to_owned())
    };
    let layer = RateLimitLayer::shared_builder(Remote::new(decisions()))
        .describe_all(true)
        .reject_with(name)
        .build();
    let refused = answer(&layer, Request::new(()));
    assert_eq!(refused.body(), "day");
    let policy = r#""minute";q=100;w=60, "day";q=1000;w=86400"#;
    assert_eq!(field(&refused, "ratelimit-policy"), Some(policy));
    let limits = r#""minute";r=7;t=60, "day";r=0;t=87"#;
    assert_eq!(field(&refused, "ratelimit"), Some(limits));

    // With one name it has one limit.
    let gate = Named::new("redis", Remote::new(decisions()));
    let layer = RateLimitLayer::shared_builder(gate)
        .reject_with(name)
        .build();
    let refused = answer(&layer, Request::new(()));
    assert_eq!(refused.body(), "redis");
    assert_eq!(field(&refused, "ratelimit"), Some(r#""redis";r=0;t=87"#));
    let policy = r#""redis";q=1000;w=86400"#;
    assert_eq!(field(&refused, "ratelimit-policy"), Some(policy));
}

#[test]
fn legacy_fields_are_those_of_the_tightest_or_the_refusing_limit() {
    let decisions = [
        SharedDecision::admitted().describe([snapshot(60)]),
        SharedDecision::admitted().describe([snapshot(1)]),
        refused().describe([snapshot(0)]),
    ];
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .headers(HeaderStyle::LegacyX {
            reset: Reset::Delta,
        })
        .shared(Remote::new(decisions))
        .build();
    for expected in [["5", "4", "1"], ["100", "1", "60"], ["100", "0", "60"]] {
        let response = answer(&layer, Request::new(()));
        let fields = ["limit", "remaining", "reset"];
        let fields = fields.map(|name| {
            let value = field(&response, &format!("x-ratelimit-{name}"));
            value.expect("described").to_owned()
        });
        assert_eq!(fields, expected);
    }
}

#[test]
fn limit_here_is_described_as_it_is_after_the_refund() {
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .describe_all(true)
        .shared(Remote::new([refused().describe([snapshot(0)])]))
        .build();
    let refused = answer(&layer, Request::new(()));
    let limits = r#""default";r=5, "default-2";r=0;t=60"#;
    assert_eq!(field(&refused, "ratelimit"), Some(limits));
}

/// Clients still learn when to retry.
#[test]
fn limit_that_does_not_describe_itself_has_no_fields() {
    for (style, wait) in [
        (HeaderStyle::None, None),
        (HeaderStyle::RetryAfterOnly, Some("60")),
        (HeaderStyle::Draft11, Some("60")),
    ] {
        let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
            .headers(style)
            .shared(Remote::new([refused(), unavailable()]))
            .build();
        let refused = answer(&layer, Request::new(()));
        assert_eq!(field(&refused, "retry-after"), wait);
        assert_eq!(field(&refused, "ratelimit"), None);
        let unavailable = answer(&layer, Request::new(()));
        let wait = wait.map(|_| "2"); // 1.5 s, rounded up
        assert_eq!(field(&unavailable, "retry-after"), wait);
        assert_eq!(field(&unavailable, "ratelimit-policy"), None);
        let admitted = answer(&layer, Request::new(()));
        let policy = (style == HeaderStyle::Draft11).then_some(r#""default";q=5;w=5"#);
        assert_eq!(field(&admitted, "ratelimit-policy"), policy);
    }
}

/// Outer layers see that an inner one has rejected the request, whatever its status.
#[test]
fn outer_layer_adds_no_legacy_fields_to_a_503() {
    let inner = RateLimitLayer::shared(Remote::new([unavailable()]));
    let outer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .headers(HeaderStyle::LegacyX {
            reset: Reset::Delta,
        })
        .build();
    let service = tower::ServiceBuilder::new()
        .layer(outer)
        .layer(inner)
        .service_fn(crate::serve);
    let response = answer_of(service, Request::new(()));
    assert_eq!(response.status(), 503);
    assert_eq!(field(&response, "x-ratelimit-limit"), None);
}
