//! The fields of an admitted request show what its own charge has left.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicU64};

use http::{HeaderMap, Request};
use tidegate::layer::{Gate, HeaderStyle, Named, PerKey, RateLimitLayer, RequestHead, Reset};
use tidegate::{
    FixedKeyed, Keyed, Limiter, ManualClock, Quota, QuotaUnit, SlidingWindow, Snapshot, Timestamp,
};

use crate::parallel::in_parallel;
use crate::{NANO, SECOND, answer, bucket};

const BOTH: HeaderStyle = HeaderStyle::Both {
    reset: Reset::Delta,
};

/// Every request has the same key.
#[expect(clippy::unnecessary_wraps, reason = "an extractor returns an `Option`")]
const fn one_key(_: &RequestHead<'_>) -> Option<u64> {
    Some(7)
}

/// Compares the fields of requests at several instants with those of a snapshot after each.
fn shows_what_is_left(gate: impl Gate, clock: &ManualClock, snapshot: impl Fn() -> Snapshot) {
    let cost = Arc::new(AtomicU64::new(1));
    let costs = Arc::clone(&cost);
    let layer = RateLimitLayer::builder(gate)
        .headers(BOTH)
        .cost(move |_| costs.load(Relaxed))
        .build();
    let steps = [
        (1, NANO),
        (2, SECOND),
        (1, NANO),
        (0, NANO),
        (1, 3 * SECOND),
        (3, NANO),
        (3, 100 * SECOND),
        (5, NANO),
    ];
    for (step, (n, elapsed)) in steps.into_iter().enumerate() {
        cost.store(n, Relaxed);
        let response = answer(&layer, Request::new(()));
        if response.status().is_success() {
            let mut expected = HeaderMap::new();
            BOTH.write_to("default", &snapshot(), None, &mut expected);
            assert_eq!(*response.headers(), expected, "step {step}");
        }
        clock.advance(elapsed);
    }
}

#[test]
fn fields_are_those_of_a_snapshot_after_the_charge() {
    let clock = &ManualClock::new();
    let limiter = Arc::new(bucket(7, clock));
    shows_what_is_left(Arc::clone(&limiter), clock, || {
        limiter.snapshot_at(limiter.now())
    });
    let named = Named::new("mine", Arc::clone(&limiter));
    shows_what_is_left(named, clock, || {
        let mut snapshot = limiter.snapshot_at(limiter.now());
        snapshot.limit = Some("mine");
        snapshot
    });
    // Coarse grains: the capacity takes 68 years to flow in.
    let slow = Arc::new(bucket(1 << 31, clock));
    shows_what_is_left(Arc::clone(&slow), clock, || slow.snapshot_at(slow.now()));
    let window = SlidingWindow::with_clock(7, 10 * SECOND, clock.clone()).expect("in range");
    let window = Arc::new(window);
    shows_what_is_left(Arc::clone(&window), clock, || {
        window.snapshot_at(window.now())
    });
}

#[test]
fn fields_are_those_of_a_snapshot_of_the_key_after_the_charge() {
    let clock = &ManualClock::new();
    let quota = Quota::per_second(1).burst(7);
    let fixed = Arc::new(FixedKeyed::with_clock(quota, 100, clock.clone()));
    let gate = PerKey::new(Arc::clone(&fixed), one_key);
    shows_what_is_left(gate, clock, || fixed.snapshot_at(&7_u64, fixed.now()));

    let time = clock.clone();
    let keyed = Arc::new(Keyed::new(move |_: &u64| bucket(7, &time)));
    let gate = PerKey::new(Arc::clone(&keyed), one_key);
    shows_what_is_left(gate, clock, || {
        keyed.snapshot_at(&7, keyed.now().expect("a key"))
    });

    let time = clock.clone();
    let window =
        move |_: &u64| SlidingWindow::with_clock(7, SECOND, time.clone()).expect("in range");
    let windows = Arc::new(Keyed::new(window));
    let gate = PerKey::new(Arc::clone(&windows), one_key);
    shows_what_is_left(gate, clock, || {
        windows.snapshot_at(&7, windows.now().expect("a key"))
    });
}

#[test]
fn fields_follow_a_change_of_the_quota() {
    let clock = &ManualClock::new();
    let limiter = Arc::new(bucket(7, clock));
    let fixed = FixedKeyed::with_clock(Quota::per_second(1).burst(7), 100, clock.clone());
    let fixed = Arc::new(fixed);
    for capacity in [7, 9, 1_000_000, 7] {
        let quota = Quota::per_second(2).burst(capacity);
        limiter.set_quota(quota);
        shows_what_is_left(Arc::clone(&limiter), clock, || {
            limiter.snapshot_at(limiter.now())
        });
        fixed.set_quota(quota);
        let gate = PerKey::new(Arc::clone(&fixed), one_key);
        shows_what_is_left(gate, clock, || fixed.snapshot_at(&7_u64, fixed.now()));
    }
}

