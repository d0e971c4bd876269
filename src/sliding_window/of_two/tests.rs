//! Two windows over the same admissions, beside two windows that are charged one by one.

use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::{SlidingWindow, Which};
use crate::clock::ManualClock;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// The limits, slots, and lengths in nanoseconds of both.
#[derive(Clone, Copy, Debug)]
struct Both {
    limit: u64,
    slots: u64,
    /// Of a short slot.
    slot: u64,
    longer: u64,
    long_slots: u64,
    /// Short slots in a long one.
    short_slots: u64,
}

const BOTH: [Which; 2] = [Which::Shorter, Which::Longer];

impl Both {
    const fn shorter(self) -> (u64, Duration, u64) {
        let length = Duration::from_nanos(self.slot * self.slots);
        (self.limit, length, self.slots)
    }

    const fn longer(self) -> (u64, Duration, u64) {
        let length = Duration::from_nanos(self.slot * self.short_slots * self.long_slots);
        (self.longer, length, self.long_slots)
    }

    fn windows(self) -> SlidingWindow<ManualClock> {
        SlidingWindow::two_windows(self.shorter(), self.longer(), ManualClock::new())
    }

    /// Each by itself.
    fn apart(self) -> [SlidingWindow<ManualClock>; 2] {
        [self.shorter(), self.longer()].map(|(limit, length, slots)| {
            let window = SlidingWindow::with_clock(limit, length, ManualClock::new());
            let slots = usize::try_from(slots).unwrap();
            window.unwrap().try_slots(slots).unwrap()
        })
    }
}

prop_compose! {
    fn both()(
        limit in 1_u64..12,
        slots in 1_u64..9,
        slot in 64_u64..200,
        longer in 1_u64..30,
        long_slots in 1_u64..9,
        short_slots in 1_u64..40,
    ) -> Both {
        Both { limit, slots, slot, longer, long_slots, short_slots }
    }
}

/// In the first slot, or in a later one.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1_000_000)]
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Advance(u64),
    Acquire(u64),
    /// Charges and undoes at once.
    Undo(u64),
    /// Charges, and undoes so many nanoseconds later.
    LateUndo(u64, u64),
    /// Saves, and restores in another process.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..400).prop_map(Step::Advance),
        1 => (0_u64..60_000).prop_map(Step::Advance),
        6 => (1_u64..6).prop_map(Step::Acquire),
        1 => (1_u64..6).prop_map(Step::Undo),
        1 => (1_u64..6, 0_u64..2_000).prop_map(|(n, nanos)| Step::LateUndo(n, nanos)),
        1 => Just(Step::Restart),
    ]
}

/// Seldom: of the longer window or not, and the new limit.
fn change() -> impl Strategy<Value = Option<(bool, u64)>> {
    prop::option::weighted(0.1, (any::<bool>(), 1_u64..30))
}

