//! A longer window over the admissions of a ring: at most 500 in an hour, where the ring admits at
//! most 50 in a minute.
//!
//! Both count the same admissions, so one exchange of the ring's head charges both. Limits that are
//! charged one by one would take an exchange each.
//!
//! # State
//!
//! A slot of the longer window is a whole number of slots of the ring, here *short* slots. The ring
//! keeps the counts of as many short slots at least. Besides, there are:
//!
//! * `counts[H]`: the final count of the finished long slot `H`, as in the ring.
//! * `base`: the current short slot, and the permits that count for the longer window and were
//!   admitted before it.
//! * `shorter_base`: the same for the ring's own window.
//! * `leaving`: the current long slot, and how many slots before it the oldest one lies in which
//!   something was admitted.
//! * `returned`: a long slot, and the permits that came back in it after their short slot was over.
//!
//! # Admission
//!
//! The longer window has room for `n` if `base + count + n` is within its limit, where `count` is
//! the head's. That is the ring's own rule, with another base and another limit. The difference of
//! the limits brings this base to the ring's limit. The ring's base is the larger of the two, so
//! the one comparison of an admission decides for both windows (`shorter_only`).
//!
//! # Rotation from (h, c) to s
//!
//! Once `counts[h]` of the ring is raised: add up the short slots of h's long slot. If s lies in a
//! later long slot, raise the count of h's to that sum (`forgotten_long_slot`). Add up the long
//! slots that count, and raise both bases. All that is written before the exchange of the head, and
//! only grows for one slot, so that late and repeated writes are harmless as in the ring.
//!
//! # Giving back
//!
//! The ring returns the permits of a charge while its short slot lasts. Later, they no longer come
//! back to the ring's own window, but to the longer one they do, as long as their long slot lasts
//! (`late_return`). They are taken off the long slot's sum by the rotations that follow. One that
//! misses them counts them as before, so the bound does not depend on when they are seen.
//!
//! # Invariant
//!
//! When the ring's head and its base show slot h, the ring's base is at least what both windows'
//! final counts require. An interval as long as the longer window touches at most the long slots
//! that count, which gives its bound.
//!
//! # Refusals and queries
//!
//! They look at each window by itself, with the bases here. A call that misses one permit takes the
//! slot that leaves first, if nothing was undone in those that count. The searches are those from
//! the newest slot, which are correct whatever was undone: see [`Ring`](super::ring::Ring).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::iter;
use core::num::NonZeroU64;

use super::counts::Counts;
use super::history::{Admissions, History};
use super::slots::{Window, Word, signed};
use super::windows::{Which, Windows};
use crate::sync::AtomicU64;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::Lazy;
use crate::sync::Ordering::{Relaxed, Release};

/// See the [module](self) documentation.
pub(crate) struct Longer {
    window: Window,
    /// The number of short slots in a long one.
    short_slots: NonZeroU64,
    base: AtomicU64,
    shorter_base: AtomicU64,
    leaving: AtomicU64,
    returned: AtomicU64,
    counts: Counts,
    /// What a restore has brought along.
    restored: History,
    /// What an earlier ring has handed over, for a ring that has taken over.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) handed_over: Lazy<History>,
}

/// The window and the finished slots of a ring.
#[derive(Clone, Copy)]
pub(super) struct ShortSlots<'a> {
    pub(super) window: &'a Window,
    pub(super) counts: &'a Counts,
}

impl ShortSlots<'_> {
    fn finished(self, number: u64) -> u64 {
        self.counts.finished(self.window, number)
    }
}

impl Longer {
    /// The longer of two windows, if there are two.
    pub(super) fn of(windows: &Windows) -> Option<Box<Self>> {
        let window = windows.longer?;
        Some(Box::new(Self {
            short_slots: windows.slots_in_one_of(&window),
            base: AtomicU64::new(0),
            shorter_base: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            counts: Counts::new(window.ring_len()),
            restored: History::default(),
            #[cfg(any(feature = "std", tidegate_loom))]
            handed_over: Lazy::new(),
            window,
        }))
    }

    /// Admissions of an earlier life, with their ages at `nanos`.
    pub(super) fn restore(&mut self, admissions: &[Admissions], nanos: u64) {
        self.restored = History::restored(&self.window, admissions, nanos);
    }

    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn carried(&self) -> &History {
        self.handed_over.get().unwrap_or(&self.restored)
    }

    #[cfg(not(any(feature = "std", tidegate_loom)))]
    pub(super) const fn carried(&self) -> &History {
        &self.restored
    }

    /// The long slot in which a short one lies.
    #[inline]
    pub(super) fn number(&self, short: u64) -> u64 {
        short / self.short_slots
    }

