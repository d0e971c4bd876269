//! What a window counts besides its own slots: what was admitted before its limit has changed, or
//! before a restart.
//!
//! It is a list beside the ring that never changes. Slots before the clock's origin have negative
//! numbers. Some slots may be later than the current one: see [`Handover`](super::handover).

#![deny(clippy::arithmetic_side_effects)]

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::slots::{Window, signed};

/// Admissions whose latest is `age` nanoseconds old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admissions {
    pub(crate) age: u64,
    pub(crate) count: u64,
}

/// The permits that earlier rings admitted and that still count, in increasing order of `end`.
#[derive(Debug, Default)]
pub(crate) struct History(Box<[Past]>);

/// Permits that were admitted in slots of earlier rings.
#[derive(Clone, Copy, Debug)]
struct Past {
    /// The last nanosecond of these slots, or of the last admission. Kept, so that further changes
    /// and saves do not make it later by up to a slot each.
    end: i64,
    /// The slot of this ring that contains it.
    number: i64,
    permits: u64,
}

/// Each of many short lives adds a slot or two. More than these are merged.
const MOST_UNMERGED: usize = 1_024;

impl History {
    /// What a restore brings along. `nanos` is the present, at which the admissions have their
    /// ages.
    pub(super) fn restored(window: &Window, admissions: &[Admissions], nanos: u64) -> Self {
        let now = signed(nanos);
        let counting = admissions.iter();
        let counting =
            counting.map(|&Admissions { age, count }| (now.saturating_sub(signed(age)), count));
        Self::new(window, window.number_at(nanos), counting.collect())
    }

    /// Those permits that count for a window whose current slot is `current`, of permits with their
    /// last nanoseconds.
    pub(super) fn new(window: &Window, current: u64, mut permits: Vec<(i64, u64)>) -> Self {
        let oldest = window.signed_oldest(current);
        permits.retain(|&(end, permits)| permits > 0 && window.signed_number_at(end) >= oldest);
        permits.sort_unstable();
        let most = usize::try_from(window.ring_len()).unwrap_or(usize::MAX);
        let merges = permits.len() > most.max(MOST_UNMERGED);
        let mut slots: Vec<Past> = Vec::new();
        for (end, permits) in permits {
            let number = window.signed_number_at(end);
            match slots.last_mut() {
                // They stop counting together. But the older of them may count longer after the
                // next change or restart.
                Some(slot) if merges && slot.number == number => {
                    slot.end = end;
                    slot.permits = slot.permits.saturating_add(permits);
                }
                _ => slots.push(Past {
                    end,
                    number,
                    permits,
                }),
            }
        }
        Self(slots.into_boxed_slice())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The slots from `number` on.
    fn from(&self, number: i64) -> &[Past] {
        let Some(last) = self.0.last() else {
            return &[];
        };
        // For windows that have outlived what was carried to them.
        if last.number < number {
            return &[];
        }
        let (_, slots) = self
            .0
            .split_at(self.0.partition_point(|past| past.number < number));
        slots
    }

    /// The permits in slots from `number` on, with their last nanoseconds.
    pub(super) fn permits(&self, number: i64) -> impl Iterator<Item = (i64, u64)> {
        self.from(number)
            .iter()
            .map(|past| (past.end, past.permits))
    }

    /// One more than the last slot to which something is carried, and at least 1; 0 for none. As
    /// long as slots before the clock's origin count, slot 0 does.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |past| {
            u64::try_from(past.number).unwrap_or(0).saturating_add(1)
        })
    }

    /// What is carried to slots from `number` on.
    #[cold]
    pub(super) fn since(&self, number: i64) -> u64 {
        let slots = self.from(number).iter();
        slots.fold(0, |sum, past| sum.saturating_add(past.permits))
    }

    /// The newest slot that, with the slots after it, does not fit in `room`. `counted` are slots
    /// of the ring with their counts, the newest first.
    pub(super) fn leaving(
        &self,
        counted: impl Iterator<Item = (u64, u64)>,
        mut room: u64,
    ) -> Option<i64> {
        let mut fits = |permits| match room.checked_sub(permits) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let mut carried = self.0.iter().rev().peekable();
        for (number, count) in counted {
            let number = signed(number);
            while let Some(past) = carried.next_if(|past| past.number >= number) {
                if !fits(past.permits) {
                    return Some(past.number);
                }
            }
            if !fits(count) {
                return Some(number);
            }
        }
        carried
            .find(|past| !fits(past.permits))
            .map(|past| past.number)
    }

    /// The admissions in slots from `number` on with their ages at `nanos`, the latest first.
    pub(super) fn admissions(&self, number: i64, nanos: u64) -> impl Iterator<Item = Admissions> {
        let now = signed(nanos);
        self.from(number).iter().rev().map(move |past| Admissions {
            age: u64::try_from(now.saturating_sub(past.end)).unwrap_or(0),
            count: past.permits,
        })
    }
}
