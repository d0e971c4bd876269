//! The sliding window's arithmetic: how time is cut into slots, and how a slot and a count share a word. No atomics, no clock.

#![deny(clippy::arithmetic_side_effects)]

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// A sliding window that cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowError {
    /// A limit of zero would admit nothing ever.
    ZeroLimit,
    /// A window of length zero would admit everything.
    ZeroWindow,
    /// The window is longer than 146 years (2⁶² ns).
    WindowTooLong,
    /// A window needs at least one slot.
    ZeroSlots,
    /// More slots than nanoseconds, or more than 65 536.
    TooManySlots {
        /// The most slots for this window.
        max: usize,
    },
    /// Limit and slot number do not fit one word together. Fewer slots, or a longer window, leave more room for the limit.
    LimitTooLarge {
        /// The largest limit for this window and number of slots.
        max: u64,
    },
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroLimit => f.write_str("the limit is zero"),
            Self::ZeroWindow => f.write_str("the window is zero"),
            Self::WindowTooLong => f.write_str("the window is longer than 146 years"),
            Self::ZeroSlots => f.write_str("the window has no slots"),
            Self::TooManySlots { max } => {
                write!(f, "too many slots for the window: at most {max}")
            }
            Self::LimitTooLarge { max } => {
                write!(
                    f,
                    "the limit is too large for so short a window or slot: at most {max}"
                )
            }
        }
    }
}

impl core::error::Error for WindowError {}

/// The longest window in nanoseconds. With one slot more it still fits the time line.
const MAX_WINDOW: u64 = 1 << 62;

/// 65 536 slots take 2 to 4 MiB and bring capacity back at most 1/65 536 of the window late.
const MAX_SLOTS: u64 = 1 << 16;

/// The last instant that has a slot number, 292 years after the clock's origin. Later, the window's time stands still.
const LAST_NANOS: u64 = u64::MAX >> 1;

/// A limit per window, prepared so that an admission needs no division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    limit: u64,
    /// Nanoseconds per slot.
    slot: NonZeroU64,
    /// How many slots before the current one still count: together at least as long as the window, so that no interval of
    /// its length touches more than these and the current one.
    reach: u64,
    /// Width of the count in a word.
    count_bits: u32,
    /// The window in nanoseconds.
    length: u64,
    /// How many slots were asked for.
    slots: u64,
}

/// A slot's number and how much was admitted in it, or before it. Larger numbers are later, and larger words are of later slots
/// or count more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Window {
    pub(crate) fn new(limit: u64, length: Duration, slots: u64) -> Result<Self, WindowError> {
        if limit == 0 {
            return Err(WindowError::ZeroLimit);
        }
        let length = crate::time::nanos(length);
        if length == 0 {
            return Err(WindowError::ZeroWindow);
        }
        if length > MAX_WINDOW {
            return Err(WindowError::WindowTooLong);
        }
        if slots == 0 {
            return Err(WindowError::ZeroSlots);
        }
        let most = length.min(MAX_SLOTS);
        if slots > most {
            let max = usize::try_from(most).unwrap_or(usize::MAX);
            return Err(WindowError::TooManySlots { max });
        }

        let slot = Self::slot_length(length, slots);
        let reach = length.div_ceil(slot.get());
        let last_number = LAST_NANOS.checked_div(slot.get()).unwrap_or_default();
        let count_bits = last_number.leading_zeros();
        let max = u64::MAX
            .checked_shr(64_u32.saturating_sub(count_bits))
            .unwrap_or_default();
        if limit > max {
            return Err(WindowError::LimitTooLarge { max });
        }
        Ok(Self {
            limit,
            slot,
            reach,
            count_bits,
            length,
            slots,
        })
    }

    /// The slot's length such that the slots that count, with the current one, span at most the window and the slot that was
    /// asked for (G5).
    ///
    /// Where `slots` does not divide the window, that takes slots of half the length: rounding up would make the span too
    /// long, and rounding down needs one slot more, which may then be no longer than half.
    fn slot_length(length: u64, slots: u64) -> NonZeroU64 {
        let divides = length.checked_rem(slots) == Some(0);
        let parts = if divides {
            slots
        } else {
            slots.saturating_mul(2)
        };
        length
            .checked_div(parts)
            .and_then(NonZeroU64::new)
            .unwrap_or(NonZeroU64::MIN)
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) const fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    pub(crate) const fn slots(&self) -> u64 {
        self.slots
    }

    /// Entries that a ring needs: one for every slot that counts and one for the current. A power of two, so that a number is
    /// turned into an index by a mask.
    pub(crate) const fn ring_len(&self) -> u64 {
        self.reach.saturating_add(1).next_power_of_two()
    }

    /// Whether slot `number` contains `nanos`. A multiplication where the number itself would take a division.
    #[inline]
    pub(crate) const fn contains(&self, number: u64, nanos: u64) -> bool {
        nanos.wrapping_sub(number.wrapping_mul(self.slot.get())) < self.slot.get()
    }

    /// The number of the slot that contains `nanos`.
    pub(crate) fn number_at(&self, nanos: u64) -> u64 {
        nanos.min(LAST_NANOS) / self.slot
    }

    /// The oldest slot that still counts in slot `number`.
    pub(crate) const fn oldest(&self, number: u64) -> u64 {
        number.saturating_sub(self.reach)
    }

    /// The time from `nanos` until slot `number` no longer counts; 584 years if its time stands still before that.
    pub(crate) const fn until_gone(&self, number: u64, nanos: u64) -> Duration {
        let end = number
            .saturating_add(self.reach)
            .saturating_add(1)
            .saturating_mul(self.slot.get());
        Duration::from_nanos(if end > LAST_NANOS {
            u64::MAX
        } else {
            end.saturating_sub(nanos)
        })
    }

    #[inline]
    pub(crate) const fn number(&self, word: Word) -> u64 {
        word.0.wrapping_shr(self.count_bits)
    }

    #[inline]
    pub(crate) const fn count(&self, word: Word) -> u64 {
        // `count_bits` is at least 1 and at most 63.
        word.0 & (1_u64.wrapping_shl(self.count_bits)).wrapping_sub(1)
    }

    /// A word whose count is at most the limit; more is as much, as a full window admits nothing whatever its sum.
    #[inline]
    pub(crate) const fn word(&self, number: u64, count: u64) -> Word {
        let count = if count > self.limit {
            self.limit
        } else {
            count
        };
        Word(number.wrapping_shl(self.count_bits) | count)
    }

    /// By how many `n` more would exceed the limit, with `used` that count.
    pub(crate) const fn excess(&self, used: u64, n: u64) -> u64 {
        used.saturating_add(n).saturating_sub(self.limit)
    }

    /// The head after an admission of `n`, if with `base` admissions before it `n` more are within the limit.
    #[inline]
    pub(crate) const fn admit(&self, base: u64, head: Word, n: u64) -> Option<Word> {
        // Each is at most the limit, and the limit has at most 63 bits.
        let used = base.wrapping_add(self.count(head));
        if n <= self.limit.saturating_sub(used) {
            Some(Word(head.0.wrapping_add(n)))
        } else {
            None
        }
    }
}
