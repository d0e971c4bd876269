//! What must hold for a sliding window, whatever the threads do.

use loom::sync::Arc;
use loom::thread;

use crate::{SharedClock, explore};

/// Nanoseconds per slot.
pub const SLOT: u64 = 1_000;

/// What the models need of a window.
pub trait Window: Send + Sync + Sized + 'static {
    type Charge: Send + 'static;

    /// The largest limit that fits.
    const MAX_LIMIT: u64;

    /// A window of `slots` slots of `SLOT` nanoseconds.
    fn new(limit: u64, slots: u64) -> Self;

    /// Admits `n`; returns what undoes it, and the slot it was charged to.
    fn charge(&self, n: u64, now: u64) -> Option<(Self::Charge, u64)>;

    fn undo(&self, charge: Self::Charge) -> bool;

    /// What counts at an instant, without writing.
    fn current_count(&self, now: u64) -> u64;

    /// How long until there is room for one, without writing; `None` if there is.
    fn hint(&self, now: u64) -> Option<u64>;
}

/// One call: when the clock was read, when it was read again afterwards, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Call {
    began: u64,
    ended: u64,
    slot: Option<u64>,
}

fn call<W: Window>(window: &W, clock: &SharedClock) -> Call {
    let began = clock.now();
    let slot = window.charge(1, began).map(|(_, slot)| slot);
    Call {
        began: began / SLOT,
        ended: clock.latest() / SLOT,
        slot,
    }
}

/// Every charge is decided during its call, no `slots + 1` slots in a row hold more than the limit (G5), and who was refused
/// had a full window before him.
fn assert_strict(limit: u64, slots: u64, calls: &[Call]) {
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

/// Two threads, one of which moves the clock by `first` and `second` slots between its calls.
fn race<W: Window>(limit: u64, slots: u64, first: u64, second: u64) {
    explore(3, move || {
        let window = Arc::new(W::new(limit, slots));
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || [call(&*window, &clock), call(&*window, &clock)])
        };
        let mut calls = vec![call(&*window, &clock)];
        for slots in [first, second] {
            clock.advance(slots * SLOT);
            calls.push(call(&*window, &clock));
        }
        calls.extend(other.join().unwrap());
        assert_strict(limit, slots, &calls);
    });
}

/// Neighbouring slots, in a ring of two and of four places. Killed by `SlotTooFew`, `ForgottenHead`.
pub fn neighbouring_slots<W: Window>() {
    race::<W>(2, 1, 1, 1);
    race::<W>(2, 2, 1, 1);
}

/// Slots are skipped, also by a whole ring, so that a new slot has the place of the one that is current. Killed by
/// `UncheckedBase`.
pub fn skipped_slots<W: Window>() {
    race::<W>(1, 1, 2, 1);
    race::<W>(1, 1, 1, 2);
    race::<W>(2, 3, 4, 1);
    race::<W>(2, 2, 3, 2);
}

/// Three threads with one call each, while the clock moves on: late threads help to rotate, with old counts.
pub fn late_threads<W: Window>() {
    explore(2, || {
        let window = Arc::new(W::new(2, 1));
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let mut calls = vec![call(&*window, &clock)];
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (window, clock) = (window.clone(), clock.clone());
                thread::spawn(move || call(&*window, &clock))
            })
            .collect();
        clock.advance(SLOT);
        calls.push(call(&*window, &clock));
        calls.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        calls.push(call(&*window, &clock));
        assert_strict(2, 1, &calls);
    });
}

/// A rotation that was begun with an old count, finished by others with the new one. Killed by `StoredCount`, `StoredBase`,
/// `RelaxedRotation`.
pub fn overtaken_rotation<W: Window>() {
    explore(3, || {
        let window = Arc::new(W::new(2, 2));
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let mut calls = vec![call(&*window, &clock)];
        let late = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || {
                // Reads a clock that is ahead of everybody's, begins to rotate, and may be overtaken.
                clock.advance(SLOT);
                call(&*window, &clock)
            })
        };
        calls.push(call(&*window, &clock));
        calls.push(call(&*window, &clock));
        calls.push(late.join().unwrap());
        clock.advance(SLOT);
        calls.push(call(&*window, &clock));
        assert_strict(2, 2, &calls);
    });
}

/// A rollback beside a rotation: what comes back, comes back once, and only while its slot is current. Killed by `LateUndo`.
pub fn rollback<W: Window>() {
    explore(3, || {
        let window = Arc::new(W::new(1, 1));
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let rolled_back = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || {
                let now = clock.now();
                if let Some((charge, _)) = window.charge(1, now) {
                    window.undo(charge);
                }
            })
        };
        let mut calls = vec![call(&*window, &clock)];
        for slots in [2, 0] {
            clock.advance(slots * SLOT);
            calls.push(call(&*window, &clock));
        }
        rolled_back.join().unwrap();
        calls.push(call(&*window, &clock));
        // A refusal may be due to the charge that was taken back later, so only the bound is asserted.
        calls.retain(|call| call.slot.is_some());
        assert_strict(1, 1, &calls);
    });
}

