//! A twin of the calls in flight, with a switch for each thing that can be wrong.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::{AtomicU64, fence};
use tidegate::modelled::{Event, EventListener};

use crate::in_flight_models::{Calls, Waits};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Whoever has found all places taken listens, and does not look again.
    LookBeforeListening,
    /// Nothing is between what one writes and what it reads of the other.
    NoFence,
    /// Whoever is told does not look, and counts itself in.
    EnteredWhenTold,
    /// Whoever was told and gives up does not tell the next.
    KeptToItself,
}

pub struct Twin<const FLAW: u8> {
    count: AtomicU64,
    most: u64,
    listening: AtomicU64,
    ended: Event,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn fence() {
        if !Self::is(Flaw::NoFence) {
            fence(SeqCst);
        }
    }

    fn tell_one(&self) {
        Self::fence();
        if self.listening.load(Relaxed) > 0 {
            self.ended.notify_additional(1);
        }
    }
}

enum State {
    Away,
    Listening(EventListener),
    Told,
}

pub struct Waiter<const FLAW: u8> {
    calls: &'static Twin<FLAW>,
    state: State,
}

impl<const FLAW: u8> Waits for Waiter<FLAW> {
    fn finds_full(&mut self) -> bool {
        if matches!(self.state, State::Listening(_)) {
            return true;
        }
        self.state = State::Listening(self.calls.ended.listen());
        self.calls.listening.fetch_add(1, Relaxed);
        Twin::<FLAW>::fence();
        Twin::<FLAW>::is(Flaw::LookBeforeListening)
    }

    fn has_entered(&mut self) {
        if matches!(self.state, State::Told) {
            self.state = State::Away;
        }
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Listening(ended) = &mut self.state {
            ready!(Pin::new(ended).poll(context));
            self.calls.listening.fetch_sub(1, Relaxed);
            self.state = State::Told;
            if Twin::<FLAW>::is(Flaw::EnteredWhenTold) {
                // So that the look that follows takes it.
                self.calls.count.fetch_sub(1, Relaxed);
            }
        }
        Poll::Ready(())
    }
}

impl<const FLAW: u8> Drop for Waiter<FLAW> {
    fn drop(&mut self) {
        let was_told = match mem::replace(&mut self.state, State::Away) {
            State::Away => false,
            State::Told => true,
            State::Listening(ended) => {
                self.calls.listening.fetch_sub(1, Relaxed);
                ended.discard()
            }
        };
        if was_told && !Twin::<FLAW>::is(Flaw::KeptToItself) {
            self.calls.tell_one();
        }
    }
}

impl<const FLAW: u8> Calls for Twin<FLAW> {
    type Waiter = Waiter<FLAW>;

    fn new(most: u64) -> &'static Self {
        Box::leak(Box::new(Self {
            count: AtomicU64::new(0),
            most,
            listening: AtomicU64::new(0),
            ended: Event::new(),
        }))
    }

    fn enter(&self) -> bool {
        let one_more = |count| (count < self.most).then_some(count + 1);
        self.count.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    fn leave(&self) {
        self.count.fetch_sub(1, Relaxed);
        self.tell_one();
    }

    fn waiter(&'static self) -> Waiter<FLAW> {
        Waiter {
            calls: self,
            state: State::Away,
        }
    }
}
