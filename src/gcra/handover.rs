//! How a bucket's level moves to a bucket with another quota while threads charge it.
//!
//! # Steps
//!
//! The old bucket and its successor each are an [`AtomicTat`]. The successor is made unopened.
//!
//! 1. *Close*: the epoch of the old bucket becomes `CLOSED`, in which no clock reading is. A call
//!    that loads it goes to the successor. A call that has loaded an earlier epoch may still
//!    exchange the word.
//! 2. *Freeze*: the word of the old bucket is moved to the other side of the circle. From then on
//!    every such exchange fails, and the call starts again and finds the bucket closed. This is the
//!    moment of the change. Before it, all charges are on the old word, and after it none is.
//! 3. *Set*: the successor's word becomes the TAT that holds the same tokens.
//! 4. *Open*: the successor gets the epoch of the handover.
//!
//! Only the first step is left to one thread. Any number of threads take the others, and compute
//! the same values from the frozen word, the last epoch and the time of the change, which no longer
//! change (`unfrozen_word`, `late_epoch`). A late thread changes nothing: a frozen word is
//! recognized, the successor's word is no longer unset (`set_again`, `unset_as_frozen`), and its
//! epoch no longer `UNOPENED` (`reopened`).
//!
//! A word is on the other side of the circle if it lies 2^62 grains or more from the last epoch. By
//! the invariants of [`AtomicTat`], a word in use lies at most 3 * 2^60 grains from it.
//!
//! # The bound
//!
//! Let the change be at time s, when the old bucket held L tokens: its capacity, less what is
//! charged on the frozen word and has not flowed in by s. L may be negative, and charges by calls
//! that read the clock after s lower it as well. In an interval from a to b around s, the old
//! bucket has admitted at most C + r (s - a) - L, with its capacity C and its rate r. The new one
//! starts with L, or with less if L is above its capacity, and admits at most L + r' (b - s). The
//! sum is C + r (s - a) + r' (b - s): what each quota allowed in its part, and one capacity. It
//! holds for any number of changes in the interval. No change adds tokens (`full_successor`).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use super::atomic_tat::{AtomicTat, CLOSED, LAST_EPOCH, UNOPENED};
use crate::gcra::{Gcra, Leased};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, const_fn};

/// Half of the circle of 2^64 grains.
const HALF: u64 = 1 << 63;

/// What a successor needs to know in order to take over.
pub(crate) struct Handover {
    /// The time of the change in nanoseconds, unless an epoch has begun since.
    since: u64,
    /// The last epoch of the old bucket. Written before that is closed.
    last_epoch: AtomicU64,
}

impl Handover {
    /// A change at `nanos`, or when the one before took place if that is later: each quota counts
    /// from where the one before it has ended.
    pub(crate) fn at(nanos: u64, before: Option<&Self>) -> Self {
        let since = before.map_or(nanos, |before| nanos.max(before.effective_since()));
        Self {
            since,
            last_epoch: AtomicU64::new(0),
        }
    }

    /// Not before an epoch that has already begun: what flowed in until then is in the level.
    fn effective_since(&self) -> u64 {
        // Relaxed: written before the old bucket was closed. Callers have seen that with Acquire,
        // or hold the lock under which it was done.
        self.since.max(self.last_epoch.load(Relaxed))
    }

    const_fn! {
        /// A bucket that is about to take over.
        pub(crate) const fn unopened(&self, gcra: &Gcra) -> AtomicTat {
            AtomicTat::raw(self.unset(gcra), UNOPENED)
        }
    }

    /// The word of a bucket that is about to take over. It does not come back while the word is in
    /// use, and not when it is frozen: words in use begin at most 2^60 grains before the change and
    /// end at most 3 * 2^60 after it, and frozen ones lie half the circle from those. The clock
    /// must pass another 3 * 2^60 grains until one of them is this word, which takes 6 hours at the
    /// least.
    const fn unset(&self, gcra: &Gcra) -> u64 {
        gcra.now(self.since).grains().wrapping_sub(1 << 61)
    }

    /// Closes the old bucket. One thread does so, after it has linked the successor.
    pub(crate) fn close(&self, old: &AtomicTat) {
        let mut epoch = old.epoch.load(Relaxed);
        loop {
            // Relaxed: published by the exchange.
            self.last_epoch.store(epoch, Relaxed);
            // Release: pairs with the Acquire loads of the epoch. A thread that finds the bucket
            // closed sees its last epoch, and the link to its successor. Relaxed on failure: the
            // epoch is only compared.
            match old.epoch.compare_exchange(epoch, CLOSED, Release, Relaxed) {
                Ok(_) => return,
                Err(newer) => epoch = newer,
            }
        }
    }

    /// Lets `new` take over from `old`, which is closed. `leased` is called once the word of `old`
    /// is frozen.
    pub(crate) fn take_over(
        &self,
        new: &AtomicTat,
        gcra: &Gcra,
        old: &AtomicTat,
        old_gcra: &Gcra,
        leased: impl FnOnce() -> Leased,
    ) {
        // Acquire: pairs with the Release of the exchange below, so that the word is set.
        if new.epoch.load(Acquire) != UNOPENED {
            return;
        }
        // Relaxed: the thread has seen that the old bucket is closed, with Acquire.
        let last_epoch = self.last_epoch.load(Relaxed);
        let tat = freeze(old, old_gcra, last_epoch);
        let since = self.effective_since();
        // As for a query: four epochs later every TAT is a full bucket.
        let latest = last_epoch.saturating_add(old_gcra.half_epoch().saturating_mul(8));
        let old_now = old_gcra.now(since.min(latest));
        let next = gcra.taking_over(gcra.now(since), old_gcra, tat, old_now, leased());
        // Relaxed: published by the exchange of the epoch. On failure another thread has set it.
        let _ = new
            .word
            .compare_exchange(self.unset(gcra), next, Relaxed, Relaxed);
        let epoch = gcra.epoch_at(since).min(LAST_EPOCH);
        // Release: pairs with the Acquire loads of the epoch, which then see the word that is set.
        // On failure another thread has opened it.
        let _ = new
            .epoch
            .compare_exchange(UNOPENED, epoch, Release, Relaxed);
    }
}

/// Freezes the word of a closed bucket, and returns its last TAT.
fn freeze(old: &AtomicTat, gcra: &Gcra, last_epoch: u64) -> u64 {
    let epoch = gcra.now(last_epoch).grains();
    // Relaxed: the value is all that matters.
    let mut word = old.word.load(Relaxed);
    loop {
        if is_across(word, epoch) {
            return word ^ HALF;
        }
        // Release: pairs with the Acquire loads of the word. A thread that sees the frozen word
        // then sees that the bucket is closed. Relaxed on failure: as above.
        match old
            .word
            .compare_exchange(word, word ^ HALF, Release, Relaxed)
        {
            Ok(_) => return word,
            Err(newer) => word = newer,
        }
    }
}

/// Whether a word lies on the other side of the circle.
const fn is_across(word: u64, epoch: u64) -> bool {
    // From a quarter of the circle before the epoch to a quarter after it is this side.
    word.wrapping_sub(epoch).wrapping_add(HALF >> 1) >= HALF
}
