//! Queries and hints of one of the two windows that a ring counts: see [`Longer`].

use alloc::vec::Vec;

use super::carried::Carried;
use super::history::Admissions;
use super::longer::Longer;
use super::ring::Ring;
use super::slots::{Window, Word, signed};
use super::windows::Which;
use crate::sync::Closed;

/// One of the two windows that a ring counts.
#[derive(Clone, Copy)]
struct OneWindow<'a> {
    ring: &'a Ring,
    longer: &'a Longer,
    which: Which,
}

/// The permits that count for a window at an instant.
struct OneView {
    head: Word,
    /// The slot of the ring at that instant.
    current: u64,
    used: u64,
}

/// The head's slot and the current one, as the slots of a window in which they lie.
struct Slots {
    head: u64,
    current: u64,
}

impl<'a> OneWindow<'a> {
    #[inline]
    const fn window(self) -> &'a Window {
        match self.which {
            Which::Shorter => self.ring.window(),
            Which::Longer => self.longer.window(),
        }
    }

    /// The permits that count. Does not rotate.
    fn view(self, carried: impl Carried, nanos: u64) -> Result<OneView, Closed> {
        let (ring, window) = (self.ring, self.ring.window());
        loop {
            let head = ring.load_head();
            let number = window.number(head);
            let current = window.current(number, nanos);
            if current == number {
                if let Some(used) = self.used_at_head(head) {
                    return Ok(OneView {
                        head,
                        current,
                        used,
                    });
                }
            }
            ring.check_head(head)?;
            let later = self.used_later(carried, head, current);
            let used = later.unwrap_or_else(|| match self.which {
                Which::Shorter => ring.sum_with(carried, head, current),
                Which::Longer => self.longer.used(ring.short_slots(), head, current),
            });
            // As in `Ring::view`.
            if window.number(ring.load_head()) == number {
                return Ok(OneView {
                    head,
                    current,
                    used,
                });
            }
        }
    }

    /// The permits that count in the head's slot, if the base for that is there.
    #[inline]
    fn used_at_head(self, head: Word) -> Option<u64> {
        let window = self.ring.window();
        let before = self.longer.before(self.which, window, head)?;
        // Each is at most its limit, which has at most 63 bits.
        Some(before.wrapping_add(window.count(head)))
    }

    /// The permits that count while `current`, a later slot than the head's, is the current one:
    /// see [`Ring::used_later`].
    #[inline]
    fn used_later<C: Carried>(self, _carried: C, head: Word, current: u64) -> Option<u64> {
        let window = self.window();
        let slots = self.slots(head, current);
        if C::MAY_BE_LATER || !self.nothing_undone_from(window.oldest(slots.head)) {
            return None;
        }
        let used = self.used_at_head(head)?;
        let leaving = self.leaving_beside(slots.head);
        window.left_later(
            used,
            leaving,
            slots.head,
            slots.current,
            |slot| match self.which {
                Which::Shorter => self.ring.finished(slot),
                Which::Longer => self.longer.finished(slot),
            },
        )
    }

    /// The head's slot.
    #[inline]
    fn head_slot(self, head: Word) -> u64 {
        let head = self.ring.window().number(head);
        match self.which {
            Which::Shorter => head,
            Which::Longer => self.longer.number(head),
        }
    }

    /// The head's slot and the current one.
    #[inline]
    fn slots(self, head: Word, current: u64) -> Slots {
        let head = self.head_slot(head);
        match self.which {
            Which::Shorter => Slots { head, current },
            Which::Longer => {
                // Nearly always, and saves a division.
                let is_same = current < self.longer.first_short_slot(head.saturating_add(1));
                let current = if is_same {
                    head
                } else {
                    self.longer.number(current)
                };
                Slots { head, current }
            }
        }
    }

    /// Whether nothing was undone in the slots from `oldest` on.
    #[inline]
    fn nothing_undone_from(self, oldest: u64) -> bool {
        let oldest = match self.which {
            Which::Shorter => oldest,
            Which::Longer => self.longer.first_short_slot(oldest),
        };
        self.ring.undone_end() <= oldest
    }

    /// The oldest slot in which something was admitted, beside the head's.
    #[inline]
    fn leaving_beside(self, head: u64) -> Option<u64> {
        match self.which {
            Which::Shorter => self.ring.leaving_beside(head),
            Which::Longer => self.longer.leaving_beside(head),
        }
    }

    /// The slot with which there will be room for `n`, where one permit is missing: the oldest in
    /// which something was admitted. `None` if that has to be searched for.
    #[inline]
    fn first_to_leave<C: Carried>(self, _carried: C, view: &OneView, n: u64) -> Option<u64> {
        let is_one_missing = self.window().excess(view.used, n) == 1;
        if C::MAY_BE_LATER || !is_one_missing {
            return None;
        }
        let slots = self.slots(view.head, view.current);
        let leaving = self.leaving_beside(slots.head)?;
        let oldest = self.window().oldest(slots.current);
        // It may have left since the head's slot.
        (leaving >= oldest && self.nothing_undone_from(oldest)).then_some(leaving)
    }

    /// The room for one permit, or the nanoseconds until there is any. `None` where that has to be
    /// searched for. The caller loads the head again.
    // Compares instants rather than slots, which saves divisions.
    #[expect(
        clippy::inline_always,
        reason = "which window it is, is known to the caller"
    )]
    #[inline(always)]
    fn room_for_one<C: Carried>(
        self,
        carried: C,
        head: Word,
        nanos: u64,
    ) -> Option<Result<u64, u64>> {
        let (window, number) = (self.window(), self.head_slot(head));
        let is_exact = !C::MAY_BE_LATER && self.nothing_undone_from(window.oldest(number));
        // Until the first slot leaves that counts in the head's.
        let wait = match self.leaving_beside(number) {
            Some(leaving) if is_exact => window.until_gone(leaving, nanos),
            _ => 0,
        };
        let has_all = wait > 0;
        let used = if has_all {
            self.used_at_head(head)?
        } else if is_exact && window.until_gone(number, nanos) == 0 {
            0
        } else {
            let short = self.ring.window();
            let current = short.current(short.number(head), nanos);
            if current == short.number(head) {
                self.used_at_head(head)?
            } else {
                self.used_later(carried, head, current)?
            }
        };
        if used < window.limit() {
            return Some(Ok(window.limit() - used));
        }
        (has_all && used == window.limit()).then_some(Err(wait))
    }
}

