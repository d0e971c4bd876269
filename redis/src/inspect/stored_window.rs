//! The values of sliding windows, as `window.lua` writes them.

use core::time::Duration;

use super::numbers::{Numbers, is_exact};

const HEAD_SIZE: usize = 42;
const ENTRY_SIZE: usize = 6;
/// Totals are modulo so much.
const TOTALS: u64 = 1 << 48;

/// What a [`RedisSlidingWindow`](crate::RedisSlidingWindow) has admitted, at one instant. Only its
/// nodes know its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredWindow {
    /// The key on the server.
    pub key: Vec<u8>,
    /// The permits that count.
    pub used: u64,
    /// When the first of these no longer counts; zero if none counts.
    pub first_ends_in: Duration,
    /// When the last of these no longer counts, if no more are admitted; zero if none counts.
    pub last_ends_in: Duration,
    /// The length of a slot. Permits that were admitted in one slot stop counting together.
    pub slot: Duration,
    /// How many slots count before the current one: together as long as the window, or longer by
    /// less than a slot. At most 255.
    pub slots: u64,
}

/// A window as the scripts read it, apart from what no longer counts.
struct Ring<'a> {
    entries: &'a [u64],
    /// How many slots have ended since the last entry, without admissions.
    ended: u64,
    before: u64,
    total: u64,
    /// The current slot.
    head: u64,
}

impl Ring<'_> {
    const fn used(&self) -> u64 {
        self.total.wrapping_sub(self.before) % TOTALS
    }

    /// Returns the first slot at whose end at least `count` of the permits that count had been
    /// admitted.
    fn slot_of(&self, count: u64) -> u64 {
        let has_fewer = |total: &u64| total.wrapping_sub(self.before) % TOTALS < count;
        let at = self.entries.partition_point(has_fewer) as u64;
        let kept = self.entries.len() as u64;
        // All that was admitted before the slots that have ended since counts at the first of them.
        (self.head + at).saturating_sub(kept + self.ended)
    }
}

impl StoredWindow {
    /// Reads a value at `now_us` on the server's clock; `None` if it is no window.
    pub(super) fn read(key: &[u8], value: &[u8], now_us: u64) -> Option<Self> {
        let mut numbers = Numbers(value);
        (numbers.bytes(1)? == b"W").then_some(())?;
        let (reach, slot, offset) = (numbers.next(1)?, numbers.next(7)?, numbers.next(7)?);
        let (head, first) = (numbers.next(7)?, numbers.next(7)?);
        let (before, total) = (numbers.next(6)?, numbers.next(6)?);
        let entries = value.get(HEAD_SIZE..)?.chunks(ENTRY_SIZE);
        let entries: Option<Vec<u64>> = entries.map(|it| Numbers(it).next(ENTRY_SIZE)).collect();
        let entries = entries?;
        let count = entries.len() as u64;
        // As the scripts check it.
        let start = head.checked_mul(slot)?;
        let is_window = reach > 0
            && slot > 0
            && first <= head
            && is_exact(start.checked_add(slot)?)
            && is_exact(offset)
            && count <= reach;
        is_window.then_some(())?;
        // While the clock is behind the current slot, time stands still at its start.
        let at = now_us.checked_add(offset)?.max(start);
        let ended = at / slot - head;
        let gone = (count + ended).saturating_sub(reach);
        let unused = Self {
            key: key.to_vec(),
            used: 0,
            first_ends_in: Duration::ZERO,
            last_ends_in: Duration::ZERO,
            slot: Duration::from_micros(slot),
            slots: reach,
        };
        if gone > count {
            return Some(unused);
        }
        let (old, kept) = entries.split_at_checked(usize::try_from(gone).ok()?)?;
        let ring = Ring {
            entries: kept,
            ended,
            before: old.last().copied().unwrap_or(before),
            total,
            head: head + ended,
        };
        let used = ring.used();
        if used == 0 {
            return Some(unused);
        }
        let ends_in = |slot_of: u64| {
            let end = (slot_of + reach + 1).saturating_mul(slot);
            Duration::from_micros(end.saturating_sub(at))
        };
        let first = if first + reach < ring.head {
            ring.slot_of(1)
        } else {
            first
        };
        Some(Self {
            used,
            first_ends_in: ends_in(first),
            last_ends_in: ends_in(ring.slot_of(used)),
            ..unused
        })
    }

