//! Calls that read their clock before an eviction, and are decided after it.

use tidegate::{Clock, Denied, ManualClock, Timestamp};

use crate::{SECOND, Sessions, limits, session};

/// A call that was late does not find a bucket that has more than the evicted one had, whether the
/// table makes the new one or the user does. Without that, it is admitted as of an instant at which
/// the evicted bucket was empty, and what flowed in since then flows in again.
#[test]
fn late_call_gets_nothing_that_was_spent_before_the_eviction() {
    for is_made_by_table in [true, false] {
        let (clock, sessions) = (ManualClock::new(), Sessions::new());
        let known = limits(&sessions, &clock);
        let made = limits(&sessions, &clock).or_insert_with(|_: &String| session(3, &clock));
        let acquire = |now| {
            if is_made_by_table {
                made.try_acquire_at("alice", 3, now)
            } else {
                known.try_acquire_at("alice", 3, now)
            }
        };
        let evict = || {
            if is_made_by_table {
                made.evict_unused(|_, _| true)
            } else {
                known.evict_unused(|_, _| true)
            }
        };
        sessions.insert("alice".into(), session(3, &clock));
        assert_eq!(acquire(clock.now()), Ok(()));
        let before = clock.now();
        clock.advance(3 * SECOND);
        assert_eq!(evict(), 1);
        if !is_made_by_table {
            sessions.insert("alice".into(), session(3, &clock));
        }
        assert_eq!(acquire(before), Ok(()));
        // As of the eviction, so nothing is left, and the hint counts from there.
        let retry_after = 3 * SECOND;
        assert_eq!(
            acquire(clock.now()),
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        );
        assert_eq!(
            acquire(before),
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        );
    }
}

/// Nor does a query show more.
#[test]
fn late_queries() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    sessions.insert("alice".into(), session(3, &clock));
    clock.advance(5 * SECOND);
    assert_eq!(limits.evict_some(10, |_, _| true), 1);
    sessions.insert("alice".into(), session(3, &clock));
    limits.try_acquire("alice", 3).unwrap();
    clock.set(Timestamp::ZERO);
    assert_eq!(limits.available("alice"), 0);
    assert_eq!(limits.wait_time("alice", 1), Some(SECOND));
    assert!(limits.peek("alice", 1).is_err());
    assert_eq!(limits.snapshot_at("alice", clock.now()).available, 0);
}

/// Nor is a wait decided as of an earlier instant.
#[test]
fn late_waits() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock).or_insert_with(|_: &String| session(3, &clock));
    limits.try_acquire("alice", 3).unwrap();
    let evicted_at = Timestamp::ZERO + 3 * SECOND;
    clock.set(evicted_at);
    assert_eq!(limits.evict_unused(|_, _| true), 1);
    clock.set(Timestamp::ZERO);
    assert_eq!(limits.acquire("alice", 3).wait(), Ok(()));
    assert_eq!(limits.available_at("alice", evicted_at), 0);
}

/// A clock that steps back makes no entry unused that was in use.
#[test]
fn clock_that_steps_back() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock).or_insert_with(|_: &String| session(3, &clock));
    clock.advance(100 * SECOND);
    limits.try_acquire("alice", 1).unwrap();
    clock.set(Timestamp::ZERO);
    assert_eq!(limits.evict_unused(|_, _| true), 0);
    assert!(limits.try_acquire("alice", 3).is_err());
    clock.advance(101 * SECOND);
    assert_eq!(limits.evict_unused(|_, _| true), 1);
    // Nor does one that is made again have more than the evicted one.
    clock.set(Timestamp::ZERO);
    limits.try_acquire("alice", 3).unwrap();
    clock.set(Timestamp::ZERO + 102 * SECOND);
    assert_eq!(limits.available("alice"), 1);
}
