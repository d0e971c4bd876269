//! Tuples of gates: all are charged or none, whichever of them refuse.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use http::{Request, Response};
use tidegate::layer::{
    Gate, Named, NoKey, PerKey, RateLimitLayer, RateLimitLayerBuilder, Reason, Reject, RequestHead,
};
use tidegate::{
    ApiRateLimiter, Combined, Denied, FixedKeyed, Keyed, ManualClock, Overflow, Quota,
    RateLimitConfig, SlidingWindow, TokenBucket,
};

use crate::{NANO, SECOND, answer, bucket, drain, key_of, served, stats, with_key};

type Bucket = Arc<TokenBucket<ManualClock>>;

/// Creates gates of these capacities, with one token per second.
fn gates<const N: usize>(capacities: [u64; N], clock: &ManualClock) -> [Bucket; N] {
    capacities.map(|capacity| Arc::new(bucket(capacity, clock)))
}

fn available<const N: usize>(gates: &[Bucket; N]) -> [u64; N] {
    gates.each_ref().map(|gate| gate.available())
}

/// The limit and the reason of each rejection.
type RecordedRejections = Arc<Mutex<Vec<(String, Reason)>>>;

/// Builds a layer that records its rejections.
fn recording<G: Gate>(
    builder: RateLimitLayerBuilder<G>,
) -> (
    RateLimitLayer<G, (), impl Reject<String>>,
    RecordedRejections,
) {
    let rejections = RecordedRejections::default();
    let recording = Arc::clone(&rejections);
    let layer = builder.reject_with(move |rejection| {
        let seen = (rejection.limit().to_owned(), rejection.reason());
        recording.lock().expect("no panic").push(seen);
        Response::builder()
            .status(429)
            .body(String::new())
            .expect("valid")
    });
    (layer.build(), rejections)
}

fn four(gates: &[Bucket; 4]) -> impl Gate + use<> {
    let named = |name, index: usize| Named::new(name, Arc::clone(&gates[index]));
    (named("a", 0), named("b", 1), named("c", 2), named("d", 3))
}

fn not_yet(seconds: u64) -> Reason {
    let retry_after = Duration::from_secs(seconds).into();
    Reason::Limited(Denied::NotYet { retry_after })
}

#[test]
fn refusal_charges_no_gate() {
    const FULL: [u64; 4] = [4, 6, 5, 7];
    for refusing in 0..16_u32 {
        let clock = ManualClock::new();
        let gates = gates(FULL, &clock);
        let refuses = |index: usize| refusing >> index & 1 == 1;
        // The refusing gates have 0 or 1 token left, so that they need different times for 3.
        for (index, gate) in gates
            .iter()
            .enumerate()
            .filter(|(index, _)| refuses(*index))
        {
            let left = u64::try_from(index % 2).expect("small");
            gate.try_acquire(FULL[index] - left)
                .expect("the limiter is full");
        }
        let before = available(&gates);
        let (layer, rejections) = recording(RateLimitLayer::builder(four(&gates)).cost(|_| 3));
        let status = answer(&layer, Request::new(())).status();
        let rejections = rejections.lock().expect("no panic").clone();
        if refusing == 0 {
            assert_eq!((status.as_u16(), rejections.len()), (200, 0));
            assert_eq!(available(&gates), before.map(|left| left - 3));
            assert_eq!(layer.stats(), stats(1, 0));
            continue;
        }
        assert_eq!(status, 429, "{refusing:04b}");
        assert_eq!(available(&gates), before, "{refusing:04b}");
        assert_eq!(layer.stats(), stats(0, 1));
        // `a` and `c` have none left and take 3 s; `b` and `d` have one and take 2 s. Of two equal
        // refusals, the first counts.
        let longest = (0..4)
            .rev()
            .filter(|&index| refuses(index))
            .max_by_key(|index| 1 - index % 2);
        let longest = longest.expect("one refuses");
        let seconds = if longest % 2 == 0 { 3 } else { 2 };
        let name = ["a", "b", "c", "d"][longest];
        assert_eq!(
            *rejections,
            [(name.to_owned(), not_yet(seconds))],
            "{refusing:04b}"
        );
        // The wait suffices for all of them, and a nanosecond less does not.
        clock.advance(Duration::from_secs(seconds).saturating_sub(NANO));
        assert_eq!(served(&layer, 1), 0, "{refusing:04b}");
        clock.advance(NANO);
        assert_eq!(served(&layer, 1), 1, "{refusing:04b}");
    }
}

