//! How what a window has admitted moves to a window with another limit or length while threads use
//! it.
//!
//! # Steps
//!
//! The old state and its successor each have a [`Ring`]. The successor's is made unopened.
//!
//! 1. *Close*: the head of the old ring is noted, and exchanged for one with a number that no slot
//!    has. This is the moment of the change. An exchange of an earlier head fails from then on, and
//!    the call starts again and finds the ring closed. So each call is decided by the old state
//!    before this moment, or by the new one after it (`unnoted_charge`, `unclosed_ring`,
//!    `early_takeover`).
//! 2. *Carry*: what counts for the old state becomes the [`History`] of the new one.
//! 3. *Open*: the new ring gets its base, which is the sum of the history, and its head.
//!
//! Only the first step is left to one thread. Any number of threads take the others. The history is
//! set once, and all threads use what was set. So they write the same values, and a late thread
//! changes nothing: it raises words to values that they had before, and the head is no longer
//! unopened (`reopened`).
//!
//! The entries of the old ring that the history is computed from are those of finished slots. They
//! are final once the head is closed, with one exception: where a charge was undone, a late thread
//! may still raise its slot to the count from before (see [`Ring`]). That charge is then forfeited,
//! or not, for all threads alike, because the history is set once.
//!
//! # What is carried
//!
//! Each slot of the old ring that counts, the last one included, keeps its permits and its last
//! nanosecond. No permit in it was admitted later than that. The permits count in the slot of the
//! new ring that contains this nanosecond (`carried_to_the_start`). That slot may be later than the
//! current one, by less than an old slot: it is not known when in its slot a permit was admitted,
//! and a call with a later clock reading than the change may be one of them. The history is a list
//! of its own, so that such permits count at once, and until that slot has aged out.
//!
//! Nothing is cut off at the new limit. So if the limit is lowered and raised again, all that was
//! admitted still counts (`cut_history`, `lost_history`). Slots that are carried again keep their
//! nanosecond, and do not become later with every change. What a restore has carried to the old
//! ring is carried on in the same way.
//!
//! The new ring starts in the slot of the time of the change, or of the start of the old ring's
//! last slot if the caller's clock is behind. Both have begun.
//!
//! # The bound
//!
//! Let the lengths before and after a change at s be L and L'. An admission at b after s, in the
//! new ring's slot k, counts the slots from k - reach on. Take an earlier admission at a, with
//! b - a of at most L', and not before s - L. In the new ring its slot is at least k - reach,
//! because an interval of the length touches no more slots. The old ring counted it at s, so it is
//! carried to a slot that is not before the one that contains a, which is at least k - reach as
//! well. So it counts. An interval of length L' that ends with an admission after the change
//! therefore holds at most the new limit, and what was admitted in it before s - L. With the same
//! length, or a shorter one, nothing in it was. With more changes, the same holds for each.
//!
//! An interval that ends before the change keeps the bound of the old limit. So in any interval,
//! each part holds at most what its limit allows there.
//!
//! A lower limit admits nothing until enough has aged out. A higher one admits the difference at
//! once (`forgotten_slot`, `free_burst`).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use alloc::boxed::Box;
use core::iter;

use super::history::History;
use super::ring::Ring;
use super::slots::{Window, Word, signed};
use super::state::WindowState;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

/// What a successor needs to know in order to take over.
pub(super) struct Handover {
    /// The time of the change in nanoseconds.
    since: u64,
    /// The last head of the old ring. Written before that is closed.
    last_head: AtomicU64,
}

impl Handover {
    crate::sync::const_fn! {
        pub(super) const fn at(since: u64) -> Self {
            Self { since, last_head: AtomicU64::new(0) }
        }
    }

    /// Closes the old ring. One thread does so, after it has linked the successor.
    pub(super) fn close(&self, old: &Ring) {
        let mut head = old.load_head();
        loop {
            // Relaxed: published by the exchange.
            self.last_head.store(head.0, Relaxed);
            // AcqRel. Its Release pairs with the Acquire loads of the head: a thread that finds the
            // ring closed sees its last head, the entries before that, and the link to its
            // successor. Its Acquire, and that of a failure, make this thread see the entries.
            let closed = old.window().closed();
            match old.head.compare_exchange(head.0, closed.0, AcqRel, Acquire) {
                Ok(_) => return,
                Err(newer) => head = Word(newer),
            }
        }
    }

    /// Lets `new` take over from `old`, which is closed.
    pub(super) fn take_over(&self, new: &WindowState, old: &WindowState) {
        if !new.ring.is_unopened() {
            return;
        }
        // Relaxed: the thread has seen that the old ring is closed, with Acquire.
        let head = Word(self.last_head.load(Relaxed));
        let (window, from) = (new.ring.window(), old.ring.window());
        let current = window.number_at(self.since.max(from.start(from.number(head))));
        let history = new.history.get_or_init(|| {
            let earlier = old.carried();
            Box::new(history_of(&old.ring, earlier, head, window, current))
        });
        if let (Some(longer), Some(earlier)) = (&new.ring.longer, &old.ring.longer) {
            longer.handed_over.get_or_init(|| {
                let permits = earlier.permits(old.ring.short_slots(), head);
                let current = longer.number(current);
                Box::new(History::new(longer.window(), current, permits))
            });
        }
        new.ring.open(current, history);
    }
}

/// What a closed ring, and what is carried to it, hand over to a window whose current slot is
/// `current`. `head` is the last head of the closed ring.
fn history_of(
    ring: &Ring,
    earlier: &History,
    head: Word,
    window: &Window,
    current: u64,
) -> History {
    let old = ring.window();
    let newest = old.number(head);
    let oldest = old.oldest(newest);
    let finished = (oldest..newest).map(|number| (old.end(number), ring.finished(number)));
    let last = iter::once((old.end(newest), old.count(head)));
    let own = finished.chain(last);
    let own = own.map(|(end, permits)| (signed(end), permits));
    let earlier = earlier.permits(old.signed_oldest(newest));
    History::new(window, current, earlier.chain(own).collect())
}
