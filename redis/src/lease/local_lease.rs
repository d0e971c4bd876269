//! The tokens that a node holds: taken without a lock or a round trip, until a deadline.
//!
//! # State
//!
//! * `tokens`: how many are left. Calls take from it; only the *refill task* adds to it and drains
//!   it.
//! * `deadline`: until when, on the node's clock, the tokens may be spent. Written by the refill
//!   task.
//! * `refill_threshold`: at or below how many tokens a refill is requested.
//! * `wake_claimed`: whether a call has claimed to wake the refill task since the last refill.
//!
//! # Invariants
//!
//! 1. The lease contains tokens only while the server counts them as held by this node, or after
//!    the deadline. The refill task drains tokens that are past their deadline before it adds those
//!    of another lease, and sets the deadline last.
//! 2. A call whose clock reading is at or after the deadline takes no tokens. Suppose that a thread
//!    stalls between its reading and its exchange. It may take tokens of a later lease. Then it
//!    decides after these were granted, and still within its call. Or it may take tokens of a lease
//!    that has ended and is not drained yet. Then it decides at its reading, before the end. So
//!    every token is spent at an instant within the call at which the server counts it as held.
//!
//! Tokens may be added while others are left, if the server has kept those. Then they are held from
//! one lease to the next.
//!
//! # Orderings
//!
//! The modification order of `tokens` is all that the bound needs: each token is taken once. The
//! deadline is written with Release after the lease was drained, and read with Acquire before
//! tokens are taken. So a call that sees a new deadline does not see tokens from before it. The
//! deadline never moves back: it is the instant of the request plus a constant. A call that sees an
//! old deadline that has not passed may find new tokens, as the second invariant says. A call that
//! sees an old deadline that has passed finds none.
//!
//! # Progress
//!
//! Lock-free. Apart from spurious failures, an exchange in `try_take` fails only because another
//! one succeeded.

use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU64};

/// See the [module](self) documentation.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct LocalLease {
    tokens: AtomicU64,
    deadline: AtomicU64,
    refill_threshold: AtomicU64,
    wake_claimed: AtomicBool,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOutcome {
    /// Taken.
    Taken,
    /// Taken, and this call is to wake the refill task.
    TakenAndWake,
    /// Not enough tokens, or past the deadline.
    Insufficient,
}

impl LocalLease {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes `n` tokens as of `now`.
    #[inline]
    pub(crate) fn try_take(&self, n: u64, now: u64) -> TakeOutcome {
        // Acquire: pairs with the Release in `refill`, so the tokens below are not from before that
        // deadline.
        if now >= self.deadline.load(Acquire) {
            return TakeOutcome::Insufficient;
        }
        // Relaxed: confirmed by the exchange.
        let mut tokens = self.tokens.load(Relaxed);
        loop {
            let Some(left) = tokens.checked_sub(n) else {
                return TakeOutcome::Insufficient;
            };
            // Relaxed: only the modification order of this word counts. Weak: the loop repeats
            // anyway.
            match self
                .tokens
                .compare_exchange_weak(tokens, left, Relaxed, Relaxed)
            {
                Ok(_) => return self.taken(left),
                Err(seen) => tokens = seen,
            }
        }
    }

    #[inline]
    fn taken(&self, left: u64) -> TakeOutcome {
        // Relaxed: a hint when to refill.
        if left <= self.refill_threshold.load(Relaxed) && self.claim_wake() {
            TakeOutcome::TakenAndWake
        } else {
            TakeOutcome::Taken
        }
    }

    /// Returns whether this call is to wake the refill task: the first one since the last refill.
    #[inline]
    pub(crate) fn claim_wake(&self) -> bool {
        // Relaxed: says only whether another call has claimed it; the wake-up itself synchronizes.
        // The load and the exchange make later calls write nothing, and never overwrite what a
        // refill stores.
        !self.wake_claimed.load(Relaxed)
            && self
                .wake_claimed
                .compare_exchange(false, true, Relaxed, Relaxed)
                .is_ok()
    }

    /// Returns the tokens left as of `now`.
    pub(crate) fn remaining(&self, now: u64) -> u64 {
        // Acquire: as in `try_take`.
        if now >= self.deadline.load(Acquire) {
            return 0;
        }
        // Relaxed: a snapshot.
        self.tokens.load(Relaxed)
    }

    /// Takes all tokens out and returns their number. For the refill task.
    pub(crate) fn drain(&self) -> u64 {
        // Relaxed: by the modification order each token is in the result or was taken before. The
        // Release in `refill`, which comes later, keeps these tokens from calls that see the next
        // deadline.
        self.tokens.swap(0, Relaxed)
    }

    /// Takes out what is above `keep`, and returns how many tokens that are. For the refill task.
    pub(crate) fn drain_above(&self, keep: u64) -> u64 {
        // Relaxed, twice: as in `drain`. Tokens that stay are held on, under the same deadline.
        let above = |tokens: u64| (tokens > keep).then_some(keep);
        let drained = self.tokens.fetch_update(Relaxed, Relaxed, above);
        drained.map_or(0, |tokens| tokens.saturating_sub(keep))
    }

    /// Adds granted tokens, and sets the deadline of all tokens and when to refill again. For the
    /// refill task.
    pub(crate) fn refill(&self, granted: u64, deadline: u64, refill_threshold: u64) {
        // Relaxed: published by the deadline, or taken before that by calls whose deadline has not
        // passed.
        self.tokens.fetch_add(granted, Relaxed);
        // Relaxed: a hint.
        self.refill_threshold.store(refill_threshold, Relaxed);
        // Release: pairs with the Acquire in `try_take`.
        self.deadline.store(deadline, Release);
        // Relaxed: as in `claim_wake`. Last, so that no call requests what is being added. A call
        // that finds too few tokens before this does not claim the wake-up. The next such call
        // does, and a waiter tries again when the task is done.
        self.wake_claimed.store(false, Relaxed);
    }
}
