//! Changes of a sliding window's limit and length beside calls.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{SharedClock, at, explore};
use crate::mutant;
use crate::tidegate::{Limiter, UnixTime};
use crate::window::{Call, SLOT, Window, admit, charge, hint, restored, window};

/// Slots of the windows, whose length does not change in most models.
const SLOTS: u32 = 1;

fn set_limit(window: &Window, limit: u64, slots: u32, now: u64) {
    let length = Duration::from_nanos(SLOT) * slots;
    let changed = window.set_limit_at(limit, length, at(now));
    changed.expect("fits");
}

/// A call, and the limits that may have decided it.
#[derive(Clone, Copy, Debug)]
struct Decided {
    call: Call,
    least: u64,
    most: u64,
}

impl Decided {
    fn make(window: &Window, clock: &SharedClock, least: u64, most: u64) -> Self {
        let call = Call::make(window, clock);
        Self { call, least, most }
    }
}

/// Asserts that no `SLOTS + 1` slots that end with an admission hold more than its limit, and that
/// the window was full before each refusal.
fn assert_limits(calls: &[Decided]) {
    let slots = u64::from(SLOTS);
    let charged = |from: u64, to: u64| -> u64 {
        let within = |decided: &&Decided| {
            let slot = decided.call.slot;
            slot.is_some_and(|slot| (from..=to).contains(&slot))
        };
        calls.iter().filter(within).count() as u64
    };
    for &Decided { call, least, most } in calls {
        match call.slot {
            Some(slot) => {
                assert!((call.began..=call.ended).contains(&slot), "{call:?}");
                let sum = charged(slot.saturating_sub(slots), slot);
                assert!(sum <= most, "{sum} of {most}: {calls:?}");
            }
            None => {
                let seen = charged(call.began.saturating_sub(slots), call.ended);
                assert!(seen >= least, "{call:?} refused after {seen}: {calls:?}");
            }
        }
    }
}

/// Two threads with four or five calls, between which the limit changes and the clock moves on.
fn change(before: u64, after: u64, clock_first: bool) {
    explore(2, move || {
        let window = window(before, SLOTS);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let (least, most) = (before.min(after), before.max(after));
        let mut calls = vec![Decided::make(&window, &clock, before, most)];
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Decided::make(&window, &clock, least, most))
        };
        if clock_first {
            clock.advance(SLOT);
            calls.push(Decided::make(&window, &clock, before, most));
        }
        set_limit(&window, after, SLOTS, clock.latest());
        calls.push(Decided::make(&window, &clock, after, after));
        if !clock_first {
            clock.advance(SLOT);
        }
        calls.push(Decided::make(&window, &clock, after, after));
        calls.push(other.join().unwrap());
        assert_limits(&calls);
    });
}

/// Two threads with four or five calls. Kills `unclosed_ring`.
///
/// A lower limit refuses until enough has aged out.
fn lowered() {
    change(2, 1, false);
    change(2, 1, true);
}

/// Two threads with four or five calls. Kills `unnoted_charge`, `free_burst`, `forgotten_slot`,
/// `early_takeover`.
///
/// A higher limit admits the difference, and no charge is lost.
fn raised() {
    change(2, 3, false);
    change(2, 3, true);
}

/// Two threads with three calls. Both threads let the new ring take over. Kills `reopened`.
///
/// A thread that takes over late changes nothing.
fn late_helper() {
    explore(2, || {
        let window = window(1, SLOTS);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let mut calls = vec![Decided::make(&window, &clock, 1, 2)];
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Decided::make(&window, &clock, 1, 2))
        };
        set_limit(&window, 2, SLOTS, 7 * SLOT);
        calls.push(Decided::make(&window, &clock, 2, 2));
        calls.push(other.join().unwrap());
        assert_limits(&calls);
    });
}

/// Two threads with four calls and two changes. Kills `cut_history`, `lost_history`.
///
/// What was admitted before the first change still counts after the second.
fn two_changes() {
    explore(2, || {
        let window = window(2, SLOTS);
        let clock = Arc::new(SharedClock::at(7 * SLOT));
        let mut calls: Vec<_> = [(); 2]
            .map(|()| Decided::make(&window, &clock, 2, 3))
            .into();
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Decided::make(&window, &clock, 1, 3))
        };
        set_limit(&window, 1, SLOTS, 7 * SLOT);
        set_limit(&window, 3, SLOTS, 7 * SLOT);
        calls.push(Decided::make(&window, &clock, 3, 3));
        calls.push(other.join().unwrap());
        assert_limits(&calls);
    });
}

/// Three threads. Two of them change the limit. Kills `unclosed_ring`.
///
/// One change follows the other, and a charge counts after both.
fn competing_changes() {
    explore(1, || {
        let window = window(3, SLOTS);
        let changes = [1, 2].map(|limit| {
            let window = window.clone();
            thread::spawn(move || set_limit(&window, limit, SLOTS, 7 * SLOT))
        });
        let mine = u64::from(admit(&window, 1, 7));
        for change in changes {
            change.join().unwrap();
        }
        let limit = window.limit();
        assert!([1, 2].contains(&limit), "a limit of {limit}");
        let all = mine + (0..3).filter(|_| admit(&window, 1, 7)).count() as u64;
        assert_eq!(all, limit, "admitted");
    });
}

