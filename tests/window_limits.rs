//! Changes of a sliding window's limit and length while it is used.

extern crate alloc;

mod parallel;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use core::time::Duration;
use std::thread;

use proptest::prelude::*;
use tidegate::{
    Clock, Combined, Denied, Limiter, ManualClock, SlidingWindow, Timestamp, WindowError,
};

use parallel::in_parallel;

const SECOND: u64 = 1_000_000_000;

fn window(limit: u64, nanos: u64) -> SlidingWindow<ManualClock> {
    let length = Duration::from_nanos(nanos);
    SlidingWindow::with_clock(limit, length, ManualClock::new()).expect("a valid window")
}

/// Returns the sum of what a log of (time, permits) holds between two times.
fn sum(log: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let inside = log.iter().filter(|(at, _)| (from..=to).contains(at));
    inside.map(|(_, n)| n).sum()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call { n: u64 },
    Undo,
    Change { limit: u64, quarters: u64 },
}

fn any_step() -> impl Strategy<Value = (u64, Step)> {
    let step = prop_oneof![
        8 => (1_u64..6).prop_map(|n| Step::Call { n }),
        1 => Just(Step::Undo),
        2 => (1_u64..20, prop_oneof![3 => Just(4), 1 => 1_u64..20])
            .prop_map(|(limit, quarters)| Step::Change { limit, quarters }),
    ];
    (0..SECOND / 5, step)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The exact oracle is a list of all admissions. After each admission, the interval of the
    /// length that ends with it holds at most the limit, where the window can know what it holds.
    #[test]
    fn random_changes_keep_the_bound(
        slots in prop_oneof![Just(1_usize), Just(64), 2_usize..20],
        script in prop::collection::vec(any_step(), 1..150),
    ) {
        let window = window(10, SECOND).slots(slots);
        let (mut now, mut log) = (0, Vec::new());
        let mut held = Vec::new();
        let mut changes = 0;
        // From when on all admissions are known, and the longest slot in use since then.
        let mut known = 0;
        let mut slot = 2 * SECOND / slots as u64;
        for (step, operation) in script {
            now += step;
            let at = Timestamp::from_nanos(now);
            let length = u64::try_from(window.window().as_nanos()).expect("short");
            match operation {
                Step::Call { n } => {
                    let peeked = window.peek_at(n, at);
                    let available = window.available_at(at);
                    prop_assert_eq!(peeked.is_ok(), n <= available);
                    let outcome = window.charge_at(n, at);
                    match (peeked, outcome) {
                        (Ok(()), Ok(charge)) => {
                            log.push((now, n));
                            held.push((charge, changes, now));
                            let from = now.saturating_sub(length).max(known);
                            let inside = sum(&log, from, now);
                            prop_assert!(inside <= window.limit(), "{inside} at {now}");
                            prop_assert_eq!(window.available_at(at), available - n);
                        }
                        (Err(refusal), Err(denied)) => {
                            prop_assert_eq!(refusal, denied);
                            if let Denied::NotYet { retry_after } = denied {
                                // Full in the last window and the longest slots.
                                let from = now.saturating_sub(length + 2 * slot);
                                let inside = sum(&log, from, now);
                                prop_assert!(inside + n > window.limit(), "refused at {inside}");
                                let then = at + retry_after;
                                prop_assert!(window.peek_at(n, then).is_ok(), "hint too short");
                                let before = Timestamp::from_nanos(then.as_nanos() - 1);
                                prop_assert!(window.peek_at(n, before).is_err(), "hint too long");
                            } else {
                                let capacity = window.limit();
                                prop_assert_eq!(denied, Denied::Never { capacity });
                            }
                        }
                        (peeked, outcome) => prop_assert!(false, "{peeked:?} {outcome:?}"),
                    }
                }
                Step::Undo => {
                    let Some((charge, generation, charged)) = held.pop() else { continue };
                    let returned = window.undo(charge);
                    prop_assert!(returned == 0 || generation == changes, "undone after a change");
                    let last = log.iter().rposition(|&(time, _)| time == charged);
                    let last = last.expect("it was admitted");
                    prop_assert!(returned == 0 || returned == log[last].1);
                    if returned > 0 {
                        log.remove(last);
                    }
                }
                Step::Change { limit, quarters } => {
                    let before = (window.limit(), window.window());
                    let new = Duration::from_nanos(SECOND / 4 * quarters);
                    prop_assert!(window.set_limit_at(limit, new, at).is_ok());
                    if before != (limit, new) {
                        changes += 1;
                        known = known.max(now.saturating_sub(length));
                        slot = slot.max(SECOND / 4 * quarters.max(4) * 2 / slots as u64);
                    }
                    prop_assert_eq!((window.limit(), window.window()), (limit, new));
                    // A change lets in no more than the new limit leaves.
                    let length = SECOND / 4 * quarters;
                    let recent = sum(&log, now.saturating_sub(length).max(known), now);
                    prop_assert!(window.available_at(at) <= limit.saturating_sub(recent));
                }
            }
        }
    }
}

