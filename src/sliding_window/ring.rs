//! The state of a sliding window: a ring of slots whose hot path is one word.
//!
//! # State
//!
//! Time is cut into numbered slots. The current slot and the `reach` slots before it count. Words
//! hold (slot number, count).
//!
//! * `head`: the current slot and the permits admitted in it. Every admission replaces it. Its
//!   number only grows.
//! * `base`: the current slot, and the sum of the slots that count before it. Beside the head, so
//!   that an admission finds it without an index.
//! * `leaving`: the current slot, and how many slots before it the oldest one lies in which
//!   something was admitted. It only grows, by `fetch_max`.
//! * `counts[h]`: the final count of the finished slot `h`, at index `h` modulo the ring's length.
//!   Counts and the base only grow, by `fetch_max`.
//! * `undone`: one more than the last slot in which a charge was undone. It only grows.
//! * `restored`: what a restore brought along from an earlier life. It never changes.
//! * `longer`: a longer window over the same admissions, if there is one. The base then holds what
//!   both windows require: see [`Longer`].
//!
//! # Admission
//!
//! Load the head. If the clock is past its slot, rotate and start again. Load the base. If
//! `base + count + n` is within the limit, exchange the head for one with `n` more.
//!
//! A thread whose clock reading is older than the head's slot is charged to the head, because that
//! slot began between the reading and now. A base with another number means that another thread is
//! preparing a later slot. That slot has begun, so this thread helps to rotate to it.
//!
//! # Rotation from (h, c) to s
//!
//! Raise `counts[h]` to (h, c). Sum the entries with numbers in `[s - reach, h]`. Raise the base to
//! (s, sum). Exchange the head (h, c) for (s, 0). Any thread may repeat any step: `fetch_max` makes
//! late and repeated writes harmless, and the exchange proves that c was final.
//!
//! # Invariants
//!
//! 1. When head and base show slot h, the base is at least the sum of the final counts of the slots
//!    that count before h. It is more if a charge was undone while another thread rotated with the
//!    count from before the undo. That charge then counts until it ages out: it is forfeited. Bases
//!    are capped at the limit, so that a sum cannot overflow into the slot number.
//! 2. An admission leaves base + count within the limit. No interval as long as the window touches
//!    more slots than these, which gives the bound.
//! 3. Entries of slots that count are never overwritten: the ring has an entry for each of them and
//!    for the head.
//! 4. If head and base show slot h and no charge was undone in the slots that count before h, the
//!    base is exactly the sum of their entries, and these are final.
//!
//! Invariant 4 holds because the head's count only grows in a slot without undos. A thread that
//! raises the slot's entry, however late, raises it to the final count at most, and the thread
//! whose exchange ended the slot raised it to exactly that. So the thread that rotated to h summed
//! final counts, and every other thread that raised this base summed no more. The base was not
//! capped either: the last admission in these slots was within the limit together with all older
//! ones (invariants 1 and 2).
//!
//! # Changes of the limit
//!
//! A ring whose limit has changed is *closed*. Its head then has a number that no slot has, so each
//! call leaves the short path: no base has that number, and no reading is in a later slot. The ring
//! that replaces it counts what earlier rings have *carried* to its slots, in addition to its own
//! entries: see the module `handover`. The first ring of a restored window counts what the restore
//! has carried to it. Sums of a ring include what is carried, and only they read it: a rotation,
//! and queries and hints that are off the hot path.
//!
//! Carried permits may exceed the limit, which caps bases. So `undone` is raised beyond them, as if
//! they had been undone.
//!
//! # Queries
//!
//! A query in a slot that the head has not reached does not rotate: permits can be undone only in
//! the head's slot, and so a query, or a call that another limit refuses, would keep them from
//! coming back. It takes what has aged out since off the head's base, where invariant 4 holds
//! (`unread_undone_in_query`), and adds up the ring where that is shorter. Nothing has aged out
//! while the slot that leaves first still counts (`aged_out_counts`).
//!
//! # Orderings
//!
//! The head is loaded with Acquire and rotated with `AcqRel`. Every exchange of the head in between
//! is a read-modify-write and continues that release sequence. So a thread that sees slot h sees
//! its base and all entries before it (`relaxed_rotation`). A count is raised with Release and
//! loaded with Acquire. So a reader that finds a later slot's count in an entry sees the moved head
//! when it loads the head again (`unordered_count`, `unconfirmed_view`, `unconfirmed_hint`).
//! The exchange that follows publishes a base. It is raised with Release all the same, for a call
//! that a base refuses before that: the bases of two windows are then at least as large.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! Lock-free. An admission is one exchange, whatever the number of slots. The first acquisition in
//! a slot, admitted or not, sums the ring for all. Apart from that, a refusal writes nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::carried::Carried;
use super::counts::Counts;
use super::history::{Admissions, History};
use super::longer::{Longer, ShortSlots};
use super::slots::{Window, Word};
use super::windows::Windows;
use crate::prepared_charge::Exchange;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Closed};

