//! Each request raises one counter, whose labels say which limit refused it and why.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use std::thread;

use http::Request;
use tidegate::layer::{
    Gate, HeaderStyle, Named, NoKey, PerKey, RateLimitLayer, RequestHead, describe_metrics,
};
use tidegate::{Combined, FixedKeyed, Keyed, ManualClock, Overflow, Quota, ShadowStats};

use super::recorder::Recorded;
use super::{KEY, decide, limits, request, shadowed};
use crate::shared_gates::{Remote, refused, unavailable};
use crate::{PlainLayer, SECOND, answer, bucket, key_of, with_key};

/// The counter of requests with these labels, at a layer with the name `layer`.
fn requests(outcome: &str, limit: &str, reason: &str) -> String {
    format!("rate_limiter.requests limit={limit} limiter=layer outcome={outcome} reason={reason}")
}

/// These refusals, and the requests that passed.
fn counts<const N: usize>(
    allowed: u64,
    exempt: u64,
    refused: [(&str, &str, &str, u64); N],
) -> BTreeMap<String, u64> {
    let refused = refused.map(|(outcome, limit, reason, count)| {
        let name = requests(outcome, limit, reason);
        (name, count)
    });
    let passed = [("allowed", allowed), ("exempt", exempt)];
    let passed = passed.map(|(outcome, count)| (requests(outcome, "", ""), count));
    passed.into_iter().chain(refused).collect()
}

/// The counters after `send` has sent requests to a layer with this gate and the name `layer`.
fn counted<G: Gate>(gate: G, send: impl FnOnce(&RateLimitLayer<G>)) -> BTreeMap<String, u64> {
    let layer = RateLimitLayer::builder(gate).name("layer");
    let layer = layer.headers(HeaderStyle::None);
    let layer = layer.cost(|request| request.path().trim_matches('/').parse().unwrap_or(1));
    let layer = layer.build();
    Recorded::by(|| send(&layer)).counters()
}

/// A request of this cost.
fn costs(n: u64) -> Request<()> {
    request(&format!("/{n}"), None)
}

fn send(layer: &impl PlainLayer<()>, times: u64, cost: u64) {
    for _ in 0..times {
        _ = answer(layer, costs(cost));
    }
}

fn shadow_counters(counts: [u64; 4]) -> BTreeMap<String, u64> {
    let outcomes = ["allowed", "shadow_denied", "live_denied", "denied"];
    let counter =
        |outcome: &str| format!("rate_limiter.shadow.requests limiter=layer outcome={outcome}");
    outcomes.map(counter).into_iter().zip(counts).collect()
}

#[test]
fn candidates_have_counters_of_their_own() {
    let recorded = Recorded::by(|| {
        let layer = shadowed();
        for key in [KEY, "other", KEY] {
            _ = answer(&layer, request("/", Some(key)));
        }
    });
    let mut counters = recorded.counters();
    counters.retain(|name, _| name.starts_with("rate_limiter.shadow"));
    assert_eq!(counters, shadow_counters([2, 0, 0, 1]));
    let published = Recorded::by(|| {
        let mut stats = ShadowStats::default();
        (stats.both_admitted, stats.only_candidate_refused) = (1, 2);
        (stats.only_live_refused, stats.both_refused) = (3, 4);
        stats.publish("layer");
    });
    assert_eq!(published.counters(), shadow_counters([1, 2, 3, 4]));
}

#[test]
fn each_request_increments_one_counter() {
    for (dry_run, outcome) in [(false, "denied"), (true, "shadow_denied")] {
        let layer = limits("layer").dry_run(dry_run).build();
        let counters = Recorded::by(|| decide(&layer)).counters();
        let refused = [
            (outcome, "gate", "limited", 2),
            ("error", "gate", "not_attached", 3),
        ];
        assert_eq!(counters, counts(1, 4, refused));
        assert!(counters.keys().all(|name| !name.contains(KEY)));
    }
}

/// The case of a layer with several gates: the label says which of them refused.
#[test]
fn limit_of_a_tuple_that_refused_is_a_label() {
    let clock = ManualClock::new();
    let user = |request: &RequestHead<'_>| Some(request.path().len());
    let users = FixedKeyed::with_clock(Quota::per_second(1).burst(2), 100, clock.clone());
    let gates = (
        Named::new("second", bucket(3, &clock)),
        Named::new("user", PerKey::new(users, user)),
        // Within a tuple it has no name, so that of the layer stands for it.
        bucket(8, &clock),
    );
    let counters = counted(gates, |layer| {
        send(layer, 2, 1);
        send(layer, 4, 1); // no longer the user
        _ = answer(layer, request("/other", None));
        for _ in 0..5 {
            _ = answer(layer, request("/another", None)); // all together
        }
        send(layer, 1, 9); // more than the last gate ever admits, and the others
    });
    let refused = [
        ("denied", "user", "limited", 4),
        ("denied", "second", "limited", 5),
        ("denied", "second", "never", 1),
    ];
    assert_eq!(counters, counts(3, 0, refused));
}

#[test]
fn limit_of_a_combination_that_refused_is_a_label() {
    let clock = ManualClock::new();
    let combined = Combined::builder()
        .limit("burst", bucket(2, &clock))
        .limit("hour", bucket(3, &clock))
        .build();
    let counters = counted(combined, |layer| {
        send(layer, 3, 1);
        clock.advance(SECOND / 2);
        send(layer, 1, 4);
    });
    let refused = [
        ("denied", "burst", "limited", 1),
        ("denied", "burst", "never", 1),
    ];
    assert_eq!(counters, counts(2, 0, refused));
}