    /// The short slots of long slot `number` before short slot `end`, which lies in it or ends it.
    const fn short_slots_of(&self, number: u64, end: u64) -> core::ops::Range<u64> {
        self.first_short_slot(number)..end
    }

    /// What was admitted in long slot `number` before short slot `end`, without what has come back.
    fn part_of(&self, ring: ShortSlots<'_>, number: u64, end: u64) -> u64 {
        let slots = self.short_slots_of(number, end);
        let sum = slots.fold(0, |sum: u64, slot| sum.saturating_add(ring.finished(slot)));
        sum.saturating_sub(self.returned_in(number))
    }

    /// The permits that came back in long slot `number`.
    fn returned_in(&self, number: u64) -> u64 {
        // Relaxed: what is missed counts as before.
        let word = Word(self.returned.load(Relaxed));
        if self.window.number(word) == number {
            self.window.count(word)
        } else {
            0
        }
    }

    /// Takes the permits of a charge in a short slot that is over off its long slot, if that is the
    /// head's.
    pub(super) fn give_back(&self, ring: ShortSlots<'_>, head: Word, slot: u64, permits: u64) {
        let window = &self.window;
        let number = self.number(slot);
        // Where this window has no base of its own, a call that is refused could not tell for how
        // long. A closed head has a number that lies in no long slot of a charge.
        let has_base = ring.window.word_beside(0, 0, window.limit()).is_some();
        if !has_base || self.number(ring.window.number(head)) != number {
            return;
        }
        // Relaxed, twice: see `returned_in`. A later long slot has its number already.
        let _ = self.returned.fetch_update(Relaxed, Relaxed, |word| {
            let word = Word(word);
            let before = match window.number(word).cmp(&number) {
                Ordering::Less => 0,
                Ordering::Equal => window.count(word),
                Ordering::Greater => return None,
            };
            Some(window.word(number, before.saturating_add(permits)).0)
        });
    }

    /// What was admitted in the long slots before `newest` that count while `current` is the
    /// current one, and what is carried to slots that count then.
    fn sum_before(&self, current: u64, newest: u64) -> u64 {
        let carried = self.carried();
        let carried = if carried.is_empty() {
            0
        } else {
            carried.since(self.window.signed_oldest(current))
        };
        (self.window.oldest(current)..newest).fold(carried, |sum: u64, number| {
            sum.saturating_add(self.finished(number))
        })
    }

    /// The same with a part of `newest`.
    fn sum(&self, current: u64, newest: u64, part: u64) -> u64 {
        let before = self.sum_before(current, newest);
        if self.window.oldest(current) <= newest {
            before.saturating_add(part)
        } else {
            before
        }
    }

    /// The part of a rotation from short slot `from` to `to` that is about both windows. `shorter`
    /// counts for the ring's own window. Returns the ring's base.
    pub(super) fn rotate(&self, ring: ShortSlots<'_>, from: u64, to: u64, shorter: u64) -> u64 {
        let (newest, current) = (self.number(from), self.number(to));
        let part = self.part_of(ring, newest, from.saturating_add(1));
        if current > newest {
            // Release: as the count of a short slot. `fetch_max`, because a thread with an older
            // count may be late.
            let word = self.window.word(newest, part);
            self.counts.entry(newest).fetch_max(word.0, Release);
        }
        let mut older = self.window.oldest(current)..=newest;
        let is_used = |&number: &u64| (number == newest && part > 0) || self.finished(number) > 0;
        let oldest = older.find(is_used).unwrap_or(current);
        if let Some(leaving) = self.window.aged(current, oldest) {
            // Relaxed, and `fetch_max`: as the bases.
            self.leaving.fetch_max(leaving, Relaxed);
        }
        let longer = self.sum(current, newest, part);
        self.raise_bases(ring, to, shorter, longer)
    }

    /// The oldest long slot in which something was admitted, beside the head's.
    #[inline]
    pub(super) fn leaving_beside(&self, number: u64) -> Option<u64> {
        // Relaxed: the Acquire of the head shows what the rotation to its slot has raised.
        let age = self.window.age_beside(number, self.leaving.load(Relaxed))?;
        Some(number.wrapping_sub(age))
    }

    /// The count of a finished long slot.
    pub(super) fn finished(&self, number: u64) -> u64 {
        self.counts.finished(&self.window, number)
    }

    pub(super) const fn first_short_slot(&self, number: u64) -> u64 {
        number.saturating_mul(self.short_slots.get())
    }

    /// One more than the last short slot to which something is carried, or more.
    pub(super) fn end_of_carried(&self) -> u64 {
        self.first_short_slot(self.carried().end())
    }

