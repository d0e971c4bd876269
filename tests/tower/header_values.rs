//! A parser of structured fields reads the draft's fields, for any limit, snapshot and name.

use core::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;
use sfv::{Item, List, ListEntry, Parser};
use tidegate::layer::HeaderStyle;
use tidegate::{Denied, Limiter, ManualClock, Quota, SlidingWindow, Snapshot, TokenBucket};

use crate::SECOND;

/// The largest integer of a structured field.
const MOST: u64 = 999_999_999_999_999;

/// The name and the parameters of an item.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    name: String,
    parameters: Vec<(String, u64)>,
}

fn read_item(item: &Item) -> Read {
    let integer = |value: &sfv::BareItem| {
        let integer = value.as_integer().expect("an integer");
        u64::try_from(i64::from(integer)).expect("not negative")
    };
    let name = item.bare_item.as_string().expect("a string");
    let parameters = item.params.iter();
    Read {
        name: name.as_str().to_owned(),
        parameters: parameters
            .map(|(key, value)| (key.as_str().to_owned(), integer(value)))
            .collect(),
    }
}

/// Parses all lines of a field as one list.
pub(crate) fn read_list(headers: &HeaderMap, field: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let lines = headers
        .get_all(field)
        .iter()
        .map(http::HeaderValue::as_bytes);
    let list = lines.collect::<Vec<_>>().join(b", ".as_slice());
    let list: List = Parser::new(&list).parse().expect("a list");
    let entry = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else {
            panic!("{entry:?}");
        };
        let read = read_item(item);
        (read.name, read.parameters)
    };
    list.iter().map(entry).collect()
}

fn read_one(headers: &HeaderMap, field: &str) -> Read {
    assert_eq!(headers.get_all(field).iter().count(), 1, "{field}");
    let mut list = read_list(headers, field);
    let (name, parameters) = list.pop().expect("an entry");
    assert_eq!(list, []);
    Read { name, parameters }
}

fn draft_headers(name: &str, snapshot: &Snapshot, denied: Option<Denied>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    HeaderStyle::Draft11.write_to(name, snapshot, denied, &mut headers);
    headers
}

fn parameters(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(key, value)| ((*key).to_owned(), *value))
        .collect()
}

/// Rounds up to whole seconds, with 128-bit arithmetic.
fn rounded_up(wait: Duration) -> u64 {
    let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1);
    u64::try_from(seconds).expect("fits 64 bits")
}

fn check(name: &str, snapshot: &Snapshot, denied: Option<Denied>) -> Result<(), TestCaseError> {
    let headers = draft_headers(name, snapshot, denied);
    let ascii = |character: char| {
        if matches!(character, ' '..='~') {
            character
        } else {
            '?'
        }
    };
    let name: String = name.chars().map(ascii).collect();

    let policy = read_one(&headers, "ratelimit-policy");
    prop_assert_eq!(&policy.name, &name);
    let window = rounded_up(snapshot.refill_time);
    let expected = [("q", snapshot.capacity.min(MOST)), ("w", window)];
    prop_assert_eq!(policy.parameters, parameters(&expected));

    let limit = read_one(&headers, "ratelimit");
    prop_assert_eq!(&limit.name, &name);
    let mut expected = vec![("r", snapshot.available.min(MOST))];
    let next_permit_in = match denied {
        Some(denied) => denied.retry_after(),
        None => snapshot.next_permit_in,
    };
    expected.extend(next_permit_in.map(|wait| ("t", rounded_up(wait).min(MOST))));
    prop_assert_eq!(limit.parameters, parameters(&expected));

    let retry_after = headers
        .get("retry-after")
        .map(|value| value.to_str().expect("ASCII"));
    let wait = denied.and_then(|denied| denied.retry_after());
    let expected = wait.map(|wait| rounded_up(wait).to_string());
    prop_assert_eq!(retry_after, expected.as_deref());
    Ok(())
}

fn quotas() -> impl Strategy<Value = Quota> {
    let period = prop_oneof![
        1..=10_000_u64,
        1..=10_000_000_000_u64,
        1..=15_768_000_000_000_000_000_u64,
    ];
    let capacity = prop_oneof![1..=10_u64, 1..=1_000_000_u64, 1..=1_u64 << 60];
    (1..=1_000_000_u64, period, capacity).prop_filter_map("too much", |(rate, period, capacity)| {
        let quota = Quota::new(rate, Duration::from_nanos(period)).ok()?;
        quota.try_burst(capacity).ok()
    })
}

