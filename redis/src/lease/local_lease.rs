//! What a node holds of a lease: tokens that can be taken without a lock or a round trip, until a deadline.
//!
//! # State
//!
//! * `tokens`: how many are left. Callers take from it; one task, the *filler*, adds to it and empties it.
//! * `deadline`: until when, on the node's clock, they may be spent. Written by the filler.
//! * `low`: at or below how many a refill is asked for; `asked` is whether it was.
//!
//! # Invariants
//!
//! 1. Tokens are in the tank only while the server counts them as held by this node, or after the deadline. The filler empties
//!    the tank before it adds tokens of another lease to what is past its deadline, and sets the deadline last.
//! 2. Nobody takes tokens whose clock reading is at or after the deadline. A thread that is held up between its reading and its
//!    exchange may take tokens of a later lease: then it decides after these were granted, and still within its call. Or of one that
//!    has ended meanwhile and is not emptied yet: then it decides at its reading, before the end. So every token is spent at an
//!    instant within the call at which the server counts it as held.
//!
//! # Orderings
//!
//! The modification order of `tokens` is all that the bound needs: each is taken once. The deadline is written with Release after
//! the tank was emptied, and read with Acquire before tokens are taken, so that who sees a new deadline does not see tokens from
//! before it. It never moves back: it is when the filler asked plus a constant. Who sees an old one that has not passed may find new
//! tokens, as invariant 2 says, and who sees an old one that has passed finds none.
//!
//! Tokens may be added while others are there, if the server has kept those: then they are held from one lease to the next.

use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU64};

/// See the [module](self) documentation.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct LocalLease {
    tokens: AtomicU64,
    deadline: AtomicU64,
    refill_threshold: AtomicU64,
    wake_claimed: AtomicBool,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOutcome {
    /// Taken, and enough is left.
    Taken,
    /// Taken, and this caller is the one to ask for more.
    TakenAndWake,
    /// Not enough, or past the deadline.
    Insufficient,
}

impl LocalLease {
    #[cfg_attr(
        not(tidegate_loom),
        expect(
            clippy::missing_const_for_fn,
            reason = "loom's atomics are not made in constants"
        )
    )]
    pub(crate) fn new() -> Self {
        Self {
            tokens: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            refill_threshold: AtomicU64::new(0),
            wake_claimed: AtomicBool::new(false),
        }
    }

    /// Takes `n` as of `now`.
    #[inline]
    pub(crate) fn try_take(&self, n: u64, now: u64) -> TakeOutcome {
        // Acquire: meets the Release in `refill`, so that the tokens seen below are not from before that deadline.
        if now >= self.deadline.load(Acquire) {
            return TakeOutcome::Insufficient;
        }
        // Relaxed: confirmed by the exchange.
        let mut tokens = self.tokens.load(Relaxed);
        loop {
            let Some(left) = tokens.checked_sub(n) else {
                return TakeOutcome::Insufficient;
            };
            // Relaxed: the modification order of this word is all that is needed. Weak: we loop anyway.
            match self
                .tokens
                .compare_exchange_weak(tokens, left, Relaxed, Relaxed)
            {
                Ok(_) => return self.look_ahead(left),
                Err(seen) => tokens = seen,
            }
        }
    }

    #[inline]
    fn look_ahead(&self, left: u64) -> TakeOutcome {
        // Relaxed: a hint when to ask.
        if left <= self.refill_threshold.load(Relaxed) && self.claim_wake() {
            TakeOutcome::TakenAndWake
        } else {
            TakeOutcome::Taken
        }
    }

    /// Whether it is for this caller to wake the filler: the first since the last refill.
    #[inline]
    pub(crate) fn claim_wake(&self) -> bool {
        // Relaxed: only says whether somebody has woken the filler; waking synchronises. The load first and an exchange that fails,
        // so that those who come after write nothing, and nothing over what a refill stores.
        !self.wake_claimed.load(Relaxed)
            && self
                .wake_claimed
                .compare_exchange(false, true, Relaxed, Relaxed)
                .is_ok()
    }

    /// How many are left as of `now`.
    pub(crate) fn remaining(&self, now: u64) -> u64 {
        // Acquire: as in `try_take`.
        if now >= self.deadline.load(Acquire) {
            return 0;
        }
        // Relaxed: a snapshot.
        self.tokens.load(Relaxed)
    }

    /// For the filler: takes everything out, and says how much that was.
    pub(crate) fn drain(&self) -> u64 {
        // Relaxed: each token is in the result or was taken before, by the modification order. That who sees the next deadline does
        // not see what was here is for the Release in `refill`, which comes after.
        self.tokens.swap(0, Relaxed)
    }

    /// For the filler: adds what was granted and sets until when all of it may be spent, and when to ask again.
    pub(crate) fn refill(&self, granted: u64, deadline: u64, refill_threshold: u64) {
        // Relaxed: published by the deadline, or taken from before that by those whose deadline has not passed.
        self.tokens.fetch_add(granted, Relaxed);
        // Relaxed: a hint.
        self.refill_threshold.store(refill_threshold, Relaxed);
        // Release: meets the Acquire in `try_take`.
        self.deadline.store(deadline, Release);
        // Relaxed: as in `claim_wake`. Last, so that nobody asks for what is being added. Who finds that dry before this is not the one to
        // ask; the next who does is, and whoever waits looks again when the filler is done.
        self.wake_claimed.store(false, Relaxed);
    }
}
