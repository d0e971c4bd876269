//! Saved states as text: round trips, and input that is refused.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, from_value, json, to_string, to_value};
use tidegate::{
    ApiRateLimiter, ApiState, BucketLevel, Combined, CombinedState, Keyed, ManualClock, Quota,
    RateLimitConfig, RestoreError, RestoreTableError, Saved, SlidingWindow, TableRecord,
    TokenBucket, WindowState,
};

use crate::{at, wall};

const QUOTA: Quota = Quota::per_second(10).burst(20);

fn bucket() -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(QUOTA, ManualClock::new())
}

fn window() -> SlidingWindow<ManualClock> {
    let second = std::time::Duration::from_secs(1);
    SlidingWindow::with_clock(20, second, ManualClock::new()).unwrap()
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(saved: &T) {
    let text = to_string(saved).unwrap();
    assert_eq!(&from_str::<T>(&text).unwrap(), saved, "{text}");
}

#[test]
fn text_round_trips() {
    let bucket = bucket();
    bucket.debit(25);
    let saved = bucket.save_at(at(1), wall(2));
    round_trip(&saved);
    let expected = json!({
        "version": 1,
        "at": 1_700_000_000_000_000_002_u64,
        "state": { "spent": 2_499_999_999_u64, "token": 100_000_000, "capacity": 20 },
    });
    assert_eq!(to_value(&saved).unwrap(), expected);

    let window = window();
    window.try_acquire_at(3, at(5)).unwrap();
    let saved = window.save_at(at(1_000), wall(2));
    round_trip(&saved);
    assert_eq!(
        to_value(&saved).unwrap()["state"]["admissions"],
        json!([[0, 3]])
    );

    let combined = Combined::builder()
        .limit("minute", window)
        .limit("burst", bucket)
        .build();
    round_trip(&combined.save_at(at(1_000), wall(2)));
    let api = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new()).unwrap();
    api.pause_until(tidegate::Timestamp::MAX);
    assert!(api.try_acquire_at(at(7)).is_limited);
    round_trip(&api.save_at(at(1_000), wall(2)));

    let table = Keyed::new(|_: &String| self::bucket());
    table.try_acquire_at("alice", 4, at(0)).unwrap();
    let mut lines = Vec::new();
    table
        .save_at(at(0), wall(0), |record| {
            to_string(&record).map(|line| lines.push(line))
        })
        .unwrap();
    assert_eq!(
        lines[1],
        r#"{"key":["alice",{"spent":400000000,"token":100000000,"capacity":20}]}"#
    );
    assert_eq!(lines[2], r#"{"end":1}"#);
    let records = lines.iter().map(|line| from_str(line));
    let fresh = Keyed::new(|_: &String| self::bucket());
    let after = Keyed::restore_at(records, fresh, at(0), wall(0)).unwrap();
    assert_eq!(after.available_at("alice", at(0)), 16);

    // A line that was cut off, and a table that ends too early.
    let cut = &lines[1][..20];
    let records = [lines[0].as_str(), cut].map(from_str);
    let fresh = Keyed::new(|_: &String| self::bucket());
    let restored = Keyed::restore_at(records, fresh, at(0), wall(0));
    assert!(matches!(restored, Err(RestoreTableError::Source(_))));
}

fn bucket_error(change: impl Fn(&mut Value)) -> RestoreError {
    let mut value = to_value(bucket().save_at(at(0), wall(0))).unwrap();
    change(&mut value);
    let saved: Saved<BucketLevel> = from_value(value).unwrap();
    TokenBucket::restore_at(&saved, bucket(), at(0), wall(0)).unwrap_err()
}

#[test]
fn levels_out_of_range_are_refused() {
    let zero = RestoreError::ZeroQuota;
    assert_eq!(bucket_error(|it| it["state"]["token"] = json!(0)), zero);
    assert_eq!(bucket_error(|it| it["state"]["capacity"] = json!(0)), zero);
    let out_of_range = RestoreError::LevelOutOfRange;
    for field in ["token", "capacity", "spent"] {
        for value in [u64::MAX, 1 << 62] {
            assert_eq!(
                bucket_error(|it| it["state"][field] = json!(value)),
                out_of_range
            );
        }
    }
    for version in [0, 2, u32::MAX] {
        let error = bucket_error(|it| it["version"] = json!(version));
        assert_eq!(error, RestoreError::UnknownVersion { version });
    }
    for time in [0, 1 << 63, u64::MAX] {
        let error = bucket_error(|it| it["at"] = json!(time));
        assert_eq!(error, RestoreError::InvalidTime);
    }
}

#[test]
fn numbers_that_are_no_levels_are_no_states() {
    let text = to_string(&bucket().save_at(at(0), wall(0))).unwrap();
    let is_read = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        from_str::<Saved<BucketLevel>>(&text.replace(from, to)).is_ok()
    };
    assert!(is_read("\"spent\":0", "\"spent\":1"));
    for level in [
        "-1",
        "NaN",
        "0.5",
        "1e99",
        "null",
        "\"1\"",
        "18446744073709551616",
    ] {
        assert!(
            !is_read("\"spent\":0", &format!("\"spent\":{level}")),
            "{level}"
        );
        assert!(
            !is_read("\"version\":1", &format!("\"version\":{level}")),
            "{level}"
        );
    }
    assert!(!is_read("\"spent\":0", "\"spent\":0,\"spent\":0"));
    assert!(!is_read("\"spent\":0", "\"spent\":0,\"more\":0"));
    assert!(!is_read("\"spent\":0,", ""));
    assert!(
        from_str::<Saved<WindowState>>(&text).is_err(),
        "another kind"
    );
    assert!(from_str::<Saved<CombinedState>>(&text).is_err());
    assert!(from_str::<Saved<ApiState>>(&text).is_err());
    for end in 0..text.len() {
        assert!(from_str::<Saved<BucketLevel>>(&text[..end]).is_err());
    }
}