/// See the [module](self) documentation.
pub(crate) struct Ring {
    pub(super) head: AtomicU64,
    base: AtomicU64,
    leaving: AtomicU64,
    /// One more than the last slot in which a charge was undone; 0 for none.
    undone: AtomicU64,
    window: Window,
    pub(super) restored: History,
    counts: Counts,
    pub(super) longer: Option<Box<Longer>>,
}

/// Why a ring admits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingRefusal {
    /// There will be room after so many nanoseconds.
    Full(u64),
    Closed(Closed),
}

impl From<Closed> for RingRefusal {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

/// The permits that count at an instant.
pub(crate) struct View {
    pub(super) head: Word,
    /// The oldest slot that counts.
    pub(super) oldest: u64,
    pub(crate) used: u64,
}

/// What a ring displays.
#[derive(Debug)]
#[expect(dead_code, reason = "for `Debug`")]
pub(crate) struct Position {
    slot: u64,
    admitted_in_slot: u64,
}

impl Ring {
    pub(super) fn new(windows: &Windows) -> Self {
        let ring = Self::raw(windows, Word(0));
        // A longer window with a lower limit leaves less room even in the first slot.
        let base = ring.window.word(0, ring.first_base(0, &ring.restored));
        // Relaxed: no other thread has the ring.
        ring.base.fetch_max(base.0, Relaxed);
        ring
    }

    /// A ring that is about to take over.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn unopened(windows: &Windows) -> Self {
        Self::raw(windows, Window::unopened())
    }

    fn raw(windows: &Windows, head: Word) -> Self {
        Self {
            head: AtomicU64::new(head.0),
            base: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            undone: AtomicU64::new(0),
            window: windows.window,
            restored: History::default(),
            counts: Counts::new(windows.ring_len()),
            longer: Longer::of(windows),
        }
    }

    /// A ring in which these admissions count, and those of `longer` for a longer window. `nanos`
    /// is the present, at which they have their ages.
    pub(super) fn restored(
        windows: &Windows,
        admissions: &[Admissions],
        longer: &[Admissions],
        nanos: u64,
    ) -> Self {
        let window = &windows.window;
        let restored = History::restored(window, admissions, nanos);
        // The first slot begins as after a rotation, because no rotation leads to slot 0.
        let first = window.number_at(nanos);
        let mut ring = Self::raw(windows, window.word(first, 0));
        if let Some(window) = &mut ring.longer {
            window.restore(longer, nanos);
        }
        // Relaxed, both: no other thread has the ring.
        ring.undone.fetch_max(restored.end(), Relaxed);
        let base = window.word(first, ring.first_base(first, &restored));
        ring.base.fetch_max(base.0, Relaxed);
        ring.restored = restored;
        ring
    }

    /// The base of the first slot of a ring to which all that counts is carried.
    fn first_base(&self, number: u64, carried: &History) -> u64 {
        let sum = carried.since(self.window.signed_oldest(number));
        let Some(longer) = &self.longer else {
            return sum;
        };
        // Relaxed: as in `open`.
        self.undone.fetch_max(longer.end_of_carried(), Relaxed);
        let oldest = longer.window().signed_oldest(longer.number(number));
        longer.raise_bases(
            self.short_slots(),
            number,
            sum,
            longer.carried().since(oldest),
        )
    }

