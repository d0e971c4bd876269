//! Candidates beside a layer's gate change no response, and tables list the keys that are denied.

use alloc::sync::Arc;

use http::StatusCode;
use tidegate::layer::{Named, PerKey, RateLimitLayer, RequestHead};
use tidegate::{FixedKeyed, KeyedShadow, ManualClock, Quota, Shadow, ShadowStats, TrackDenied};

use crate::{PlainLayer, answer, bucket, key_of, with_key};

type Key = fn(&RequestHead<'_>) -> Option<String>;

fn per_key<T>(table: T) -> PerKey<T, Key>
where
    T: tidegate::layer::KeyedLimiter<String>,
{
    PerKey::new(table, key_of as Key)
}

fn table(burst: u64, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(Quota::per_second(1).burst(burst), 100, clock.clone())
}

const fn counts(stats: ShadowStats) -> [u64; 4] {
    [
        stats.both_admitted,
        stats.only_candidate_refused,
        stats.only_live_refused,
        stats.both_refused,
    ]
}

/// What a client sees of a response.
fn shown(layer: &impl PlainLayer<()>, key: Option<&str>) -> String {
    let request = key.map_or_else(|| http::Request::new(()), with_key);
    let response = answer(layer, request);
    format!("{response:?}")
}

fn status(layer: &impl PlainLayer<()>, key: &str) -> StatusCode {
    answer(layer, with_key(key)).status()
}

#[test]
fn responses_are_those_without_a_candidate() {
    let clock = ManualClock::new();
    let alone = RateLimitLayer::new(bucket(3, &clock));
    let candidate = || per_key(table(1, &clock));
    let beside = RateLimitLayer::builder(bucket(3, &clock)).shadow(candidate());
    let instead = RateLimitLayer::builder(bucket(3, &clock)).shadow_instead(candidate());
    let (beside, instead) = (beside.build(), instead.build());
    let inside = RateLimitLayer::new(Shadow::beside(bucket(3, &clock), bucket(1, &clock)));
    for key in [
        Some("alice"),
        Some("alice"),
        Some("bob"),
        None,
        Some("carol"),
    ] {
        let expected = shown(&alone, key);
        assert_eq!(shown(&beside, key), expected);
        assert_eq!(shown(&instead, key), expected);
        assert_eq!(shown(&inside, key), expected);
    }
    assert_eq!((alone.stats().allowed, alone.stats().denied), (3, 2));
    assert_eq!(alone.stats().shadow, ShadowStats::default());
    // The request without a key is one that the candidate would reject.
    assert_eq!(counts(beside.stats().shadow), [2, 1, 1, 1]);
    assert_eq!(counts(instead.stats().shadow), [2, 1, 1, 1]);
    assert_eq!(counts(inside.gate().stats()), [1, 2, 0, 2]);
    let (shadow, without) = (beside.stats().shadow, alone.stats());
    let mut expected = without;
    expected.shadow = shadow;
    assert_eq!(beside.stats(), expected);
}

#[test]
fn candidate_is_charged_as_the_option_says() {
    let clock = ManualClock::new();
    let stats = |charges_all: bool| {
        let builder = RateLimitLayer::builder(bucket(1, &clock));
        let layer = if charges_all {
            builder.shadow_instead(bucket(3, &clock)).build()
        } else {
            builder.shadow(bucket(3, &clock)).build()
        };
        for _ in 0..6 {
            _ = status(&layer, "any");
        }
        counts(layer.stats().shadow)
    };
    assert_eq!(stats(false), [1, 0, 5, 0]);
    assert_eq!(stats(true), [1, 0, 2, 3]);
}

#[test]
fn free_and_exempt_requests_are_not_shown_to_a_candidate() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::builder(bucket(9, &clock))
        .cost(|request| u64::from(request.path() != "/free"))
        .exempt(|request| request.path() == "/exempt")
        .shadow(per_key(table(1, &clock)))
        .build();
    for path in ["/free", "/exempt", "/"] {
        let request = http::Request::get(path).header("key", "alice").body(());
        assert_eq!(
            answer(&layer, request.expect("valid")).status(),
            StatusCode::OK
        );
    }
    assert_eq!(counts(layer.stats().shadow), [1, 0, 0, 0]);
    assert_eq!((layer.stats().allowed, layer.stats().exempt), (2, 1));
}