#[test]
fn admissions_out_of_range_are_refused() {
    let restore = |state: Value| {
        let saved = json!({ "version": 1, "at": 1, "state": state });
        let saved: Saved<WindowState> = from_value(saved).unwrap();
        SlidingWindow::restore_at(&saved, window(), at(7), wall(0))
    };
    let restored = restore(json!({ "length": 1_000, "admissions": [[0, 3], [2_000, 1]] }));
    assert_eq!(restored.unwrap().available_at(at(7)), 20, "years ago");
    let most = u64::MAX;
    for state in [
        json!({ "length": 0, "admissions": [] }),
        json!({ "length": most, "admissions": [] }),
        json!({ "length": 1_000, "admissions": [[2_001, 1]] }),
        json!({ "length": 1_000, "admissions": [[most, 1]] }),
        json!({ "length": 1_000, "admissions": [[0, 0]] }),
        json!({ "length": 1_000, "admissions": vec![(1, 1); (1 << 19) + 1] }),
    ] {
        assert_eq!(restore(state).unwrap_err(), RestoreError::InvalidSlots);
    }
    // Counts that add up to more than 64 bits leave the window full.
    let saved = json!({ "version": 1, "at": wall(0).as_nanos(), "state": {
        "length": 1_000, "admissions": [[0, most], [1, most], [900, most]],
    }});
    let saved: Saved<WindowState> = from_value(saved).unwrap();
    let full = SlidingWindow::restore_at(&saved, window(), at(7), wall(0)).unwrap();
    assert_eq!(full.available_at(at(7)), 0);
    assert!(full.wait_time_at(20, at(7)).is_some());
}

proptest! {
    /// Whatever the numbers are, a state is refused, or restored without a panic and without more
    /// than the capacity.
    #[test]
    fn any_numbers_are_refused_or_restored(
        (version, time, now) in (0_u32..3, any::<u64>(), any::<u64>()),
        numbers in prop::collection::vec(
            prop_oneof![0_u64..4, any::<u64>(), (0_u32..64).prop_map(|bit| 1 << bit)], 8,
        ),
        clock in any::<u64>(),
        rate in 1_u64..1_000_000,
    ) {
        let quota = Quota::per_second(rate).burst(numbers[7] % 1_000 + 1);
        let fresh = TokenBucket::with_clock(quota, ManualClock::new());
        let state = json!({ "spent": numbers[0], "token": numbers[1], "capacity": numbers[2] });
        let now = tidegate::UnixTime::from_nanos(now);
        let saved = json!({ "version": version, "at": time, "state": state });
        let saved: Saved<BucketLevel> = from_value(saved).unwrap();
        let _ = (saved.state().available(), saved.state().debt());
        if let Ok(bucket) = TokenBucket::restore_at(&saved, fresh, at(clock), now) {
            prop_assert!(version == 1 && time > 0);
            prop_assert!(bucket.available_at(at(clock)) <= quota.capacity());
            let _ = (bucket.debt_at(at(clock)), bucket.wait_time_at(1, at(clock)));
            let again = bucket.save_at(at(clock), now);
            prop_assert_eq!(again.state().available(), bucket.available_at(at(clock)));
        }

        let admissions = [(numbers[3], numbers[4]), (numbers[5], numbers[6])];
        let state = json!({ "length": numbers[1], "admissions": admissions });
        let saved = json!({ "version": version, "at": time, "state": state });
        let saved: Saved<WindowState> = from_value(saved).unwrap();
        if let Ok(window) = SlidingWindow::restore_at(&saved, window(), at(clock), now) {
            prop_assert!(window.available_at(at(clock)) <= 20);
            let _ = window.wait_time_at(20, at(clock));
            let _ = window.try_acquire_at(1, at(clock));
            let _ = window.save_at(at(clock), now);
        }

        // As a key of a table.
        let state = json!({ "spent": numbers[0], "token": numbers[1], "capacity": numbers[2] });
        let header = json!({ "header": {
            "version": version, "at": time, "kind": "keyed", "shared": null,
        }});
        let records = [header, json!({ "key": [7, state] }), json!({ "end": 1 })];
        let records = records.map(from_value::<TableRecord<u64, BucketLevel>>);
        let table = Keyed::new(move |_: &u64| TokenBucket::with_clock(quota, ManualClock::new()));
        if let Ok(table) = Keyed::restore_at(records, table, at(clock), now) {
            prop_assert!(table.available_at(&7, at(clock)) <= quota.capacity());
            let _ = table.try_acquire_at(&7, 1, at(clock));
        }
    }
}