/// Threads take all permits at one instant. Each response then shows another number.
fn each_number_is_shown_once(gate: impl Gate + Send + Sync) {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let legacy = HeaderStyle::LegacyX {
        reset: Reset::Delta,
    };
    let layer = RateLimitLayer::builder(gate).headers(legacy).build();
    let shown = in_parallel(THREADS, |_| {
        let remaining = |_| {
            let response = answer(&layer, Request::new(()));
            let remaining = response.headers()["x-ratelimit-remaining"].to_str();
            remaining.expect("digits").parse().expect("a number")
        };
        (0..EACH).map(remaining).collect::<Vec<usize>>()
    });
    let mut shown = shown.concat();
    shown.sort_unstable();
    assert!(shown.into_iter().eq(0..THREADS * EACH));
}

#[test]
fn concurrent_requests_show_what_their_own_charges_left() {
    let clock = &ManualClock::new();
    let quota = Quota::per_second(1).burst(2_000);
    each_number_is_shown_once(bucket(2_000, clock));
    // A key without an entry is looked up again after its first charge.
    let fixed = FixedKeyed::with_clock(quota, 100, clock.clone());
    fixed.try_acquire(&7_u64, 1).expect("it is full");
    fixed.at(&7_u64).credit(1);
    each_number_is_shown_once(PerKey::new(fixed, one_key));
    let time = clock.clone();
    let keyed = Keyed::new(move |_: &u64| bucket(2_001, &time));
    keyed.try_acquire(&7, 1).expect("it is full");
    each_number_is_shown_once(PerKey::new(keyed, one_key));
}

/// Numbers around each length, of which the small ones have static texts.
fn numbers() -> impl Iterator<Item = u64> {
    let lengths = (1..19).map(|length| 10_u64.pow(length));
    let around = lengths.flat_map(|power| [power - 1, power, power + 1]);
    (1..1_200).chain(around)
}

#[test]
fn every_capacity_is_written_in_decimal() {
    let legacy = HeaderStyle::LegacyX {
        reset: Reset::Delta,
    };
    let snapshot = bucket(1, &ManualClock::new()).snapshot_at(Timestamp::ZERO);
    // Twice: what was kept the first time has mostly lost its place to another.
    for number in numbers().chain(numbers()) {
        let mut snapshot = snapshot;
        (snapshot.capacity, snapshot.available) = (number, number - 1);
        for _ in 0..2 {
            let mut headers = HeaderMap::new();
            legacy.write_to("default", &snapshot, None, &mut headers);
            assert_eq!(headers["x-ratelimit-limit"], number.to_string());
            assert_eq!(headers["x-ratelimit-remaining"], (number - 1).to_string());
            headers.clear();
            HeaderStyle::Draft11.write_to("mine", &snapshot, None, &mut headers);
            let q = number.min(999_999_999_999_999);
            assert_eq!(headers["ratelimit-policy"], format!("\"mine\";q={q};w=1"));
        }
    }
}

#[test]
fn policies_that_differ_in_one_respect_are_told_apart() {
    let first = bucket(7, &ManualClock::new()).snapshot_at(Timestamp::ZERO);
    let policy = |name: &str, change: fn(&mut Snapshot)| {
        let mut snapshot = first;
        change(&mut snapshot);
        let mut headers = HeaderMap::new();
        HeaderStyle::Draft11.write_to(name, &snapshot, None, &mut headers);
        let value = |field: &str| headers[field].to_str().expect("text").to_owned();
        (value("ratelimit-policy"), value("ratelimit"))
    };
    let long = "n".repeat(200);
    // Each is asked for after each other, so that it replaces what was kept or is found there.
    for _ in 0..2 {
        let same = policy("one", |_| {});
        assert_eq!(same, ("\"one\";q=7;w=7".into(), "\"one\";r=7".into()));
        let name = policy("two\"", |_| {});
        let quoted = r#""two\"";q=7;w=7"#.to_owned();
        assert_eq!(name, (quoted, r#""two\"";r=7"#.into()));
        let window = policy("one", |snapshot| snapshot.refill_time = SECOND);
        assert_eq!(window.0, "\"one\";q=7;w=1");
        let in_flight = policy("one", |snapshot| {
            snapshot.unit = QuotaUnit::ConcurrentRequests;
        });
        assert_eq!(in_flight.0, "\"one\";q=7;qu=\"concurrent-requests\"");
        let long_name = policy(&long, |_| {});
        assert_eq!(long_name.0, format!("\"{long}\";q=7;w=7"));
        assert_eq!(long_name.1, format!("\"{long}\";r=7"));
    }
}

fn assert_fields_are_written() {
    let snapshot = bucket(7_000, &ManualClock::new()).snapshot_at(Timestamp::ZERO);
    let mut headers = HeaderMap::new();
    BOTH.write_to("default", &snapshot, None, &mut headers);
    assert_eq!(headers["ratelimit-policy"], r#""default";q=7000;w=7000"#);
    assert_eq!(headers["x-ratelimit-limit"], "7000");
}

#[test]
fn fields_are_written_while_a_thread_ends() {
    /// Writes fields when it is dropped with the thread.
    struct AtTheEnd;

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            assert_fields_are_written();
            DROPPED.store(true, Relaxed);
        }
    }

    static DROPPED: AtomicBool = AtomicBool::new(false);
    std::thread_local! {
        static LAST: AtTheEnd = const { AtTheEnd };
    }
    let thread = std::thread::spawn(|| {
        // What is made first is dropped last, after the values that the thread has kept.
        LAST.with(|_| {});
        assert_fields_are_written();
    });
    thread.join().expect("no panic");
    assert!(DROPPED.load(Relaxed));
}