proptest! {
    /// They admit what both would, and say of each what it would say.
    #[test]
    fn decide_as_two_windows(
        both in both(),
        start in start(),
        steps in prop::collection::vec(step(), 1..80)) {
        let (windows, apart) = (both.windows(), both.apart());
        let mut now = Timestamp::from_nanos(start);
        for step in steps {
            match step {
                Step::Advance(nanos) => now = now + Duration::from_nanos(nanos),
                Step::Restart | Step::LateUndo(..) => {}
                Step::Acquire(n) | Step::Undo(n) => {
                    let peeked = apart.each_ref().map(|window| window.peek_at(n, now));
                    for (which, peeked) in BOTH.into_iter().zip(peeked) {
                        prop_assert_eq!(windows.peek_of_at(which, n, now), peeked);
                    }
                    let expected = peeked.iter().all(Result::is_ok);
                    let charge = windows.charge_at(n, now);
                    prop_assert_eq!(charge.is_ok(), expected, "{:?}", charge);
                    if let Err(denied) = &charge {
                        let waits = peeked.map(|peeked| match peeked {
                            Ok(()) => Some(Duration::ZERO),
                            Err(denied) => denied.retry_after(),
                        });
                        if let [Some(shorter), Some(longer)] = waits {
                            prop_assert_eq!(denied.retry_after(), Some(shorter.max(longer)));
                        }
                    }
                    if let Ok(charge) = charge {
                        if matches!(step, Step::Undo(_)) {
                            prop_assert_eq!(windows.undo(charge), n);
                        } else {
                            for window in &apart {
                                window.try_acquire_at(n, now).unwrap();
                            }
                        }
                    }
                }
            }
            for (which, window) in BOTH.into_iter().zip(&apart) {
                prop_assert_eq!(windows.available_of_at(which, now), window.available_at(now));
            }
        }
    }

    /// With changes of either limit, and restarts, no interval of either length holds more than
    /// the limit at its end, and nothing is refused that has had room for a slot.
    #[test]
    fn keep_both_bounds(
        both in both(),
        start in start(),
        steps in prop::collection::vec((step(), change()), 1..80),
    ) {
        let mut windows = both.windows();
        let mut limits = [both.limit, both.longer];
        let lengths = BOTH.map(|which| u64::try_from(windows.length_of(which).as_nanos()).unwrap());
        let slots = [both.slot, both.slot * both.short_slots];
        let mut now = Timestamp::from_nanos(start);
        // Instants, and permits.
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        // Of these, those that may have come back.
        let mut undone: Vec<(u64, u64)> = Vec::new();
        for (step, change) in steps {
            if let Some((is_longer, limit)) = change {
                let which = BOTH[usize::from(is_longer)];
                limits[usize::from(is_longer)] = limit;
                windows.set_limit_of_at(which, limit, windows.length_of(which), now).unwrap();
            }
            let sum = |list: &[(u64, u64)], length: u64| -> u64 {
                let counts = list.iter().filter(|(at, _)| now.as_nanos() - at < length);
                counts.map(|(_, n)| n).sum()
            };
            let within = |length| sum(&admitted, length);
            let may_count = |length| sum(&admitted, length) + sum(&undone, length);
            match step {
                Step::Advance(nanos) => now = now + Duration::from_nanos(nanos),
                Step::Restart => {
                    let saved = BOTH.map(|which| windows.admissions_of_at(which, now).1);
                    let mut fresh = both.windows();
                    for (which, limit) in BOTH.into_iter().zip(limits) {
                        let length = windows.length_of(which);
                        fresh.set_limit_of_at(which, limit, length, now).unwrap();
                    }
                    let [shorter, longer] = &saved;
                    fresh.restore_admissions_of_both_at(shorter, longer, now);
                    windows = fresh;
                }
                Step::Undo(n) => {
                    if let Ok(charge) = windows.charge_at(n, now) {
                        prop_assert_eq!(windows.undo(charge), n);
                    }
                }
                Step::LateUndo(n, later) => {
                    if let Ok(charge) = windows.charge_at(n, now) {
                        undone.push((now.as_nanos(), n));
                        now = now + Duration::from_nanos(later);
                        // Another call may move on to another slot before.
                        if windows.try_acquire_at(1, now).is_ok() {
                            admitted.push((now.as_nanos(), 1));
                        }
                        windows.undo(charge);
                    }
                }
                Step::Acquire(n) => {
                    let has_room = (0..2).all(|index| {
                        // After changes and restarts, ends of slots are rounded once more.
                        let seen = may_count(lengths[index] + 3 * slots[index]);
                        seen + n <= limits[index]
                    });
                    match windows.try_acquire_at(n, now) {
                        Ok(()) => {
                            for index in 0..2 {
                                let sum = within(lengths[index]) + n;
                                prop_assert!(sum <= limits[index], "{} of {:?}", sum, limits);
                            }
                            admitted.push((now.as_nanos(), n));
                        }
                        Err(denied) => {
                            prop_assert!(!has_room, "{denied:?}");
                            if let Some(wait) = denied.retry_after().filter(|w| w.as_secs() < 1) {
                                let after = now + wait;
                                let nearly = after.as_nanos().saturating_sub(1);
                                let nearly = Timestamp::from_nanos(nearly);
                                let early = BOTH.map(|w| windows.peek_of_at(w, n, nearly).is_ok());
                                prop_assert_ne!(early, [true, true]);
                                for which in BOTH {
                                    prop_assert!(windows.peek_of_at(which, n, after).is_ok());
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A charge whose slot in the minute is over comes back to the hour.
#[test]
fn late_undo_comes_back_to_the_longer_window() {
    let (minute, hour) = (
        (50, Duration::from_secs(60)),
        (500, Duration::from_secs(3_600)),
    );
    let windows = SlidingWindow::nested(minute, hour, ManualClock::new()).unwrap();
    let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
    let charge = windows.charge_at(5, at(3_600)).unwrap();
    windows.try_acquire_at(1, at(3_605)).unwrap();
    assert_eq!(windows.both_available_at(at(3_605)), [44, 494]);

    assert_eq!(windows.undo(charge), 0); // not to the minute
    windows.try_acquire_at(1, at(3_607)).unwrap();
    assert_eq!(windows.both_available_at(at(3_607)), [43, 498]);
    windows.try_acquire_at(1, at(3_700)).unwrap();
    assert_eq!(windows.both_available_at(at(3_700)), [49, 497]);
}

/// A slot of the longer window holds more of the shorter one's slots than the ring needs for that.
#[test]
fn long_slots_are_much_longer() {
    let both = Both {
        limit: 2,
        slots: 1,
        slot: 10,
        longer: 5,
        long_slots: 1,
        short_slots: 100,
    };
    let windows = both.windows();
    let at = Timestamp::from_nanos;
    let admitted = (0..100).filter(|call| windows.try_acquire_at(1, at(2_000 + call * 20)).is_ok());
    assert_eq!(admitted.count(), 5); // within two long slots
    assert!(windows.try_acquire_at(1, at(4_000)).is_ok());
}
