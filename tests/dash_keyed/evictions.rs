//! Evictions of unused entries, all at once and in slices.

use alloc::collections::BTreeSet;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};

use tidegate::{Clock, Denied, ManualClock};

use crate::{SECOND, Sessions, limits, session};

fn filled(keys: u64, clock: &ManualClock) -> Sessions {
    let sessions = Sessions::new();
    for key in 0..keys {
        sessions.insert(key.to_string(), session(2, clock));
    }
    sessions
}

/// Only what is unused goes, and only if the predicate agrees.
#[test]
fn used_and_protected_entries_stay() {
    let clock = ManualClock::new();
    let sessions = filled(100, &clock);
    let limits = limits(&sessions, &clock);
    for key in 0..50 {
        limits.try_acquire(&key.to_string(), 1).unwrap();
    }
    for key in 90..100 {
        sessions.get_mut(&key.to_string()).unwrap().is_logged_in = true;
    }
    let mut asked = BTreeSet::new();
    let evicted = limits.evict_unused(|key, session| {
        asked.insert(key.clone());
        !session.is_logged_in
    });
    assert_eq!((evicted, sessions.len()), (40, 60));
    // The predicate is asked about unused entries only.
    assert_eq!(asked, (50..100).map(|key: u64| key.to_string()).collect());
    for key in 0..100_u64 {
        let stays = !(50..90).contains(&key);
        assert_eq!(sessions.contains_key(&key.to_string()), stays, "{key}");
    }

    // A nanosecond before the bucket of a key is full, and when it is.
    clock.advance(core::time::Duration::from_nanos(999_999_999));
    assert_eq!(limits.evict_unused(|_, session| !session.is_logged_in), 0);
    clock.advance(core::time::Duration::from_nanos(1));
    assert_eq!(limits.evict_unused(|_, session| !session.is_logged_in), 50);
    assert_eq!(limits.evict_unused(|_, _| true), 10);
    assert!(sessions.is_empty());
}

/// Slices look at every entry once in a round, if the map does not change otherwise.
#[test]
fn slices_make_a_round() {
    for most in [1, 7, 100, 999, 1_000, 1_001] {
        let clock = ManualClock::new();
        let sessions = filled(1_000, &clock);
        let limits = limits(&sessions, &clock);
        for key in (0..1_000_u64).step_by(3) {
            limits.try_acquire(&key.to_string(), 1).unwrap();
        }
        let (mut looked_at, mut evicted) = (0, 0);
        while looked_at < 1_000 {
            let before = evicted;
            let mut asked = 0;
            evicted += limits.evict_some(most, |_, _| {
                asked += 1;
                true
            });
            assert_eq!(asked, evicted - before);
            assert!(asked <= most as u64);
            looked_at += most;
        }
        assert_eq!((evicted, sessions.len()), (666, 334), "{most} at a time");
        // The next round starts at the first entry again.
        clock.advance(SECOND);
        let mut calls = 0;
        while !sessions.is_empty() {
            limits.evict_some(most, |_, _| true);
            calls += 1;
        }
        assert!(calls <= 334_usize.div_ceil(most) + 1, "{calls} of {most}");
    }
}

/// Entries that stay do not keep a slice from the entries behind them.
#[test]
fn slices_pass_what_stays() {
    let clock = ManualClock::new();
    let sessions = filled(500, &clock);
    let limits = limits(&sessions, &clock);
    let mut asked = BTreeSet::new();
    for _ in 0..50 {
        let evicted = limits.evict_some(10, |key, _| {
            assert!(asked.insert(key.clone()), "{key} was looked at twice");
            false
        });
        assert_eq!(evicted, 0);
    }
    assert_eq!(asked.len(), 500);
    assert_eq!(limits.evict_some(0, |_, _| true), 0);
    assert_eq!(limits.evict_some(usize::MAX, |_, _| true), 500);
    assert_eq!(limits.evict_some(10, |_, _| true), 0);
}

/// A key that is waited for stays, though its limiter has become unused.
#[test]
fn waited_for_keys_stay() {
    let clock = ManualClock::new();
    let sessions = filled(2, &clock);
    let limits = limits(&sessions, &clock);
    limits.try_acquire("0", 2).unwrap();
    let never = |_| core::future::pending();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut wait = pin!(limits.acquire("0", 2).timer(never));
        assert!(wait.as_mut().poll(&mut context).is_pending());
        clock.advance(2 * SECOND);
        assert_eq!(limits.available("0"), 2);
        assert_eq!(limits.evict_some(10, |key, _| key == "0"), 0);
        assert_eq!(limits.evict_unused(|_, _| true), 1);
        assert!(wait.as_mut().poll(&mut context).is_ready());
        assert_eq!(limits.available("0"), 0);
    }
    clock.advance(2 * SECOND);
    assert_eq!(limits.evict_unused(|_, _| true), 1);
}

/// A predicate that panics leaves the map usable, and the entry in it.
#[test]
fn predicate_that_panics() {
    let clock = ManualClock::new();
    let sessions = filled(10, &clock);
    let limits = limits(&sessions, &clock);
    let evict = || {
        limits.evict_unused(|key, _| {
            assert_ne!(key, "7");
            true
        })
    };
    assert!(std::panic::catch_unwind(core::panic::AssertUnwindSafe(evict)).is_err());
    assert_eq!(limits.try_acquire("7", 2), Ok(()));
    let refused = limits.try_acquire("7", 1);
    assert_eq!(
        refused,
        Err(Denied::NotYet {
            retry_after: SECOND.into()
        })
    );
    let rest = sessions.len() as u64;
    assert_eq!(limits.evict_unused(|_, _| true), rest - 1);
    assert_eq!(clock.now().as_nanos(), 0);
}
