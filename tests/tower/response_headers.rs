//! The header fields of each style, of stacked layers, and next to those of the handler.

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, Request, Response};
use tidegate::layer::{HeaderStyle, Named, PerKey, RateLimitLayer, RateLimitLayerBuilder, Reset};
use tidegate::{Denied, FixedKeyed, Keyed, Limiter, ManualClock, Quota, TokenBucket};
use tower::{Layer, service_fn};

use crate::header_values::read_list;
use crate::{SECOND, answer, answer_of, bucket, drain, serve, with_key};

const LEGACY: HeaderStyle = HeaderStyle::LegacyX {
    reset: Reset::Delta,
};
const BOTH: HeaderStyle = HeaderStyle::Both {
    reset: Reset::Delta,
};

/// Lists all fields as sorted text.
fn listed(headers: &HeaderMap) -> Vec<String> {
    let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", text(value)));
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    headers
}

/// Returns the fields of a bucket of 3 with its last token, and then with a rejection.
fn success_and_refusal(style: Option<HeaderStyle>) -> [Vec<String>; 2] {
    let bucket = bucket(3, &ManualClock::new());
    bucket.try_acquire(2).expect("the limiter is full");
    let mut layer = RateLimitLayer::builder(bucket);
    if let Some(style) = style {
        layer = layer.headers(style);
    }
    let layer = layer.build();
    let (success, refusal) = (
        answer(&layer, Request::new(())),
        answer(&layer, Request::new(())),
    );
    assert_eq!(
        (success.status().as_u16(), refusal.status().as_u16()),
        (200, 429)
    );
    [success, refusal].map(|response| listed(response.headers()))
}