#[test]
fn tuples_of_each_length_and_nested_tuples_charge_all_gates() {
    let clock = ManualClock::new();
    let gates = gates([5, 5, 5, 5], &clock);
    let gate = |index: usize| Arc::clone(&gates[index]);
    let two = RateLimitLayer::new((gate(0), gate(1)));
    assert_eq!((served(&two, 1), available(&gates)), (1, [4, 4, 5, 5]));
    let three = RateLimitLayer::new((gate(0), gate(1), gate(2)));
    assert_eq!((served(&three, 1), available(&gates)), (1, [3, 3, 4, 5]));
    let nested = RateLimitLayer::new(((gate(0), gate(1)), Named::new("pair", (gate(2), gate(3)))));
    assert_eq!((served(&nested, 1), available(&gates)), (1, [2, 2, 3, 4]));
    drain(&gates[3]);
    assert_eq!((served(&nested, 2), available(&gates)), (0, [2, 2, 3, 0]));
    assert_eq!((served(&two, 9), available(&gates)), (2, [0, 0, 3, 0]));
    // A gate that is in the tuple twice is charged twice.
    clock.advance(3 * SECOND);
    let twice = RateLimitLayer::new((gate(0), gate(0)));
    assert_eq!((served(&twice, 1), gates[0].available()), (1, 1));
}

#[test]
fn refusal_that_no_wait_helps_is_the_longest() {
    let clock = ManualClock::new();
    for order in [[2, 9], [9, 2]] {
        let gates = gates(order, &clock);
        drain(&gates[usize::from(order[0] == 2)]);
        let gate = (
            Named::new("a", Arc::clone(&gates[0])),
            Named::new("b", Arc::clone(&gates[1])),
        );
        let (layer, rejections) = recording(RateLimitLayer::builder(gate).cost(|_| 3));
        let refusal = answer(&layer, Request::new(()));
        assert_eq!(refusal.status(), 429);
        assert!(!refusal.headers().contains_key("retry-after"));
        let small = if order[0] == 2 { "a" } else { "b" };
        let never = Reason::Limited(Denied::Never { capacity: 2 });
        assert_eq!(
            *rejections.lock().expect("no panic"),
            [(small.to_owned(), never)]
        );
    }
}

