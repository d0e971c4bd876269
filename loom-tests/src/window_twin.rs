//! A twin of the sliding window, with a switch for each thing that can be wrong.

use std::time::Duration;

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use tidegate::{Limiter, SlidingWindow, Timestamp, WindowCharge};

use crate::bucket_twin::NoClock;
use crate::window_models::{SLOT, Window};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// As many slots count as there are in the window: an interval touches one more.
    SlotTooFew,
    /// Entries are stored, not raised: a late thread puts an old count back.
    StoredCount,
    /// A base is stored, not raised.
    StoredBase,
    /// The base is used whatever slot it is of.
    UncheckedBase,
    /// The head's own count is not put into the ring before the sum.
    ForgottenHead,
    /// Rotation publishes nothing.
    RelaxedRotation,
    /// A base is whatever the sum is, also more than the limit.
    UnboundedSum,
    /// Counts are raised Relaxed.
    UnorderedCount,
    /// An undo takes the permits off the head, whatever slot it is in.
    LateUndo,
    /// A look takes the base for the head's, and does not look again whether the head has moved on.
    UncheckedView,
    /// A hint does not look again whether the head has moved on.
    UnconfirmedHint,
    /// Whoever asks takes the head's base for enough, though its slot is over.
    HintFromTheBase,
    /// A hint takes off the oldest slots what is in excess of a sum that ends at the limit.
    HintFromTheSum,
    /// A hint is reckoned from the oldest slot, whether or not charges were undone.
    UnreadMark,
    /// An undo leaves its mark after it.
    LateMark,
    /// An undo does not publish its mark.
    RelaxedUndo,
}

const BITS: u32 = 32;

/// Slots of `SLOT` nanoseconds; words of 32 bits of number and of count.
pub struct Twin<const FLAW: u8> {
    head: AtomicU64,
    undone: AtomicU64,
    ring: Vec<(AtomicU64, AtomicU64)>,
    limit: u64,
    reach: u64,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn entry(&self, number: u64) -> &(AtomicU64, AtomicU64) {
        &self.ring[number as usize & (self.ring.len() - 1)]
    }

    fn finished(&self, slot: u64) -> u64 {
        let word = self.entry(slot).0.load(Acquire);
        if number(word) == slot { count(word) } else { 0 }
    }

    /// The head, the oldest slot that counts, and how much does.
    fn view(&self, now: u64) -> (u64, u64, u64) {
        loop {
            let head = self.head.load(Acquire);
            let slot = number(head);
            let current = slot.max(now / SLOT);
            let oldest = current.saturating_sub(self.reach);
            if current == slot {
                let base = self.entry(slot).1.load(Relaxed);
                if number(base) == slot || Self::is(Flaw::UncheckedView) {
                    return (head, oldest, count(base) + count(head));
                }
            }
            let mut used: u64 = (oldest..slot).map(|slot| self.finished(slot)).sum();
            if oldest <= slot {
                used += count(head);
            }
            if number(self.head.load(Acquire)) == slot || Self::is(Flaw::UncheckedView) {
                return (head, oldest, used);
            }
        }
    }

    /// The newest slot that has to leave before there is room for one.
    fn leaving(&self, (head, oldest, used): (u64, u64, u64)) -> u64 {
        let newest = number(head);
        let room = (self.limit - 1).checked_sub(count(head));
        if room.is_none() && !Self::is(Flaw::HintFromTheSum) {
            return newest;
        }
        let unread = Self::is(Flaw::HintFromTheSum) || Self::is(Flaw::UnreadMark);
        // The crate goes from both ends: the oldest is the one that can be wrong.
        if unread || self.undone.load(Relaxed) <= oldest {
            let mut excess = used + 1 - self.limit;
            if Self::is(Flaw::HintFromTheSum) {
                excess = excess.min(1);
            }
            for slot in oldest..newest {
                let count = self.finished(slot);
                if count >= excess {
                    return slot;
                }
                excess -= count;
            }
            return newest;
        }
        let mut room = room.unwrap_or_default();
        for slot in (oldest..newest).rev() {
            match room.checked_sub(self.finished(slot)) {
                Some(left) => room = left,
                None => return slot,
            }
        }
        oldest
    }

    fn observe() -> Ordering {
        if Self::is(Flaw::RelaxedRotation) {
            Relaxed
        } else {
            Acquire
        }
    }

