//! A window as a list of what each slot admitted.

use std::collections::BTreeMap;

use crate::scaled_window::{ScaledWindow, WindowUse};

#[derive(Clone, Debug)]
pub(crate) struct WindowModel {
    scaled: ScaledWindow,
    /// The permits of each slot that admitted some.
    admitted: BTreeMap<u64, u64>,
    /// The current slot at the last write; `None` if there is no value.
    head: Option<u64>,
    /// How far the window's time is ahead of the clock, since that has stepped back.
    offset_us: u64,
    /// The last millisecond in which the key exists.
    pub(crate) last_ms: u64,
}

impl WindowModel {
    pub(crate) const fn new(scaled: ScaledWindow) -> Self {
        Self {
            scaled,
            admitted: BTreeMap::new(),
            head: None,
            offset_us: 0,
            last_ms: 0,
        }
    }

    /// Must be called before all else. Rewrites the window if the clock has stepped back; returns
    /// whether it has.
    pub(crate) fn observe_clock(&mut self, now_us: u64) -> bool {
        if now_us / 1_000 > self.last_ms {
            *self = Self::new(self.scaled);
        }
        let begun_us = self.head.unwrap_or(0) * self.scaled.slot();
        let stepped_back = now_us + self.offset_us < begun_us;
        if stepped_back {
            self.offset_us = begun_us - now_us;
            self.write(now_us);
        }
        stepped_back
    }

    pub(crate) const fn slot_at(&self, now_us: u64) -> u64 {
        (now_us + self.offset_us) / self.scaled.slot()
    }

    fn used_in(&self, slot: u64) -> u64 {
        let oldest = slot.saturating_sub(self.scaled.reach());
        self.admitted.range(oldest..=slot).map(|(_, n)| n).sum()
    }

    const fn until_slot(&self, slot: u64, now_us: u64) -> u64 {
        slot * self.scaled.slot() - self.offset_us - now_us
    }

    pub(crate) fn counted(&self, now_us: u64) -> WindowUse {
        let slot = self.slot_at(now_us);
        let oldest = slot.saturating_sub(self.scaled.reach());
        let mut counting = self.admitted.range(oldest..=slot).map(|(slot, _)| *slot);
        let until_gone = |slot| self.until_slot(slot + self.scaled.reach() + 1, now_us);
        WindowUse {
            used: self.used_in(slot),
            first_us: counting.clone().next().map_or(0, until_gone),
            last_us: counting.next_back().map_or(0, until_gone),
        }
    }

    pub(crate) fn wait_us(&self, cost: u64, now_us: u64) -> Option<u64> {
        let fits = |slot: &u64| self.used_in(*slot) + cost <= self.scaled.limit();
        let slot = self.slot_at(now_us);
        if cost == 0 || fits(&slot) {
            return None;
        }
        // All of it has aged out by then.
        let last = slot + self.scaled.reach() + 1;
        let slot = (slot + 1..=last).find(fits).expect("at most the limit");
        Some(self.until_slot(slot, now_us))
    }

    /// Charges at most so many that `most` count; returns whether it charges any.
    pub(crate) fn charge(&mut self, cost: u64, most: u64, now_us: u64) -> bool {
        let slot = self.slot_at(now_us);
        let cost = cost.min(most.saturating_sub(self.used_in(slot)));
        if cost > 0 {
            *self.admitted.entry(slot).or_insert(0) += cost;
            self.write(now_us);
        }
        cost > 0
    }

    /// Takes a charge back, and returns how many permits came back.
    pub(crate) fn undo(&mut self, slot: u64, cost: u64, now_us: u64) -> u64 {
        if slot != self.slot_at(now_us) {
            return 0;
        }
        let admitted = self.admitted.remove(&slot).unwrap_or(0);
        let back = cost.min(admitted);
        if back < admitted {
            self.admitted.insert(slot, admitted - back);
        }
        back
    }

    pub(crate) fn reset(&mut self, now_us: u64) {
        self.admitted.clear();
        self.write(now_us);
    }

    /// Records the present as the current slot, and when the key ends.
    pub(crate) fn write(&mut self, now_us: u64) {
        let slot = self.slot_at(now_us);
        self.head = Some(slot);
        let gone_us = if self.used_in(slot) == 0 {
            0
        } else {
            self.until_slot(slot + self.scaled.reach() + 1, now_us)
        };
        self.last_ms = (now_us + gone_us) / 1_000 + 2;
    }
}
