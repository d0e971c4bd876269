//! Evicting the states of idle keys changes no decision and no count.

use std::collections::BTreeMap;

use tidegate::{Quota, Timestamp};
use tidegate_cli::log::Event;
use tidegate_cli::replay::limiters::Limiters;
use tidegate_cli::replay::limits::{Limits, WindowLimit};
use tidegate_cli::replay::required_burst::{Lateness, RequiredBurst};
use tidegate_cli::replay::tally::{KeyTallies, KeyTally};

use crate::oracle::SECOND;

fn limits(quota: Option<&str>, windows: &[&str]) -> Limits {
    Limits {
        quota: quota.map(|quota| quota.parse().unwrap()),
        windows: windows
            .iter()
            .map(|window| window.parse().unwrap())
            .collect(),
    }
}

/// Times and keys: mostly few requests of a key, sometimes many at once, and pauses.
fn events(seed: u64, keys: u32, step: u64) -> Vec<(u64, u32)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut now, mut events) = (0, Vec::new());
    while events.len() < 30_000 {
        now += random.u64(0..step);
        let key = random.u32(0..keys);
        let count = if random.u8(0..50) == 0 { 40 } else { 1 };
        events.extend((0..count).map(|_| (now, key)));
        if random.u16(0..5_000) == 0 {
            now += 3_600 * SECOND;
        }
    }
    events
}

/// Replays with evictions, beside limiters that are never evicted.
fn compare(limits: &Limits, events: &[(u64, u32)]) -> KeyTallies {
    let interval = limits.only_quota().map(Lateness::new);
    let mut tallies = KeyTallies::new(limits.idle_nanos(), interval);
    let (mut limiters, mut kept) = (Limiters::new(limits), Limiters::new(limits));
    let mut expected: BTreeMap<u32, (KeyTally, u64, RequiredBurst)> = BTreeMap::new();
    // Keys are numbered in the order in which they appear.
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    for (time, key) in events {
        let next = u32::try_from(numbers.len()).unwrap();
        let key = *numbers.entry(*key).or_insert(next);
        let slot = tallies.slot(key, *time);
        if slot.is_new {
            limiters.renew(slot.index);
        }
        let now = Timestamp::from_nanos(*time);
        let admitted = limiters.admit(slot.index, now);
        assert_eq!(admitted, kept.admit(key, now), "{limits:?} {time} {key}");
        let event = Event {
            time: *time,
            key,
            cost: 1,
        };
        tallies.count(slot, event, admitted);
        let (tally, streak, burst) = expected.entry(key).or_default();
        tally.requests += 1;
        if let Some(interval) = interval {
            burst.add_request(interval, 1, *time);
            tally.required_burst = burst.burst(interval);
        }
        *streak = if admitted { 0 } else { *streak + 1 };
        if !admitted {
            tally.refused += 1;
            tally.first_refused.get_or_insert(*time);
            tally.longest_streak = tally.longest_streak.max(*streak);
        }
    }
    let expected = expected.into_iter().map(|(key, (tally, ..))| (key, tally));
    assert!(tallies.tallies().eq(expected), "{limits:?}");
    tallies
}

#[test]
fn evictions_change_nothing() {
    for (limits, keys, step) in [
        (limits(Some("6/min burst 4"), &[]), 3_000, SECOND),
        (limits(Some("100/s burst 20"), &[]), 5_000, SECOND / 50),
        // Rates that are not a small fraction of nanoseconds.
        (limits(Some("1000003/day burst 7"), &[]), 2_000, SECOND),
        (limits(Some("999983/7s burst 3"), &[]), 2_000, 30_000),
        (limits(Some("7/min burst 1"), &[]), 2_000, SECOND),
        (limits(None, &["5/10s"]), 2_000, SECOND / 4),
        (
            limits(Some("6/min burst 4"), &["9/min", "60/h"]),
            1_000,
            20 * SECOND,
        ),
    ] {
        let events = events(u64::from(keys), keys, step);
        let tallies = compare(&limits, &events);
        assert!(
            tallies.max_states() < tallies.tallies().count(),
            "{limits:?}: nothing was evicted"
        );
    }
}

/// The same decisions as by definition, also after a window with a single slot.
#[test]
fn evictions_agree_with_the_oracle() {
    let events = events(3, 2_000, SECOND);
    let tallies = compare(&limits(Some("6/min burst 4"), &[]), &events);
    let named: Vec<(u64, String)> = events
        .iter()
        .map(|(time, key)| (*time, key.to_string()))
        .collect();
    let refused: u64 = tallies.tallies().map(|(_, tally)| tally.refused).sum();
    assert_eq!(refused, crate::requests::refused(&named));
    let window: WindowLimit = "5/10s".parse().unwrap();
    let one_slot = Limits {
        quota: None,
        windows: vec![window.with_slots(1).unwrap()],
    };
    compare(&one_slot, &events);
}

/// L10: two million addresses, of which few are in use at a time.
#[test]
fn states_are_those_of_keys_in_use() {
    for (limits, keys) in [
        (limits(Some("6/min burst 4"), &[]), 2_000_000),
        (limits(None, &["5/10s"]), 200_000),
    ] {
        let mut tallies = KeyTallies::new(limits.idle_nanos(), None);
        let mut limiters = Limiters::new(&limits);
        for key in 0..keys {
            // A hundred new addresses a second are a few thousand within the idle time.
            let time = u64::from(key) * (SECOND / 100);
            let slot = tallies.slot(key, time);
            if slot.is_new {
                limiters.renew(slot.index);
            }
            assert!(limiters.admit(slot.index, Timestamp::from_nanos(time)));
            let event = Event { time, key, cost: 1 };
            tallies.count(slot, event, true);
        }
        assert_eq!(tallies.tallies().count(), keys as usize);
        assert!(tallies.max_states() < 20_000, "{}", tallies.max_states());
    }
}

#[test]
fn idle_time_covers_each_limit() {
    let quota: Quota = "6/min burst 4".parse().unwrap();
    let nanos = |limits: &Limits| limits.idle_nanos();
    let bucket = nanos(&limits(Some("6/min burst 4"), &[]));
    assert!(u128::from(bucket) > quota.refill_time().as_nanos());
    assert!(nanos(&limits(Some("6/min burst 4"), &["1/h"])) >= 2 * 3_600 * SECOND);
}
