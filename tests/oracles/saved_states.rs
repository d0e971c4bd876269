//! Restores saved states with hostile numbers, and hostile text, beside the documented checks.

use core::convert::Infallible;
use core::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{from_str, from_value, json, to_string};
use tidegate::{
    ApiState, BucketLevel, CombinedState, Keyed, ManualClock, Quota, RestoreError, Saved,
    SlidingWindow, TableRecord, Timestamp, TokenBucket, UnixTime, WindowState,
};

use super::bytes::Bytes;

/// Runs one input.
///
/// An input is a text, whose lines are read as saved states and as the records of a table. If it
/// begins with a control character, its bytes choose the numbers of states instead.
///
/// # Panics
///
/// Panics if a state is restored that should be refused, or refused or restored to another level
/// than the documented one.
pub(crate) fn check(data: &[u8]) {
    match data.split_first() {
        Some((0, rest)) => check_bucket(&mut Bytes::new(rest)),
        Some((1, rest)) => check_window(&mut Bytes::new(rest)),
        _ => check_text(&String::from_utf8_lossy(data)),
    }
}

fn bucket(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

/// Why version and time are refused.
const fn refusal(version: u32, at: u64) -> Option<RestoreError> {
    if version != 1 {
        Some(RestoreError::UnknownVersion { version })
    } else if at == 0 || at > u64::MAX >> 1 {
        Some(RestoreError::InvalidTime)
    } else {
        None
    }
}

fn check_bucket(bytes: &mut Bytes<'_>) {
    let version = if bytes.byte() < 250 { 1 } else { 2 };
    let (at, wall, clock) = (bytes.number(), bytes.number(), bytes.number() >> 1);
    let (spent, token, capacity) = (bytes.number(), bytes.number(), bytes.number());
    let period = Duration::from_nanos(bytes.number());
    let quota = Quota::new(bytes.number(), period).unwrap_or(Quota::per_second(7));
    let quota = quota.try_burst(bytes.number()).unwrap_or(quota);

    let state = json!({ "spent": spent, "token": token, "capacity": capacity });
    let saved = json!({ "version": version, "at": at, "state": state });
    let saved: Saved<BucketLevel> = from_value(saved).expect("numbers");
    let now = Timestamp::from_nanos(clock);
    let restored = TokenBucket::restore_at(&saved, bucket(quota), now, UnixTime::from_nanos(wall));

    // A capacity of at most 2^60 parts, and a debt of at most as many.
    let parts = u128::from(token) * u128::from(capacity);
    let expected = refusal(version, at).or(if token == 0 || capacity == 0 {
        Some(RestoreError::ZeroQuota)
    } else if parts > 1 << 60 || spent > 1 << 61 {
        Some(RestoreError::LevelOutOfRange)
    } else {
        None
    });
    let restored = match (restored, expected) {
        (Err(error), Some(expected)) => return assert_eq!(error, expected),
        (Ok(restored), None) => restored,
        (restored, expected) => unreachable!("{restored:?}, not {expected:?}"),
    };
    let level = (i128::from(capacity) * i128::from(token) - i128::from(spent))
        .div_euclid(token.into())
        .min(quota.capacity().into());
    let elapsed = u128::from(wall.saturating_sub(at));
    let flown = elapsed * u128::from(quota.rate()) / quota.period().as_nanos();
    let flown = i128::try_from(flown).unwrap_or(i128::MAX);
    // Parts of a token in level and flow add up to less than two.
    let most = level.saturating_add(flown).saturating_add(1);
    let most = most.clamp(0, quota.capacity().into());
    let available = i128::from(restored.available_at(now));
    assert!(
        available <= most,
        "{available} of {most}: {saved:?} {quota}"
    );
    let least = level.saturating_add(flown).saturating_sub(1);
    // The fractions of nanoseconds by which tokens may be late, and the longest debt.
    let later = now + Duration::from_nanos(500);
    let available = i128::from(restored.available_at(later)) - i128::from(restored.debt_at(later));
    let least = least.min(quota.capacity().into());
    assert!(
        available >= least,
        "{available}, at least {least}: {saved:?} {quota}"
    );

    let again = restored.save_at(now, UnixTime::from_nanos(wall));
    assert_eq!(again.state().available(), restored.available_at(now));
    assert_round_trip(&again);
}

fn check_window(bytes: &mut Bytes<'_>) {
    const LIMIT: u64 = 1_000;
    const LENGTH: u64 = 60_000_000_000;
    const SLOT: u64 = LENGTH / 60;

    let version = if bytes.byte() < 250 { 1 } else { 2 };
    let (at, wall, clock) = (bytes.number(), bytes.number(), bytes.number() >> 2);
    let length = if bytes.bool() { LENGTH } else { bytes.number() };
    let mut admissions = Vec::new();
    while !bytes.is_empty() {
        let scale = bytes.pick(&[1, SLOT / 7, SLOT]);
        admissions.push((bytes.number().saturating_mul(scale), bytes.number()));
    }
    let state = json!({ "length": length, "admissions": admissions });
    let saved = json!({ "version": version, "at": at, "state": state });
    let saved: Saved<WindowState> = from_value(saved).expect("numbers");
    let now = Timestamp::from_nanos(clock);
    let minute = Duration::from_nanos(LENGTH);
    let fresh = SlidingWindow::with_clock(LIMIT, minute, ManualClock::new()).expect("fits");
    let fresh = fresh.slots(60);
    let restored = SlidingWindow::restore_at(&saved, fresh, now, UnixTime::from_nanos(wall));

    let is_valid = (1..=1 << 62).contains(&length)
        && admissions
            .iter()
            .all(|&(age, count)| age <= length.saturating_mul(2) && count > 0);
    let expected = refusal(version, at);
    let expected = expected.or((!is_valid).then_some(RestoreError::InvalidSlots));
    let restored = match (restored, expected) {
        (Err(error), Some(expected)) => return assert_eq!(error, expected),
        (Ok(restored), None) => restored,
        (restored, expected) => unreachable!("{restored:?}, not {expected:?}"),
    };
    let elapsed = wall.saturating_sub(at);
    let younger_than = |nanos: u64| {
        let counts = admissions.iter();
        let young = counts.filter(|(age, _)| age.saturating_add(elapsed) < nanos);
        young.fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    };
    let available = restored.available_at(now);
    let most = LIMIT.saturating_sub(younger_than(LENGTH));
    let least = LIMIT.saturating_sub(younger_than(LENGTH + SLOT));
    assert!(
        (least..=most).contains(&available),
        "{available} in {least}..={most}: {saved:?}"
    );
    if let Some(wait) = restored.wait_time_at(LIMIT, now) {
        assert!(restored.peek_at(LIMIT, now + wait).is_ok());
        let sooner = now + wait.saturating_sub(Duration::from_nanos(1));
        assert_eq!(restored.peek_at(LIMIT, sooner).is_ok(), wait.is_zero());
    }
    assert_round_trip(&restored.save_at(now, UnixTime::from_nanos(wall)));
}

fn check_text(text: &str) {
    for line in text.lines() {
        check_line::<BucketLevel>(line);
        check_line::<WindowState>(line);
        check_line::<CombinedState>(line);
        check_line::<ApiState>(line);
    }
    let records: Vec<TableRecord<String, BucketLevel>> =
        text.lines().map_while(|line| from_str(line).ok()).collect();
    let quota = Quota::per_second(10).burst(20);
    let fresh = Keyed::builder(move |_: &String| bucket(quota))
        .max_keys(8)
        .build();
    let keys: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            TableRecord::Key(key, _) => Some(key.clone()),
            _ => None,
        })
        .collect();
    let ends = matches!(records.last(), Some(TableRecord::End(end)) if *end == keys.len() as u64);
    let begins = matches!(records.first(), Some(TableRecord::Header(_)));
    let is_whole = begins && ends && records.len() == keys.len() + 2;
    let wall = UnixTime::from_nanos(1_700_000_000_000_000_000);
    let records = records.into_iter().map(Ok::<_, Infallible>);
    if let Ok(table) = Keyed::restore_at(records, fresh, Timestamp::ZERO, wall) {
        assert!(is_whole, "{text}");
        assert!(table.len() <= keys.len());
        for key in &keys {
            assert!(table.available_at(key, Timestamp::ZERO) <= 20);
        }
    }
}

fn check_line<S: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(line: &str) {
    if let Ok(saved) = from_str::<Saved<S>>(line) {
        assert_round_trip(&saved);
    }
}

fn assert_round_trip<S: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(
    saved: &Saved<S>,
) {
    let text = to_string(saved).expect("plain data");
    let read: Saved<S> = from_str(&text).expect("was written");
    assert_eq!(&read, saved);
}
