//! The ring of slots of a sliding window.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{NoClock, SharedClock, at, explore};
use crate::mutant;
use crate::tidegate::{Limiter, SlidingWindow, UnixTime, WindowCharge};

pub(crate) type Window = SlidingWindow<NoClock>;

/// Nanoseconds per slot.
pub(crate) const SLOT: u64 = 1_000;

/// The largest limit that fits slots of a microsecond, whose numbers have 54 bits.
const MAX_LIMIT: u64 = (1 << 10) - 1;

pub(crate) fn window(limit: u64, slots: u32) -> Arc<Window> {
    let length = Duration::from_nanos(SLOT) * slots;
    let window = Window::with_clock(limit, length, NoClock).expect("fits");
    Arc::new(window.slots(slots as usize))
}

/// Admits `n` in a slot.
pub(crate) fn charge(window: &Window, n: u64, slot: u64) -> Option<WindowCharge> {
    window.charge_at(n, at(slot * SLOT)).ok()
}

pub(crate) fn admit(window: &Window, n: u64, slot: u64) -> bool {
    charge(window, n, slot).is_some()
}

/// Nanoseconds until there is room for one; `None` if there is room.
pub(crate) fn hint(window: &Window, now: u64) -> Option<u64> {
    let denied = window.peek_at(1, at(now)).err()?;
    let wait = denied.retry_after().expect("at most the limit");
    Some(u64::try_from(wait.as_nanos()).expect("a short wait"))
}

/// The hint of a call for one permit at `now`; `None` if it is admitted.
pub(crate) fn refused(window: &Window, now: u64) -> Option<u64> {
    let denied = window.try_acquire_at(1, at(now)).err()?;
    let wait = denied.retry_after().expect("at most the limit");
    Some(u64::try_from(wait.as_nanos()).expect("a short wait"))
}

/// A call for one permit: the slots in which it began and ended, and the slot it was charged to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) slot: Option<u64>,
}

impl Call {
    pub(crate) fn make(window: &Window, clock: &SharedClock) -> Self {
        let began = clock.now() / SLOT;
        let slot = charge(window, 1, began).map(|charge| charge.slot());
        let ended = clock.latest() / SLOT;
        Self { began, ended, slot }
    }
}

/// Asserts that each charge is decided during its call, that no `slots + 1` slots in a row hold
/// more than the limit, and that the window was full before each refusal.
fn assert_strict(limit: u64, slots: u32, calls: &[Call]) {
    let slots = u64::from(slots);
    let charged = |from: u64, to: u64| -> u64 {
        let within = |call: &&Call| call.slot.is_some_and(|slot| (from..=to).contains(&slot));
        calls.iter().filter(within).count() as u64
    };
    for call in calls {
        match call.slot {
            Some(slot) => {
                assert!((call.began..=call.ended).contains(&slot), "{call:?}");
                let sum = charged(slot.saturating_sub(slots), slot);
                assert!(sum <= limit, "{sum} of {limit}: {calls:?}");
            }
            None => {
                let seen = charged(call.began.saturating_sub(slots), call.ended);
                assert!(seen >= limit, "{call:?} refused after {seen}: {calls:?}");
            }
        }
    }
}

/// Two threads with five calls, between which one thread moves the clock by `first` and by `second`
/// slots.
fn race(limit: u64, slots: u32, first: u64, second: u64) {
    explore(3, move || {
        let window = window(limit, slots);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || [(); 2].map(|()| Call::make(&window, &clock)))
        };
        let mut calls = vec![Call::make(&window, &clock)];
        for step in [first, second] {
            clock.advance(step * SLOT);
            calls.push(Call::make(&window, &clock));
        }
        calls.extend(other.join().unwrap());
        assert_strict(limit, slots, &calls);
    });
}

/// Two threads with five calls. Kills `slot_too_few`, `forgotten_head`.
///
/// The clock moves to the next slot, in rings of two and of four entries.
fn neighboring_slots() {
    race(2, 1, 1, 1);
    race(2, 2, 1, 1);
}

