//! The wait queue of a limiter that cannot promise a waiter an instant.
//!
//! One waiter is the head. It tries at the instants that the limiter hints at, and leaves when it
//! is admitted. The others sleep without a timer. So no waiter overtakes another, whatever the
//! sizes, and waking one never wakes all.
//!
//! # State
//!
//! * `taken`: 1 while a waiter is the head. It guards no memory, because the limiter is itself
//!   synchronized.
//! * `waiting`: the number of waiters, the head included. It is raised before a waiter joins, and
//!   lowered before it leaves.
//! * `next`: the waiters behind the head, in order of arrival, in event-listener's list.
//!
//! # Invariants
//!
//! 1. At most one ticket is the head. It has raised `taken` from 0 to 1, or the previous head has
//!    notified it. A notified listener *is* the head, polled or not. So a ticket that is given up
//!    passes the turn on if it was notified (`kept_turn`), and no other listener is notified.
//! 2. The head hands over: a leaving head notifies the first listener, and `taken` stays 1. Only if
//!    the list is empty does `taken` become 0.
//! 3. A waiter that finds the head free takes it for the first listener, which is itself only if no
//!    other waiter came before. So the order of the list is the order of service (`for_itself`,
//!    `past_the_list`). A new caller that could be admitted at once is held back by `waiting`,
//!    which counts all earlier waiters (`busy_while_taken`).
//!
//! # Orderings
//!
//! A leaving head writes `taken` and then checks for a new waiter (`leave`). A new waiter enters
//! the list and then checks `taken` (`step`). The `SeqCst` fences between the two steps on both
//! sides let one of them see the other. Otherwise the new waiter would sleep forever
//! (`no_second_check`, `no_check_after_leaving`). Today the lock of the list has the same effect,
//! but that is not documented.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! The list is behind a mutex, which waiters take when they join, are polled and leave. Other
//! callers only load `waiting`.

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
pub(crate) struct WaitQueue {
    taken: AtomicU64,
    waiting: AtomicU64,
    most: u64,
    next: Event,
}

impl WaitQueue {
    const_fn! {
        /// A queue for any number of waiters.
        pub(crate) const fn new() -> Self {
            Self {
                taken: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
                most: u64::MAX,
                next: Event::new(),
            }
        }
    }

    /// Limits the number of waiters, the head included.
    #[cfg(feature = "std")]
    pub(crate) const fn set_most(&mut self, most: u64) {
        self.most = most;
    }

    /// Whether a waiter is ahead of a new caller.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        // Not `taken`, which is 0 for a moment while the last head leaves. Relaxed: a thread that
        // knows of a waiter sees the count that the waiter raised, and concurrent callers have no
        // order.
        self.waiting.load(Relaxed) != 0
    }

    /// The number of waiters.
    pub(crate) fn waiting(&self) -> u64 {
        // Relaxed: an independent counter.
        self.waiting.load(Relaxed)
    }

    /// Joins the end of the queue; the guard leaves it when dropped. `None` if the queue is full.
    pub(crate) fn join(&self) -> Option<TicketGuard<'_>> {
        let ticket = self.enter()?;
        Some(TicketGuard {
            queue: self,
            ticket,
        })
    }

    /// Joins the end of the queue with a ticket that must be [given up](Ticket::give_up). `None` if
    /// the queue is full.
    pub(crate) fn enter(&self) -> Option<Ticket> {
        let one_more = |waiting| (waiting < self.most).then_some(waiting + 1);
        // Relaxed: guards no memory.
        let joined = self.waiting.fetch_update(Relaxed, Relaxed, one_more);
        joined.is_ok().then_some(Ticket::Outside)
    }

    fn take(&self) -> bool {
        // Relaxed: guards no memory. The fences in `leave` and `step` order it.
        self.taken.compare_exchange(0, 1, Relaxed, Relaxed).is_ok()
    }

    /// Hands the turn to the first listener, or frees it if there is none.
    fn leave(&self) {
        while self.next.notify_additional(1) == 0 {
            // Relaxed: the fence orders it.
            self.taken.store(0, Relaxed);
            // Pairs with the fence in `step`: either this thread sees the new waiter, or the new
            // waiter sees that the head is free.
            fence(SeqCst);
            if self.next.total_listeners() == 0 || !self.take() {
                return;
            }
        }
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A waiter's position in a queue. It does not borrow the queue, so every call takes the queue that
/// it was taken in. It must be given up in the end, because a ticket that is only dropped is never
/// freed.
#[derive(Debug)]
#[must_use = "a ticket that is not given up blocks the queue"]
pub(crate) enum Ticket {
    Outside,
    Behind(EventListener),
    Head,
}

impl Ticket {
    /// Resolves when the ticket is the head. It may be polled again afterwards.
    pub(crate) fn poll_head(&mut self, queue: &WaitQueue, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self {
                Self::Head => return Poll::Ready(()),
                Self::Behind(turn) => ready!(Pin::new(turn).poll(context)),
                Self::Outside => {
                    self.step(queue);
                    continue;
                }
            }
            *self = Self::Head;
        }
    }

    /// Becomes the head if there is none, and enters the list otherwise.
    fn step(&mut self, queue: &WaitQueue) {
        let is_free = queue.take();
        if is_free && queue.next.total_listeners() == 0 {
            *self = Self::Head;
            return;
        }
        *self = Self::Behind(queue.next.listen());
        // Pairs with the fence in `leave`: the last head may have left before this waiter entered
        // the list.
        fence(SeqCst);
        if is_free || queue.take() {
            // Other waiters may be ahead.
            queue.leave();
        }
    }

    /// Leaves the queue from any position.
    pub(crate) fn give_up(self, queue: &WaitQueue) {
        // Relaxed: an independent counter.
        queue.waiting.fetch_sub(1, Relaxed);
        match self {
            Self::Head => queue.leave(),
            // If it was notified it is the head, and must pass the turn on.
            Self::Behind(turn) => {
                if turn.discard() {
                    queue.leave();
                }
            }
            Self::Outside => {}
        }
    }
}

/// A ticket that is given up when dropped.
#[derive(Debug)]
pub(crate) struct TicketGuard<'a> {
    queue: &'a WaitQueue,
    ticket: Ticket,
}

impl TicketGuard<'_> {
    /// As [`Ticket::poll_head`].
    pub(crate) fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.ticket.poll_head(self.queue, context)
    }
}

impl Drop for TicketGuard<'_> {
    fn drop(&mut self) {
        mem::replace(&mut self.ticket, Ticket::Outside).give_up(self.queue);
    }
}