/// A charge is undone while somebody rotates with the count before it, and the limit has all bits that a count can have: the
/// sum, which is then too large, must not run over into the slot's number. Killed by `UnboundedSum`.
pub fn undone_while_rotating<W: Window>() {
    explore(3, || {
        let window = Arc::new(W::new(W::MAX_LIMIT, 2));
        let undone = {
            let window = window.clone();
            thread::spawn(move || {
                if let Some((charge, _)) = window.charge(1, 101 * SLOT) {
                    window.undo(charge);
                }
            })
        };
        let late = {
            let window = window.clone();
            thread::spawn(move || window.charge(W::MAX_LIMIT, 102 * SLOT).is_some())
        };
        let mine = window.charge(W::MAX_LIMIT, 102 * SLOT).is_some();
        undone.join().unwrap();
        let late = late.join().unwrap();
        let next = window.charge(W::MAX_LIMIT, 103 * SLOT).is_some();
        let admitted = [mine, late, next].into_iter().filter(|&one| one).count();
        assert!(
            admitted <= 1,
            "{admitted} of 1 times the limit: {mine} {late} {next}"
        );
    });
}

/// A look at an instant while others move on by more than the ring.
fn look_beside_rotations<W: Window>(slot: u64) {
    explore(3, move || {
        let window = Arc::new(W::new(10, 2));
        for (n, slot) in [(3, 6), (1, 7)] {
            assert!(window.charge(n, slot * SLOT).is_some());
        }
        let other = {
            let window = window.clone();
            thread::spawn(move || {
                for slot in [10, 11] {
                    assert!(window.charge(2, slot * SLOT).is_some());
                }
            })
        };
        let seen = window.current_count(slot * SLOT);
        other.join().unwrap();
        // 3 + 1 before the others; then 0, 2, 2 + 0 and 2 + 2 as of the time that they brought.
        assert!([0, 2, 4].contains(&seen), "{seen} of 0, 2 or 4");
    });
}

/// What was overwritten is not taken for nothing. Killed by `UnorderedCount`.
pub fn look_while_rotating<W: Window>() {
    look_beside_rotations::<W>(8);
}

/// A look at the head's own slot does not take a base of a later slot for the head's. Killed by `UncheckedView`.
pub fn look_in_the_heads_slot<W: Window>() {
    look_beside_rotations::<W>(7);
}

/// A hint is for the window as it was at one moment, not half before and half after others moved on. Killed by
/// `UnconfirmedHint`.
pub fn hint_while_rotating<W: Window>() {
    explore(3, || {
        let window = Arc::new(W::new(3, 3));
        for (n, slot) in [(2, 6), (1, 7)] {
            assert!(window.charge(n, slot * SLOT).is_some());
        }
        let asker = {
            let window = window.clone();
            thread::spawn(move || window.hint(8 * SLOT))
        };
        for slot in [10, 11] {
            assert!(window.charge(1, slot * SLOT).is_some());
        }
        // Full before the others came, until slot 6 no longer counts; and never full after.
        let hint = asker.join().unwrap();
        assert!([None, Some(2 * SLOT)].contains(&hint), "a hint of {hint:?}");
    });
}

/// A charge is undone while somebody else rotates with the count before it; then one is charged in a later slot, and all is quiet.
fn after_an_undo<W: Window>(
    limit: u64,
    slots: u64,
    later: u64,
    check: impl Fn(&W) + Send + Sync + 'static,
) {
    explore(2, move || {
        let window = Arc::new(W::new(limit, slots));
        let other = {
            let window = window.clone();
            thread::spawn(move || {
                window.charge(1, 8 * SLOT);
            })
        };
        if let Some((charge, _)) = window.charge(1, 7 * SLOT) {
            window.undo(charge);
        }
        window.charge(1, later * SLOT);
        other.join().unwrap();
        check(&window);
    });
}

/// After an undo beside a rotation more may seem to count than the limit: a hint that is given when all is quiet is kept (G4).
/// Killed by `HintFromTheSum`.
pub fn hint_after_an_undo<W: Window>() {
    after_an_undo::<W>(1, 2, 8, |window| {
        if let Some(hint) = window.hint(9 * SLOT) {
            let admitted = window.charge(1, 9 * SLOT + hint).is_some();
            assert!(admitted, "a hint of {hint} was not kept");
        }
    });
}

/// After an undo the window is moved on twice, and a late thread raises the count of the slot that it was in: whether there is room
/// is answered the same by who asks and by who calls. Killed by `HintFromTheBase`.
pub fn asked_and_called_alike<W: Window>() {
    after_an_undo::<W>(3, 4, 9, |window| {
        let hint = window.hint(10 * SLOT);
        let admitted = window.charge(1, 10 * SLOT).is_some();
        assert_eq!(hint.is_none(), admitted, "asked and called");
    });
}

/// A charge is undone, somebody else moves the window on without it and admits, and a third, who saw it, raises its slot's count
/// after that and is refused: more counts than the sum that ends at the limit, and his hint is kept all the same (G4). Killed by
/// `UnreadMark`, `LateMark`, `RelaxedUndo`.
pub fn hint_beside_an_undo<W: Window>() {
    explore(2, || {
        let window = Arc::new(W::new(2, 3));
        assert!(window.charge(1, 6 * SLOT).is_some());
        let (charge, _) = window.charge(1, 7 * SLOT).expect("room for two");
        let next = {
            let window = window.clone();
            thread::spawn(move || window.charge(1, 8 * SLOT).map(|(_, slot)| slot))
        };
        let refused = {
            let window = window.clone();
            thread::spawn(move || match window.charge(1, 9 * SLOT) {
                Some(_) => None,
                None => window.hint(9 * SLOT),
            })
        };
        window.undo(charge);
        let (next, hint) = (next.join().unwrap(), refused.join().unwrap());
        // Who was admitted in slot 8 moved the window there, and came before the hint.
        if let (Some(8), Some(hint)) = (next, hint) {
            let admitted = window.charge(1, 9 * SLOT + hint).is_some();
            assert!(admitted, "a hint of {hint} was not kept");
        }
    });
}
