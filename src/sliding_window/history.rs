//! What a window has admitted before its limit changed.

use alloc::{boxed::Box, vec::Vec};
use core::iter;

use super::carried::Carried;
use super::ring::Ring;
use super::slots::{Window, Word};

/// The permits that earlier rings admitted and that still count.
#[derive(Debug)]
pub(super) struct History(Box<[Past]>);

/// Permits that were admitted in slots of earlier rings.
#[derive(Clone, Copy, Debug)]
struct Past {
    /// The last nanosecond of these slots.
    end: u64,
    /// The slot of this ring that contains it. Each number occurs once, in increasing order.
    number: u64,
    permits: u64,
}

impl History {
    /// What a closed ring and its own history hand over to a window whose current slot is
    /// `current`. `head` is the last head of the closed ring.
    pub(super) fn of(
        ring: &Ring,
        history: Option<&Self>,
        head: Word,
        window: &Window,
        current: u64,
    ) -> Self {
        let old = ring.window();
        let newest = old.number(head);
        let oldest = old.oldest(newest);
        let earlier = history.map_or(&[][..], |history| history.from(oldest));
        let earlier = earlier.iter().map(|past| (past.end, past.permits));
        let finished = (oldest..newest).map(|number| (old.end(number), ring.finished(number)));
        let last = iter::once((old.end(newest), old.count(head)));
        let counting = earlier.chain(finished).chain(last);
        let mut counting: Vec<_> = counting.filter(|&(_, permits)| permits > 0).collect();
        counting.sort_unstable();

        let oldest = window.oldest(current);
        let mut slots: Vec<Past> = Vec::new();
        for (end, permits) in counting {
            let number = window.number_at(end);
            match slots.last_mut() {
                Some(slot) if slot.number == number => {
                    slot.end = end;
                    slot.permits = slot.permits.saturating_add(permits);
                }
                _ if number < oldest => {}
                _ => slots.push(Past {
                    end,
                    number,
                    permits,
                }),
            }
        }
        Self(slots.into_boxed_slice())
    }

    /// The slots from `number` on.
    fn from(&self, number: u64) -> &[Past] {
        // For windows that have outlived what was carried to them.
        if self.end() <= number {
            return &[];
        }
        &self.0[self.0.partition_point(|past| past.number < number)..]
    }

    /// One more than the last slot to which something is carried; 0 for none.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |past| past.number + 1)
    }
}

impl Carried for &History {
    fn at(self, number: u64) -> u64 {
        match self.from(number).first() {
            Some(past) if past.number == number => past.permits,
            _ => 0,
        }
    }

    fn since(self, number: u64) -> u64 {
        let slots = self.from(number).iter();
        slots.fold(0, |sum, past| sum.saturating_add(past.permits))
    }

    fn fit_from(self, number: u64, room: u64) -> Result<u64, u64> {
        let mut newest_first = self.from(number).iter().rev();
        newest_first.try_fold(room, |room, past| {
            room.checked_sub(past.permits).ok_or(past.number)
        })
    }
}