#[test]
fn a_change_follows_in_every_query() {
    let window = window(10, SECOND).slots(10);
    assert!(window.try_acquire(4).is_ok());
    window.set_limit(3, Duration::from_secs(2)).expect("fits");
    assert_eq!((window.limit(), window.capacity()), (3, 3));
    assert_eq!(window.window(), Duration::from_secs(2));
    assert_eq!(window.refill_time(), Duration::from_secs(2));
    assert_eq!((window.slot_count(), window.available()), (10, 0));
    assert_eq!(window.current_count(), 3);
    assert_eq!(window.try_acquire(4), Err(Denied::Never { capacity: 3 }));
    let shown = format!("{window:?}");
    assert!(shown.contains("limit: 3, window: 2s, slots: 10"), "{shown}");
    assert!(shown.contains("slot: 0"), "{shown}");
    let snapshot = window.snapshot_at(Timestamp::ZERO);
    assert_eq!((snapshot.capacity, snapshot.available), (3, 0));
}

#[test]
fn an_error_changes_nothing() {
    let window = window(10, SECOND);
    let length = Duration::from_secs(1);
    assert!(window.try_acquire(4).is_ok());
    assert_eq!(window.set_limit(0, length), Err(WindowError::ZeroLimit));
    let zero = Duration::ZERO;
    assert_eq!(window.set_limit(1, zero), Err(WindowError::ZeroWindow));
    let error = window.set_limit(u64::MAX, length);
    assert!(matches!(error, Err(WindowError::LimitTooLarge { .. })));
    assert_eq!((window.limit(), window.available()), (10, 6));
}

/// A limit or a length for which the slots do not fit takes fewer, and the next change gets them
/// back.
#[test]
fn slots_are_as_chosen_where_they_fit() {
    let window = window(10, SECOND).slots(60);
    let length = Duration::from_secs(1);
    window.set_limit(1 << 29, length).expect("fits");
    assert!(window.slot_count() < 60);
    assert!(window.try_acquire(1 << 29).is_ok());
    window.set_limit(10, length).expect("fits");
    assert_eq!((window.slot_count(), window.available()), (60, 0));
    // The slots of all limits were carried on, so nothing came back.
    window.set_limit((1 << 29) + 1, length).expect("fits");
    assert_eq!(window.available(), 1);
    window.set_limit(1, Duration::from_nanos(7)).expect("fits");
    assert_eq!(window.slot_count(), 7);
}

#[test]
fn slots_of_a_nanosecond_change_at_the_end_of_time() {
    for nanos in [1, 2, 3, 64] {
        let window = window(1, nanos).slots(nanos.try_into().expect("few"));
        for now in [0, 1 << 62, (1 << 63) - 3, (1 << 63) - 1, u64::MAX] {
            let at = Timestamp::from_nanos(now);
            let longer = Duration::from_nanos(nanos + 1);
            let length = Duration::from_nanos(nanos);
            let admitted = window.try_acquire_at(1, at).is_ok();
            window.set_limit_at(1, longer, at).expect("fits");
            assert!(!admitted || window.try_acquire_at(1, at).is_err(), "{now}");
            window.set_limit_at(1, length, at).expect("fits");
            assert!(window.try_acquire_at(1, at).is_err(), "{nanos} ns at {now}");
        }
    }
}

#[test]
fn a_charge_is_undone_only_in_its_generation() {
    let window = window(10, SECOND);
    let length = Duration::from_secs(1);
    let first = window.charge_at(3, Timestamp::ZERO).expect("room");
    window.set_limit(20, length).expect("fits");
    assert_eq!(window.undo(first), 0);
    let second = window.charge_at(5, Timestamp::ZERO).expect("room");
    let third = window.charge_at(4, Timestamp::ZERO).expect("room");
    assert_eq!((window.undo(second), window.available()), (5, 13));
    window.set_limit(10, length).expect("fits");
    assert!(window.try_acquire(3).is_ok());
    assert_eq!((window.undo(third), window.available()), (0, 0));
    // A charge of another window that has changed.
    let other = self::window(10, SECOND);
    let foreign = window.charge_at(0, Timestamp::ZERO).expect("nothing");
    assert_eq!(other.undo(foreign), 0);
}

