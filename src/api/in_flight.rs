//! How many calls are in flight, and how to wait for one to end.
//!
//! # State
//!
//! * `count`: how many are in flight. It guards no memory.
//! * `ended`: those who wait, threads and futures alike, in event-listener's list.
//! * `listening`: how many are in that list, so that a call that ends need not lock it where nobody waits. Raised after a
//!   place in the list is taken.
//!
//! # Invariants
//!
//! 1. Nobody sleeps who has not looked at the count since it is in the list (`mutants::in_flight::no_check_after_listening`).
//! 2. A call that ends tells one who has not been told yet.
//! 3. Whoever was told looks. It takes the place; or finds that another was faster, whose call will end; or cannot make use of it,
//!    as it is dropped, late or limited by something else: then it tells the next (`mutants::in_flight::kept_turn`).
//!
//! # Orderings
//!
//! A call that ends lowers `count` and then reads `listening` (`tell_one`); who waits raises `listening` and then reads `count`
//! (`finds_full`, and the look after it). A fence between the two, on both sides, lets one of them see the other, or a place would be
//! free while somebody sleeps (`mutants::in_flight::no_waiter_fence`, `no_call_fence`). All else is Relaxed: numbers that guard nothing.
//!
//! # Progress
//!
//! Counting is lock-free. The list is behind a mutex, which only those who wait and who end a call while somebody waits take.

#[cfg(any(feature = "std", tidegate_loom))]
use core::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::status::{LimitKind, Refusal, Until};
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
    most: Option<u64>,
    #[cfg(any(feature = "std", tidegate_loom))]
    listening: AtomicU64,
    #[cfg(any(feature = "std", tidegate_loom))]
    ended: Event,
}

impl InFlight {
    const_fn! {
        pub(super) const fn new(most: Option<u64>) -> Self {
            Self {
                count: AtomicU64::new(0),
                most,
                #[cfg(any(feature = "std", tidegate_loom))]
                listening: AtomicU64::new(0),
                #[cfg(any(feature = "std", tidegate_loom))]
                ended: Event::new(),
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: a number on its own.
        self.count.load(Relaxed)
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.most.is_some()
    }

    /// What keeps a call from being counted now.
    #[cfg(feature = "std")]
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.most.filter(|&most| self.count() >= most).map(full)
    }

    /// Counts a call, unless there are as many as may be.
    pub(super) fn enter(&self) -> Result<(), Refusal> {
        let most = self.most.unwrap_or(u64::MAX);
        let entered = self.count.fetch_update(Relaxed, Relaxed, |count| {
            (count < most).then_some(count + 1)
        });
        entered.map(drop).map_err(|_| full(most))
    }

    /// A call has ended.
    pub(super) fn leave(&self) {
        self.count.fetch_sub(1, Relaxed);
        #[cfg(any(feature = "std", tidegate_loom))]
        if self.is_limited() {
            self.tell_one();
        }
    }

    /// Lets one of those who wait look.
    #[cfg(any(feature = "std", tidegate_loom))]
    fn tell_one(&self) {
        // Meets the fence in `finds_full`: either we see who listens, or it sees that a call has ended.
        fence(SeqCst);
        if self.listening.load(Relaxed) > 0 {
            self.ended.notify_additional(1);
        }
    }

    /// Somebody who may have to wait.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn waiter(&self) -> Waiter<'_> {
        let state = State::Away;
        Waiter {
            in_flight: self,
            state,
        }
    }
}

const fn full(most: u64) -> Refusal {
    Refusal {
        kind: LimitKind::InFlight,
        most,
        until: Until::Released,
    }
}

/// Looks at the count again and again, and sleeps in between. Dropped, it gives up.
#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    in_flight: &'a InFlight,
    state: State,
}

#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Debug)]
enum State {
    Away,
    Listening(EventListener),
    /// It was told that a call has ended, and has not looked since.
    Told,
}

#[cfg(any(feature = "std", tidegate_loom))]
impl Waiter<'_> {
    /// It looked, and as many as may be are in flight: whether it may sleep. If not, it listens from now on, and must look again.
    #[must_use]
    pub(super) fn finds_full(&mut self) -> bool {
        if matches!(self.state, State::Listening(_)) {
            return true;
        }
        self.state = State::Listening(self.in_flight.ended.listen());
        // Relaxed: ordered by the fence.
        self.in_flight.listening.fetch_add(1, Relaxed);
        // Meets the fence in `tell_one`: the call may have ended before we were in the list.
        fence(SeqCst);
        false
    }

    /// It has entered. If it had been told, then of this place; if it listens, it may be told of another.
    pub(super) fn has_entered(&mut self) {
        if matches!(self.state, State::Told) {
            self.state = State::Away;
        }
    }

    /// It cannot make use of a place: no longer listens, and passes on what it was told.
    pub(super) fn gives_up(&mut self) {
        let was_told = match mem::replace(&mut self.state, State::Away) {
            State::Away => false,
            State::Told => true,
            State::Listening(ended) => {
                self.no_longer_listens();
                ended.discard()
            }
        };
        if was_told {
            self.in_flight.tell_one();
        }
    }

    /// Completes when it is told that a call has ended; only while it listens.
    pub(super) fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Listening(ended) = &mut self.state {
            ready!(Pin::new(ended).poll(context));
            self.no_longer_listens();
            self.state = State::Told;
        }
        Poll::Ready(())
    }

    /// Sleeps until it is told that a call has ended; only while it listens.
    #[cfg(all(feature = "std", not(tidegate_loom)))]
    pub(super) fn wait(&mut self) {
        if let State::Listening(ended) = mem::replace(&mut self.state, State::Told) {
            ended.wait();
            self.no_longer_listens();
        }
    }

    fn no_longer_listens(&self) {
        // Relaxed: who still sees us may tell nobody, or one more than needed.
        self.in_flight.listening.fetch_sub(1, Relaxed);
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.gives_up();
    }
}