#[test]
fn gate_without_a_name_has_that_of_the_layer() {
    let counters = counted(bucket(2, &ManualClock::new()), |layer| {
        send(layer, 5, 1);
        send(layer, 2, 3);
        send(layer, 7, 0);
    });
    let refused = [
        ("denied", "layer", "limited", 3),
        ("denied", "layer", "never", 2),
    ];
    assert_eq!(counters, counts(9, 0, refused));
}

#[test]
fn table_without_room_is_busy() {
    let clock = ManualClock::new();
    let table = Keyed::builder(move |_: &String| bucket(1, &clock))
        .max_keys(1)
        .overflow(Overflow::Refuse)
        .build();
    let key = |request: &RequestHead<'_>| key_of(request);
    let counters = counted(Named::new("clients", PerKey::new(table, key)), |layer| {
        for key in ["a", "b", "c", "a"] {
            _ = answer(layer, with_key(key));
        }
    });
    let refused = [
        ("denied", "clients", "busy", 2),
        ("denied", "clients", "limited", 1),
    ];
    assert_eq!(counters, counts(1, 0, refused));
}

#[test]
fn missing_keys_say_whose_fault_they_are() {
    let faults = [
        (NoKey::NotSent, "not_sent"),
        (NoKey::NotAttached, "not_attached"),
        (NoKey::Ambiguous, "ambiguous"),
    ];
    for (fault, reason) in faults {
        let key = move |_: &RequestHead<'_>| Err::<u32, _>(fault);
        let table = FixedKeyed::with_clock(Quota::per_second(1), 10, ManualClock::new());
        let layer = RateLimitLayer::builder(PerKey::new(table, key)).name("layer");
        let layer = layer.exempt(|request| request.path() == "/free").build();
        let recorded = Recorded::by(|| {
            send(&layer, 2, 1);
            _ = answer(&layer, request("/free", None));
        });
        let refused = [("error", "layer", reason, 2)];
        assert_eq!(recorded.counters(), counts(0, 1, refused));
    }
}

#[test]
fn shared_limit_that_cannot_decide_is_an_error() {
    let layer = RateLimitLayer::shared_builder(Remote::new([refused(), unavailable()]));
    let layer = layer.name("layer").build();
    let counters = Recorded::by(|| send(&layer, 5, 1)).counters();
    let refused = [
        ("denied", "layer", "limited", 1),
        ("error", "layer", "unavailable", 1),
    ];
    assert_eq!(counters, counts(3, 0, refused));
}

/// A look-up takes longer than a decision.
#[test]
fn counters_are_looked_up_once() {
    let clock = ManualClock::new();
    let gates = (
        Named::new("small", bucket(2, &clock)),
        Named::new("large", bucket(5, &clock)),
    );
    let layer = RateLimitLayer::builder(gates).name("layer");
    let layer = layer
        .cost(|request| request.path()[1..].parse().unwrap_or(1))
        .build();
    let recorded = Recorded::default();
    recorded.record(|| {
        for _ in 0..1_000 {
            send(&layer, 1, 0); // passes
            send(&layer, 1, 1);
            send(&layer, 1, 3); // never
        }
    });
    // Allowed and exempt; "small" limited and never.
    assert_eq!(recorded.look_ups(), 4);
}

/// Threads that meet a new limit at the same time share its counter, and lose no request.
#[test]
fn first_refusals_of_many_threads_are_counted() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 200;
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    for _ in 0..20 {
        let clock = ManualClock::new();
        let [a, b, c, d] = NAMES.map(|name| {
            // Refuses requests of its path only: others have no key for it.
            let key = move |request: &RequestHead<'_>| (request.path()[1..] == *name).then_some(0);
            let table = FixedKeyed::with_clock(Quota::per_second(1), 10, clock.clone());
            table.try_acquire(&0, 1).expect("the first");
            Named::new(name, PerKey::new(table, key).optional())
        });
        let layer = RateLimitLayer::builder((a, b, c, d)).name("layer").build();
        let recorded = Arc::new(Recorded::default());
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (layer, recorded) = (&layer, &recorded);
                scope.spawn(move || {
                    recorded.record(|| {
                        for round in 0..ROUNDS {
                            let name = NAMES[((number + round) % 4) as usize];
                            _ = answer(layer, request(&format!("/{name}"), None));
                        }
                    });
                });
            }
        });
        let each = THREADS * ROUNDS / NAMES.len() as u64;
        let refused = NAMES.map(|name| (requests("denied", name, "limited"), each));
        assert_eq!(recorded.counters(), BTreeMap::from(refused));
        assert_eq!(recorded.look_ups(), NAMES.len() as u64);
        assert_eq!(layer.stats().denied, THREADS * ROUNDS);
    }
}

/// Each metric is described with its type, and nothing else is.
#[test]
fn every_metric_is_described() {
    let recorded = Recorded::by(|| {
        decide(&limits("layer").build());
        _ = answer(&shadowed(), request("/", Some(KEY)));
        super::waits::wait_once();
        let table = Keyed::new(|_: &u32| bucket(1, &ManualClock::new()));
        table.stats().publish("clients");
    });
    assert!(recorded.descriptions().is_empty());
    recorded.record(describe_metrics);
    let descriptions = recorded.descriptions();
    let described = descriptions
        .iter()
        .map(|(name, (kind, _, _))| (name.clone(), *kind));
    assert_eq!(described.collect::<BTreeMap<_, _>>(), recorded.types());
    for (name, (_, unit, help)) in descriptions {
        let is_time = name.ends_with("duration");
        let unit = unit.expect("has a unit");
        assert_eq!(unit.as_str(), if is_time { "seconds" } else { "count" });
        assert!(help.ends_with('.') && !help.contains('\n'), "{help}");
    }
}