/// Two threads with five calls. Kills `unchecked_base`.
///
/// The clock skips slots, also as many as the ring has, so that a new slot has the entry of the
/// current one.
fn skipped_slots() {
    race(1, 1, 2, 1);
    race(1, 1, 1, 2);
    race(2, 3, 4, 1);
    race(2, 2, 3, 2);
}

/// Three threads with five calls. Kills `slot_too_few`.
///
/// The clock moves on, and late threads help to rotate with old counts.
fn late_threads() {
    explore(2, || {
        let window = window(2, 1);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let mut calls = vec![Call::make(&window, &clock)];
        let others = [(); 2].map(|()| {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Call::make(&window, &clock))
        });
        clock.advance(SLOT);
        calls.push(Call::make(&window, &clock));
        calls.extend(others.map(|other| other.join().unwrap()));
        calls.push(Call::make(&window, &clock));
        assert_strict(2, 1, &calls);
    });
}

/// Two threads with five calls. Kills `stored_count`, `stored_base`, `relaxed_rotation`.
///
/// One thread begins to rotate with an old count, and the other finishes with the new one.
fn overtaken_rotation() {
    explore(3, || assert_strict(2, 2, &overtaken(&window(2, 2), 1)));
}

/// Five calls: one, two beside another thread that moves the clock on by a slot and calls, and one
/// `later` slots after them.
pub(crate) fn overtaken(window: &Arc<Window>, later: u64) -> Vec<Call> {
    let clock = Arc::new(SharedClock::at(7 * SLOT));
    let mut calls = vec![Call::make(window, &clock)];
    let late = {
        let (window, clock) = (window.clone(), clock.clone());
        thread::spawn(move || {
            clock.advance(SLOT);
            Call::make(&window, &clock)
        })
    };
    calls.push(Call::make(window, &clock));
    calls.push(Call::make(window, &clock));
    calls.push(late.join().unwrap());
    clock.advance(later * SLOT);
    calls.push(Call::make(window, &clock));
    calls
}

/// Two threads, five calls, one of which is undone. Kills `late_undo`.
///
/// An undo beside a rotation gives the permit back once, and only while its slot is current.
fn rollback() {
    explore(3, || {
        let window = window(1, 1);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let undone = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || {
                if let Some(charge) = charge(&window, 1, clock.now() / SLOT) {
                    window.undo(charge);
                }
            })
        };
        let mut calls = vec![Call::make(&window, &clock)];
        for step in [2, 0] {
            clock.advance(step * SLOT);
            calls.push(Call::make(&window, &clock));
        }
        undone.join().unwrap();
        calls.push(Call::make(&window, &clock));
        // A refusal may be due to the charge that was undone later, so only the bound is asserted.
        calls.retain(|call| call.slot.is_some());
        assert_strict(1, 1, &calls);
    });
}

/// Three threads, four calls, one of which is undone. Kills `unbounded_sum`.
///
/// Another thread rotates with the count from before the undo, and the limit has all bits that a
/// count can have. The sum is then too large, and must not overflow into the slot's number.
fn undone_while_rotating() {
    explore(3, || {
        let window = window(MAX_LIMIT, 2);
        let undone = {
            let window = window.clone();
            thread::spawn(move || {
                if let Some(charge) = charge(&window, 1, 101) {
                    window.undo(charge);
                }
            })
        };
        let late = {
            let window = window.clone();
            thread::spawn(move || admit(&window, MAX_LIMIT, 102))
        };
        let mine = admit(&window, MAX_LIMIT, 102);
        undone.join().unwrap();
        let late = late.join().unwrap();
        let next = admit(&window, MAX_LIMIT, 103);
        let admitted = [mine, late, next].into_iter().filter(|&one| one).count();
        assert!(
            admitted <= 1,
            "{admitted} of 1 times the limit: {mine} {late} {next}"
        );
    });
}

