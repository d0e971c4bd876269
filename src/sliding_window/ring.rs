//! The state of a sliding window: a ring of slots whose hot path is one word.
//!
//! # State
//!
//! Time is cut into numbered slots, of which `reach` before the current one still count. Words hold (slot number, count).
//!
//! * `head`: the current slot and what was admitted in it. Every admission replaces it; its number only ever grows.
//! * `entry[h].count`: the final count of a finished slot, at the place `h` modulo the ring's length.
//! * `entry[h].base`: the sum of the slots that count before slot `h`. Both only ever grow, by `fetch_max`.
//!
//! # Admission
//!
//! Load the head; if the clock is past its slot, rotate and look again. Load the head's base. If `base + count + n` is
//! within the limit, exchange the head for one with `n` more.
//!
//! A thread whose clock is behind the head is charged to the head: the slot began between the start of its call, when its
//! clock was read, and now. A base with another number means that somebody is preparing a later slot of the same place: then
//! that slot has begun, and the thread helps to rotate to it.
//!
//! # Rotation from (h, c) to s
//!
//! Raise `entry[h].count` to (h, c); sum the entries with numbers in `[s - reach, h]`; raise `entry[s].base` to (s, sum);
//! exchange the head (h, c) for (s, 0). Any thread may do any step again: raising makes late and repeated writes harmless, and
//! the exchange proves that c was final.
//!
//! # Invariants
//!
//! 1. When the head shows slot h, its base is the sum of the final counts of the slots that count before h, or more if
//!    a charge was undone while somebody rotated with the count before it (then it counts until it ages out: forfeited). Bases
//!    end at the limit, or such sums could run over into the number.
//! 2. An admission leaves base + count within the limit. No interval as long as the window touches more slots than these (G5).
//! 3. The entries of the slots that count are never overwritten: the ring has a place for each of them and the head.
//! 4. When the head shows slot h, and before it no charge was undone in the slots that count before h, then its base is exactly
//!    the sum of their entries, which are final.
//!
//! The last holds because in a slot without undos the head's count only grows: whoever raises its entry, however late, raises
//! it to the final count at most, and the one whose exchange ended the slot raised it to just that. So he who rotated to h summed
//! final counts, and whoever else raised its base summed no more. Nor did the base end at the limit before the sum did: the last
//! admission in these slots was within the limit together with all of them that are older (invariants 1 and 2).
//!
//! # Hints
//!
//! There is room when enough of the oldest slots have left. What stays, added up from the newest back, always tells which. Where
//! invariant 4 holds, so does what is in excess, from the oldest on, and whichever ends first answers; where it does not, slots
//! may hold more than their base (`mutants::unread_mark`). Which it is says `undone`, which every undo raises beyond its slot
//! before it exchanges the head (`mutants::late_mark`), with Release, so that who has acquired a head sees the marks of all undos
//! that came before it (`mutants::relaxed_undo`). What comes after the head that a hint is for, comes after the hint.
//!
//! # Orderings
//!
//! The head is loaded with Acquire and rotated with Release; every exchange of the head in between is a read-modify-write
//! and continues that release sequence. So who sees slot h sees its base and all entries before it (the mutant
//! `mutants::relaxed_rotation` does not). A count is raised with Release and read with Acquire, so that a reader who meets a
//! later slot's count in a place sees, when he looks again, that the head has moved on. Raising a base is Relaxed: the exchange
//! that follows publishes it.
//!
//! # Progress
//!
//! Lock-free. An admission is one exchange, whatever the number of slots. The first caller in a slot sums the ring for all; apart
//! from that a refusal writes nothing.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::sliding_window::slots::{Window, Word};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// See the [module](self) documentation.
pub(crate) struct Ring {
    head: AtomicU64,
    /// The first slot after all in which a charge was undone.
    undone: AtomicU64,
    window: Window,
    /// A power of two of them.
    entries: Box<[Entry]>,
}