#[test]
fn each_style_has_its_fields_on_success_and_rejection() {
    let draft = [
        r#"ratelimit-policy: "default";q=3;w=3"#,
        r#"ratelimit: "default";r=0;t=1"#,
    ];
    let legacy = [
        "x-ratelimit-limit: 3",
        "x-ratelimit-remaining: 0",
        "x-ratelimit-reset: 1",
    ];
    let wait = ["retry-after: 1"];
    for (style, expected) in [
        (None, draft.as_slice()),
        (Some(HeaderStyle::Draft11), &draft),
        (Some(LEGACY), &legacy),
        (Some(BOTH), &[&draft[..], &legacy].concat()),
        (Some(HeaderStyle::RetryAfterOnly), &[]),
    ] {
        let [success, refusal] = success_and_refusal(style);
        let sorted = |parts: &[&[&'static str]]| {
            let mut headers = parts.concat();
            headers.sort_unstable();
            headers
        };
        assert_eq!(success, sorted(&[expected]), "{style:?}");
        assert_eq!(refusal, sorted(&[expected, &wait]), "{style:?}");
    }
    let nothing: [Vec<String>; 2] = [vec![], vec![]];
    assert_eq!(success_and_refusal(Some(HeaderStyle::None)), nothing);
    assert_eq!(HeaderStyle::default(), HeaderStyle::Draft11);
}

#[test]
fn full_limit_has_no_wait() {
    let layer = RateLimitLayer::builder(bucket(3, &ManualClock::new())).headers(BOTH);
    let answer = answer(&layer.cost(|_| 0).build(), Request::new(()));
    assert_eq!(answer.headers()["ratelimit"], r#""default";r=3"#);
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "3");
    assert_eq!(answer.headers()["x-ratelimit-reset"], "0");
}

#[test]
fn excessive_cost_has_no_retry_after() {
    for style in [
        HeaderStyle::RetryAfterOnly,
        HeaderStyle::Draft11,
        LEGACY,
        BOTH,
    ] {
        let layer = RateLimitLayer::builder(bucket(3, &ManualClock::new())).headers(style);
        let refusal = answer(&layer.cost(|_| 4).build(), Request::new(()));
        assert_eq!(refusal.status(), 429);
        assert!(!refusal.headers().contains_key("retry-after"));
        if let Some(limit) = refusal.headers().get("ratelimit") {
            assert_eq!(limit, r#""default";r=3"#);
        }
        if let Some(reset) = refusal.headers().get("x-ratelimit-reset") {
            assert_eq!(reset, "0");
        }
    }
}

#[test]
fn waits_are_rounded_up_to_at_least_one_second() {
    let bucket = bucket(3, &ManualClock::new());
    let snapshot = bucket.snapshot_at(bucket.now());
    for (retry_after, expected) in [
        (Duration::ZERO, 1),
        (Duration::from_nanos(1), 1),
        (Duration::from_millis(900), 1),
        (Duration::from_nanos(999_999_999), 1),
        (SECOND, 1),
        (Duration::from_nanos(1_000_000_001), 2),
        (Duration::from_millis(59_001), 60),
        (Duration::from_secs(1 << 33), 1 << 33),
        // The longest wait of a refusal, 584 years.
        (Duration::MAX, 18_446_744_074_u64),
    ] {
        let mut headers = HeaderMap::new();
        BOTH.write_to(
            "x",
            &snapshot,
            Some(Denied::NotYet {
                retry_after: retry_after.into(),
            }),
            &mut headers,
        );
        assert_eq!(
            headers["retry-after"],
            expected.to_string(),
            "{retry_after:?}"
        );
        assert_eq!(
            headers["x-ratelimit-reset"],
            expected.to_string(),
            "{retry_after:?}"
        );
        let t = expected.min(999_999_999_999_999);
        assert_eq!(headers["ratelimit"], format!(r#""x";r=3;t={t}"#));
    }
}

#[test]
fn epoch_reset_counts_from_1970() {
    let style = HeaderStyle::LegacyX {
        reset: Reset::Epoch,
    };
    let seconds = |time: SystemTime| {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        since.as_nanos().div_ceil(1_000_000_000)
    };
    let century = 100 * 31_557_600 * SECOND;
    for (wait, exact) in [
        (SECOND, true),
        (Duration::from_millis(1_500), true),
        (century, true),
        (Duration::ZERO, false),
    ] {
        let bucket = bucket(3, &ManualClock::new());
        let snapshot = bucket.snapshot_at(bucket.now());
        let denied = exact.then_some(Denied::NotYet {
            retry_after: wait.into(),
        });
        let mut headers = HeaderMap::new();
        let before = SystemTime::now();
        style.write_to("x", &snapshot, denied, &mut headers);
        let after = SystemTime::now();
        let reset = headers["x-ratelimit-reset"].to_str().expect("ASCII");
        let reset: u128 = reset.parse().expect("a number");
        // Never early, and late by at most the two roundings.
        assert!(
            (seconds(before + wait)..=seconds(after + wait) + 1).contains(&reset),
            "{wait:?}"
        );
        assert_eq!(headers["x-ratelimit-remaining"], "3");
    }
    // The longest wait ends with the range of clocks.
    let bucket = bucket(3, &ManualClock::new());
    let snapshot = bucket.snapshot_at(bucket.now());
    let mut headers = HeaderMap::new();
    let denied = Denied::NotYet {
        retry_after: Duration::MAX.into(),
    };
    let before = SystemTime::now();
    style.write_to("x", &snapshot, Some(denied), &mut headers);
    let reset = headers["x-ratelimit-reset"].to_str().expect("ASCII");
    let reset: u128 = reset.parse().expect("a number");
    let latest = Duration::from_nanos(u64::MAX);
    let after = SystemTime::now();
    assert!((seconds(before + latest)..=seconds(after + latest) + 1).contains(&reset));
}

fn named(
    name: &str,
    capacity: u64,
    clock: &ManualClock,
) -> RateLimitLayerBuilder<TokenBucket<ManualClock>> {
    RateLimitLayer::builder(bucket(capacity, clock))
        .name(name)
        .headers(BOTH)
}

#[test]
fn stacked_layers_both_write_and_smaller_legacy_fields_stay() {
    for (outer, inner) in [(9, 5), (5, 9)] {
        let clock = ManualClock::new();
        let outer = named("outer", outer, &clock).build();
        let inner = named("inner", inner, &clock).build();
        let stacked = outer.layer(inner.layer(service_fn(serve)));
        let answer = answer_of(stacked, Request::new(()));
        let mut read = read_list(answer.headers(), "ratelimit");
        read.sort();
        let left = |name: &str| {
            read.iter()
                .find(|entry| entry.0 == name)
                .expect("present")
                .1[0]
                .1
        };
        assert_eq!(
            (left("outer"), left("inner")),
            (outer.gate().available(), inner.gate().available())
        );
        assert_eq!(read_list(answer.headers(), "ratelimit-policy").len(), 2);
        assert_eq!(crate::field(&answer, "x-ratelimit-limit"), Some("5"));
        assert_eq!(crate::field(&answer, "x-ratelimit-remaining"), Some("4"));
        assert_eq!(crate::field(&answer, "x-ratelimit-reset"), Some("1"));
    }
}

#[test]
fn rejection_of_an_inner_layer_keeps_its_wait() {
    let clock = ManualClock::new();
    // The outer limit used its last permit, and has more in a second.
    let outer = named("outer", 1, &clock).build();
    let hourly = TokenBucket::with_clock(Quota::per_hour(1), clock);
    drain(&hourly);
    let inner = RateLimitLayer::builder(hourly)
        .name("inner")
        .headers(BOTH)
        .build();
    let answer = answer_of(
        outer.layer(inner.layer(service_fn(serve))),
        Request::new(()),
    );
    assert_eq!(answer.status(), 429);
    assert_eq!(crate::field(&answer, "retry-after"), Some("3600"));
    assert_eq!(crate::field(&answer, "x-ratelimit-remaining"), Some("0"));
    assert_eq!(crate::field(&answer, "x-ratelimit-reset"), Some("3600"));
    assert_eq!(read_list(answer.headers(), "ratelimit").len(), 2);
    assert_eq!((outer.stats().allowed, inner.stats().denied), (1, 1));
}

/// Returns the response of a handler with these headers, behind a layer with 4 permits left.
fn behind_handler(set: &[(&'static str, &'static str)]) -> Response<String> {
    let handler = |_: Request<()>| {
        let mut response = Response::builder();
        for (name, value) in set {
            response = response.header(*name, *value);
        }
        core::future::ready(Ok(response.body(String::new()).expect("valid")))
    };
    let layer = named("ours", 5, &ManualClock::new()).build();
    answer_of(layer.layer(service_fn(handler)), Request::new(()))
}

#[test]
fn fields_of_the_handler_stay() {
    let answer = behind_handler(&[
        ("ratelimit", r#""theirs";r=1"#),
        ("ratelimit-policy", r#""theirs";q=2"#),
        ("retry-after", "77"),
        ("x-other", "kept"),
    ]);
    let read = read_list(answer.headers(), "ratelimit");
    assert_eq!(
        read.iter()
            .map(|entry| entry.0.as_str())
            .collect::<Vec<_>>(),
        ["theirs", "ours"]
    );
    assert_eq!(read_list(answer.headers(), "ratelimit-policy").len(), 2);
    assert_eq!(crate::field(&answer, "retry-after"), Some("77"));
    assert_eq!(crate::field(&answer, "x-other"), Some("kept"));

    let answer = behind_handler(&[
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "3"),
        ("x-ratelimit-reset", "55"),
    ]);
    let legacy = ["limit", "remaining", "reset"].map(|name| format!("x-ratelimit-{name}"));
    let legacy = legacy
        .each_ref()
        .map(|name| crate::field(&answer, name).expect("present"));
    assert_eq!(legacy, ["100", "3", "55"]);
}

#[test]
fn looser_or_invalid_legacy_fields_are_replaced() {
    for remaining in ["5", "18446744073709551615", "many", "-1", "3.5", ""] {
        let answer = behind_handler(&[
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", "1999-01-01"),
        ]);
        assert_eq!(
            crate::field(&answer, "x-ratelimit-limit"),
            Some("5"),
            "{remaining}"
        );
        assert_eq!(
            crate::field(&answer, "x-ratelimit-remaining"),
            Some("4"),
            "{remaining}"
        );
        assert_eq!(
            crate::field(&answer, "x-ratelimit-reset"),
            Some("1"),
            "{remaining}"
        );
    }
}

#[test]
fn custom_rejection_keeps_its_retry_after() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let layer = RateLimitLayer::builder(bucket).reject_with(|rejection| {
        assert_eq!(rejection.retry_after(), Some(SECOND));
        assert_eq!(rejection.retry_after_seconds(), Some(1));
        Response::builder()
            .status(503)
            .header("retry-after", "120")
            .body(rejection.limit().to_owned())
            .expect("valid")
    });
    let refusal = answer(&layer.name("mine").build(), Request::new(()));
    assert_eq!(refusal.status(), 503);
    assert_eq!(refusal.body(), "mine");
    assert_eq!(crate::field(&refusal, "retry-after"), Some("120"));
    assert_eq!(
        crate::field(&refusal, "ratelimit"),
        Some(r#""mine";r=0;t=1"#)
    );
}

#[test]
fn fields_describe_the_limit_of_the_client() {
    let clock = ManualClock::new();
    let of_key = clock.clone();
    let keyed = Keyed::new(move |_: &String| bucket(3, &of_key));
    let fixed = FixedKeyed::with_clock(Quota::per_second(1).burst(3), 1_000, clock);
    let keyed = RateLimitLayer::new(PerKey::new(keyed, crate::key_of));
    let fixed = RateLimitLayer::new(PerKey::new(fixed, crate::key_of));
    for (key, left) in [("a", 2), ("a", 1), ("b", 2), ("a", 0), ("b", 1)] {
        for answer in [answer(&keyed, with_key(key)), answer(&fixed, with_key(key))] {
            assert_eq!(answer.status(), 200);
            let expected = format!(r#""default";r={left};t=1"#);
            assert_eq!(crate::field(&answer, "ratelimit"), Some(expected.as_str()));
            let policy = Some(r#""default";q=3;w=3"#);
            assert_eq!(crate::field(&answer, "ratelimit-policy"), policy);
        }
    }
}

#[test]
fn fields_describe_the_limit_with_least_left() {
    let clock = ManualClock::new();
    let gate = (
        Named::new("nine", bucket(9, &clock)),
        Named::new("five", bucket(5, &clock)),
        Named::new("seven", bucket(7, &clock)),
    );
    let layer = RateLimitLayer::builder(gate)
        .name("layer")
        .headers(BOTH)
        .build();
    let success = answer(&layer, Request::new(()));
    assert_eq!(
        crate::field(&success, "ratelimit"),
        Some(r#""five";r=4;t=1"#)
    );
    assert_eq!(
        crate::field(&success, "ratelimit-policy"),
        Some(r#""nine";q=9;w=9, "five";q=5;w=5, "seven";q=7;w=7"#)
    );
    assert_eq!(crate::field(&success, "x-ratelimit-limit"), Some("5"));
    // A gate without a name uses the layer's.
    let gate = (Named::new("nine", bucket(9, &clock)), bucket(5, &clock));
    let layer = RateLimitLayer::builder(gate).name("layer").build();
    let success = answer(&layer, Request::new(()));
    assert_eq!(
        crate::field(&success, "ratelimit"),
        Some(r#""layer";r=4;t=1"#)
    );
}