/// Queries the count in a slot while another thread moves the window on by more than the ring.
fn query_beside_rotations(slot: u64) {
    explore(3, move || {
        let window = window(10, 2);
        assert!(admit(&window, 3, 6) && admit(&window, 1, 7));
        let other = {
            let window = window.clone();
            thread::spawn(move || assert!(admit(&window, 2, 10) && admit(&window, 2, 11)))
        };
        let seen = window.current_count_at(at(slot * SLOT));
        other.join().unwrap();
        // 3 + 1 before the other thread; then 0, 2, 2 + 0 and 2 + 2 as of its instants.
        assert!([0, 2, 4].contains(&seen), "{seen} of 0, 2 or 4");
    });
}

/// Two threads, one with two calls, one with a query. Kills `unordered_count`, `unconfirmed_view`.
///
/// A query does not count an overwritten entry as empty.
fn query_while_rotating() {
    query_beside_rotations(8);
}

/// Two threads, one with two calls, one with a query. Kills `unchecked_view`.
///
/// A query of the head's own slot does not use the base of a later slot.
fn query_of_the_heads_slot() {
    query_beside_rotations(7);
}

/// Two threads, one with two calls, one with a query. Kills `unconfirmed_hint`.
///
/// A hint is for the window at one moment, not half before and half after a rotation.
fn hint_while_rotating() {
    explore(3, || {
        let window = window(3, 3);
        assert!(admit(&window, 2, 6) && admit(&window, 1, 7));
        let query = {
            let window = window.clone();
            thread::spawn(move || hint(&window, 8 * SLOT))
        };
        assert!(admit(&window, 1, 10) && admit(&window, 1, 11));
        // The window is full before these calls, until slot 6 no longer counts, and never full
        // after them.
        let hint = query.join().unwrap();
        assert!([None, Some(2 * SLOT)].contains(&hint), "a hint of {hint:?}");
    });
}

/// Two threads: one undoes a charge and makes another in slot `later`, one rotates with the count
/// from before the undo. Then checks the window.
fn after_an_undo(limit: u64, slots: u32, later: u64, check: fn(&Window)) {
    explore(2, move || {
        let window = window(limit, slots);
        let other = {
            let window = window.clone();
            thread::spawn(move || admit(&window, 1, 8))
        };
        if let Some(charge) = charge(&window, 1, 7) {
            window.undo(charge);
        }
        admit(&window, 1, later);
        other.join().unwrap();
        check(&window);
    });
}

/// Two threads, three calls, one of which is undone. Kills `hint_from_the_sum`.
///
/// More may seem to count than the limit. A hint that is given after all calls is honest.
fn hint_after_an_undo() {
    after_an_undo(1, 2, 8, |window| {
        if let Some(hint) = hint(window, 9 * SLOT) {
            let is_admitted = window.try_acquire_at(1, at(9 * SLOT + hint)).is_ok();
            assert!(is_admitted, "a hint of {hint} failed");
        }
    });
}

/// Two threads, three calls, one of which is undone. Kills `hint_from_the_base`,
/// `unread_undone_in_query`.
///
/// The window has moved on twice, and a late thread raises the count of its old slot. A query and a
/// call answer alike.
fn query_and_call_agree() {
    after_an_undo(3, 4, 9, |window| {
        let has_room = hint(window, 10 * SLOT).is_none();
        assert_eq!(has_room, admit(window, 1, 10), "query and call");
    });
}

/// Three threads, four calls, one of which is undone. Kills `unread_undone`, `late_undone`,
/// `relaxed_undo`.
///
/// One thread moves the window on without the undone charge, and admits. Another has seen the
/// charge, raises its slot's count after that, and is refused. More counts than the sum that ends
/// at the limit, and the hint is honest all the same.
fn hint_beside_an_undo() {
    beside_an_undo(|window| {
        let is_refused = !admit(window, 1, 9);
        is_refused.then(|| hint(window, 9 * SLOT)).flatten()
    });
}

/// The same with the hint of the call itself. Kills `unread_undone_in_refusal`.
fn refusal_beside_an_undo() {
    beside_an_undo(|window| refused(window, 9 * SLOT));
}

