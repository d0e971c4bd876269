//! Gates whose number and kind are chosen at run time: lists, and gates in boxes.

use alloc::sync::Arc;

use http::{Request, StatusCode};
use tidegate::layer::{
    BoxGate, Gate, HeaderStyle, Named, PerKey, RateLimitLayer, RequestHead, Reset,
};
use tidegate::{
    Combined, FixedKeyed, Keyed, ManualClock, PenaltyBox, Quota, SlidingWindow, TokenBucket,
};

use crate::parallel::in_parallel;
use crate::{SECOND, answer, bucket, key_of, served, stats, with_key};

type Boxed = BoxGate<ManualClock>;

fn window(limit: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, 3_600 * SECOND, clock.clone()).expect("valid")
}

/// Gates of all kinds with the most that each admits of one client.
fn all_kinds(clock: &ManualClock) -> Vec<(Boxed, u64)> {
    let quota = Quota::per_hour(7);
    let time = clock.clone();
    let keyed = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, time.clone()));
    let fixed = FixedKeyed::with_clock(quota, 100, clock.clone());
    let both = Combined::builder()
        .limit("hour", TokenBucket::with_clock(quota, clock.clone()))
        .limit(
            "day",
            TokenBucket::with_clock(Quota::per_day(6), clock.clone()),
        );
    vec![
        (BoxGate::new(bucket(5, clock)), 5),
        (BoxGate::new(Arc::new(bucket(5, clock))), 5),
        (BoxGate::new(Named::new("window", window(4, clock))), 4),
        (BoxGate::new(PerKey::new(keyed, key_of)), 7),
        (BoxGate::new(PerKey::new(fixed, key_of).optional()), 7),
        (BoxGate::new(both.build()), 6),
        (BoxGate::new((bucket(9, clock), window(8, clock))), 8),
        (BoxGate::new(vec![bucket(9, clock), bucket(3, clock)]), 3),
        (BoxGate::new(BoxGate::new(bucket(2, clock))), 2),
    ]
}

/// How many requests of one client are admitted.
fn admitted(gate: impl Gate) -> u64 {
    let layer = RateLimitLayer::new(gate);
    let answers = (0..100).map(|_| answer(&layer, with_key("alice")).status());
    let admitted = answers.filter(|status| *status == StatusCode::OK).count();
    admitted as u64
}

#[test]
fn each_kind_admits_as_many_in_a_box() {
    for (number, (gate, most)) in all_kinds(&ManualClock::new()).into_iter().enumerate() {
        assert_eq!(admitted(gate), most, "kind {number}");
    }
}

#[test]
fn a_list_admits_what_its_strictest_gate_does() {
    let kinds = all_kinds(&ManualClock::new());
    let least = kinds.iter().map(|(_, most)| *most).min();
    let gates: Vec<_> = kinds.into_iter().map(|(gate, _)| gate).collect();
    assert_eq!(Some(admitted(gates)), least);
    assert_eq!(admitted(Vec::<Boxed>::new()), 100);
}

#[test]
fn refusals_of_a_list_charge_no_gate() {
    let clock = ManualClock::new();
    let buckets = [9, 3, 8, 7, 6, 5].map(|capacity| Arc::new(bucket(capacity, &clock)));
    let gates: Vec<_> = buckets
        .iter()
        .map(|bucket| BoxGate::new(Arc::clone(bucket)))
        .collect();
    let layer = RateLimitLayer::new(gates);
    assert_eq!(served(&layer, 50), 3);
    assert_eq!(buckets.map(|bucket| bucket.available()), [6, 0, 5, 4, 3, 2]);
    assert_eq!(layer.stats(), stats(3, 47));
}

#[test]
fn a_list_without_a_clock_of_its_own_is_free() {
    let clock = ManualClock::new();
    let users = FixedKeyed::with_clock(Quota::per_hour(2), 100, clock.clone());
    let gates = vec![BoxGate::new(PerKey::new(users, key_of).optional())];
    let layer = RateLimitLayer::new(gates);
    assert_eq!(served(&layer, 50), 50); // no key, so no limit
    let alice = (0..5).filter(|_| answer(&layer, with_key("alice")).status() == 200);
    assert_eq!(alice.count(), 2);
}

#[test]
fn names_and_numbers_of_each_gate_are_described() {
    let clock = ManualClock::new();
    let gates: Vec<Boxed> = vec![
        BoxGate::new(Named::new("burst", bucket(5, &clock))),
        BoxGate::new(Named::new("hour", window(100, &clock))),
    ];
    let style = HeaderStyle::Both {
        reset: Reset::Delta,
    };
    let layer = RateLimitLayer::builder(gates)
        .headers(style)
        .describe_all(true)
        .build();
    let response = answer(&layer, Request::new(()));
    let field = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(
        field("ratelimit-policy"),
        r#""burst";q=5;w=5, "hour";q=100;w=3600"#
    );
    assert!(field("ratelimit").starts_with(r#""burst";r=4;t=1, "hour";r=99"#));
    assert_eq!(field("x-ratelimit-remaining"), "4");
}

#[test]
fn boxes_settle_and_give_back() {
    let clock = ManualClock::new();
    let log_ins = PenaltyBox::with_clock(3, 60 * SECOND, 60 * SECOND, clock.clone());
    let total = Arc::new(bucket(50, &clock));
    let gates: Vec<Boxed> = vec![
        BoxGate::new(PerKey::new(log_ins, |request: &RequestHead<'_>| {
            key_of(request)
        })),
        BoxGate::new(Arc::clone(&total)),
    ];
    let layer = RateLimitLayer::builder(gates)
        .settle(|request, _| u64::from(request.headers().contains_key("wrong")))
        .build();
    for _ in 0..10 {
        assert_eq!(answer(&layer, with_key("alice")).status(), 200);
    }
    assert_eq!(total.available(), 50);
    let wrong = || {
        let mut request = with_key("alice");
        request
            .headers_mut()
            .insert("wrong", "yes".parse().expect("valid"));
        request
    };
    let failed = (0..10).filter(|_| answer(&layer, wrong()).status() == 200);
    assert_eq!(failed.count(), 3);
    assert_eq!(total.available(), 47);
}

#[test]
fn racing_requests_charge_all_or_none() {
    let clock = ManualClock::new();
    let buckets = [1_000, 500, 800].map(|capacity| Arc::new(bucket(capacity, &clock)));
    let gates: Vec<_> = buckets
        .iter()
        .map(|bucket| BoxGate::new(Arc::clone(bucket)))
        .collect();
    let layer = RateLimitLayer::new(gates);
    let admitted: usize = in_parallel(4, |_| served(&layer, 400)).into_iter().sum();
    let stats = layer.stats();
    assert_eq!((admitted, stats.allowed), (500, 500));
    let left: u64 = buckets.iter().map(|bucket| bucket.available()).sum();
    assert_eq!(left + 3 * 500 + stats.forfeited, 1_000 + 500 + 800);
}
