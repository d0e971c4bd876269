//! The number of calls in flight, and the waiters for one to end.
//!
//! # State
//!
//! * `count`: the number of calls in flight. It guards no memory.
//! * `ended`: the waiters, threads and futures alike, in event-listener's list.
//! * `listening`: the number of waiters in that list, so that a call that ends need not lock the
//!   list if it is empty. A waiter raises it after it has joined the list.
//!
//! # Invariants
//!
//! 1. A waiter that sleeps has checked the count since it joined the list
//!    (`no_check_after_listening`).
//! 2. A call that ends wakes one more waiter.
//! 3. A woken waiter checks the count (`unchecked_entry`). If it enters, the free slot is used. If
//!    another caller was faster, that caller's call will end. If the waiter cannot enter, because
//!    it is dropped, late or limited by something else, it wakes the next (`kept_turn`).
//!
//! # Orderings
//!
//! In `wake_one`, a call that ends lowers `count` and then reads `listening`. In `may_sleep`, a
//! waiter raises `listening`, and in its next attempt it reads `count`. A `SeqCst` fence between
//! the two steps on both sides lets one of them see the other. Otherwise a slot would be free while
//! a waiter sleeps (`no_call_fence`, `no_waiter_fence`). All else is Relaxed, because the numbers
//! guard nothing.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! Counting is lock-free. The list is behind a mutex, which waiters take, and calls that end while
//! there are waiters.

#[cfg(any(feature = "std", tidegate_loom))]
use core::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::status::{LimitHit, LimitKind, Retry};
#[cfg(all(feature = "std", not(tidegate_loom)))]
use crate::sync::Listener;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::{Event, EventListener, Ordering::SeqCst, fence};

/// See the [module](self) documentation.
#[derive(Debug)]
pub(super) struct InFlight {
    count: AtomicU64,
    limit: Option<u64>,
    #[cfg(any(feature = "std", tidegate_loom))]
    listening: AtomicU64,
    #[cfg(any(feature = "std", tidegate_loom))]
    ended: Event,
}

impl InFlight {
    const_fn! {
        pub(super) const fn new(limit: Option<u64>) -> Self {
            Self {
                count: AtomicU64::new(0),
                limit,
                #[cfg(any(feature = "std", tidegate_loom))]
                listening: AtomicU64::new(0),
                #[cfg(any(feature = "std", tidegate_loom))]
                ended: Event::new(),
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: guards no memory.
        self.count.load(Relaxed)
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The refusal of a call that cannot be counted now.
    #[cfg(feature = "std")]
    pub(super) fn refusal(&self) -> Option<LimitHit> {
        let limit = self.limit.filter(|&limit| self.count() >= limit);
        limit.map(full)
    }

    /// Counts a call, unless the limit is reached.
    pub(super) fn enter(&self) -> Result<(), LimitHit> {
        let limit = self.limit.unwrap_or(u64::MAX);
        let one_more = |count| (count < limit).then_some(count + 1);
        // Relaxed: guards no memory. For a waiter, the fence in `may_sleep` orders it.
        let entered = self.count.fetch_update(Relaxed, Relaxed, one_more);
        entered.map(drop).map_err(|_| full(limit))
    }

    /// Counts the end of a call.
    pub(super) fn leave(&self) {
        // Relaxed: guards no memory. The fence in `wake_one` orders it.
        self.count.fetch_sub(1, Relaxed);
        #[cfg(any(feature = "std", tidegate_loom))]
        if self.is_limited() {
            self.wake_one();
        }
    }

    /// Wakes one more waiter.
    #[cfg(any(feature = "std", tidegate_loom))]
    fn wake_one(&self) {
        // Pairs with the fence in `may_sleep`: either this thread sees the waiter, or the waiter
        // sees that a call has ended.
        fence(SeqCst);
        // Relaxed: the fence orders it.
        if self.listening.load(Relaxed) > 0 {
            self.ended.notify_additional(1);
        }
    }

    /// A waiter that is not yet in the list.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn waiter(&self) -> InFlightWaiter<'_> {
        InFlightWaiter {
            in_flight: self,
            state: WaiterState::Outside,
        }
    }
}

const fn full(limit: u64) -> LimitHit {
    LimitHit {
        kind: LimitKind::InFlight,
        limit,
        retry: Retry::OnRelease,
    }
}

/// A waiter that alternates between attempts and sleep. Dropping it gives up.
#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Debug)]
pub(super) struct InFlightWaiter<'a> {
    in_flight: &'a InFlight,
    state: WaiterState,
}

#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Debug)]
enum WaiterState {
    Outside,
    Listening(EventListener),
    /// Woken for a call that ended, and not attempted since.
    Woken,
}

#[cfg(any(feature = "std", tidegate_loom))]
impl InFlightWaiter<'_> {
    /// Whether the waiter may sleep after an attempt that found the limit reached.
    ///
    /// If not, it has now joined the list, and must make another attempt first.
    #[must_use]
    pub(super) fn may_sleep(&mut self) -> bool {
        if matches!(self.state, WaiterState::Listening(_)) {
            return true;
        }
        self.state = WaiterState::Listening(self.in_flight.ended.listen());
        // Relaxed: the fence orders it.
        self.in_flight.listening.fetch_add(1, Relaxed);
        // Pairs with the fence in `wake_one`: a call may have ended before this waiter joined.
        fence(SeqCst);
        false
    }

    /// Notes that the waiter has entered. A wake-up is then used, but one that is still to come
    /// belongs to another waiter.
    pub(super) fn entered(&mut self) {
        if matches!(self.state, WaiterState::Woken) {
            self.state = WaiterState::Outside;
        }
    }

    /// Leaves the list because the waiter cannot enter, and passes a wake-up on.
    pub(super) fn give_up(&mut self) {
        let was_woken = match mem::replace(&mut self.state, WaiterState::Outside) {
            WaiterState::Outside => false,
            WaiterState::Woken => true,
            WaiterState::Listening(ended) => {
                self.stop_listening();
                ended.discard()
            }
        };
        if was_woken {
            self.in_flight.wake_one();
        }
    }

    /// Resolves when a call has ended. Ready at once outside the list.
    pub(super) fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let WaiterState::Listening(ended) = &mut self.state {
            ready!(Pin::new(ended).poll(context));
            self.stop_listening();
            self.state = WaiterState::Woken;
        }
        Poll::Ready(())
    }

    /// Blocks until a call has ended.
    #[cfg(all(feature = "std", not(tidegate_loom)))]
    pub(super) fn wait(&mut self) {
        if let WaiterState::Listening(ended) = mem::replace(&mut self.state, WaiterState::Woken) {
            ended.wait();
            self.stop_listening();
        }
    }

    fn stop_listening(&self) {
        // Relaxed: a thread that still counts this waiter wakes none, or one more than needed.
        self.in_flight.listening.fetch_sub(1, Relaxed);
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl Drop for InFlightWaiter<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
