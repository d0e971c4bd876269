//! A sliding window and a longer one over the same admissions.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{NoClock, SharedClock, at, explore};
use crate::mutant;
use crate::tidegate::Limiter;
use crate::window::{Call, SLOT, Window, admit, charge, overtaken, refused};

/// Short slots in a long one.
const SHORT: u64 = 2;

/// The limits and slots of both windows.
#[derive(Clone, Copy)]
struct Limits {
    limit: u64,
    slots: u64,
    longer: u64,
    long_slots: u64,
}

impl Limits {
    fn windows(self) -> Arc<Window> {
        let length = |slots| Duration::from_nanos(SLOT * slots);
        let shorter = (self.limit, length(self.slots), self.slots);
        let longer = (
            self.longer,
            length(SHORT * self.long_slots),
            self.long_slots,
        );
        Arc::new(Window::two_windows(shorter, longer, NoClock))
    }

    /// Asserts that each charge is decided during its call, that neither window holds more than its
    /// limit, and that one of them was full before each refusal.
    fn assert_strict(self, calls: &[Call]) {
        let charged = |from: u64, to: u64, slots: u64| -> u64 {
            let within = |slot: u64| (from..=to).contains(&(slot / slots));
            calls
                .iter()
                .filter(|call| call.slot.is_some_and(within))
                .count() as u64
        };
        for call in calls {
            match call.slot {
                Some(slot) => {
                    assert!((call.began..=call.ended).contains(&slot), "{call:?}");
                    let sum = charged(slot.saturating_sub(self.slots), slot, 1);
                    assert!(sum <= self.limit, "{sum} of {}: {calls:?}", self.limit);
                    let long = slot / SHORT;
                    let sum = charged(long.saturating_sub(self.long_slots), long, SHORT);
                    assert!(sum <= self.longer, "{sum} of {}: {calls:?}", self.longer);
                }
                None => {
                    let seen = charged(call.began.saturating_sub(self.slots), call.ended, 1);
                    let from = (call.began / SHORT).saturating_sub(self.long_slots);
                    let seen_longer = charged(from, call.ended / SHORT, SHORT);
                    assert!(
                        seen >= self.limit || seen_longer >= self.longer,
                        "{call:?} refused after {seen} and {seen_longer}: {calls:?}"
                    );
                }
            }
        }
    }
}

/// One thread makes `before` calls. Then it races with another, which makes one call: it advances
/// the clock by `first` short slots, calls, advances it by `second`, and calls again.
fn race(preemptions: usize, before: usize, first: u64, second: u64) {
    explore(preemptions, move || {
        let limits = LONGER_IS_FULL;
        let window = limits.windows();
        let clock = Arc::new(SharedClock::at(6 * SLOT));
        let call = |step: u64| {
            clock.advance(step * SLOT);
            Call::make(&window, &clock)
        };
        let mut calls: Vec<_> = (0..before).map(|_| call(0)).collect();
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Call::make(&window, &clock))
        };
        calls.extend([first, second].map(call));
        calls.push(other.join().unwrap());
        limits.assert_strict(&calls);
    });
}

const LONGER_IS_FULL: Limits = Limits {
    limit: 2,
    slots: 1,
    longer: 3,
    long_slots: 1,
};

/// Two threads with five calls. Kills `shorter_only`, `forgotten_newest`.
///
/// The clock moves within a long slot, where the longer window is used up first.
fn within_a_long_slot() {
    race(1, 2, 2, 1);
}

/// Two threads with four calls. Kills `forgotten_long_slot`, `forgotten_part`.
///
/// The clock moves on to other long slots.
fn long_slots() {
    race(2, 1, 2, 1);
    race(2, 1, 1, 2);
}

/// Two threads with five calls. Kills `stored_long_count`.
///
/// A thread begins to end a long slot with an old count, and the other finishes with the new one.
fn overtaken_rotation() {
    explore(3, || {
        let limits = Limits {
            limit: 4,
            slots: 1,
            longer: 3,
            long_slots: 2,
        };
        limits.assert_strict(&overtaken(&limits.windows(), 2));
    });
}

/// Two threads, one with two calls, one with a query. Kills `unchecked_base_of_one`.
///
/// A query of the head's own slot does not use the base of a later slot.
fn query_of_the_heads_slot() {
    query_beside_rotations(7);
}

/// Two threads, one with two calls, one with a query. Kills `unconfirmed_view_of_one`.
///
/// A query of either window does not count an overwritten entry as empty.
fn query_while_rotating() {
    query_beside_rotations(8);
}

fn query_beside_rotations(slot: u64) {
    explore(3, move || {
        let limits = Limits {
            limit: 10,
            slots: 2,
            longer: 20,
            long_slots: 2,
        };
        let query = move |window: &Window| window.both_available_at(at(slot * SLOT));
        let [shorter, longer] = beside_rotations(limits, [(3, 6), (1, 7)], query, [10, 11]);
        // 3 + 1 before the other thread; then 0, 2, 2 + 0 and 2 + 2 as of its instants for the
        // shorter window. For the longer one, all of them count.
        assert!([6, 10, 8].contains(&shorter), "{shorter} of 6, 8 or 10");
        assert!([16, 14, 12].contains(&longer), "{longer} of 12, 14 or 16");
    });
}