impl Ring {
    /// One of two windows; the ring's own if there is no other.
    pub(super) fn window_of(&self, which: Which) -> &Window {
        match (&self.longer, which) {
            (Some(longer), Which::Longer) => longer.window(),
            _ => self.window(),
        }
    }

    const fn one<'a>(&'a self, which: Which, longer: &'a Longer) -> OneWindow<'a> {
        OneWindow {
            ring: self,
            longer,
            which,
        }
    }

    /// [`room_of`](Self::room_of) for one permit and both windows, in the usual case: nothing was
    /// undone, and a window that is used up names the slot that leaves first.
    // Not returned through memory: it would be written in words and read in pairs of words, which
    // stalls the processor.
    #[expect(clippy::inline_always, reason = "see above")]
    #[inline(always)]
    pub(super) fn rooms_for_one(
        &self,
        carried: impl Carried,
        nanos: u64,
    ) -> Option<[Result<u64, u64>; 2]> {
        let (window, longer) = (self.window(), self.longer.as_deref()?);
        let head = self.load_head();
        let number = window.number(head);
        let [shorter, longer] =
            [Which::Shorter, Which::Longer].map(|which| self.one(which, longer));
        let rooms = [
            shorter.room_for_one(carried, head, nanos)?,
            longer.room_for_one(carried, head, nanos)?,
        ];
        // As in `view`: slots may have been added up.
        (window.number(self.load_head()) == number).then_some(rooms)
    }

    /// The permits that count for one of two windows.
    pub(super) fn used_of(
        &self,
        which: Which,
        carried: impl Carried,
        nanos: u64,
    ) -> Result<u64, Closed> {
        match &self.longer {
            Some(longer) => Ok(self.one(which, longer).view(carried, nanos)?.used),
            None => self.used(carried, nanos),
        }
    }

    /// The room of one of two windows for a call of `n`, at most its limit, or the nanoseconds
    /// until there is enough.
    pub(super) fn room_of(
        &self,
        which: Which,
        longer: &Longer,
        carried: impl Carried,
        n: u64,
        nanos: u64,
    ) -> Result<Result<u64, u64>, Closed> {
        let one = self.one(which, longer);
        let window = one.window();
        loop {
            let view = one.view(carried, nanos)?;
            if window.excess(view.used, n) == 0 {
                return Ok(Ok(window.limit().saturating_sub(view.used)));
            }
            if let Some(slot) = one.first_to_leave(carried, &view, n) {
                return Ok(Err(window.until_gone(slot, nanos)));
            }
            let wait = match which {
                Which::Longer => {
                    longer.until_room(self.short_slots(), view.head, view.current, n, nanos)
                }
                Which::Shorter => {
                    let oldest = window.oldest(view.current);
                    let room = window.limit().saturating_sub(n);
                    let leaving = self.leaving_from_newest(carried, view.head, oldest, room);
                    window.until_gone(leaving, nanos)
                }
            };
            // As in `view`.
            if self.window().number(self.load_head()) == self.window().number(view.head) {
                return Ok(Err(wait));
            }
        }
    }

    /// The nanoseconds until both windows have room for `n`, which does not fit the head that was
    /// `seen`; `None` if that has changed since, and the caller has to load it again.
    pub(super) fn until_both_have_room(
        &self,
        longer: &Longer,
        carried: impl Carried,
        seen: Word,
        n: u64,
        nanos: u64,
    ) -> Option<u64> {
        // What this thread was refused by is then in the bases of the windows too, so it does not
        // start again because of them.
        self.acquire_base();
        let mut longest = 0;
        for which in [Which::Shorter, Which::Longer] {
            if n > self.window_of(which).limit() {
                return Some(u64::MAX);
            }
            match self.room_of(which, longer, carried, n, nanos) {
                Ok(Ok(_)) => {}
                Ok(Err(wait)) => longest = longest.max(wait),
                Err(_) => return None,
            }
        }
        if longest > 0 {
            return Some(longest);
        }
        // What has come back late counts until the next slot. To start again with the same head
        // would be to wait for the thread that rotates to it (`late_return` in the models).
        let until_next = self.window().until_next(self.window().number(seen), nanos);
        (self.load_head() == seen).then_some(until_next)
    }

    /// The admissions that count for the longer window, each with the least age that it may have.
    pub(super) fn admissions_of_longer(&self, nanos: u64) -> Result<Vec<Admissions>, Closed> {
        let Some(longer) = &self.longer else {
            return Ok(Vec::new());
        };
        loop {
            let head = self.load_head();
            self.check_head(head)?;
            let permits = longer.permits(self.short_slots(), head);
            // As in `view`.
            if self.window().number(self.load_head()) == self.window().number(head) {
                let now = signed(nanos);
                let aged = permits.into_iter().map(|(end, count)| Admissions {
                    age: u64::try_from(now.saturating_sub(end)).unwrap_or(0),
                    count,
                });
                return Ok(aged.collect());
            }
        }
    }
}
