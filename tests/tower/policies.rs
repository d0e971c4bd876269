//! What several limits on one request say together: all policies, and nothing that contradicts.

use core::time::Duration;

use http::{Request, Response};
use tidegate::layer::{
    HeaderStyle, Named, PerKey, ProblemJson, RateLimitLayer, RateLimitLayerBuilder, Rejection,
    Reset, ResourceExhausted,
};
use tidegate::{Combined, Keyed, ManualClock, Quota, SlidingWindow, TokenBucket};
use tower::{Layer, service_fn};

use crate::{Bucket, SECOND, answer, answer_of, bucket, field, key_of, serve, with_key};

const LEGACY: HeaderStyle = HeaderStyle::LegacyX {
    reset: Reset::Delta,
};

/// The policies and the limits of a response.
fn draft<B>(response: &Response<B>) -> [String; 2] {
    ["ratelimit-policy", "ratelimit"].map(|name| field(response, name).unwrap_or("").to_owned())
}

/// A client is told the same policies whichever limit is the tightest, also when it is refused.
#[test]
fn policies_are_the_same_in_each_response() {
    let clock = ManualClock::new();
    let of_key = clock.clone();
    let users = Keyed::new(move |_: &String| bucket(5, &of_key));
    let layer = RateLimitLayer::new((
        Named::new("ip", bucket(6, &clock)),
        Named::new("user", PerKey::new(users, key_of)),
    ));
    let policies = r#""ip";q=6;w=6, "user";q=5;w=5"#;
    let mut tightest = Vec::new();
    for user in [
        "sk-alice", "sk-alice", "sk-bob", "sk-alice", "sk-bob", "sk-bob", "sk-bob",
    ] {
        let response = answer(&layer, with_key(user));
        let [policy, limit] = draft(&response);
        assert_eq!(policy, policies, "{user}, {}", response.status());
        tightest.push(limit.split(';').next().expect("a name").to_owned());
    }
    // Both have been the tightest, and the last is a refusal.
    assert!(tightest.contains(&r#""ip""#.to_owned()) && tightest.contains(&r#""user""#.to_owned()));
    assert_eq!(answer(&layer, with_key("sk-carol")).status(), 429);
}

#[test]
fn limits_of_a_combination_are_policies_of_their_own() {
    let clock = ManualClock::new();
    let combined = move |clock: &ManualClock| {
        let minute = SlidingWindow::with_clock(10, Duration::from_secs(60), clock.clone());
        Combined::builder()
            .limit("minute", minute.expect("valid"))
            .limit("burst", bucket(2, clock))
            .build()
    };
    let policies = r#""minute";q=10;w=60, "burst";q=2;w=2"#;
    let alone = RateLimitLayer::new(combined(&clock));
    let of_key = clock.clone();
    let table = Keyed::new(move |_: &String| combined(&of_key));
    let per_key = RateLimitLayer::new(PerKey::new(table, key_of));
    for expected in [
        [r#""burst";r=1;t=1"#, "200"],
        [r#""burst";r=0;t=1"#, "200"],
        [r#""burst";r=0;t=1"#, "429"],
    ] {
        for response in [
            answer(&alone, Request::new(())),
            answer(&per_key, with_key("a")),
        ] {
            let [policy, limit] = draft(&response);
            assert_eq!([limit.as_str(), response.status().as_str()], expected);
            assert_eq!(policy, policies);
        }
    }
    // After four more seconds of one call each, the minute is the tighter of the two.
    for _ in 0..8 {
        clock.advance(SECOND);
        _ = answer(&alone, Request::new(()));
    }
    let [policy, limit] = draft(&answer(&alone, Request::new(())));
    assert_eq!((policy.as_str(), &limit[..8]), (policies, r#""minute""#));
}

#[test]
fn limits_without_names_are_numbered() {
    let clock = ManualClock::new();
    let gate = || (bucket(9, &clock), bucket(1, &clock), bucket(7, &clock));
    let layer = RateLimitLayer::builder(gate()).name("x").build();
    let policies = r#""x";q=9;w=9, "x-2";q=1;w=1, "x-3";q=7;w=7"#;
    for _ in 0..2 {
        let expected = [policies, r#""x-2";r=0;t=1"#].map(ToOwned::to_owned);
        assert_eq!(draft(&answer(&layer, Request::new(()))), expected);
    }
    let all = RateLimitLayer::builder(gate())
        .name("x")
        .describe_all(true)
        .build();
    let limits = r#""x";r=8;t=1, "x-2";r=0;t=1, "x-3";r=6;t=1"#;
    for _ in 0..2 {
        let expected = [policies, limits].map(ToOwned::to_owned);
        assert_eq!(draft(&answer(&all, Request::new(()))), expected);
    }
}

/// An outer limit with room does not put its own numbers beside the refusal of an inner one.
#[test]
fn outer_layer_does_not_contradict_a_refusal() {
    let clock = ManualClock::new();
    let outer = || RateLimitLayer::builder(bucket(20, &clock)).name("outer");
    let legacy = |builder: RateLimitLayerBuilder<Bucket>| builder.headers(LEGACY).build();
    let names = [
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    for inner_style in [
        HeaderStyle::Draft11,
        HeaderStyle::RetryAfterOnly,
        HeaderStyle::None,
    ] {
        let slow = TokenBucket::with_clock(Quota::per_minute(30).burst(1), clock.clone());
        let inner = RateLimitLayer::builder(slow)
            .name("inner")
            .headers(inner_style)
            .build();
        let outer = legacy(outer());
        let ask = || {
            answer_of(
                outer.layer(inner.layer(service_fn(serve))),
                Request::new(()),
            )
        };
        let (success, refusal) = (ask(), ask());
        assert_eq!(
            (success.status().as_u16(), refusal.status().as_u16()),
            (200, 429)
        );
        assert_eq!(field(&success, "x-ratelimit-remaining"), Some("19"));
        for name in names {
            assert_eq!(field(&refusal, name), None, "{inner_style:?}");
        }
    }
    // An inner refusal's own fields stay.
    let inner = RateLimitLayer::builder(bucket(1, &clock))
        .headers(LEGACY)
        .build();
    let outer_of_two = legacy(outer());
    let ask = || {
        answer_of(
            outer_of_two.layer(inner.layer(service_fn(serve))),
            Request::new(()),
        )
    };
    _ = ask();
    let refusal = ask();
    let fields = names.map(|name| field(&refusal, name));
    assert_eq!(fields, [Some("1"), Some("0"), Some("1")]);

    // The rejection of gRPC has status 200, and that of any handler counts, too.
    let exhausted = RateLimitLayer::builder(bucket(1, &clock)).headers(HeaderStyle::None);
    let exhausted = exhausted.reject(ResourceExhausted).build();
    let outer_of_grpc = legacy(outer());
    let ask = || {
        answer_of(
            outer_of_grpc.layer(exhausted.layer(service_fn(serve))),
            Request::new(()),
        )
    };
    _ = ask();
    let refusal = ask();
    assert_eq!(
        (refusal.status().as_u16(), field(&refusal, "grpc-status")),
        (200, Some("8"))
    );
    assert_eq!(field(&refusal, "x-ratelimit-remaining"), None);
    // In the list of the draft, each limit has its name.
    let outer = outer().build();
    let inner = RateLimitLayer::builder(bucket(1, &clock))
        .name("inner")
        .build();
    let ask = || {
        answer_of(
            outer.layer(inner.layer(service_fn(serve))),
            Request::new(()),
        )
    };
    _ = ask();
    let refusal = ask();
    let limits = refusal.headers().get_all("ratelimit");
    let limits: Vec<_> = limits.iter().collect();
    assert_eq!(limits, [r#""inner";r=0;t=1"#, r#""outer";r=18;t=1"#]);
}

#[test]
fn problems_are_json_and_name_the_policy() {
    let clock = ManualClock::new();
    let users = Keyed::new(move |_: &String| bucket(1, &clock));
    let gate = Named::new("a \"quoted\"\\ name\n", PerKey::new(users, key_of));
    let layer = RateLimitLayer::builder(gate).reject(ProblemJson).build();
    let problem = |request| {
        let response = answer(&layer, request);
        let kind = field(&response, "content-type").map(ToOwned::to_owned);
        let json: Option<serde_json::Value> = serde_json::from_str(response.body()).ok();
        (response.status().as_u16(), kind, json)
    };
    let (status, kind, json) = problem(with_key("a"));
    assert_eq!((status, kind, json), (200, None, None));
    let (status, kind, json) = problem(with_key("a"));
    assert_eq!(
        (status, kind.as_deref()),
        (429, Some("application/problem+json"))
    );
    let json = json.expect("JSON");
    let expected = "https://iana.org/assignments/http-problem-types#quota-exceeded";
    assert_eq!(json["type"], expected);
    assert_eq!(json["violated-policies"][0], "a \"quoted\"\\ name\n");
    assert_eq!(
        (&json["status"], &json["detail"]),
        (&429.into(), &"not yet: retry after 1s".into())
    );
    let (status, kind, json) = problem(Request::new(()));
    assert_eq!(
        (status, kind.as_deref()),
        (400, Some("application/problem+json"))
    );
    let json = json.expect("JSON");
    assert_eq!(
        (&json["type"], &json["title"]),
        (&"about:blank".into(), &"Bad Request".into())
    );
    let grpc = Request::post("/")
        .header("content-type", "application/grpc")
        .header("key", "a");
    let response = answer(&layer, grpc.body(()).expect("valid"));
    assert_eq!(
        (field(&response, "grpc-status"), response.body().as_str()),
        (Some("8"), "")
    );
}

/// A number belongs to a place in the gate, whichever limits are on a request.
#[test]
fn numbers_of_unnamed_limits_stay() {
    let clock = ManualClock::new();
    let table = |capacity| {
        let clock = clock.clone();
        Keyed::new(move |_: &String| bucket(capacity, &clock))
    };
    let first = (PerKey::new(table(5), key_of).optional(), bucket(9, &clock));
    let last = (bucket(9, &clock), PerKey::new(table(5), key_of).optional());
    let both = PerKey::new(table(5), key_of).optional();
    let middle = (bucket(9, &clock), both, bucket(7, &clock));
    let of = |response: Response<String>| draft(&response)[0].clone();
    let layer = RateLimitLayer::new(first);
    assert_eq!(
        of(answer(&layer, with_key("a"))),
        r#""default";q=5;w=5, "default-2";q=9;w=9"#
    );
    assert_eq!(
        of(answer(&layer, Request::new(()))),
        r#""default-2";q=9;w=9"#
    );
    let layer = RateLimitLayer::new(last);
    assert_eq!(
        of(answer(&layer, with_key("a"))),
        r#""default";q=9;w=9, "default-2";q=5;w=5"#
    );
    assert_eq!(of(answer(&layer, Request::new(()))), r#""default";q=9;w=9"#);
    let layer = RateLimitLayer::new(middle);
    let policies = r#""default";q=9;w=9, "default-3";q=7;w=7"#;
    assert_eq!(of(answer(&layer, Request::new(()))), policies);
}

/// Of two limits with the same numbers, the one that has refused is named.
#[test]
fn refusing_limit_is_named_among_its_twins() {
    let clock = ManualClock::new();
    let of_key = clock.clone();
    let users = Keyed::new(move |_: &String| bucket(2, &of_key));
    let gate = (bucket(2, &clock), PerKey::new(users, key_of));
    let layer = RateLimitLayer::builder(gate).describe_all(true).build();
    for user in ["a", "b"] {
        assert_eq!(answer(&layer, with_key(user)).status(), 200);
    }
    let refusal = answer(&layer, with_key("c"));
    assert_eq!(refusal.status(), 429);
    assert_eq!(draft(&refusal)[1], r#""default";r=0;t=1, "default-2";r=2"#);
}

/// A rejection with another status is one, too.
#[test]
fn rejections_of_layers_are_known_whatever_their_status() {
    let clock = ManualClock::new();
    let inner = RateLimitLayer::builder(bucket(1, &clock)).headers(HeaderStyle::RetryAfterOnly);
    let inner = inner.reject_with(|_: &Rejection<'_>| {
        let mut response = Response::new(String::new());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        response
    });
    let (inner, outer) = (inner.build(), RateLimitLayer::builder(bucket(20, &clock)));
    let outer = outer.headers(LEGACY).build();
    let ask = || {
        answer_of(
            outer.layer(inner.layer(service_fn(serve))),
            Request::new(()),
        )
    };
    assert_eq!(field(&ask(), "x-ratelimit-remaining"), Some("19"));
    let refusal = ask();
    assert_eq!(
        (refusal.status().as_u16(), field(&refusal, "retry-after")),
        (503, Some("1"))
    );
    assert_eq!(field(&refusal, "x-ratelimit-remaining"), None);
}
