//! What a window that is full tells: how long until there is room.
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
//! The invariants are those of [`Ring`]. The names in parentheses are mutants in
//! `loom-tests/src/mutants/`.

use core::iter;

use super::carried::Carried;
use super::ring::{Ring, View};
use super::slots::Word;

impl Ring {
    /// The slot with which there will be room for `n`, where one permit is missing: the oldest in
    /// which something was admitted. `None` if that has to be searched for.
    #[inline]
    pub(super) fn first_to_leave<C: Carried>(
        &self,
        _carried: C,
        head: Word,
        before: u64,
        n: u64,
    ) -> Option<u64> {
        let window = self.window();
        let number = window.number(head);
        let used = before.wrapping_add(window.count(head));
        let leaving = self.leaving_beside(number)?;
        let is_exact = !C::MAY_BE_LATER && self.undone_end() <= window.oldest(number);
        let is_exact = is_exact && self.longer.is_none();
        (is_exact && window.excess(used, n) == 1).then_some(leaving)
    }

    /// The wait until there is room for `n`, or the new head if the head has moved meanwhile.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(
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

    /// The nanoseconds after `nanos` until there is room for `n`, which is at most the limit and
    /// does not fit now. `None` if the head has moved since, and the caller has to load it again.
    pub(crate) fn until_room<C: Carried>(
        &self,
        carried: C,
        view: &View,
        n: u64,
        nanos: u64,
    ) -> Option<u64> {
        if let Some(longer) = &self.longer {
            return self.until_both_have_room(longer, carried, view.head, n, nanos);
        }
        let window = self.window();
        let newest = window.number(view.head);
        let is_undone = || self.undone_end() > view.oldest;
        let leaving = match (window.limit() - n).checked_sub(window.count(view.head)) {
            None if !C::MAY_BE_LATER => newest,
            _ if is_undone() => {
                self.leaving_from_newest(carried, view.head, view.oldest, window.limit() - n)
            }
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
        let newest = self.window().number(view.head);
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
    pub(super) fn leaving_from_newest(
        &self,
        carried: impl Carried,
        head: Word,
        oldest: u64,
        room: u64,
    ) -> u64 {
        let window = self.window();
        let newest = window.number(head);
        let counted = iter::once((newest, window.count(head)));
        let older = (oldest..newest).rev();
        let counted = counted.chain(older.map(|number| (number, self.finished(number))));
        let leaving = carried.history(&self.restored).leaving(counted, room);
        #[expect(clippy::cast_sign_loss, reason = "two's complement")]
        let leaving = leaving.map(|number| number as u64);
        // `None` if slots were overwritten meanwhile, which the caller detects.
        leaving.unwrap_or(oldest)
    }
}