fn beside_an_undo(refused: fn(&Window) -> Option<u64>) {
    explore(2, move || {
        let window = window(2, 3);
        assert!(admit(&window, 1, 6));
        let undone = charge(&window, 1, 7).expect("room for two");
        let next = {
            let window = window.clone();
            thread::spawn(move || charge(&window, 1, 8).map(|charge| charge.slot()))
        };
        let refused = {
            let window = window.clone();
            thread::spawn(move || refused(&window))
        };
        window.undo(undone);
        let (next, hint) = (next.join().unwrap(), refused.join().unwrap());
        // A call that was admitted in slot 8 moved the window there, before the hint.
        if let (Some(8), Some(hint)) = (next, hint) {
            let is_admitted = window.try_acquire_at(1, at(9 * SLOT + hint)).is_ok();
            assert!(is_admitted, "a hint of {hint} failed");
        }
    });
}

/// Two threads with three calls. Kills `stored_leaving`.
///
/// A thread that knows of no admission is late to say which slot leaves first. The hint of a call
/// that is refused afterward is honest, and a nanosecond less is not enough.
fn refusal_after_a_late_rotation() {
    explore(3, || {
        let window = window(1, 3);
        let late = {
            let window = window.clone();
            thread::spawn(move || admit(&window, 1, 8))
        };
        let admitted = [admit(&window, 1, 7), admit(&window, 1, 8)];
        let admitted = admitted[0] || admitted[1] || late.join().unwrap();
        assert!(admitted, "nothing was admitted");
        let hint = refused(&window, 8 * SLOT).expect("full");
        let is_full = |after: u64| window.peek_at(1, at(8 * SLOT + after)).is_err();
        assert!(is_full(hint - 1), "a hint of {hint} is more than enough");
        assert!(!is_full(hint), "a hint of {hint} failed");
    });
}

/// A restored window whose one admission of the earlier life counts in slots 0 and 1.
pub(crate) fn restored() -> Arc<Window> {
    let before = window(2, 2);
    assert!(admit(&before, 1, 7));
    let saved = before.save_at(at(8 * SLOT), UnixTime::from_nanos(1));
    let Ok(fresh) = Arc::try_unwrap(window(2, 2)) else {
        unreachable!("not shared")
    };
    let restored = Window::restore_at(&saved, fresh, at(0), UnixTime::from_nanos(1));
    Arc::new(restored.expect("valid"))
}

/// Two threads in the first slots of a restored window. Kills `forgotten_life`.
fn restored_window() {
    explore(5, || {
        let window = restored();
        let other = {
            let window = window.clone();
            thread::spawn(move || u32::from(admit(&window, 1, 1)))
        };
        let mut admitted = u32::from(admit(&window, 1, 0));
        admitted += other.join().unwrap();
        admitted += u32::from(admit(&window, 1, 1));
        assert_eq!(admitted, 1, "{admitted} of 1");
        assert!(
            admit(&window, 1, 2),
            "the admission of the earlier life has aged out"
        );
        assert!(!admit(&window, 1, 2), "2 of 1");
    });
}

mutant::tests! { "window":
    restored_window { forgotten_life: " of " }
    neighboring_slots { slot_too_few: " of ", forgotten_head: " of " }
    skipped_slots { unchecked_base: " of " }
    late_threads { slot_too_few: " of " }
    overtaken_rotation { stored_count: " of ", stored_base: " of ", relaxed_rotation: " of " }
    rollback { late_undo: " of " }
    undone_while_rotating { unbounded_sum: " of " }
    query_while_rotating { unordered_count: " of ", unconfirmed_view: " of " }
    query_of_the_heads_slot { unchecked_view: " of " }
    hint_while_rotating { unconfirmed_hint: "a hint of" }
    hint_after_an_undo { hint_from_the_sum: "failed" }
    query_and_call_agree {
        hint_from_the_base: "query and call",
        unread_undone_in_query: "query and call",
    }
    hint_beside_an_undo { unread_undone: "failed", late_undone: "failed", relaxed_undo: "failed" }
    refusal_after_a_late_rotation { stored_leaving: "a hint of" }
    refusal_beside_an_undo { unread_undone_in_refusal: "failed" }
}
