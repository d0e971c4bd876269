//! A twin of the line, with a switch for each thing that can be wrong.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::{AtomicU64, fence};
use tidegate::modelled::{Event, EventListener};

use crate::line_models::{Queue, Turn};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Whoever has come to the list does not look at the head again.
    NoSecondLook,
    /// Whoever leaves a line that was empty does not look at the list again.
    NoLookBack,
    /// Whoever leaves the list does not pass on the turn that has just come.
    KeptTurn,
    /// Whoever finds the head free from within the list takes it for itself.
    ForItself,
    /// Whoever finds the head free from outside does not look into the list.
    PastTheList,
    /// A line without a head is taken for one in which nobody waits.
    BusyWhileTaken,
}

pub struct Twin<const FLAW: u8> {
    taken: AtomicU64,
    waiting: AtomicU64,
    next: Event,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn take(&self) -> bool {
        self.taken.compare_exchange(0, 1, Relaxed, Relaxed).is_ok()
    }

    fn leave(&self) {
        while self.next.notify_additional(1) == 0 {
            self.taken.store(0, Relaxed);
            fence(SeqCst);
            if Self::is(Flaw::NoLookBack) || self.next.total_listeners() == 0 || !self.take() {
                return;
            }
        }
    }
}

enum At {
    Outside,
    Behind(EventListener),
    Head,
}

pub struct Place<const FLAW: u8> {
    line: &'static Twin<FLAW>,
    at: At,
}

impl<const FLAW: u8> Place<FLAW> {
    fn step(&mut self) {
        let line = self.line;
        let is_free = line.take();
        let is_alone = Twin::<FLAW>::is(Flaw::PastTheList) || line.next.total_listeners() == 0;
        if is_free && is_alone {
            self.at = At::Head;
            return;
        }
        let turn = line.next.listen();
        fence(SeqCst);
        let looks = !Twin::<FLAW>::is(Flaw::NoSecondLook);
        let is_free = is_free || looks && line.take();
        if is_free && Twin::<FLAW>::is(Flaw::ForItself) {
            self.at = At::Head;
            return;
        }
        self.at = At::Behind(turn);
        if is_free {
            line.leave();
        }
    }
}

impl<const FLAW: u8> Turn for Place<FLAW> {
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.at {
                At::Head => return Poll::Ready(()),
                At::Behind(turn) => ready!(Pin::new(turn).poll(context)),
                At::Outside => {
                    self.step();
                    continue;
                }
            }
            self.at = At::Head;
        }
    }
}

impl<const FLAW: u8> Drop for Place<FLAW> {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Relaxed);
        match mem::replace(&mut self.at, At::Outside) {
            At::Head => self.line.leave(),
            At::Behind(turn) => {
                if turn.discard() && !Twin::<FLAW>::is(Flaw::KeptTurn) {
                    self.line.leave();
                }
            }
            At::Outside => {}
        }
    }
}

impl<const FLAW: u8> Queue for Twin<FLAW> {
    type Place = Place<FLAW>;

    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            taken: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            next: Event::new(),
        }))
    }

    fn is_busy(&self) -> bool {
        if Self::is(Flaw::BusyWhileTaken) {
            self.taken.load(Relaxed) != 0
        } else {
            self.waiting.load(Relaxed) != 0
        }
    }

    fn join(&'static self) -> Place<FLAW> {
        self.waiting.fetch_add(1, Relaxed);
        Place {
            line: self,
            at: At::Outside,
        }
    }
}
