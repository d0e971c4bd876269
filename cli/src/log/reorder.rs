//! Lines in the order of time.
//!
//! Servers write a line when a request ends, and put into it when it began: so lines are nearly in order. They are put right
//! within a span of log time `d`:
//!
//! * A line with time `t` is handed out once a line with a time of at least `t + d` was read, or at the end; those that
//!   are handed out together in the order of their times, and equal times in the order of their lines.
//! * A line whose time is before that of a line which was handed out already is **late**: it is handed out at once, with the
//!   latest time that was handed out.
//!
//! So times that are handed out never go back. With `d = 0` each line is handed out as it is read.
//!
//! Lines lie in about 128 compartments of equal length, one behind the other. That is faster than a heap: a line that comes
//! where it belongs is put behind the last one, and only a compartment that got out of order is sorted.

use std::collections::VecDeque;

use super::Event;

/// Compartments for a span.
const COMPARTMENTS: u64 = 120;

/// Puts events in order.
#[derive(Debug)]
pub struct Reorder {
    span: u64,
    /// The length of a compartment.
    length: u64,
    /// The number of the first compartment: its times divided by `length`.
    first: u64,
    compartments: VecDeque<Compartment>,
    /// Those that were emptied, for their memory.
    spare: Vec<Compartment>,
    latest_read: u64,
    latest_given: u64,
    late: u64,
}

#[derive(Debug, Default)]
struct Compartment {
    events: Vec<Event>,
    /// How many of them were handed out.
    given: usize,
    unordered: bool,
}

impl Compartment {
    fn push(&mut self, event: Event) {
        self.unordered |= self
            .events
            .last()
            .is_some_and(|last| last.time > event.time);
        self.events.push(event);
    }

    /// Hands out all up to a time; whether that was all.
    fn give(&mut self, until: u64, give: &mut impl FnMut(Event)) -> bool {
        let rest = &mut self.events[self.given..];
        if self.unordered {
            // Stable, and what is here came in the order of lines.
            rest.sort_by_key(|event| event.time);
            self.unordered = false;
        }
        for event in rest {
            if event.time > until {
                return false;
            }
            give(*event);
            self.given += 1;
        }
        self.events.clear();
        self.given = 0;
        true
    }
}

impl Reorder {
    /// Puts events right within a span in nanoseconds.
    pub const fn new(span: u64) -> Self {
        Self {
            span,
            length: span / COMPARTMENTS + 1,
            first: 0,
            compartments: VecDeque::new(),
            spare: Vec::new(),
            latest_read: 0,
            latest_given: 0,
            late: 0,
        }
    }

    /// How many events were late so far.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Takes an event, and hands out what can be.
    #[inline]
    pub fn push(&mut self, event: Event, mut give: impl FnMut(Event)) {
        if event.time > self.latest_read {
            self.latest_read = event.time;
            self.give_until(event.time.checked_sub(self.span), &mut give);
        }
        // What is older than the span has nobody to wait for: all that lies here is younger.
        if self.latest_read - event.time >= self.span {
            if event.time < self.latest_given {
                self.late += 1;
            } else {
                self.latest_given = event.time;
            }
            give(Event {
                time: self.latest_given,
                ..event
            });
            return;
        }
        self.keep(event);
    }

    /// Hands out the rest.
    pub fn finish(&mut self, mut give: impl FnMut(Event)) {
        self.give_until(Some(u64::MAX), &mut give);
    }

    fn keep(&mut self, event: Event) {
        let number = event.time / self.length;
        if self.compartments.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.compartments
                .push_front(self.spare.pop().unwrap_or_default());
            self.first -= 1;
        }
        // At most the compartments of a span, since all that is older was handed out.
        let Ok(index) = usize::try_from(number - self.first) else {
            return;
        };
        while self.compartments.len() <= index {
            self.compartments
                .push_back(self.spare.pop().unwrap_or_default());
        }
        self.compartments[index].push(event);
    }

    fn give_until(&mut self, until: Option<u64>, give: &mut impl FnMut(Event)) {
        let Some(until) = until else {
            return;
        };
        let last = until / self.length;
        while self.first <= last
            && let Some(compartment) = self.compartments.front_mut()
        {
            let mut latest = self.latest_given;
            let all = compartment.give(until, &mut |event| {
                latest = event.time;
                give(event);
            });
            self.latest_given = latest;
            if !all {
                return;
            }
            self.spare.extend(self.compartments.pop_front());
            // Saturates only with the last compartment that there can be.
            self.first = self.first.saturating_add(1);
        }
    }
}
