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
//! # Hints
//!
//! A refused call that misses one permit needs no search: it has room once the oldest slot ages out
//! in which something was admitted. `leaving` names that slot, if it has the head's number. Of two
//! threads that rotate to one slot, the one with the older counts may name a later slot, so
//! `fetch_max` keeps the older one (`stored_leaving`). Where invariant 4 does not hold, slots may
//! hold more than their base, and one of them may not be enough (`unread_undone_in_refusal`).
//!
//! Otherwise there is room once enough of the oldest slots have aged out. A search from the newest
//! slot back adds up what may stay, and always finds the slot that has to leave. Where invariant 4
//! holds, a search from the oldest slot on, which adds up the excess, finds it too. Both then run
//! in turn, and the first answer counts. Where invariant 4 does not hold, slots may hold more than
//! their base (`unread_undone`), so only the search from the newest slot is used.
//!
//! `undone` tells the two cases apart. Every undo raises it beyond its slot before it exchanges the
//! head (`late_undone`), with Release, so that a thread which acquires a head sees the undos before
//! it (`relaxed_undo`). Undos that come after the head of a hint also come after the hint.
//!
//! A query in a slot that the head has not reached does not rotate: permits can be undone only in
//! the head's slot, and so a query, or a call that another limit refuses, would keep them from
//! coming back. It takes what has aged out since off the head's base, where invariant 4 holds
//! (`unread_undone_in_query`), and adds up the ring where that is shorter.
//!
//! # Orderings
//!
//! The head is loaded with Acquire and rotated with `AcqRel`. Every exchange of the head in between
//! is a read-modify-write and continues that release sequence. So a thread that sees slot h sees
//! its base and all entries before it (`relaxed_rotation`). A count is raised with Release and
//! loaded with Acquire. So a reader that finds a later slot's count in an entry sees the moved head
//! when it loads the head again (`unordered_count`, `unconfirmed_view`, `unconfirmed_hint`).
//! Raising a base is Relaxed: the exchange that follows publishes it.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! Lock-free. An admission is one exchange, whatever the number of slots. The first acquisition in
//! a slot, admitted or not, sums the ring for all. Apart from that, a refusal writes nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use crate::prepared_charge::{Exchange, Unprepared};
use crate::sliding_window::carried::Carried;
use crate::sliding_window::history::{Admissions, History};
use crate::sliding_window::slots::{Window, Word};
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
    /// Their number is a power of two.
    counts: Box<[AtomicU64]>,
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
    head: Word,
    /// The oldest slot that counts.
    oldest: u64,
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
    pub(crate) fn new(window: Window) -> Self {
        Self::raw(window, Word(0))
    }

    /// A ring that is about to take over.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn unopened(window: Window) -> Self {
        Self::raw(window, Window::unopened())
    }

    fn raw(window: Window, head: Word) -> Self {
        Self {
            head: AtomicU64::new(head.0),
            base: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            undone: AtomicU64::new(0),
            window,
            restored: History::default(),
            counts: (0..window.ring_len()).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A ring in which these admissions count. `nanos` is the present, at which they have their
    /// ages.
    pub(crate) fn restored(window: Window, admissions: &[Admissions], nanos: u64) -> Self {
        let restored = History::restored(&window, admissions, nanos);
        // The first slot begins as after a rotation, because no rotation leads to slot 0.
        let first = window.number_at(nanos);
        let base = window.word(first, restored.since(window.signed_oldest(first)));
        let mut ring = Self::raw(window, window.word(first, 0));
        ring.undone = AtomicU64::new(restored.end());
        ring.restored = restored;
        ring.base = AtomicU64::new(base.0);
        ring
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

    /// The count of slot `number`, or of another one with the same index.
    fn entry(&self, number: u64) -> &AtomicU64 {
        // Entries are a power of two, and at most 2^18 fit any usize.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the low bits are used"
        )]
        let number = number as usize;
        &self.counts[number & (self.counts.len() - 1)]
    }

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

    /// The window, unless a successor has taken over or is about to.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<&Window, Closed> {
        self.check_head(self.load_head())?;
        Ok(&self.window)
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    #[inline]
    fn check_head(&self, head: Word) -> Result<(), Closed> {
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
    const fn check_head(&self, _: Word) -> Result<(), Closed> {
        Ok(())
    }

    /// Opens a ring that takes over, in slot `number`. Does nothing if it is open.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn open(&self, number: u64, carried: &History) {
        let window = &self.window;
        // Relaxed, twice: published by the exchange below. `fetch_max`, because a thread may be
        // late; each of them raises to the same value.
        self.undone.fetch_max(carried.end(), Relaxed);
        let base = window.word(number, carried.since(window.signed_oldest(number)));
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

    /// The slot with which there will be room for `n`, where one permit is missing: the oldest in
    /// which something was admitted. `None` if that has to be searched for.
    #[inline]
    fn first_to_leave<C: Carried>(
        &self,
        _carried: C,
        head: Word,
        before: u64,
        n: u64,
    ) -> Option<u64> {
        let window = &self.window;
        let number = window.number(head);
        let used = before.wrapping_add(window.count(head));
        // Relaxed, both: the Acquire that loaded the head shows what the rotation to its slot has
        // raised, and the `undone` of all undos before it.
        let age = window.age_beside(number, self.leaving.load(Relaxed))?;
        let is_exact = !C::MAY_BE_LATER && self.undone.load(Relaxed) <= window.oldest(number);
        (is_exact && window.excess(used, n) == 1).then(|| number.wrapping_sub(age))
    }

    /// The wait until there is room for `n`, or the new head if the head has moved meanwhile.
    #[cold]
    #[inline(never)]
    fn refuse(
        &self,
        carried: impl Carried,
        head: Word,
        before: u64,
        n: u64,
        nanos: u64,
    ) -> Result<Word, u64> {
        match self.until_room(carried, &self.view_of(head, before), n, nanos) {
            Some(wait) => Err(wait),
            None => Ok(self.load_head()),
        }
    }

    /// Ends the head's slot unless another thread did, and returns the head to continue with.
    #[cold]
    fn rotate(&self, carried: impl Carried, head: Word, to: u64) -> Word {
        let window = &self.window;
        let from = window.number(head);
        // Release: pairs with the Acquire in `finished`, and shows there that the head came this
        // far. `fetch_max`, because a thread with an older count may be late.
        self.entry(from).fetch_max(head.0, Release);
        let sum = self.sum(carried, to, from);
        let mut older = window.oldest(to)..=from;
        let oldest = older
            .find(|&number| self.finished(number) > 0)
            .unwrap_or(to);
        let base = window.word(to, sum);
        // Relaxed, twice: published by the exchange below. `fetch_max`, because a thread with an
        // older slot may be late, or one with an older count, which knows of fewer admissions.
        self.base.fetch_max(base.0, Relaxed);
        if let Some(leaving) = window.aged(to, oldest) {
            self.leaving.fetch_max(leaving, Relaxed);
        }
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
        let window = &self.window;
        // Acquire: pairs with the Release in `rotate`, for the second load of the head in `view`
        // and `until_room`.
        let word = Word(self.entry(number).load(Acquire));
        if window.number(word) == number {
            window.count(word)
        } else {
            0
        }
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

    /// [`prepare`](Self::prepare) for one permit, if the head is in the slot of `nanos`.
    #[inline]
    pub(crate) fn prepare_one(&self, nanos: u64) -> Result<(u64, Exchange), Unprepared> {
        let View { head, used, .. } = self.current(nanos).ok_or(Unprepared::Detour)?;
        let (before, after) = (head.0, head.0.wrapping_add(1));
        match self.window.limit().checked_sub(used) {
            Some(room) if room > 0 => Ok((room, Exchange { before, after })),
            _ => Err(Unprepared::NoRoom),
        }
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
            let current = if window.contains(number, nanos) {
                number
            } else {
                window.number_at(nanos).max(number)
            };
            let oldest = window.oldest(current);
            if current == number {
                if let Some(before) = window.base_count(head, self.load_base()) {
                    return Ok(self.view_of(head, before));
                }
            }
            self.check_head(head)?;
            let used = match self.used_later(carried, head, current) {
                Some(used) => used,
                None => self.sum_with(carried, head, current),
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
        let (from, to) = (window.oldest(number), window.oldest(current));
        // Relaxed: as in `until_room`.
        let is_exact = !C::MAY_BE_LATER && self.undone.load(Relaxed) <= from;
        if !is_exact || to - from > number.saturating_sub(to) {
            return None;
        }
        let before = window.base_count(head, self.load_base())?;
        let used = self.view_of(head, before).used;
        // Entries that are overwritten meanwhile are noticed in `view`.
        let left = (from..to).fold(used, |left, number| {
            left.saturating_sub(self.finished(number))
        });
        Some(left)
    }

    /// The same, added up.
    fn sum_with(&self, carried: impl Carried, head: Word, current: u64) -> u64 {
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
    const fn view_of(&self, head: Word, before: u64) -> View {
        let window = &self.window;
        View {
            head,
            oldest: window.oldest(window.number(head)),
            // Each is at most the limit, which has at most 63 bits.
            used: before.wrapping_add(window.count(head)),
        }
    }

    /// The nanoseconds after `nanos` until there is room for `n`, which is at most the limit and
    /// does not fit now. `None` if the head has moved since, and the caller has to load it again.
    pub(crate) fn until_room<C: Carried>(
        &self,
        carried: C,
        view: &View,
        n: u64,
        nanos: u64,
    ) -> Option<u64> {
        let window = &self.window;
        let newest = window.number(view.head);
        // Relaxed: the Acquire that loaded the head shows the `undone` of all undos before it.
        let is_undone = || self.undone.load(Relaxed) > view.oldest;
        let leaving = match (window.limit() - n).checked_sub(window.count(view.head)) {
            None if !C::MAY_BE_LATER => newest,
            _ if is_undone() => self.leaving_from_newest(carried, view, window.limit() - n),
            None => newest,
            Some(room) => self.leaving_from_both_ends(view, window.excess(view.used, n), room),
        };
        // As in `view`.
        (window.number(self.load_head()) == newest).then(|| window.until_gone(leaving, nanos))
    }

    /// The slot with which `excess` has aged out, provided that the view is the sum of its slots
    /// (invariant 4). It is also the newest slot that, with the slots after it, does not fit in
    /// `room`. Searches from both ends in turn: in steady traffic it is one of the oldest slots,
    /// after a burst one of the newest.
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
        // Slots were overwritten meanwhile, which the caller detects.
        newest
    }

    /// The newest slot that, with the slots after it, does not fit in `room`. Correct also where
    /// slots hold more than the view, or something is carried. A slot before the clock's origin is
    /// a negative number, in two's complement.
    #[inline(never)]
    fn leaving_from_newest(&self, carried: impl Carried, view: &View, room: u64) -> u64 {
        let window = &self.window;
        let newest = window.number(view.head);
        let counted = iter::once((newest, window.count(view.head)));
        let older = (view.oldest..newest).rev();
        let counted = counted.chain(older.map(|number| (number, self.finished(number))));
        let leaving = carried.history(&self.restored).leaving(counted, room);
        #[expect(clippy::cast_sign_loss, reason = "two's complement")]
        let leaving = leaving.map(|number| number as u64);
        // `None` if slots were overwritten meanwhile, which the caller detects.
        leaving.unwrap_or(view.oldest)
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
