//! A line for those who wait at a limiter that cannot promise anyone an instant.
//!
//! One of them is at its head, tries at the instants that the limiter hints at, and leaves when it is admitted; the others sleep
//! without a timer. So nobody is overtaken, whatever the sizes, and there is no herd.
//!
//! # State
//!
//! * `taken`: 1 while somebody is at the head. It guards no memory: the limiter looks after itself.
//! * `waiting`: how many wait, the head included. Raised before a place is taken, lowered before it is left.
//! * `next`: those behind the head, in order of arrival, in event-listener's list.
//!
//! # Invariants
//!
//! 1. One place at most is the head: it has raised `taken` from 0 to 1, or was notified by the one who had. A notified listener
//!    *is* the head, polled or not; so whoever gives its place up passes the turn on if it had come (`mutants::wait_queue::kept_turn`), and nobody
//!    else in the list is notified.
//! 2. The head is handed over: who leaves notifies the first in the list, and `taken` stays 1. Only if the list is empty it becomes
//!    0.
//! 3. Whoever finds the head free takes it for the first in the list, which is itself only if nobody came before. So the order of
//!    the list is the order of service (`mutants::wait_queue::for_itself`, `past_the_list`), and a newcomer who would pass without waiting is
//!    kept by `waiting`, which counts all who came before it (`mutants::wait_queue::busy_while_taken`).
//!
//! # Orderings
//!
//! Who leaves writes `taken` and then looks for somebody who has come meanwhile (`leave`); who comes is in the list and then looks at
//! `taken` (`step`). A fence between the two, on both sides, lets one of them see the other, or the newcomer would sleep for ever
//! (`mutants::wait_queue::no_second_check`, `no_check_after_leaving`). Today the list's lock does the same as the fences: whoever locks it later sees what
//! the other did before. But that is not promised.
//!
//! # Progress
//!
//! The list is behind a mutex, which those who wait take when they come, are polled and leave. Others read `waiting` and no more.

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

#[cfg(not(tidegate_loom))]
use crate::sync::Listener;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU64, Event, EventListener, const_fn, fence};

/// See the [module](self) documentation.
pub(crate) struct Line {
    taken: AtomicU64,
    waiting: AtomicU64,
    most: u64,
    next: Event,
}

impl Line {
    const_fn! {
        /// For any number who wait.
        pub(crate) const fn new() -> Self {
            Self { taken: AtomicU64::new(0), waiting: AtomicU64::new(0), most: u64::MAX, next: Event::new() }
        }
    }

    /// For so many who wait at the same time, the head included.
    #[cfg(feature = "std")]
    pub(crate) const fn set_most(&mut self, most: u64) {
        self.most = most;
    }

    /// Whether somebody waits, whom nobody may overtake.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        // Not `taken`, which is 0 for a moment while a head that saw nobody behind it leaves. Relaxed: whoever knows of one who waits
        // sees the count that this one raised; who comes at the same time is neither before nor behind.
        self.waiting.load(Relaxed) != 0
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        // Relaxed: a number on its own.
        self.waiting.load(Relaxed)
    }

    /// Takes the last place, and gives it up when it is dropped; none if there are as many as may be.
    pub(crate) fn join(&self) -> Option<PlaceGuard<'_>> {
        let place = self.enter()?;
        Some(PlaceGuard { line: self, place })
    }

    /// Takes the last place, which must be [given up](Place::give_up); none if there are as many as may be.
    pub(crate) fn enter(&self) -> Option<Place> {
        let one_more = |waiting| (waiting < self.most).then_some(waiting + 1);
        // Relaxed: guards no memory.
        let joined = self.waiting.fetch_update(Relaxed, Relaxed, one_more);
        joined.is_ok().then_some(Place::Outside)
    }

    fn take(&self) -> bool {
        // Relaxed: guards no memory. `leave` says what the fences are for.
        self.taken.compare_exchange(0, 1, Relaxed, Relaxed).is_ok()
    }

    /// The head leaves. (Or hands over to the first in the list, where it stands itself.)
    fn leave(&self) {
        while self.next.notify_additional(1) == 0 {
            // Relaxed: ordered by the fence.
            self.taken.store(0, Relaxed);
            // Meets the fence in `step`: either we see who has come, or it sees that the head is free.
            fence(SeqCst);
            if self.next.total_listeners() == 0 || !self.take() {
                return;
            }
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A place in a line that does not borrow it: each time, give it the line in which it was taken. It must be given up in the end, as
/// one that is only dropped is held for ever.
#[derive(Debug)]
#[must_use = "a place that is not given up is held for ever"]
pub(crate) enum Place {
    Outside,
    Behind(EventListener),
    Head,
}

impl Place {
    /// Completes when the place is the head of the line. Poll it again as often as you like.
    pub(crate) fn poll_head(&mut self, line: &Line, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self {
                Self::Head => return Poll::Ready(()),
                Self::Behind(turn) => ready!(Pin::new(turn).poll(context)),
                Self::Outside => {
                    self.step(line);
                    continue;
                }
            }
            *self = Self::Head;
        }
    }

    /// From outside to the head if nobody is there, or into the list.
    fn step(&mut self, line: &Line) {
        let is_free = line.take();
        if is_free && line.next.total_listeners() == 0 {
            *self = Self::Head;
            return;
        }
        *self = Self::Behind(line.next.listen());
        // Meets the fence in `leave`: the last head may have left before we were in the list.
        fence(SeqCst);
        if is_free || line.take() {
            // Others may be before us.
            line.leave();
        }
    }

    /// Leaves the line, wherever it is.
    pub(crate) fn give_up(self, line: &Line) {
        // Relaxed: a number on its own.
        line.waiting.fetch_sub(1, Relaxed);
        match self {
            Self::Head => line.leave(),
            // Its turn may have come, and nobody would take it.
            Self::Behind(turn) => {
                if turn.discard() {
                    line.leave();
                }
            }
            Self::Outside => {}
        }
    }
}

/// A place in a line that is given up when it is dropped.
#[derive(Debug)]
pub(crate) struct PlaceGuard<'a> {
    line: &'a Line,
    place: Place,
}

impl PlaceGuard<'_> {
    /// As [`Place::poll_head`].
    pub(crate) fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.place.poll_head(self.line, context)
    }
}

impl Drop for PlaceGuard<'_> {
    fn drop(&mut self) {
        mem::replace(&mut self.place, Place::Outside).give_up(self.line);
    }
}