/// Two threads with calls of the old and the new length. Kills `carried_to_the_start`.
///
/// Slots become shorter. A permit counts for the new length after the end of its old slot, and not
/// a slot longer.
fn shorter_slots() {
    explore(2, || {
        // Slots of four: from 4 to 8, and so on. The new window has slots of one.
        let length = Duration::from_nanos(4 * SLOT);
        let window = Window::with_clock(2, length, crate::model::NoClock).expect("fits");
        let window = Arc::new(window.slots(1));
        let other = {
            let window = window.clone();
            thread::spawn(move || admit(&window, 1, 7))
        };
        let mine = admit(&window, 1, 7);
        set_limit(&window, 2, 1, 7 * SLOT);
        let other = other.join().unwrap();
        assert!(mine && other, "two of two");
        // The permits count in slot 7, with one slot after that.
        assert!(!admit(&window, 1, 8), "{} of 2", 3);
        assert_eq!(hint(&window, 8 * SLOT), Some(SLOT), "a hint");
        assert!(admit(&window, 2, 9), "all has aged out");
    });
}

/// Two threads. One undoes a charge beside a change, and four more calls follow. Its mutants need
/// slots of another length.
///
/// A charge is undone before the change, or it counts.
fn undo_beside_a_change() {
    explore(2, || {
        let window = window(2, SLOTS);
        set_limit(&window, 3, SLOTS, 7 * SLOT);
        let undone = charge(&window, 1, 7).expect("room for three");
        let other = {
            let window = window.clone();
            thread::spawn(move || window.undo(undone))
        };
        set_limit(&window, 2, SLOTS, 7 * SLOT);
        let admitted = |n| (0..n).filter(|_| admit(&window, 1, 7)).count() as u64;
        let mine = admitted(2);
        let returned = other.join().unwrap();
        let rest = admitted(2);
        assert_eq!(mine + rest, 1 + returned, "{mine} and {rest} were admitted");
    });
}

/// Two threads with three calls. One thread undoes a charge that has aged out. Kills
/// `other_generation`.
///
/// An undo takes nothing off a slot that has the same number in a later ring.
fn undo_of_an_earlier_charge() {
    explore(2, || {
        let window = window(1, SLOTS);
        set_limit(&window, 2, SLOTS, 7 * SLOT);
        let undone = charge(&window, 1, 7).expect("room for two");
        // One slot, a hundred times as long.
        set_limit(&window, 2, 100, 7 * SLOT);
        let other = {
            let window = window.clone();
            thread::spawn(move || window.undo(undone))
        };
        let admitted = |n| (0..n).filter(|_| admit(&window, 1, 700)).count() as u64;
        let mine = admitted(2);
        let returned = other.join().unwrap();
        let all = mine + admitted(1);
        assert!(all == 2 && returned == 0, "{all} of 2");
    });
}

/// Two threads in a restored window. One of them changes the limit. Kills `forgotten_restore`.
///
/// The admission of the earlier life counts after the change.
fn change_of_a_restored_window() {
    explore(3, || {
        let window = restored();
        let other = {
            let window = window.clone();
            thread::spawn(move || u64::from(admit(&window, 1, 0)))
        };
        set_limit(&window, 3, 2, 0);
        let mut admitted = (0..2).filter(|_| admit(&window, 1, 1)).count() as u64;
        admitted += other.join().unwrap();
        admitted += u64::from(admit(&window, 1, 1));
        assert_eq!(admitted, 2, "{admitted} of 2");
        assert!(
            admit(&window, 1, 2),
            "the admission of the earlier life has aged out"
        );
        assert!(!admit(&window, 1, 2), "3 of 2");
    });
}

/// Two threads. One saves, and the other changes the limit. Kills `closed_save`.
///
/// Nothing that was admitted before a save is missing in it.
fn save_beside_a_change() {
    explore(4, || {
        let window = window(2, SLOTS);
        assert!(admit(&window, 1, 7));
        let other = {
            let window = window.clone();
            thread::spawn(move || {
                let admitted = 1 + u64::from(admit(&window, 1, 8));
                let saved = window.save_at(at(8 * SLOT), UnixTime::from_nanos(1));
                (admitted, saved.state().count())
            })
        };
        set_limit(&window, 3, SLOTS, 8 * SLOT);
        let (admitted, saved) = other.join().unwrap();
        assert_eq!(saved, admitted, "saved {saved} of {admitted}");
    });
}

mutant::tests! { "window_limits":
    change_of_a_restored_window { forgotten_restore: " of " }
    save_beside_a_change { closed_save: " of " }
    lowered { unclosed_ring: " of " }
    raised {
        unnoted_charge: " of ",
        free_burst: " of ",
        forgotten_slot: " of ",
        early_takeover: " of ",
    }
    late_helper { reopened: " of " }
    two_changes { cut_history: " of ", lost_history: " of " }
    competing_changes { unclosed_ring: "a limit of" }
    shorter_slots { carried_to_the_start: " of " }
    undo_beside_a_change {}
    undo_of_an_earlier_charge { other_generation: " of " }
}