/// A combination charges a window that has changed, and undoes what it charged there.
#[test]
fn a_combination_follows() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let new = |limit| {
        let window = SlidingWindow::with_clock(limit, second, clock.clone());
        alloc::sync::Arc::new(window.expect("a valid window"))
    };
    let (first, last) = (new(10), new(10));
    let combined = Combined::builder()
        .limit("first", first.clone())
        .limit("last", last.clone())
        .build();
    combined.try_acquire(2).expect("room");
    first.set_limit(20, second).expect("fits");
    last.set_limit(4, second).expect("fits");
    combined.try_acquire(2).expect("room");
    assert_eq!((first.available(), last.available()), (16, 0));
    let denied = combined.try_acquire(1).expect_err("the last is full");
    assert_eq!(denied.limit(), "last");
    // Nothing stays charged on the first.
    assert_eq!((first.available(), combined.forfeited()), (16, 0));
    let charge = first.charge_at(3, Timestamp::ZERO).expect("room");
    assert_eq!(first.undo(charge), 3);
    let kept = combined.charge_at(1, Timestamp::ZERO);
    assert!(kept.is_err());
    last.set_limit(6, second).expect("fits");
    let kept = combined.charge_at(2, Timestamp::ZERO).expect("room");
    assert_eq!(combined.undo(kept), 2);
    assert_eq!((first.available(), last.available()), (16, 2));
}

/// The first waiter is woken and sees the new limit.
#[test]
fn waiters_see_the_new_limit() {
    let window = window(2, SECOND);
    assert!(window.try_acquire(2).is_ok());
    let window = &window;
    thread::scope(|scope| {
        let fits = scope.spawn(move || window.acquire(1).wait());
        while window.waiting() < 1 {
            thread::yield_now();
        }
        let too_large = scope.spawn(move || window.acquire(2).wait());
        while window.waiting() < 2 {
            thread::yield_now();
        }
        // The clock stands still, so only the change can wake them.
        window.set_limit(3, Duration::from_secs(1)).expect("fits");
        assert_eq!(fits.join().expect("no panic"), Ok(()));
        assert_eq!(window.available(), 0);
        window.set_limit(1, Duration::from_secs(1)).expect("fits");
        let refusal = too_large.join().expect("no panic");
        assert_eq!(refusal, Err(Denied::Never { capacity: 1 }));
    });
}

/// A call that was admitted by threads that race with changes.
#[derive(Clone, Copy, Debug)]
struct Admitted {
    /// The time before the call and after it.
    start: u64,
    end: u64,
    n: u64,
    /// The limit, if it did not change during the call.
    limit: Option<u64>,
}

/// Four threads call while a fifth changes limit and length. A call that no change overlaps is
/// admitted only if the last window leaves room under its limit.
#[test]
fn threads_keep_the_bound_while_the_limit_changes() {
    let (length, most) = (1_000_000, 12);
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(most, Duration::from_nanos(length), clock.clone());
    let window = window.expect("a valid window").slots(8);
    let done = AtomicBool::new(false);
    // Odd while the limit changes.
    let changes = AtomicU64::new(0);
    let mut log = thread::scope(|scope| {
        let (window, clock, done, changes) = (&window, &clock, &done, &changes);
        scope.spawn(move || {
            let limits = [(3, 1), (12, 2), (1, 1), (7, 1), (12, 1)];
            for (limit, lengths) in limits.into_iter().cycle().take(300) {
                changes.fetch_add(1, SeqCst);
                let result = window.set_limit(limit, Duration::from_nanos(lengths * length));
                result.expect("fits");
                changes.fetch_add(1, SeqCst);
                // Until time has passed, so that calls are admitted under each limit.
                let next = clock.now() + Duration::from_nanos(length / 3);
                while clock.now() < next {
                    thread::yield_now();
                }
            }
            done.store(true, SeqCst);
        });
        let logs = in_parallel(4, |thread| {
            let mut older = Timestamp::ZERO;
            let mut log = Vec::new();
            for turn in 0_u64.. {
                if done.load(SeqCst) {
                    break;
                }
                let step = (turn * 7_919 + thread as u64 * 31) % 40_000;
                clock.advance(Duration::from_nanos(step));
                let newer = clock.now();
                for now in [newer, older] {
                    let (before, limit) = (changes.load(SeqCst), window.limit());
                    // It may count in the slot of its reading, although that is over by now.
                    let start = now.as_nanos();
                    let n = turn % 2 + 1;
                    let admitted = window.try_acquire_at(n, now).is_ok();
                    let end = clock.now().as_nanos();
                    if admitted {
                        let unchanged = before % 2 == 0 && changes.load(SeqCst) == before;
                        let limit = unchanged.then_some(limit);
                        log.push(Admitted {
                            start,
                            end,
                            n,
                            limit,
                        });
                    }
                }
                older = newer;
            }
            log
        });
        logs.into_iter().flatten().collect::<Vec<_>>()
    });
    assert!(log.len() > 100, "{} admissions", log.len());
    log.sort_unstable_by_key(|call| call.start);
    for (index, call) in log.iter().enumerate() {
        let limit = call.limit.unwrap_or(most);
        // Decided before this call, and not earlier than a window before its end.
        let from = call.end.saturating_sub(length);
        let recent = log[..index]
            .iter()
            .rev()
            .take_while(|other| other.start >= from);
        let counted = recent.filter(|other| other.end < call.start);
        let sum = call.n + counted.map(|other| other.n).sum::<u64>();
        assert!(sum <= limit, "{sum} of {limit} in a window: {call:?}");
    }
}
