//! Tokens that come back to a bucket of a set: credits, resets, and the undo of a charge.
//!
//! All of them lower the TAT. A call that holds the higher value may stop until the entry has
//! another owner, whose TAT then reaches that very value. So an entry is *held* for a while after
//! its owner's TAT was lowered: another key gets it only when the clock has passed every value that
//! the TAT ever had (`unnoted_hold`, `ignored_hold`).
//!
//! For the same owner, a value that comes back is harmless, because a decision depends on the value
//! alone. An undo compares the value (`undone_anyway`) and the number of the claim, so it never
//! lowers the bucket of a key that was evicted and came back. If the value has come back since the
//! charge, all that was charged in between was credited, reset or undone, which the bound allows
//! for.
//!
//! # The hold
//!
//! A hold of `h` stands for a span of 2^(h-1) capacities, and the largest one for 2^62 grains. A
//! call that lowers a TAT
//!
//! 1. raises the mark to its reading, or to that of the charge that it undoes;
//! 2. notes a hold whose span reaches from the mark to the value that it replaces, unless there is
//!    a longer one;
//! 3. lowers the TAT, but never below the mark (`lowered_below_mark`). If the exchange fails, it
//!    begins anew (`dropped_credit`).
//!
//! So neither a TAT nor the value of a vacant entry is further below any earlier value than the
//! span. An entry is evicted only if its TAT *and the span* are below the mark. As its vacant value
//! counts with the span, too, the span is subtracted from it.
//!
//! # Orderings
//!
//! A hold is noted before the exchange that lowers the TAT, which is a Release. The exchanges of
//! charges and of an eviction continue its release sequence. So a call that loads a vacant value
//! with Acquire, and the owner after it, sees the hold (`unpublished_hold`). An eviction may miss a
//! hold, if the TAT was raised and lowered again after its load. It loads the hold once, so it
//! subtracts what it has waited for (`reloaded_span`). A claim sees the whole hold, and waits for
//! the rest (`held_entry_claimed`).
//!
//! The note of a hold may come between the steps of a claim, if the owner was evicted meanwhile.
//! Then the claim exchanges `owner` again (`lost_owner`).

use super::entry_hold::EntryHold;
use super::{CLAIM, KeyTag, OCCUPIED, Set, SetEntry, SetExchange};
use crate::gcra::{Now, WordGcra};
use crate::sync::Closed;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// A charge that a set has made.
#[derive(Debug)]
pub(in crate::keyed::fixed) struct SetCharge {
    before: u64,
    after: u64,
    owner: u64,
    nanos: u64,
}

impl SetExchange<'_> {
    /// What an undo must know about the charge of a caller with this clock reading.
    pub(in crate::keyed::fixed) fn charge(&self, nanos: u64) -> SetCharge {
        SetCharge {
            before: self.before,
            after: self.after,
            // Acquire: pairs with the Release in `carry_out`. An owner that is newer than the
            // exchange never has the value that it has left.
            owner: self.entry.owner.load(Acquire) & CLAIM,
            nanos,
        }
    }
}

impl Set {
    /// Lowers the TAT of a key to what `change` returns. Does nothing if the key has no entry.
    pub(in crate::keyed::fixed) fn lower(
        &self,
        gcra: &WordGcra,
        key: KeyTag,
        nanos: u64,
        change: impl Fn(u64, Now) -> u64,
    ) -> Result<(), Closed> {
        // Relaxed: as in `evict_one`; the exchange in `replace_lower` publishes it.
        let mark = self.mark.fetch_max(nanos, Relaxed).max(nanos);
        let now = gcra.now(mark);
        while let Some((entry, tat)) = self.find(key) {
            // Acquire: pairs with the Release in `carry_out`.
            let owner = entry.owner.load(Acquire);
            if !key.owns(owner) {
                continue;
            }
            let next = change(tat, now).max(now.grains());
            if next >= tat || entry.replace_lower(gcra, owner, tat, next, now) {
                return Ok(());
            }
        }
        // After the search: an entry that was frozen shows that the set is closed.
        self.check_open()
    }

    /// Undoes a charge, if the TAT is still what it has left. Returns whether it is undone.
    pub(in crate::keyed::fixed) fn undo(
        &self,
        gcra: &WordGcra,
        key: KeyTag,
        charge: &SetCharge,
    ) -> Result<bool, Closed> {
        let nanos = charge.nanos;
        // Relaxed: as in `lower`.
        let mark = self.mark.fetch_max(nanos, Relaxed).max(nanos);
        let now = gcra.now(mark);
        loop {
            let Some((entry, tat)) = self.find(key) else {
                // As in `lower`.
                self.check_open()?;
                return Ok(false);
            };
            // Acquire: as in `lower`.
            let owner = entry.owner.load(Acquire);
            if tat != charge.after || owner & CLAIM != charge.owner {
                return Ok(false);
            }
            // As of the mark both are full, if the charge was made before it.
            let next = charge.before.max(now.grains());
            if next >= tat || entry.replace_lower(gcra, owner, tat, next, now) {
                return Ok(true);
            }
        }
    }
}

impl SetEntry {
    /// Lowers the TAT to `next`, which is not before `now`, and notes the hold before.
    fn replace_lower(&self, gcra: &WordGcra, owner: u64, tat: u64, next: u64, now: Now) -> bool {
        let hold = EntryHold::for_span(tat - now.grains(), gcra);
        if let Some(held) = hold.noted_in(owner) {
            // Relaxed: the exchange below publishes it. On failure the owner is another one, or
            // another call has noted a hold, and the caller searches again.
            if self
                .owner
                .compare_exchange(owner, held, Relaxed, Relaxed)
                .is_err()
            {
                return false;
            }
        }
        // Release: publishes the hold and the mark.
        self.tat
            .compare_exchange(OCCUPIED | tat, OCCUPIED | next, Release, Relaxed)
            .is_ok()
    }
}