    /// The admissions that count at an instant, each with the least age that it may have.
    /// Admissions that are over when the call starts are included.
    pub(crate) fn admissions(
        &self,
        carried: impl Carried,
        nanos: u64,
    ) -> Result<Vec<Admissions>, Closed> {
        let window = &self.window;
        loop {
            let head = self.load_head();
            self.check_head(head)?;
            let newest = window.number(head);
            let current = window.number_at(nanos).max(newest);
            let oldest = window.oldest(current);
            let mut found = Vec::new();
            if oldest <= newest {
                found.push((newest, window.count(head)));
            }
            let older = (oldest..newest).rev();
            found.extend(older.map(|number| (number, self.finished(number))));
            // As in `view`.
            if window.number(self.load_head()) == newest {
                let own = found.into_iter().filter(|&(_, count)| count > 0);
                let own = own.map(|(number, count)| Admissions {
                    age: window.age_of(number, nanos),
                    count,
                });
                let carried = carried.history(&self.restored);
                let carried = carried.admissions(window.signed_oldest(current), nanos);
                return Ok(own.chain(carried).collect());
            }
        }
    }

    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    pub(super) const fn short_slots(&self) -> ShortSlots<'_> {
        let (window, counts) = (&self.window, &self.counts);
        ShortSlots { window, counts }
    }

    pub(super) fn windows(&self) -> Windows {
        let longer = self.longer.as_ref();
        Windows {
            window: self.window,
            longer: longer.map(|longer| *longer.window()),
        }
    }

    #[inline]
    pub(super) fn load_head(&self) -> Word {
        // Acquire: pairs with the AcqRel in `rotate`, and so shows the base and the entries before
        // this slot. Also pairs with the Release in `undo`, and so shows `undone`.
        Word(self.head.load(Acquire))
    }

    /// The base of the slot of the head that was loaded before, or of a later one.
    #[inline]
    fn load_base(&self) -> Word {
        // Relaxed: the Acquire of the head shows a base at least as new.
        Word(self.base.load(Relaxed))
    }

    /// Makes this thread see what was written before the base that it has seen.
    pub(super) fn acquire_base(&self) {
        // Acquire: pairs with the Release in `rotate`.
        let _ = self.base.load(Acquire);
    }

    /// The window, unless a successor has taken over or is about to.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<&Window, Closed> {
        self.check_head(self.load_head())?;
        Ok(&self.window)
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    pub(super) fn check_head(&self, head: Word) -> Result<(), Closed> {
        if head == self.window.closed() {
            Err(Closed)
        } else {
            Ok(())
        }
    }

    /// Without std, limits do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the same call as with std"
    )]
    pub(super) const fn check_head(&self, _: Word) -> Result<(), Closed> {
        Ok(())
    }

    /// Opens a ring that takes over, in slot `number`. Does nothing if it is open.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn open(&self, number: u64, carried: &History) {
        let window = &self.window;
        // Relaxed, twice: published by the exchange below. `fetch_max`, because a thread may be
        // late; each of them raises to the same value.
        self.undone.fetch_max(carried.end(), Relaxed);
        let base = window.word(number, self.first_base(number, carried));
        self.base.fetch_max(base.0, Relaxed);
        let (unopened, head) = (Window::unopened(), window.word(number, 0));
        // Release: pairs with the Acquire loads of the head, which then see the base, `undone` and
        // what is carried. On failure another thread has opened the ring.
        let _ = self
            .head
            .compare_exchange(unopened.0, head.0, Release, Relaxed);
    }

    /// Whether the ring has not been opened yet.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn is_unopened(&self) -> bool {
        self.load_head() == Window::unopened()
    }

    /// Admits `n`, which is at most the limit, and returns the slot that it is charged to.
    #[expect(
        clippy::inline_always,
        reason = "an admission is short straight code, and the rest is out of line"
    )]
    #[inline(always)]
    pub(crate) fn admit(
        &self,
        carried: impl Carried,
        n: u64,
        nanos: u64,
    ) -> Result<u64, RingRefusal> {
        let window = &self.window;
        let mut head = self.load_head();
        loop {
            let number = window.number(head);
            if !window.contains(number, nanos) {
                if let Some(seen) = self.follow(carried, head, nanos) {
                    head = seen;
                    continue;
                }
            }
            let base = self.load_base();
            let Some(before) = window.base_count(head, base) else {
                head = self.help(carried, head, base)?;
                continue;
            };
            let Some(next) = window.admit(before, head, n) else {
                if let Some(slot) = self.first_to_leave(carried, head, before, n) {
                    return Err(RingRefusal::Full(window.until_gone(slot, nanos)));
                }
                match self.refuse(carried, head, before, n, nanos) {
                    Ok(seen) => head = seen,
                    Err(wait) => return Err(RingRefusal::Full(wait)),
                }
                continue;
            };
            // Relaxed: adds to the head and publishes nothing, but continues the release sequence.
            // Acquire on failure: the next round decides on the value seen, which may be of a later
            // slot. Weak: the loop absorbs a spurious failure.
            match self
                .head
                .compare_exchange_weak(head.0, next.0, Relaxed, Acquire)
            {
                Ok(_) => return Ok(number),
                Err(seen) => head = Word(seen),
            }
        }
    }

    /// Rotates to the slot of `nanos` and returns the head to continue with; `None` if the clock is
    /// behind the head.
    // Out of line because it divides.
    #[cold]
    #[inline(never)]
    fn follow(&self, carried: impl Carried, head: Word, nanos: u64) -> Option<Word> {
        let current = self.window.number_at(nanos);
        // Never for a closed head, whose number is larger.
        (current > self.window.number(head)).then(|| self.rotate(carried, head, current))
    }

    /// Rotates to the slot that another thread is preparing, whose base is there already. A closed
    /// head has no base at all.
    #[cold]
    fn help(&self, carried: impl Carried, head: Word, base: Word) -> Result<Word, Closed> {
        self.check_head(head)?;
        Ok(self.rotate(carried, head, self.window.number(base)))
    }

    /// The oldest slot in which something was admitted, beside the head's slot `number`.
    #[inline]
    pub(super) fn leaving_beside(&self, number: u64) -> Option<u64> {
        // Relaxed: the Acquire that loaded the head shows what the rotation to its slot has raised.
        let age = self.window.age_beside(number, self.leaving.load(Relaxed))?;
        Some(number.wrapping_sub(age))
    }

    /// One more than the last slot in which a charge was undone; 0 for none.
    #[inline]
    pub(super) fn undone_end(&self) -> u64 {
        // Relaxed: the Acquire that loaded the head shows the `undone` of all undos before it.
        self.undone.load(Relaxed)
    }

    /// Ends the head's slot unless another thread did, and returns the head to continue with.
    #[cold]
    fn rotate(&self, carried: impl Carried, head: Word, to: u64) -> Word {
        let window = &self.window;
        let from = window.number(head);
        // Release: pairs with the Acquire in `finished`, and shows there that the head came this
        // far. `fetch_max`, because a thread with an older count may be late.
        self.counts.entry(from).fetch_max(head.0, Release);
        let mut sum = self.sum(carried, to, from);
        if let Some(longer) = &self.longer {
            sum = longer.rotate(self.short_slots(), from, to, sum);
        }
        self.raise_leaving(to, from);
        let base = window.word(to, sum);
        // Release: pairs with the Acquire in `until_both_have_room`, for a longer window's bases.
        // `fetch_max`, because a thread with an older slot may be late, or one with an older count,
        // which knows of fewer admissions.
        self.base.fetch_max(base.0, Release);
        let next = window.word(to, 0);
        // AcqRel. Its Release pairs with the Acquire of `load_head` and of the failures here and in
        // `admit`, which show base and entries together with the new slot. Its Acquire pairs with
        // the Release in `undo`: an undo may have restored the head that was loaded, and its
        // `undone` has to be visible. Acquire on failure: as in `load_head`. Strong, because a
        // spurious failure would repeat the sum.
        match self.head.compare_exchange(head.0, next.0, AcqRel, Acquire) {
            Ok(_) => next,
            Err(seen) => Word(seen),
        }
    }

    /// Notes the oldest slot up to `last` in which something was admitted and that counts in `to`.
    fn raise_leaving(&self, to: u64, last: u64) {
        let window = &self.window;
        let mut older = window.oldest(to)..=last;
        let oldest = older.find(|&number| self.finished(number) > 0);
        if let Some(leaving) = window.aged(to, oldest.unwrap_or(to)) {
            // Relaxed: published by the exchange of the head. `fetch_max`, because a thread with an
            // older count may be late, which knows of fewer admissions.
            self.leaving.fetch_max(leaving, Relaxed);
        }
    }

    /// The sum of the finished slots up to `last` that count while `current` is the current one,
    /// and of what is carried to slots that count then.
    fn sum(&self, carried: impl Carried, current: u64, last: u64) -> u64 {
        let window = &self.window;
        // Undone charges may be included, so the sum may exceed the limit. With a limit near 2^63
        // it may also exceed 64 bits, so it saturates.
        let carried = self.carried(carried, current);
        (window.oldest(current)..=last).fold(carried, |sum: u64, number| {
            sum.saturating_add(self.finished(number))
        })
    }

    /// What is carried to slots that count while `current` is the current one, or to later ones.
    fn carried(&self, carried: impl Carried, current: u64) -> u64 {
        let history = carried.history(&self.restored);
        if history.is_empty() {
            return 0;
        }
        history.since(self.window.signed_oldest(current))
    }

    /// The count of a finished slot; 0 if nothing was admitted in it.
    pub(super) fn finished(&self, number: u64) -> u64 {
        self.counts.finished(&self.window, number)
    }

    /// The permits that count, if the head is in the slot of `nanos` and no thread is preparing a
    /// later one.
    #[inline]
    pub(super) fn current(&self, nanos: u64) -> Option<View> {
        let window = &self.window;
        let head = self.load_head();
        if !window.contains(window.number(head), nanos) {
            return None;
        }
        let before = window.base_count(head, self.load_base())?;
        Some(self.view_of(head, before))
    }

    /// The number of permits that count at an instant.
    #[inline]
    pub(crate) fn used(&self, carried: impl Carried, nanos: u64) -> Result<u64, Closed> {
        match self.current(nanos) {
            Some(view) => Ok(view.used),
            None => self.used_slow(carried, nanos),
        }
    }

    /// The room, and the exchange of the head that charges `cost`. Does not rotate: where that is
    /// needed, there is no exchange yet.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prepare(
        &self,
        carried: impl Carried,
        cost: u64,
        nanos: u64,
    ) -> Result<(u64, Exchange), Closed> {
        let window = &self.window;
        let (charge, used) = match self.current(nanos) {
            Some(View { head, used, .. }) => {
                let (before, after) = (head.0, head.0.wrapping_add(cost));
                (Exchange { before, after }, used)
            }
            None => (Exchange::NONE, self.used_slow(carried, nanos)?),
        };
        Ok((window.limit().saturating_sub(used), charge))
    }

    /// [`prepare`](Self::prepare) for one permit, if there is room in the head's slot, and that is
    /// the slot of `nanos`.
    #[inline]
    pub(crate) fn prepare_one(&self, nanos: u64) -> Option<(u64, Exchange)> {
        let View { head, used, .. } = self.current(nanos)?;
        let (before, after) = (head.0, head.0.wrapping_add(1));
        let room = self.window.limit().checked_sub(used)?;
        (room > 0).then_some((room, Exchange { before, after }))
    }

    /// Exchanges a head that was loaded, if it is still current.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        // Relaxed: as in `admit`; the value of a failure is not used. Weak: the caller has a
        // fallback.
        self.head
            .compare_exchange_weak(charge.before, charge.after, Relaxed, Relaxed)
            .is_ok()
    }

    /// [`used`](Self::used) before a thread has rotated to the slot, or with a clock behind it.
    #[cold]
    #[inline(never)]
    fn used_slow(&self, carried: impl Carried, nanos: u64) -> Result<u64, Closed> {
        Ok(self.view(carried, nanos)?.used)
    }

    /// The permits that count at an instant, without rotating.
    pub(super) fn view(&self, carried: impl Carried, nanos: u64) -> Result<View, Closed> {
        let window = &self.window;
        loop {
            let head = self.load_head();
            let number = window.number(head);
            let current = window.current(number, nanos);
            let oldest = window.oldest(current);
            if current == number {
                if let Some(before) = window.base_count(head, self.load_base()) {
                    return Ok(self.view_of(head, before));
                }
            }
            self.check_head(head)?;
            let used = match (self.used_later(carried, head, current), &self.longer) {
                (Some(used), _) => used,
                (None, None) => self.sum_with(carried, head, current),
                (None, Some(longer)) => {
                    let sum = self.sum_with(carried, head, current);
                    longer.used_by_both(self.short_slots(), head, current, sum)
                }
            };
            // Entries are overwritten only after the head has moved on. The Acquire loads in
            // `finished` keep this load of the head after them.
            if window.number(self.load_head()) == number {
                return Ok(View { head, oldest, used });
            }
        }
    }

    /// The permits that count while `current`, a later slot than the head's, is the current one:
    /// those of the head's slot without the few that have aged out since. `None` where most have,
    /// or where the base is not the sum of its slots (invariant 4).
    #[inline]
    fn used_later<C: Carried>(&self, _carried: C, head: Word, current: u64) -> Option<u64> {
        let window = &self.window;
        let number = window.number(head);
        let is_exact = !C::MAY_BE_LATER && self.undone_end() <= window.oldest(number);
        // With a longer window, the base is not the sum of these slots alone.
        if !is_exact || self.longer.is_some() {
            return None;
        }
        let before = window.base_count(head, self.load_base())?;
        let used = self.view_of(head, before).used;
        // Entries that are overwritten meanwhile are noticed in `view`.
        let leaving = self.leaving_beside(number);
        window.left_later(used, leaving, number, current, |slot| self.finished(slot))
    }

    /// The same, added up.
    pub(super) fn sum_with(&self, carried: impl Carried, head: Word, current: u64) -> u64 {
        let window = &self.window;
        let number = window.number(head);
        let finished = match number.checked_sub(1) {
            Some(last) => self.sum(carried, current, last),
            None => self.carried(carried, current),
        };
        if window.oldest(current) <= number {
            finished.saturating_add(window.count(head))
        } else {
            finished
        }
    }

    /// The permits that count while the head is in its slot, of which `before` are of earlier ones.
    pub(super) const fn view_of(&self, head: Word, before: u64) -> View {
        let window = &self.window;
        View {
            head,
            oldest: window.oldest(window.number(head)),
            // Each is at most the limit, which has at most 63 bits.
            used: before.wrapping_add(window.count(head)),
        }
    }

    /// Takes `permits` off the head if they were charged to its slot. Returns how many came back.
    pub(crate) fn undo(&self, slot: u64, permits: u64) -> u64 {
        let window = &self.window;
        let mut head = self.load_head();
        if window.number(head) == slot {
            // Relaxed: published by the exchange below. `fetch_max`, because a thread that undoes
            // in an older slot may be late.
            self.undone.fetch_max(slot + 1, Relaxed);
        }
        // A charge of another window must not take the head below zero.
        while window.number(head) == slot && window.count(head) >= permits {
            // Release: pairs with the Acquire loads of the head, in `load_head`, `admit` and
            // `rotate`. A thread that sees this head or a later one then sees `undone`, for
            // `until_room`. Relaxed on failure: no other memory is read because of the value.
            match self
                .head
                .compare_exchange_weak(head.0, head.0 - permits, Release, Relaxed)
            {
                Ok(_) => return permits,
                Err(seen) => head = Word(seen),
            }
        }
        if let Some(longer) = &self.longer {
            // Relaxed: a hint that misses it is for the window before the undo.
            self.undone.fetch_max(slot.saturating_add(1), Relaxed);
            longer.give_back(self.short_slots(), self.load_head(), slot, permits);
        }
        0
    }
}

impl Ring {
    /// The head, for display.
    pub(crate) fn position(&self) -> Position {
        let head = self.load_head();
        Position {
            slot: self.window.number(head),
            admitted_in_slot: self.window.count(head),
        }
    }
}
