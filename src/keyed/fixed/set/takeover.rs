//! How the buckets of a set move to a set with another quota while threads charge them.
//!
//! # Steps
//!
//! The new set is made *unopened*. Any number of threads take these steps. The old set is never
//! used again.
//!
//! 1. *Close*: the word `claim` of the old set becomes a closed one, once no claim is busy. From
//!    then on no entry becomes occupied.
//! 2. *Freeze*: every occupied entry of the old set becomes a vacant one, with a TAT that is a
//!    grain later. From then on no exchange of a call succeeds there: a call does not find its key,
//!    and sees that the set is closed. This is the moment of the change for the key.
//! 3. *Mark*: the new mark becomes the time of the change, or the old mark if that is later.
//! 4. *Fill*: the keys whose bucket was not full at the new mark get the same entry in the new set,
//!    with the TAT that holds the same tokens. The other entries are vacant, at the mark.
//! 5. *Open*: the word `claim` of the new set becomes idle, with the number of the last claim.
//!
//! All threads compute the same values: from the frozen entries, which no longer change
//! (`unfrozen_entry`), and from the new mark, which the first thread sets. So a bucket keeps its
//! tokens (`full_set`). A late thread changes nothing (`filled_again`, `set_reopened`): every word
//! of the new set has a value before the set is opened that never comes back. A late thread may
//! find the new mark raised, and then takes more buckets for full, but none for less than full.
//!
//! # Why the grain
//!
//! A late thread that carries out a claim may hold the value with which the entry was vacant before
//! that claim. An entry that was claimed at that very value and not charged since would get it back
//! when it is frozen, and the late thread would occupy it again (`returned_by_freeze`). No word of
//! an entry is below the value with which it was vacant, so a grain is enough.
//!
//! An entry that was vacant before is not later than the mark. So it needs no distinction: less a
//! grain, it is a full bucket as well.
//!
//! # Holds
//!
//! The new set starts without holds. They guard against calls that have loaded a word before, and
//! no call has loaded a word of the new set.
//!
//! # Orderings
//!
//! A frozen word is written with Release, and TATs are loaded with Acquire. So a call that does not
//! find its key any more sees that the set is closed (`relaxed_entry_freeze`). An entry is loaded
//! with Acquire before it counts as frozen, so the mark of an eviction is seen after it.
//!
//! The new set is opened with Release, and a call that comes to it while sets take over loads that
//! word with Acquire.

use super::{CLAIM, ClaimWord, OCCUPIED, Set, SetEntry};
use crate::gcra::WordGcra;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The words of a set that has not taken over yet. None of them is one of an open set.
const UNOPENED: u64 = u64::MAX;
const UNSET_MARK: u64 = u64::MAX;
const UNSET_TAT: u64 = u64::MAX;
const UNSET_OWNER: u64 = 0;

impl Set {
    /// A set that is about to take over.
    pub(in crate::keyed::fixed) fn unopened() -> Self {
        Self {
            claim: AtomicU64::new(UNOPENED),
            mark: AtomicU64::new(UNSET_MARK),
            entries: core::array::from_fn(|_| SetEntry {
                owner: AtomicU64::new(UNSET_OWNER),
                tat: AtomicU64::new(UNSET_TAT),
            }),
        }
    }

    /// Takes over from `old` as of `since`, unless that is done.
    pub(in crate::keyed::fixed) fn take_over(
        &self,
        gcra: &WordGcra,
        old: &Self,
        old_gcra: &WordGcra,
        since: u64,
    ) {
        // Acquire: pairs with the Release that opens the set.
        if self.claim.load(Acquire) != UNOPENED {
            return;
        }
        let last = old.close(old_gcra);
        for entry in &old.entries {
            entry.freeze();
        }
        // Relaxed: the Acquire of the frozen words publishes the marks of evictions. What flowed in
        // until the mark is in the levels.
        let since = old.mark.load(Relaxed).max(since);
        // Relaxed, both: published by the exchange of the claim.
        let set = self
            .mark
            .compare_exchange(UNSET_MARK, since, Relaxed, Relaxed);
        let mark = set.map_or_else(|mark| mark, |_| since);
        for (entry, old) in self.entries.iter().zip(&old.entries) {
            entry.take_over(gcra, old, old_gcra, mark);
        }
        // Release: pairs with the Acquire above, and in calls. On failure another thread has opened
        // the set.
        let _ = self
            .claim
            .compare_exchange(UNOPENED, last.idle().0, Release, Relaxed);
    }

    /// Closes the set once no claim is busy. Returns the closed word.
    fn close(&self, gcra: &WordGcra) -> ClaimWord {
        loop {
            // Acquire: as in `claim`.
            let claim = ClaimWord(self.claim.load(Acquire));
            if claim.is_closed() {
                return claim;
            }
            if claim.is_busy() {
                self.carry_out(claim, gcra);
                continue;
            }
            let closed = claim.closed();
            // Release: a call that finds the set closed sees the link to the next state. Relaxed on
            // failure: loaded again.
            if self
                .claim
                .compare_exchange(claim.0, closed.0, Release, Relaxed)
                .is_ok()
            {
                return closed;
            }
        }
    }
}

impl SetEntry {
    /// Freezes an entry of a closed set.
    fn freeze(&self) {
        // Acquire, both: what an eviction has published.
        let mut word = self.tat.load(Acquire);
        while word & OCCUPIED != 0 {
            let frozen = (word & !OCCUPIED) + 1;
            // Release: a call that finds the entry frozen sees that the set is closed.
            match self.tat.compare_exchange(word, frozen, Release, Acquire) {
                Ok(_) => return,
                Err(newer) => word = newer,
            }
        }
    }

    /// Takes over from a frozen entry as of `mark`.
    fn take_over(&self, gcra: &WordGcra, old: &Self, old_gcra: &WordGcra, mark: u64) {
        // Relaxed, all: the old words no longer change, and the new ones are published by the
        // exchange of the claim. Where an exchange fails, another thread has set the word.
        let old_tat = old.tat.load(Relaxed).saturating_sub(1);
        let next = if WordGcra::is_full(old_tat, old_gcra.now(mark)) {
            gcra.now(mark).grains()
        } else {
            // Relaxed: as above.
            let owner = old.owner.load(Relaxed) & CLAIM;
            let _ = self
                .owner
                .compare_exchange(UNSET_OWNER, owner, Relaxed, Relaxed);
            OCCUPIED | gcra.taking_over(old_gcra, old_tat, mark)
        };
        // Relaxed, both: as above.
        let _ = self.tat.compare_exchange(UNSET_TAT, next, Relaxed, Relaxed);
    }
}