#[test]
fn dry_run_and_candidate_go_together() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::builder(bucket(2, &clock))
        .dry_run(true)
        .shadow((
            Named::new("total", bucket(9, &clock)),
            per_key(table(1, &clock)),
        ))
        .build();
    for _ in 0..4 {
        assert_eq!(status(&layer, "alice"), StatusCode::OK);
    }
    let stats = layer.stats();
    assert_eq!((stats.allowed, stats.shadow_denied), (2, 2));
    assert_eq!(counts(stats.shadow), [1, 1, 0, 2]);
}

/// A per-key gate whose table has a table of candidates, and lists of both.
#[test]
fn tables_of_candidates_work_in_layers() {
    let clock = ManualClock::new();
    let tracked = |burst| TrackDenied::<_, String>::new(table(burst, &clock), 10);
    let users = Arc::new(KeyedShadow::beside(tracked(3), tracked(1)));
    let layer = RateLimitLayer::new(per_key(Arc::clone(&users)));
    for _ in 0..5 {
        _ = status(&layer, "mallory");
    }
    assert_eq!(status(&layer, "alice"), StatusCode::OK);
    assert_eq!((layer.stats().allowed, layer.stats().denied), (4, 2));
    assert_eq!(counts(users.stats()), [2, 2, 0, 2]);
    for list in [users.live().most_denied(), users.candidates().most_denied()] {
        let top = list.top(10);
        assert_eq!((top.keys.len(), top.counted), (1, 2));
        assert_eq!(
            (top.keys[0].key.as_str(), top.keys[0].at_least),
            ("mallory", 2)
        );
    }
}

/// A tuple refuses because of peeks. Only the gate that would have refused records it.
#[test]
fn refusals_of_tuples_are_recorded_by_their_members() {
    let clock = ManualClock::new();
    let users = Arc::new(TrackDenied::<_, String>::new(table(2, &clock), 10));
    let total = Arc::new(Shadow::beside(bucket(4, &clock), bucket(3, &clock)));
    let shadowed = KeyedShadow::beside(table(9, &clock), table(1, &clock));
    let shadowed = Arc::new(shadowed);
    let gate = (
        Named::new("user", per_key(Arc::clone(&users))),
        per_key(Arc::clone(&shadowed)),
        Arc::clone(&total),
    );
    let layer = RateLimitLayer::new(gate);
    let denied = || {
        let top = users.most_denied().top(10);
        let list = top.keys.into_iter().map(|it| (it.key, it.at_least));
        list.collect::<Vec<_>>()
    };
    for _ in 0..3 {
        _ = status(&layer, "mallory");
    }
    // Refused by the user's limit alone: no refusal of the total.
    assert_eq!(denied(), [(String::from("mallory"), 1)]);
    assert_eq!(counts(total.stats()), [2, 0, 0, 0]);
    for user in ["alice", "bob", "carol"] {
        _ = status(&layer, user);
    }
    // Carol is refused by the total alone.
    assert_eq!((layer.stats().allowed, layer.stats().denied), (4, 2));
    assert_eq!(denied(), [(String::from("mallory"), 1)]);
    assert_eq!(counts(total.stats()), [3, 1, 0, 1]);
    assert_eq!(counts(shadowed.stats()), [3, 1, 0, 0]);
}

#[test]
fn debug_output_names_no_key() {
    let clock = ManualClock::new();
    let candidate = TrackDenied::<_, String>::new(table(1, &clock), 10);
    let layer = RateLimitLayer::builder(bucket(9, &clock)).shadow(per_key(candidate));
    let layer = layer.build();
    for _ in 0..3 {
        _ = status(&layer, "mallory");
    }
    assert!(!format!("{layer:?}").contains("mallory"));
}