proptest! {
    #[test]
    fn headers_describe_any_state_of_a_bucket(
        quota in quotas(), used in 0.0..=1.0_f64, asked: u64, passed: u32, name in any::<String>(),
    ) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "any part of it will do"
        )]
        let used = (quota.capacity() as f64 * used) as u64;
        bucket.try_acquire(used.min(quota.capacity())).expect("the limiter is full");
        clock.advance(Duration::from_nanos(passed.into()));
        let snapshot = bucket.snapshot_at(bucket.now());
        check(&name, &snapshot, None)?;
        let asked = asked % quota.capacity().saturating_add(2);
        check(&name, &snapshot, bucket.peek(asked).err())?;

        // More is available after the wait, if the clock can advance so far.
        let headers = draft_headers("", &snapshot, None);
        let written = &read_one(&headers, "ratelimit").parameters;
        let left_on_clock = Duration::from_nanos(u64::MAX - bucket.now().as_nanos());
        match written.get(1).map(|(_, seconds)| Duration::from_secs(*seconds)) {
            Some(wait) if wait < left_on_clock => {
                clock.advance(wait);
                prop_assert!(bucket.available() > snapshot.available);
            }
            Some(_) => {}
            None => prop_assert_eq!(snapshot.available, snapshot.capacity),
        }
    }

    #[test]
    fn capacity_is_full_after_the_window_of_the_policy(quota in quotas()) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        bucket.try_acquire(quota.capacity()).expect("the limiter is full");
        let snapshot = bucket.snapshot_at(bucket.now());
        prop_assert_eq!(snapshot.refill_time, quota.refill_time());
        let window = read_one(&draft_headers("", &snapshot, None), "ratelimit-policy").parameters[1].1;
        if let Some(nanos) = window.checked_mul(1_000_000_000) {
            clock.advance(Duration::from_nanos(nanos));
            prop_assert_eq!(bucket.available(), quota.capacity());
        }
    }

    #[test]
    fn headers_describe_any_state_of_a_window(
        limit in 1..=1_000_u64, millis in 1..=100_000_u64, used in 0..=1_000_u64, passed in 0..=200_000_u64,
    ) {
        let (clock, length) = (ManualClock::new(), Duration::from_millis(millis));
        let window = SlidingWindow::with_clock(limit, length, clock.clone()).expect("valid");
        window.try_acquire(used.min(limit)).expect("the window is empty");
        clock.advance(Duration::from_millis(passed));
        let snapshot = window.snapshot_at(window.now());
        prop_assert_eq!((snapshot.capacity, snapshot.refill_time), (limit, length));
        check("window", &snapshot, None)?;
        check("window", &snapshot, window.peek(limit).err())?;
        if let Some(wait) = snapshot.next_permit_in {
            clock.advance(Duration::from_secs(rounded_up(wait)));
            prop_assert!(window.available() > snapshot.available);
        }
    }

    #[test]
    fn any_wait_is_written_in_whole_seconds(seconds: u64, nanos in 0..1_000_000_000_u32) {
        let bucket = TokenBucket::with_clock(Quota::per_second(1), ManualClock::new());
        let snapshot = bucket.snapshot_at(bucket.now());
        let retry_after = Duration::new(seconds.min(u64::MAX - 1), nanos).into();
        check("", &snapshot, Some(Denied::NotYet { retry_after }))?;
    }
}

#[test]
fn any_name_is_written_as_a_string() {
    let bucket = TokenBucket::with_clock(Quota::per_second(1), ManualClock::new());
    let snapshot = bucket.snapshot_at(bucket.now());
    for (name, read) in [
        ("", ""),
        (r#"a"b"#, r#"a"b"#),
        (r"\", r"\"),
        (r#"\","x";q=9"#, r#"\","x";q=9"#),
        ("a\r\nset-cookie: b", "a??set-cookie: b"),
        ("\u{0}\t\u{1f}\u{7f}", "????"),
        ("Füllstand-水位-🌊", "F?llstand-??-?"),
        (" ~", " ~"),
    ] {
        let headers = draft_headers(name, &snapshot, None);
        assert_eq!(read_one(&headers, "ratelimit").name, read);
        assert_eq!(read_one(&headers, "ratelimit-policy").name, read);
    }
    let long = "x".repeat(10_000);
    assert_eq!(
        read_one(&draft_headers(&long, &snapshot, None), "ratelimit").name,
        long
    );
}

#[test]
fn extremes_fit_the_format() {
    let parameters_of = |quota: Quota| {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let full = bucket.snapshot_at(bucket.now());
        bucket.try_acquire(1).expect("the limiter is full");
        let snapshot = bucket.snapshot_at(bucket.now());
        let policy = read_one(&draft_headers("", &full, None), "ratelimit-policy");
        let limit = |snapshot| read_one(&draft_headers("", snapshot, None), "ratelimit").parameters;
        (policy.parameters, limit(&full), limit(&snapshot))
    };
    // 2⁶⁰ tokens at 1 000 per nanosecond refill in 13 days.
    let most = Quota::new(1_000, Duration::from_nanos(1)).expect("valid");
    let (policy, full, used) = parameters_of(most.burst(1 << 60));
    assert_eq!(policy, parameters(&[("q", MOST), ("w", 1_152_922)]));
    assert_eq!(full, parameters(&[("r", MOST)]));
    assert_eq!(used, parameters(&[("r", MOST), ("t", 1)]));
    // One token per nanosecond.
    let (policy, full, used) =
        parameters_of(Quota::new(1, Duration::from_nanos(1)).expect("valid"));
    assert_eq!(policy, parameters(&[("q", 1), ("w", 1)]));
    assert_eq!(full, parameters(&[("r", 1)]));
    assert_eq!(used, parameters(&[("r", 0), ("t", 1)]));
    // 1 000 years of 365.25 days.
    let century = 100 * 31_557_600 * SECOND;
    let (policy, _, used) = parameters_of(Quota::new(1, century).expect("valid").burst(10));
    assert_eq!(policy, parameters(&[("q", 10), ("w", 31_557_600_000)]));
    // A token that takes a century may be up to a second late.
    let late = [3_155_760_000, 3_155_760_001].map(|t| parameters(&[("r", 9), ("t", t)]));
    assert!(late.contains(&used), "{used:?}");
}