    /// Raises the bases of short slot `slot`, and returns the ring's.
    pub(super) fn raise_bases(
        &self,
        ring: ShortSlots<'_>,
        slot: u64,
        shorter: u64,
        longer: u64,
    ) -> u64 {
        let short = ring.window;
        let raise = |base: &AtomicU64, count, limit| {
            if let Some(word) = short.word_beside(slot, count, limit) {
                // Relaxed: published by the ring's base and by the exchange of its head, which
                // follow. `fetch_max`, because a thread with older counts may be late.
                base.fetch_max(word.0, Relaxed);
            }
        };
        raise(&self.base, longer, self.window.limit());
        raise(&self.shorter_base, shorter, short.limit());
        shorter.max(self.at_the_limit_of(short, longer))
    }

    /// A base of this window as one of the ring's own.
    const fn at_the_limit_of(&self, short: &Window, base: u64) -> u64 {
        let (own, limit) = (self.window.limit(), short.limit());
        base.saturating_add(limit.saturating_sub(own))
            .saturating_sub(own.saturating_sub(limit))
    }

    /// The permits that count for a window before the head's slot, if the base for that is there.
    #[inline]
    pub(super) fn before(&self, which: Which, short: &Window, head: Word) -> Option<u64> {
        let base = match which {
            Which::Longer => &self.base,
            Which::Shorter => &self.shorter_base,
        };
        // Relaxed: the Acquire of the head or of the ring's base shows one at least as new.
        short.base_count(head, Word(base.load(Relaxed)))
    }

    /// The permits that count for the longer window while short slot `current` is the current one.
    pub(super) fn used(&self, ring: ShortSlots<'_>, head: Word, current: u64) -> u64 {
        let (newest, part) = self.newest(ring, head);
        self.sum(self.number(current), newest, part)
    }

    /// The permits that count for either window at the limit of the ring's own, for which `shorter`
    /// count.
    pub(super) fn used_by_both(
        &self,
        ring: ShortSlots<'_>,
        head: Word,
        current: u64,
        shorter: u64,
    ) -> u64 {
        let longer = self.used(ring, head, current);
        shorter.max(self.at_the_limit_of(ring.window, longer))
    }

    /// The head's long slot, and what was admitted in it so far.
    fn newest(&self, ring: ShortSlots<'_>, head: Word) -> (u64, u64) {
        let (number, count) = (ring.window.number(head), ring.window.count(head));
        let newest = self.number(number);
        let part = self.part_of(ring, newest, number);
        (newest, part.saturating_add(count))
    }

    /// The nanoseconds until there is room for `n`, at most the limit, while short slot `current`
    /// is the current one. As long as the head is in its slot.
    pub(super) fn until_room(
        &self,
        ring: ShortSlots<'_>,
        head: Word,
        current: u64,
        n: u64,
        nanos: u64,
    ) -> u64 {
        let window = &self.window;
        let number = self.number(current);
        let (newest, part) = self.newest(ring, head);
        let older = (window.oldest(number)..newest).rev();
        let older = older.map(|number| (number, self.finished(number)));
        let counted = iter::once((newest, part)).chain(older);
        let room = window.limit().saturating_sub(n);
        let leaving = self.carried().leaving(counted, room);
        let oldest = window.signed_oldest(number);
        match leaving.filter(|&number| number >= oldest) {
            #[expect(clippy::cast_sign_loss, reason = "two's complement")]
            Some(leaving) => window.until_gone(leaving as u64, nanos),
            // What has come back counts until the next short slot. Or slots were overwritten
            // meanwhile, which the caller detects.
            None => ring.window.until_next(current, nanos),
        }
    }

    /// The permits of the ring's slots that count for the longer window, with the last nanosecond
    /// in which they may have been admitted, and those that are carried.
    pub(super) fn permits(&self, ring: ShortSlots<'_>, head: Word) -> Vec<(i64, u64)> {
        let (window, short) = (&self.window, ring.window);
        let number = short.number(head);
        let newest = self.number(number);
        let long = window.oldest(newest)..newest;
        let long = long.map(|number| {
            let count = self.finished(number);
            (window.end(number), count)
        });
        // Off the oldest, because it is not known in which short slots they were admitted.
        let mut returned = self.returned_in(newest);
        let finished = self.short_slots_of(newest, number);
        let finished = finished.map(move |slot| {
            let count = ring.finished(slot);
            let left = count.saturating_sub(returned);
            returned = returned.saturating_sub(count);
            (short.end(slot), left)
        });
        let last = iter::once((short.end(number), short.count(head)));
        let own = long.chain(finished).chain(last);
        let own = own.map(|(end, permits)| (signed(end), permits));
        let carried = self.carried().permits(window.signed_oldest(newest));
        carried.chain(own).filter(|&(_, count)| count > 0).collect()
    }
}