/// Runs `query` while another thread admits two permits in each of the slots `later`. The pairs in
/// `before` are permits that were admitted earlier, and their slots.
fn beside_rotations(
    limits: Limits,
    before: [(u64, u64); 2],
    query: impl FnOnce(&Window) -> [u64; 2] + Send + 'static,
    later: [u64; 2],
) -> [u64; 2] {
    let window = limits.windows();
    assert!(before.into_iter().all(|(n, slot)| admit(&window, n, slot)));
    let query = {
        let window = window.clone();
        thread::spawn(move || query(&window))
    };
    assert!(later.into_iter().all(|slot| admit(&window, 2, slot)));
    query.join().unwrap()
}

/// Two threads, one with two calls, one with a look. Kills `unconfirmed_rooms`, `aged_out_counts`.
///
/// A look in a later slot than the head's takes what has aged out off the base of the head, and
/// does not take an overwritten entry for an empty one.
fn look_while_rotating() {
    explore(1, || {
        let limits = Limits {
            limit: 10,
            slots: 1,
            longer: 20,
            long_slots: 2,
        };
        let look = |window: &Window| {
            let rooms = window.both_rooms_at(at(10 * SLOT));
            rooms.map(|room| room.expect("room"))
        };
        let [shorter, longer] = beside_rotations(limits, [(4, 4), (1, 8)], look, [12, 14]);
        // For the longer window, 1 before the other thread, without the 4 that have left; then 1,
        // 1 + 2, 2 and 2 + 2 as of its instants.
        assert!([10, 8].contains(&shorter), "{shorter} of 8 or 10");
        assert!([19, 17, 18, 16].contains(&longer), "{longer} of 16 to 19");
    });
}

/// Two threads, three calls, one of which is refused beside a rotation. Kills `unseen_bases`.
///
/// A call that is refused by a base finds its hint in what made that base.
fn refusal_beside_a_rotation() {
    explore(3, || {
        let limits = Limits {
            limit: 2,
            slots: 2,
            longer: 2,
            long_slots: 2,
        };
        let window = limits.windows();
        let undone = charge(&window, 1, 6).expect("room for two");
        assert!(admit(&window, 1, 6));
        let other = {
            let window = window.clone();
            thread::spawn(move || admit(&window, 1, 7))
        };
        window.undo(undone);
        let hint = refused(&window, 7 * SLOT);
        other.join().unwrap();
        // Long slot 3 has to leave, whoever was admitted, or counts though it was undone. If the
        // undo was late, only short slot 6 has to.
        let hints = [None, Some(2 * SLOT), Some(5 * SLOT)];
        assert!(hints.contains(&hint), "a hint of {hint:?}");
    });
}

/// Two threads with four calls, beside a change of the longer window's limit. Kills
/// `longer_left_behind`.
fn change_of_the_longer_limit() {
    explore(2, || {
        let limits = Limits {
            limit: 3,
            slots: 1,
            longer: 2,
            long_slots: 2,
        };
        let window = limits.windows();
        let clock = Arc::new(SharedClock::at(6 * SLOT));
        let mut calls = vec![Call::make(&window, &clock)];
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || Call::make(&window, &clock))
        };
        window.set_longer_limit_at(3, at(clock.latest()));
        for step in [2, 1] {
            clock.advance(step * SLOT);
            calls.push(Call::make(&window, &clock));
        }
        calls.push(other.join().unwrap());
        let longer = calls.iter().filter(|call| call.slot.is_some()).count();
        assert!(longer <= 3, "{longer} of 3: {calls:?}");
        calls.push(Call::make(&window, &clock));
        // The limit of before was 2, so a refusal then is right after two.
        calls.retain(|call| call.slot.is_some());
        Limits {
            longer: 3,
            ..limits
        }
        .assert_strict(&calls);
    });
}

/// Two threads with five calls, one of which is undone. Kills `late_return`.
///
/// What comes back after its short slot comes back once, and not in a later long slot.
fn late_return() {
    explore(2, || {
        let limits = Limits {
            limit: 4,
            slots: 1,
            longer: 2,
            long_slots: 1,
        };
        let window = limits.windows();
        let clock = Arc::new(SharedClock::at(6 * SLOT));
        let undone = charge(&window, 1, 6).expect("room for two");
        let other = {
            let (window, clock) = (window.clone(), clock.clone());
            thread::spawn(move || {
                window.undo(undone);
                Call::make(&window, &clock)
            })
        };
        let mut calls = Vec::new();
        for step in [2, 2] {
            clock.advance(step * SLOT);
            calls.push(Call::make(&window, &clock));
        }
        calls.push(other.join().unwrap());
        // A refusal may be due to the charge that was undone later.
        calls.retain(|call| call.slot.is_some());
        limits.assert_strict(&calls);
    });
}

mutant::tests! { "two_windows":
    late_return { late_return: " of " }
    within_a_long_slot {
        shorter_only: " of ",
        forgotten_newest: " of ",
    }
    long_slots { forgotten_long_slot: " of ", forgotten_part: " of " }
    overtaken_rotation { stored_long_count: " of " }
    query_of_the_heads_slot { unchecked_base_of_one: " of " }
    query_while_rotating { unconfirmed_view_of_one: " of " }
    look_while_rotating { unconfirmed_rooms: " of ", aged_out_counts: " of " }
    refusal_beside_a_rotation { unseen_bases: "a hint of" }
    change_of_the_longer_limit { longer_left_behind: " of " }
}