#[test]
fn rejection_headers_describe_the_longest_refusal() {
    let clock = ManualClock::new();
    // The first has none left for seconds. The second has one of 3 left, and needs hours.
    let seconds = Named::new("seconds", bucket(3, &clock));
    let hours = TokenBucket::with_clock(Quota::per_hour(1).burst(4), clock.clone());
    hours.try_acquire(3).expect("the limiter is full");
    drain(seconds.gate());
    let (layer, rejections) =
        recording(RateLimitLayer::builder((seconds, Named::new("hours", hours))).cost(|_| 3));
    let refusal = answer(&layer, Request::new(()));
    assert_eq!(
        *rejections.lock().expect("no panic"),
        [("hours".to_owned(), not_yet(7_200))]
    );
    assert_eq!(crate::field(&refusal, "retry-after"), Some("7200"));
    assert_eq!(
        crate::field(&refusal, "ratelimit"),
        Some(r#""hours";r=1;t=7200"#)
    );
    assert_eq!(
        crate::field(&refusal, "ratelimit-policy"),
        Some(r#""seconds";q=3;w=3, "hours";q=4;w=14400"#)
    );
}

#[test]
fn rejection_names_the_limit_that_refused() {
    let clock = ManualClock::new();
    let none_left = Named::new("hours", bucket(3, &clock));
    drain(none_left.gate());
    // The cost of 2 exceeds the capacity of the first, while the second has the least left.
    let gate = (bucket(1, &clock), none_left);
    let (layer, rejections) = recording(RateLimitLayer::builder(gate).name("layer").cost(|_| 2));
    let refusal = answer(&layer, Request::new(()));
    let never = Reason::Limited(Denied::Never { capacity: 1 });
    let rejections = rejections.lock().expect("no panic");
    assert_eq!(*rejections, [("layer".to_owned(), never)]);
    assert_eq!(crate::field(&refusal, "ratelimit"), Some(r#""layer";r=1"#));
}

#[test]
fn per_key_and_shared_gates_combine() {
    let clock = ManualClock::new();
    let all = Arc::new(bucket(5, &clock));
    let limits = FixedKeyed::with_clock(Quota::per_second(1).burst(2), 1_000, clock.clone());
    let gate = (
        Named::new("client", PerKey::new(limits, key_of)),
        Named::new("all", Arc::clone(&all)),
    );
    let (layer, rejections) = recording(RateLimitLayer::builder(gate));
    let ask = |key: &str| answer(&layer, with_key(key)).status().as_u16();
    assert_eq!(
        ["a", "a", "a", "b", "b", "c", "c"].map(ask),
        [200, 200, 429, 200, 200, 200, 429]
    );
    let seen: Vec<_> = rejections
        .lock()
        .expect("no panic")
        .iter()
        .map(|rejection| rejection.0.clone())
        .collect();
    assert_eq!(seen, ["client", "all"]);
    // The key that the shared limit refused still has its own token.
    clock.advance(SECOND);
    assert_eq!(ask("c"), 200);
    assert_eq!(layer.stats(), stats(6, 2));
    // Without a key no gate is charged.
    let before = all.available();
    assert_eq!(answer(&layer, Request::new(())).status(), 429);
    assert_eq!((layer.stats().no_key, all.available()), (1, before));
}

#[test]
fn missing_key_names_the_gate_that_needs_it() {
    let clock = ManualClock::new();
    let keyed = |name| {
        let of_key = clock.clone();
        let limits = Keyed::new(move |_: &String| bucket(1, &of_key));
        let key = move |request: &RequestHead<'_>| {
            let key = request.headers().get(name)?;
            key.to_str().ok().map(ToOwned::to_owned)
        };
        PerKey::new(limits, key)
    };
    let gate = (Named::new("key", keyed("key")), keyed("tenant"));
    let (layer, rejections) = recording(RateLimitLayer::builder(gate).name("layer"));
    for request in [Request::new(()), with_key("a")] {
        assert_eq!(answer(&layer, request).status(), 429);
    }
    let names = ["key", "layer"].map(|name| (name.to_owned(), Reason::NoKey(NoKey::NotSent)));
    assert_eq!(*rejections.lock().expect("no panic"), names);
    // A request that lacks one key takes nothing from the other gates.
    assert!(layer.gate().0.gate().table().is_empty());
}

#[test]
fn optional_key_leaves_the_other_gates() {
    let clock = ManualClock::new();
    for key_first in [true, false] {
        let all = Arc::new(bucket(3, &clock));
        let of_key = clock.clone();
        let limits = Arc::new(Keyed::new(move |_: &String| bucket(1, &of_key)));
        let per_key = Named::new("key", PerKey::new(Arc::clone(&limits), key_of).optional());
        let rest = Named::new("all", Arc::clone(&all));
        let ask: Box<dyn Fn(Request<()>) -> Response<String>> = if key_first {
            let layer = RateLimitLayer::new((per_key, rest));
            Box::new(move |request| answer(&layer, request))
        } else {
            let layer = RateLimitLayer::new((rest, per_key));
            Box::new(move |request| answer(&layer, request))
        };
        let success = ask(Request::new(()));
        assert_eq!(success.status(), 200);
        assert_eq!(
            crate::field(&success, "ratelimit"),
            Some(r#""all";r=2;t=1"#)
        );
        assert_eq!(ask(with_key("a")).status(), 200);
        assert_eq!(ask(with_key("a")).status(), 429);
        assert_eq!(ask(Request::new(())).status(), 200);
        assert_eq!(ask(Request::new(())).status(), 429);
        assert_eq!(ask(with_key("b")).status(), 429);
        assert_eq!((limits.len(), all.available()), (1, 0));
    }
    // A request that no gate limits passes without header fields.
    let keyed = || {
        let of_key = clock.clone();
        let limits = Keyed::new(move |_: &String| bucket(1, &of_key));
        PerKey::new(limits, key_of).optional()
    };
    let layer = RateLimitLayer::new((keyed(), keyed()));
    assert_eq!(served(&layer, 3), 3);
    assert!(answer(&layer, Request::new(())).headers().is_empty());
}

#[test]
fn each_type_of_limiter_is_a_gate() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(4, SECOND, clock.clone()).expect("valid");
    let combined = Combined::builder()
        .limit("few", bucket(3, &clock))
        .limit("many", bucket(9, &clock))
        .build();
    let gate = (Arc::new(window), Box::new(combined), bucket(5, &clock));
    let (layer, rejections) = recording(RateLimitLayer::builder(gate).name("layer"));
    assert_eq!(served(&layer, 5), 3);
    let rejections = rejections.lock().expect("no panic");
    assert_eq!(
        *rejections,
        [
            ("few".to_owned(), not_yet(1)),
            ("few".to_owned(), not_yet(1))
        ]
    );
    assert_eq!(layer.gate().0.available(), 1);
    assert_eq!(layer.gate().2.available(), 2);
}

#[test]
fn paused_api_limiter_refuses_all() {
    let clock = ManualClock::new();
    let api = ApiRateLimiter::with_clock(RateLimitConfig::default(), clock.clone()).expect("valid");
    let (api, other) = (Arc::new(api), Arc::new(bucket(5, &clock)));
    let gate = (Named::new("api", Arc::clone(&api)), Arc::clone(&other));
    let (layer, rejections) = recording(RateLimitLayer::builder(gate));
    assert_eq!(served(&layer, 1), 1);
    api.pause_for(30 * SECOND);
    let refusal = answer(&layer, Request::new(()));
    assert_eq!(crate::field(&refusal, "retry-after"), Some("30"));
    let limit = crate::field(&refusal, "ratelimit");
    assert_eq!(limit, Some(r#""api";r=0;t=30"#));
    assert_eq!(
        *rejections.lock().expect("no panic"),
        [("api".to_owned(), not_yet(30))]
    );
    assert_eq!(other.available(), 4);
    clock.advance(30 * SECOND);
    assert_eq!(served(&layer, 1), 1);
}

#[test]
fn full_table_refuses_unknown_keys() {
    let clock = ManualClock::new();
    let of_key = clock.clone();
    let limits = Keyed::builder(move |_: &String| bucket(4, &of_key))
        .max_keys(1)
        .overflow(Overflow::Refuse)
        .build();
    let limits = Arc::new(limits);
    let gate = Named::new("keys", PerKey::new(Arc::clone(&limits), key_of));
    let (layer, rejections) = recording(RateLimitLayer::builder(gate));
    assert_eq!(answer(&layer, with_key("a")).status(), 200);
    let refusal = answer(&layer, with_key("b"));
    assert_eq!(refusal.status(), 429);
    // Until the other key is unused and can be evicted.
    assert_eq!(crate::field(&refusal, "retry-after"), Some("1"));
    assert_eq!(
        crate::field(&refusal, "ratelimit"),
        Some(r#""keys";r=0;t=1"#)
    );
    assert_eq!(rejections.lock().expect("no panic").len(), 1);
    clock.advance(SECOND);
    assert_eq!(answer(&layer, with_key("b")).status(), 200);
    assert_eq!((limits.len(), limits.available("b")), (1, 3));
}

#[test]
fn extractor_runs_once_per_request() {
    let (clock, seen) = (ManualClock::new(), Arc::new(Mutex::new(0)));
    let counting = Arc::clone(&seen);
    let key = move |request: &RequestHead<'_>| {
        *counting.lock().expect("no panic") += 1;
        key_of(request)
    };
    let of_key = clock.clone();
    let limits = Keyed::new(move |_: &String| bucket(1, &of_key));
    let layer = RateLimitLayer::new((PerKey::new(limits, key), bucket(5, &clock)));
    for status in [200, 429] {
        assert_eq!(answer(&layer, with_key("a")).status(), status);
    }
    assert_eq!(*seen.lock().expect("no panic"), 2);
}

/// It is the limit that refuses longest, not the one with the least left.
#[test]
fn combination_names_the_limit_that_refused() {
    let clock = ManualClock::new();
    let of = |quota: Quota| TokenBucket::with_clock(quota, clock.clone());
    let (minute, day) = (of(Quota::per_minute(60).burst(10)), of(Quota::per_day(24)));
    minute.try_acquire(7).expect("the limiter is full");
    day.try_acquire(20).expect("the limiter is full");
    let both = Combined::builder()
        .limit("minute", minute)
        .limit("day", day)
        .build();
    let (layer, rejections) = recording(RateLimitLayer::builder(both).cost(|_| 10));
    let refused = answer(&layer, Request::new(()));
    let limit = crate::field(&refused, "ratelimit");
    assert_eq!(limit, Some(r#""day";r=4;t=21600"#));
    assert_eq!(rejections.lock().expect("no panic")[0].0, "day");
}
