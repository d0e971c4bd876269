//! Admissions of an earlier life of a window, which still count after a restore.
//!
//! They never change. They lie in slots as late as the first slot of this life at most, and those
//! before the clock's origin have negative numbers. So they are a list beside the ring, and only
//! what sums the ring reads it: a rotation, and queries and hints that are off the hot path.

#![deny(clippy::arithmetic_side_effects)]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::slots::Window;

/// Admissions whose latest is `age` nanoseconds old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admissions {
    pub(crate) age: u64,
    pub(crate) count: u64,
}

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// The latest first.
    slots: Box<[CarriedSlot]>,
}

#[derive(Clone, Copy, Debug)]
struct CarriedSlot {
    number: i64,
    /// The latest admission in nanoseconds on the clock. Kept, so that a further save does not
    /// make it younger by up to a slot.
    last: i64,
    count: u64,
}

/// Each of many short lives adds a slot or two. More than these are merged.
const MOST_UNMERGED: usize = 1_024;

impl Carried {
    /// Takes admissions of any order. `nanos` is the present.
    pub(super) fn new(window: &Window, admissions: &[Admissions], nanos: u64) -> Self {
        let now = i64::try_from(nanos).unwrap_or(i64::MAX);
        let slot = |&Admissions { age, count }: &Admissions| {
            let age = i64::try_from(age).unwrap_or(i64::MAX);
            let last = now.saturating_sub(age);
            let number = window.signed_number_at(last);
            CarriedSlot {
                number,
                last,
                count,
            }
        };
        let oldest = window.signed_oldest(window.number_at(nanos));
        let mut slots: Vec<_> = admissions.iter().map(slot).collect();
        slots.retain(|slot| slot.count > 0 && slot.number >= oldest);
        slots.sort_unstable_by_key(|slot| core::cmp::Reverse(slot.last));
        let most = usize::try_from(window.ring_len()).unwrap_or(usize::MAX);
        if slots.len() > most.max(MOST_UNMERGED) {
            // Admissions of one slot stop counting together. But the older of them may count
            // longer after the next restart.
            slots.dedup_by(|older, newer| {
                let is_same = older.number == newer.number;
                if is_same {
                    newer.count = newer.count.saturating_add(older.count);
                }
                is_same
            });
        }
        Self {
            slots: slots.into_boxed_slice(),
        }
    }

    /// The slots that count while `current` is the current slot.
    fn counting(&self, window: &Window, current: u64) -> impl Iterator<Item = &CarriedSlot> {
        let oldest = window.signed_oldest(current);
        self.slots
            .iter()
            .take_while(move |slot| slot.number >= oldest)
    }

    /// Whether any of them count while `current` is the current slot.
    pub(super) fn counts(&self, window: &Window, current: u64) -> bool {
        self.counting(window, current).next().is_some()
    }

    /// The sum of those that count while `current` is the current slot.
    pub(super) fn sum(&self, window: &Window, current: u64) -> u64 {
        self.counting(window, current)
            .fold(0, |sum: u64, slot| sum.saturating_add(slot.count))
    }

    /// The time from `nanos` until those that do not fit in `room` have aged out. Call it only
    /// where some [count](Self::counts).
    pub(super) fn until_room(
        &self,
        window: &Window,
        current: u64,
        mut room: u64,
        nanos: u64,
    ) -> Duration {
        let mut leaving = i64::MIN;
        for slot in self.counting(window, current) {
            leaving = slot.number;
            match room.checked_sub(slot.count) {
                Some(left) => room = left,
                None => break,
            }
        }
        window.until_signed_gone(leaving, nanos)
    }

    /// The admissions that count while `current` is the current slot, with their ages at `nanos`.
    pub(super) fn admissions(
        &self,
        window: &Window,
        current: u64,
        nanos: u64,
    ) -> impl Iterator<Item = Admissions> {
        let now = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.counting(window, current).map(move |slot| Admissions {
            age: u64::try_from(now.saturating_sub(slot.last)).unwrap_or(0),
            count: slot.count,
        })
    }
}