    /// Returns how many permits are left of a limit.
    pub const fn available(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::bytes;
    use super::*;

    const SLOT: u64 = 1_000;
    const REACH: u64 = 4;
    /// The number of the slot that is current at `NOW`, and begins then.
    const HEAD: u64 = 1_790_000_000_000;
    const NOW: u64 = HEAD * SLOT;

    fn read(value: &[u8], now: u64) -> Option<StoredWindow> {
        StoredWindow::read(b"key", value, now)
    }

    fn value(offset: u64, first: u64, before: u64, total: u64, entries: &[u64]) -> Vec<u8> {
        let mut value = b"W".to_vec();
        value.extend(bytes(&[(REACH, 1), (SLOT, 7), (offset, 7), (HEAD, 7)]));
        value.extend(bytes(&[(first, 7), (before, 6), (total, 6)]));
        assert_eq!(value.len(), HEAD_SIZE);
        let entries = entries.iter().map(|entry| (*entry, ENTRY_SIZE));
        value.extend(bytes(&entries.collect::<Vec<_>>()));
        value
    }

    fn use_of(found: &StoredWindow) -> (u64, u64, u64) {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap();
        let (first, last) = (us(found.first_ends_in), us(found.last_ends_in));
        (found.used, first, last)
    }

    /// Two permits in slot -3, none in -2, three in -1, and one in the current slot.
    #[test]
    fn permits_stop_counting_slot_by_slot() {
        let value = value(0, HEAD - 3, 7, 13, &[9, 9, 12]);
        let found = read(&value, NOW).unwrap();
        assert_eq!((found.slot, found.slots), (Duration::from_millis(1), REACH));
        assert_eq!((found.available(10), found.available(5)), (4, 0));
        for (slots, expected) in [
            (0, (6, 2_000, 5_000)),
            (1, (6, 1_000, 4_000)),
            (2, (4, 2_000, 3_000)),
            (3, (4, 1_000, 2_000)),
            (4, (1, 1_000, 1_000)),
            (5, (0, 0, 0)),
            (9, (0, 0, 0)),
        ] {
            let found = read(&value, NOW + slots * SLOT).unwrap();
            assert_eq!(use_of(&found), expected, "{slots}");
        }
        assert_eq!(use_of(&read(&value, NOW + 400).unwrap()), (6, 1_600, 4_600));
    }

    #[test]
    fn totals_begin_anew() {
        let value = value(0, HEAD - 1, TOTALS - 2, 3, &[1]);
        assert_eq!(use_of(&read(&value, NOW).unwrap()), (5, 4_000, 5_000));
        let found = read(&value, NOW + 4 * SLOT).unwrap();
        assert_eq!(use_of(&found), (2, 1_000, 1_000));
    }

    #[test]
    fn nothing_leaves_while_the_clock_is_behind() {
        let stored = value(0, HEAD, 0, 2, &[]);
        let found = read(&stored, NOW - 30 * SLOT).unwrap();
        assert_eq!(use_of(&found), (2, 5_000, 5_000));
        // As after a write at that time.
        let stored = value(30 * SLOT, HEAD, 0, 2, &[]);
        let found = read(&stored, NOW - 28 * SLOT).unwrap();
        assert_eq!(use_of(&found), (2, 3_000, 3_000));
    }

    #[test]
    fn other_values_are_no_window() {
        let whole = value(0, HEAD, 0, 2, &[0, 0]);
        assert!(read(&whole, NOW).is_some());
        let changed = |at: usize, byte| {
            let mut changed = whole.clone();
            changed[at] = byte;
            changed
        };
        for value in [
            b"".to_vec(),
            b"W".to_vec(),
            b"What a long text this is, to be a window".to_vec(),
            whole[..whole.len() - 1].to_vec(),
            changed(0, b'S'),
            // No slots, fewer than entries, and a slot so long that times are not exact.
            changed(1, 0),
            changed(1, 1),
            changed(2, 1),
            // Another offset and another first slot.
            changed(9, 0xff),
            changed(23, 0xff),
        ] {
            assert_eq!(read(&value, NOW), None, "{value:?}");
        }
        // More entries than slots have passed since the clock began: read without a panic.
        let mut early = b"W".to_vec();
        early.extend(bytes(&[(4, 1), (SLOT, 7), (0, 7), (1, 7), (0, 7)]));
        early.extend(bytes(&[(0, 6), (2, 6), (0, 6), (0, 6), (0, 6)]));
        assert_eq!(read(&early, 1_000).unwrap().used, 2);
    }
}