/// One place in the ring.
struct Entry {
    count: AtomicU64,
    base: AtomicU64,
}

/// What counts at an instant.
pub(crate) struct View {
    head: Word,
    /// The oldest slot that counts.
    oldest: u64,
    pub(crate) used: u64,
}

impl Ring {
    pub(crate) fn new(window: Window) -> Self {
        let entry = |_| Entry {
            count: AtomicU64::new(0),
            base: AtomicU64::new(0),
        };
        Self {
            head: AtomicU64::new(0),
            undone: AtomicU64::new(0),
            window,
            entries: (0..window.ring_len()).map(entry).collect(),
        }
    }

    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    #[inline]
    fn entry(&self, number: u64) -> &Entry {
        // Entries are a power of two, and at most 2^18 fit any usize.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits are what is wanted"
        )]
        let index = number as usize & (self.entries.len() - 1);
        &self.entries[index]
    }

    fn load_head(&self) -> Word {
        // Acquire: meets the Release in `rotate`, and so shows the base and the entries before this slot.
        Word(self.head.load(Acquire))
    }

    /// Admits `n`, which is at most the limit, and returns the slot it is charged to, or how long after `nanos` there will be
    /// room.
    #[expect(
        clippy::inline_always,
        reason = "an admission is short straight code, and all else is out of line"
    )]
    #[inline(always)]
    pub(crate) fn admit(&self, n: u64, nanos: u64) -> Result<u64, Duration> {
        let window = &self.window;
        let mut head = self.load_head();
        loop {
            let number = window.number(head);
            if !window.contains(number, nanos) {
                if let Some(seen) = self.follow(head, nanos) {
                    head = seen;
                    continue;
                }
            }
            // Relaxed: the head's Acquire shows the base of its slot, or a later one.
            let base = Word(self.entry(number).base.load(Relaxed));
            if window.number(base) != number {
                head = self.rotate(head, window.number(base));
                continue;
            }
            let Some(next) = window.admit(window.count(base), head, n) else {
                match self.refuse(head, base, n, nanos) {
                    Ok(seen) => head = seen,
                    Err(wait) => return Err(wait),
                }
                continue;
            };
            // Relaxed: adds to the head and publishes nothing, but continues the release sequence. Acquire on failure: the
            // next round decides on the value seen, which may be of a later slot. Weak: we loop anyway.
            match self
                .head
                .compare_exchange_weak(head.0, next.0, Relaxed, Acquire)
            {
                Ok(_) => return Ok(number),
                Err(seen) => head = Word(seen),
            }
        }
    }

    /// Rotates to the slot of `nanos` and returns the head to go on with; `None` if the clock is behind the head.
    // Out of line, for its division.
    #[cold]
    #[inline(never)]
    fn follow(&self, head: Word, nanos: u64) -> Option<Word> {
        let current = self.window.number_at(nanos);
        (current > self.window.number(head)).then(|| self.rotate(head, current))
    }

    /// The wait until there is room for `n`, or the head to go on with if it has moved on since it was looked at.
    #[cold]
    #[inline(never)]
    fn refuse(&self, head: Word, base: Word, n: u64, nanos: u64) -> Result<Word, Duration> {
        match self.until_room(&self.view_of(head, base), n, nanos) {
            Some(wait) => Err(wait),
            None => Ok(self.load_head()),
        }
    }

    /// Ends the head's slot, unless somebody else did, and returns the head to go on with.
    #[cold]
    fn rotate(&self, head: Word, to: u64) -> Word {
        let window = &self.window;
        let from = window.number(head);
        // Release: meets the Acquire in `finished`, and shows there that the head came this far. Raising, as a thread with an
        // older count may be late.
        self.entry(from).count.fetch_max(head.0, Release);
        let sum = self.sum(window.oldest(to), from);
        let base = window.word(to, sum);
        // Relaxed: published by the exchange below. Raising, as a thread with an older slot may be late.
        self.entry(to).base.fetch_max(base.0, Relaxed);
        let next = window.word(to, 0);
        // Release: meets the Acquire of `load_head` and of the failures here and in `admit`, which show base and entries with
        // the new slot. Acquire on failure for the same reason, on success as an undo may have brought back the head that was
        // seen, and its mark has to show. Strong: a spurious failure would cost the whole sum again.
        match self.head.compare_exchange(head.0, next.0, AcqRel, Acquire) {
            Ok(_) => next,
            Err(seen) => Word(seen),
        }
    }

    /// The sum of the finished slots `from..=to`.
    fn sum(&self, from: u64, to: u64) -> u64 {
        // Undone charges may be in it, so it may exceed the limit, and near 2^63 also 64 bits.
        (from..=to).fold(0, |sum: u64, number| {
            sum.saturating_add(self.finished(number))
        })
    }

    /// The count of a finished slot; 0 if nothing was admitted in it.
    fn finished(&self, number: u64) -> u64 {
        let window = &self.window;
        // Acquire: meets the Release in `rotate`, for the second look at the head in `view` and `until_room`.
        let word = Word(self.entry(number).count.load(Acquire));
        if window.number(word) == number {
            window.count(word)
        } else {
            0
        }
    }

    /// What counts, if the head is in the slot of `nanos` and nobody is preparing a later one.
    #[inline]
    fn current(&self, nanos: u64) -> Option<View> {
        let window = &self.window;
        let head = self.load_head();
        let number = window.number(head);
        // Relaxed: as in `admit`.
        let base = Word(self.entry(number).base.load(Relaxed));
        (window.contains(number, nanos) && window.number(base) == number)
            .then(|| self.view_of(head, base))
    }

    /// How much counts at an instant.
    #[inline]
    pub(crate) fn used(&self, nanos: u64) -> u64 {
        match self.current(nanos) {
            Some(view) => view.used,
            None => self.used_slow(nanos),
        }
    }

    /// Whether there is room for a call, and the exchange of the head that would take it. Does not rotate: where that is
    /// needed, there is no exchange yet.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prospect(&self, request: Request, nanos: u64) -> Option<PreparedCharge> {
        let window = &self.window;
        let (charge, used) = match self.current(nanos) {
            Some(View { head, used, .. }) => {
                let (before, after) = (head.0, head.0.wrapping_add(request.cost));
                (Exchange { before, after }, used)
            }
            None => (Exchange::NONE, self.used_slow(nanos)),
        };
        let room = window.limit().saturating_sub(used);
        PreparedCharge::new(room, request.required, charge)
    }

    /// Exchanges a head that was looked at, if it is still there.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        // Relaxed: as in `admit`. Weak: the caller has another way.
        self.head
            .compare_exchange_weak(charge.before, charge.after, Relaxed, Relaxed)
            .is_ok()
    }

    /// [`used`](Self::used) when nobody was admitted in the slot yet, or the clock is behind it.
    #[cold]
    #[inline(never)]
    fn used_slow(&self, nanos: u64) -> u64 {
        self.view(nanos).used
    }

    /// What counts at an instant, without rotating.
    pub(crate) fn view(&self, nanos: u64) -> View {
        let window = &self.window;
        loop {
            let head = self.load_head();
            let number = window.number(head);
            let current = if window.contains(number, nanos) {
                number
            } else {
                window.number_at(nanos).max(number)
            };
            let oldest = window.oldest(current);
            if current == number {
                // Relaxed: as in `admit`.
                let base = Word(self.entry(number).base.load(Relaxed));
                if window.number(base) == number {
                    return self.view_of(head, base);
                }
            }
            let mut used = match number.checked_sub(1) {
                Some(last) => self.sum(oldest, last),
                None => 0,
            };
            if oldest <= number {
                used = used.saturating_add(window.count(head));
            }
            // Entries are overwritten only after the head moved on. Acquire as in `load_head`: the loads stay in order.
            if window.number(self.load_head()) == number {
                return View { head, oldest, used };
            }
        }
    }

    /// What counts while the head is in its slot.
    const fn view_of(&self, head: Word, base: Word) -> View {
        let window = &self.window;
        View {
            head,
            oldest: window.oldest(window.number(head)),
            // Each is at most the limit, which has at most 63 bits.
            used: window.count(base).wrapping_add(window.count(head)),
        }
    }

    /// How long after `nanos` there will be room for `n`, which is at most the limit and does not fit what is in view; `None`
    /// if the head has moved on since, and it is time for another look.
    pub(crate) fn until_room(&self, view: &View, n: u64, nanos: u64) -> Option<Duration> {
        let window = &self.window;
        let newest = window.number(view.head);
        let leaving = match (window.limit() - n).checked_sub(window.count(view.head)) {
            None => newest,
            Some(room) => {
                // Relaxed: the Acquire that showed the head shows the marks of all undos before it.
                if self.undone.load(Relaxed) <= view.oldest {
                    self.leaving_from_both_ends(view, window.excess(view.used, n), room)
                } else {
                    self.leaving_from_newest(view, room)
                }
            }
        };
        // As in `view`.
        (window.number(self.load_head()) == newest).then(|| window.until_gone(leaving, nanos))
    }

    /// The slot with which `excess` has left, which is the newest that does not fit in `room` with those after it, where what is
    /// in view is the sum of its slots (invariant 4). From both ends in turn, for it is one of the oldest in steady traffic, and
    /// of the newest after a burst.
    #[inline(never)]
    fn leaving_from_both_ends(&self, view: &View, mut excess: u64, mut room: u64) -> u64 {
        let newest = self.window.number(view.head);
        let older = view.oldest..newest;
        for (old, new) in older.clone().zip(older.rev()) {
            match excess.checked_sub(self.finished(old)) {
                Some(left) if left > 0 => excess = left,
                _ => return old,
            }
            match room.checked_sub(self.finished(new)) {
                Some(left) => room = left,
                None => return new,
            }
        }
        // Slots were overwritten meanwhile, which the caller finds out.
        newest
    }

    /// The newest slot that does not fit in `room` with those after it. Right also where slots hold more than is in view.
    #[inline(never)]
    fn leaving_from_newest(&self, view: &View, mut room: u64) -> u64 {
        let newest = self.window.number(view.head);
        let has_to_leave = |&number: &u64| match room.checked_sub(self.finished(number)) {
            Some(left) => {
                room = left;
                false
            }
            None => true,
        };
        let mut older = (view.oldest..newest).rev();
        older.find(has_to_leave).unwrap_or(view.oldest)
    }

    /// Takes `permits` off the head if they were charged to its slot, and returns how many came back.
    pub(crate) fn undo(&self, slot: u64, permits: u64) -> u64 {
        let window = &self.window;
        let mut head = self.load_head();
        if window.number(head) == slot {
            // Relaxed: published by the exchange below. Raising, as a thread that undoes in an older slot may be late.
            self.undone.fetch_max(slot + 1, Relaxed);
        }
        // A charge of another window must not take the head below zero.
        while window.number(head) == slot && window.count(head) >= permits {
            // Release: who sees a head that came after this one sees the mark, for `until_room`. Relaxed on failure: it is looked
            // at for its slot number only.
            match self
                .head
                .compare_exchange_weak(head.0, head.0 - permits, Release, Relaxed)
            {
                Ok(_) => return permits,
                Err(seen) => head = Word(seen),
            }
        }
        0
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.load_head();
        f.debug_struct("Ring")
            .field("slot", &self.window.number(head))
            .field("admitted_in_slot", &self.window.count(head))
            .finish_non_exhaustive()
    }
}