    fn rotate(&self, head: u64, to: u64) -> u64 {
        let from = number(head);
        if Self::is(Flaw::StoredCount) {
            self.entry(from).0.store(head, Relaxed);
        } else if !Self::is(Flaw::ForgottenHead) {
            let publish = if Self::is(Flaw::UnorderedCount) {
                Relaxed
            } else {
                Release
            };
            self.entry(from).0.fetch_max(head, publish);
        }
        let mut sum: u64 = (to.saturating_sub(self.reach)..=from)
            .map(|slot| self.finished(slot))
            .sum();
        if !Self::is(Flaw::UnboundedSum) {
            sum = sum.min(self.limit);
        }
        let base = to << BITS | sum;
        if Self::is(Flaw::StoredBase) {
            self.entry(to).1.store(base, Relaxed);
        } else {
            self.entry(to).1.fetch_max(base, Relaxed);
        }
        let next = to << BITS;
        let publish = if Self::is(Flaw::RelaxedRotation) {
            Relaxed
        } else {
            AcqRel
        };
        match self
            .head
            .compare_exchange(head, next, publish, Self::observe())
        {
            Ok(_) => next,
            Err(seen) => seen,
        }
    }
}

fn number(word: u64) -> u64 {
    word >> BITS
}

fn count(word: u64) -> u64 {
    word & ((1 << BITS) - 1)
}

impl<const FLAW: u8> Window for Twin<FLAW> {
    type Charge = (u64, u64);

    const MAX_LIMIT: u64 = (1 << BITS) - 1;

    fn new(limit: u64, slots: u64) -> Self {
        let reach = if Self::is(Flaw::SlotTooFew) {
            slots - 1
        } else {
            slots
        };
        let entry = |_| (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            head: AtomicU64::new(0),
            undone: AtomicU64::new(0),
            ring: (0..(slots + 1).next_power_of_two()).map(entry).collect(),
            limit,
            reach,
        }
    }

    fn charge(&self, n: u64, now: u64) -> Option<((u64, u64), u64)> {
        let mut head = self.head.load(Self::observe());
        loop {
            let slot = number(head);
            if now / SLOT > slot {
                head = self.rotate(head, now / SLOT);
                continue;
            }
            let base = self.entry(slot).1.load(Relaxed);
            if number(base) != slot && !Self::is(Flaw::UncheckedBase) {
                head = self.rotate(head, number(base));
                continue;
            }
            if count(base) + count(head) + n > self.limit {
                return None;
            }
            match self
                .head
                .compare_exchange_weak(head, head + n, Relaxed, Self::observe())
            {
                Ok(_) => return Some(((slot, n), slot)),
                Err(seen) => head = seen,
            }
        }
    }

    fn undo(&self, (slot, n): (u64, u64)) -> bool {
        let mark = || self.undone.fetch_max(slot + 1, Relaxed);
        let publish = if Self::is(Flaw::RelaxedUndo) {
            Relaxed
        } else {
            Release
        };
        let mut head = self.head.load(Acquire);
        if number(head) == slot && !Self::is(Flaw::LateMark) {
            mark();
        }
        while number(head) == slot || (Self::is(Flaw::LateUndo) && count(head) >= n) {
            match self.head.compare_exchange(head, head - n, publish, Relaxed) {
                Ok(_) => {
                    if Self::is(Flaw::LateMark) {
                        mark();
                    }
                    return true;
                }
                Err(seen) => head = seen,
            }
        }
        false
    }

    fn current_count(&self, now: u64) -> u64 {
        self.view(now).2
    }

    fn hint(&self, now: u64) -> Option<u64> {
        loop {
            if Self::is(Flaw::HintFromTheBase) {
                let head = self.head.load(Acquire);
                let base = self.entry(number(head)).1.load(Relaxed);
                if number(base) == number(head) && count(base) + count(head) < self.limit {
                    return None;
                }
            }
            let view = self.view(now);
            if view.2 < self.limit {
                return None;
            }
            let leaving = self.leaving(view);
            if number(self.head.load(Acquire)) == number(view.0) || Self::is(Flaw::UnconfirmedHint)
            {
                return Some((leaving + self.reach + 1) * SLOT - now);
            }
        }
    }
}

impl Window for SlidingWindow<NoClock> {
    type Charge = WindowCharge;

    /// 292 years in slots of a microsecond have numbers of 54 bits.
    const MAX_LIMIT: u64 = (1 << 10) - 1;

    fn new(limit: u64, slots: u64) -> Self {
        let length = Duration::from_nanos(SLOT * slots);
        Self::with_clock(limit, length, NoClock)
            .expect("fits")
            .slots(usize::try_from(slots).expect("few"))
    }

    fn charge(&self, n: u64, now: u64) -> Option<(WindowCharge, u64)> {
        let charge = self.charge_at(n, Timestamp::from_nanos(now)).ok()?;
        let slot = charge.slot();
        Some((charge, slot))
    }

    fn undo(&self, charge: WindowCharge) -> bool {
        Limiter::undo(self, charge) > 0
    }

    fn current_count(&self, now: u64) -> u64 {
        self.current_count_at(Timestamp::from_nanos(now))
    }

    fn hint(&self, now: u64) -> Option<u64> {
        let denied = self.peek_at(1, Timestamp::from_nanos(now)).err()?;
        let wait = denied.retry_after().expect("less than the limit");
        Some(u64::try_from(wait.as_nanos()).expect("short"))
    }
}
