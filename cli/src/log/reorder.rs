//! Puts events in the order of time.
//!
//! A server writes a line when a request ends, but with the time at which it began. So a log is
//! only nearly in order. With a span `d` of log time:
//!
//! * An event with time `t` is handed out once an event with a time of at least `t + d` was read,
//!   or at the end. Events are handed out by time, and events with equal times in the order of
//!   lines.
//! * An event is **late** if a later time was handed out before it. It is handed out at once, with
//!   the latest time that was handed out.
//!
//! So handed-out times never decrease. With `d = 0` each event is handed out as it is read.
//!
//! Waiting events are stored in about 120 slots of equal length. An event in order is appended to
//! its slot, and only a slot that got out of order is sorted. A `BTreeMap` by time is half as long,
//! but makes a replay of `examples/big_log.rs` 25 % slower.

use std::collections::VecDeque;

use super::Event;

/// The number of slots per span.
const SLOTS: u64 = 120;

/// Puts events in the order of time.
#[derive(Debug)]
pub struct Reorder {
    span: u64,
    slot_length: u64,
    /// The number of the first slot: its times divided by `slot_length`.
    first: u64,
    slots: VecDeque<Slot>,
    /// Empty slots, which are reused.
    spare: Vec<Slot>,
    latest_read: u64,
    latest_emitted: u64,
    late: u64,
}

#[derive(Debug, Default)]
struct Slot {
    events: Vec<Event>,
    /// How many events were handed out.
    emitted: usize,
    is_unsorted: bool,
}

impl Reorder {
    /// Reorders within a span in nanoseconds.
    pub const fn new(span: u64) -> Self {
        Self {
            span,
            slot_length: span / SLOTS + 1,
            first: 0,
            slots: VecDeque::new(),
            spare: Vec::new(),
            latest_read: 0,
            latest_emitted: 0,
            late: 0,
        }
    }

    /// The number of late events so far.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Takes an event and hands out all events that are due.
    #[inline]
    pub fn push(&mut self, event: Event, mut emit: impl FnMut(Event)) {
        if event.time > self.latest_read {
            self.latest_read = event.time;
            if let Some(due) = event.time.checked_sub(self.span) {
                self.emit_until(due, &mut emit);
            }
        }
        // All waiting events are younger than the span, so an older one need not wait for them.
        if self.latest_read - event.time >= self.span {
            self.late += u64::from(event.time < self.latest_emitted);
            self.latest_emitted = self.latest_emitted.max(event.time);
            emit(Event {
                time: self.latest_emitted,
                ..event
            });
        } else {
            self.store(event);
        }
    }

    /// Hands out all remaining events.
    pub fn finish(&mut self, mut emit: impl FnMut(Event)) {
        self.emit_until(u64::MAX, &mut emit);
    }

    fn store(&mut self, event: Event) {
        let number = event.time / self.slot_length;
        if self.slots.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.slots.push_front(self.spare.pop().unwrap_or_default());
            self.first -= 1;
        }
        // At most `SLOTS` and a few, because older events were handed out.
        #[expect(clippy::cast_possible_truncation, reason = "a few slots")]
        let index = (number - self.first) as usize;
        while self.slots.len() <= index {
            self.slots.push_back(self.spare.pop().unwrap_or_default());
        }
        let slot = &mut self.slots[index];
        let last = slot.events.last();
        slot.is_unsorted |= last.is_some_and(|last| last.time > event.time);
        slot.events.push(event);
    }

    fn emit_until(&mut self, due: u64, emit: &mut impl FnMut(Event)) {
        while self.first <= due / self.slot_length
            && let Some(slot) = self.slots.front_mut()
        {
            let waiting = &mut slot.events[slot.emitted..];
            if slot.is_unsorted {
                // The sort is stable, so events with equal times stay in the order of lines.
                waiting.sort_by_key(|event| event.time);
                slot.is_unsorted = false;
            }
            for event in waiting {
                if event.time > due {
                    return;
                }
                self.latest_emitted = event.time;
                emit(*event);
                slot.emitted += 1;
            }
            slot.events.clear();
            slot.emitted = 0;
            self.spare.extend(self.slots.pop_front());
            // Only the slot of the latest possible time saturates.
            self.first = self.first.saturating_add(1);
        }
    }
}
