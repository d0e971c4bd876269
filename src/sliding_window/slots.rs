//! The sliding window's arithmetic: how time is cut into slots, and how a slot and a count share a
//! word. No atomics, no clock.

#![deny(clippy::arithmetic_side_effects)]

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// Why a sliding window cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowError {
    /// A limit of zero would never admit anything.
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
    /// Limit and slot number do not fit one word. Fewer slots or a longer window leave more bits
    /// for the limit.
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

/// The slots of a window unless its limit needs longer ones.
pub(super) const DEFAULT_SLOTS: u64 = 64;

/// 65 536 slots take 1 to 2 MiB and bring capacity back at most 1/65 536 of the window late.
const MAX_SLOTS: u64 = 1 << 16;

/// The last instant with a slot number, 292 years after the clock's origin. Later readings are
/// clamped to it. One less than all bits, so that a number is left over for slots of 1 ns.
const LAST_NANOS: u64 = (u64::MAX >> 1) - 1;

/// A slot number, or an instant of the clock, as a signed number.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The slots of a window and its limit, prepared so that an admission needs no division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    limit: u64,
    /// Nanoseconds per slot.
    slot: NonZeroU64,
    /// Number of slots before the current one that count. Together they are at least as long as the
    /// window, so that no interval of its length touches more than these and the current slot.
    reach: u32,
    /// Number of bits of the count in a word.
    count_bits: u32,
    /// These bits. Kept, so that no decision computes them.
    count_mask: u64,
    /// Number of bits of an age in a word; 0 where ages of up to `reach` slots do not fit.
    age_bits: u32,
    /// The window in nanoseconds.
    length: u64,
    /// The number of slots that the caller chose.
    slots: u32,
}

/// A slot's number and the permits admitted in it, or before it. A larger word belongs to a later
/// slot, or counts more.
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

        Self::with_slot(limit, length, slots, Self::slot_length(length, slots))
    }

    /// A window of valid length, cut into slots of this length.
    fn with_slot(
        limit: u64,
        length: u64,
        slots: u64,
        slot: NonZeroU64,
    ) -> Result<Self, WindowError> {
        let reach = length.div_ceil(slot.get());
        let last_number = LAST_NANOS.checked_div(slot.get()).unwrap_or_default();
        // One number is left over, for rings that are not in use.
        let count_bits = last_number.saturating_add(1).leading_zeros();
        let max = u64::MAX
            .checked_shr(64_u32.saturating_sub(count_bits))
            .unwrap_or_default();
        if limit > max {
            return Err(WindowError::LimitTooLarge { max });
        }
        let age_bits = 64_u32.saturating_sub(reach.leading_zeros());
        // Both are some 2^18 at most.
        let fits = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            limit,
            slot,
            reach: fits(reach),
            count_bits,
            age_bits: if age_bits <= count_bits { age_bits } else { 0 },
            // All that fits the bits.
            count_mask: max,
            length,
            slots: fits(slots),
        })
    }

    /// A window with `slots`, or with fewer if so many do not fit.
    pub(crate) fn fitting(limit: u64, length: Duration, slots: u64) -> Result<Self, WindowError> {
        let mut slots = slots;
        loop {
            match Self::new(limit, length, slots) {
                Err(WindowError::LimitTooLarge { .. } | WindowError::TooManySlots { .. })
                    if slots > 1 =>
                {
                    slots /= 2;
                }
                result => return result,
            }
        }
    }

    /// A window with `slots`, or with fewer if so many do not fit, each as long as several of
    /// `shorter` nanoseconds.
    pub(crate) fn fitting_slots_of(
        shorter: NonZeroU64,
        limit: u64,
        length: Duration,
        slots: u64,
    ) -> Result<Self, WindowError> {
        let mut fitting = Self::fitting(limit, length, slots)?;
        loop {
            let several = fitting.slot.get().checked_div(shorter.get()).unwrap_or(0);
            let slot = several.max(1).saturating_mul(shorter.get());
            let slot = NonZeroU64::new(slot).unwrap_or(NonZeroU64::MIN);
            let is_last = fitting.slots() <= 1;
            match Self::with_slot(limit, fitting.length, fitting.slots(), slot) {
                // Shorter slots leave fewer bits for the limit.
                Err(WindowError::LimitTooLarge { .. }) if !is_last => {}
                // A slot that is cut short makes more of them count.
                Ok(_) if slot != fitting.slot && !is_last => {}
                result => return result,
            }
            fitting = Self::fitting(limit, length, fitting.slots() / 2)?;
        }
    }

    /// The length of a slot such that the counting slots, including the current one, span at most
    /// the window and one slot of the chosen length.
    ///
    /// Where `slots` does not divide the window, slots are about half that length. Rounding up
    /// would make the span too long. Rounding down needs one slot more, so slots must be at most
    /// half as long.
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

    /// The length of a slot.
    pub(crate) const fn slot_nanos(&self) -> NonZeroU64 {
        self.slot
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) const fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    pub(crate) const fn slots(&self) -> u64 {
        self.slots as u64
    }

    const fn reach(&self) -> u64 {
        self.reach as u64
    }

    /// Whether limit and length are the same.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn is_like(&self, other: &Self) -> bool {
        self.limit == other.limit && self.length == other.length
    }

    /// Number of ring entries: one for every counting slot and one for the current. A power of two,
    /// so that a mask turns a number into an index.
    pub(crate) const fn ring_len(&self) -> u64 {
        self.reach().saturating_add(1).next_power_of_two()
    }

    /// Whether slot `number` contains `nanos`. Takes a multiplication, where
    /// [`number_at`](Self::number_at) takes a division.
    #[inline]
    pub(crate) const fn contains(&self, number: u64, nanos: u64) -> bool {
        nanos.wrapping_sub(number.wrapping_mul(self.slot.get())) < self.slot.get()
    }

    /// The number of the slot that contains `nanos`.
    #[inline]
    pub(crate) fn number_at(&self, nanos: u64) -> u64 {
        nanos.min(LAST_NANOS) / self.slot
    }

    /// The current slot at `nanos`, if slot `head` has begun: a clock may be behind.
    #[inline]
    pub(crate) fn current(&self, head: u64, nanos: u64) -> u64 {
        if self.contains(head, nanos) {
            head
        } else {
            self.number_at(nanos).max(head)
        }
    }

    /// What is left of `used`, which count in slot `head`, while the later slot `current` is the
    /// current one. `leaving` is the oldest slot in which something was admitted, if that is known,
    /// and `finished` are the counts of slots. `None` where most slots have aged out.
    pub(crate) fn left_later(
        &self,
        used: u64,
        leaving: Option<u64>,
        head: u64,
        current: u64,
        finished: impl Fn(u64) -> u64,
    ) -> Option<u64> {
        let (from, to) = (self.oldest(head), self.oldest(current));
        if leaving.is_some_and(|leaving| leaving >= to) {
            return Some(used);
        }
        if to > head {
            return Some(0);
        }
        if to.saturating_sub(from) > head.saturating_sub(to) {
            return None;
        }
        Some((from..to).fold(used, |left, number| left.saturating_sub(finished(number))))
    }

    /// The start of slot `number`.
    pub(crate) const fn start(&self, number: u64) -> u64 {
        number.saturating_mul(self.slot.get())
    }

    /// The last nanosecond of slot `number`.
    pub(crate) const fn end(&self, number: u64) -> u64 {
        self.start(number)
            .saturating_add(self.slot.get().saturating_sub(1))
    }

    /// The nanoseconds from `nanos` until the slot after `number` begins, at least 1.
    pub(crate) fn until_next(&self, number: u64, nanos: u64) -> u64 {
        let left = self.end(number).saturating_add(1).saturating_sub(nanos);
        left.max(1)
    }

    /// The head of a ring whose successor has taken over, or is about to. No slot has its number,
    /// and it counts nothing.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn closed(&self) -> Word {
        Word(u64::MAX.wrapping_shl(self.count_bits))
    }

    /// The head of a ring that has not taken over yet.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn unopened() -> Word {
        Word(u64::MAX)
    }

    /// The oldest slot that still counts while `number` is the current one.
    pub(crate) const fn oldest(&self, number: u64) -> u64 {
        number.saturating_sub(self.reach())
    }

    /// The nanoseconds from `nanos` until slot `number` no longer counts; 584 years if readings are
    /// clamped before that. The number may be negative, in two's complement, if the slot counts.
    pub(crate) const fn until_gone(&self, number: u64, nanos: u64) -> u64 {
        // The sum is positive, because a slot that counts does so after the clock's origin. So it
        // wraps only where the number is negative.
        let end = number
            .wrapping_add(self.reach())
            .wrapping_add(1)
            .saturating_mul(self.slot.get());
        if end > LAST_NANOS {
            u64::MAX
        } else {
            end.saturating_sub(nanos)
        }
    }

    /// The length of a slot, which fits: a window has at most 2^62 nanoseconds.
    fn signed_slot(&self) -> i64 {
        signed(self.slot.get())
    }

    /// The number of the slot that contains an instant before the clock's origin, or after it.
    pub(crate) fn signed_number_at(&self, nanos: i64) -> i64 {
        // A slot is at least 1 ns, so the quotient exists.
        nanos.checked_div_euclid(self.signed_slot()).unwrap_or(0)
    }

    /// [`oldest`](Self::oldest), which may lie before the clock's origin.
    pub(crate) fn signed_oldest(&self, number: u64) -> i64 {
        signed(number).saturating_sub(signed(self.reach()))
    }

    /// The age at `nanos` of the latest instant of slot `number`, or 0 if the slot is not over.
    pub(crate) const fn age_of(&self, number: u64, nanos: u64) -> u64 {
        nanos.saturating_sub(self.end(number))
    }

    #[inline]
    pub(crate) const fn number(&self, word: Word) -> u64 {
        word.0.wrapping_shr(self.count_bits)
    }

    #[inline]
    pub(crate) const fn count(&self, word: Word) -> u64 {
        word.0 & self.count_mask
    }

    /// The count of `base` if it has the number of `head`. The difference of words with other
    /// numbers exceeds all counts, or wraps.
    #[inline]
    pub(crate) const fn base_count(&self, head: Word, base: Word) -> Option<u64> {
        let count = base.0.wrapping_sub(head.0 & !self.count_mask);
        if count <= self.count_mask {
            Some(count)
        } else {
            None
        }
    }

    /// A word of slot `number` and of how far the slot `oldest` is behind it. `None` if ages do not
    /// fit.
    pub(crate) const fn aged(&self, number: u64, oldest: u64) -> Option<u64> {
        if self.age_bits == 0 {
            return None;
        }
        let age = number.saturating_sub(oldest);
        Some(number.wrapping_shl(self.age_bits) | age)
    }

    /// The age in a word that has this number.
    #[inline]
    pub(crate) const fn age_beside(&self, number: u64, word: u64) -> Option<u64> {
        let age = word.wrapping_sub(number.wrapping_shl(self.age_bits));
        if age <= self.reach() { Some(age) } else { None }
    }

    /// A word with the count capped at the limit. A larger count would mean the same: a full window
    /// admits nothing.
    #[inline]
    pub(crate) const fn word(&self, number: u64, count: u64) -> Word {
        let count = if count > self.limit {
            self.limit
        } else {
            count
        };
        Word(number.wrapping_shl(self.count_bits) | count)
    }

    /// A word of slot `number` and of permits that another window counts, at most `limit`. `None`
    /// where that limit does not fit.
    pub(crate) const fn word_beside(&self, number: u64, count: u64, limit: u64) -> Option<Word> {
        if limit > self.count_mask {
            return None;
        }
        let count = if count > limit { limit } else { count };
        Some(Word(number.wrapping_shl(self.count_bits) | count))
    }

    /// By how many `n` more would exceed the limit, where `used` count already.
    pub(crate) const fn excess(&self, used: u64, n: u64) -> u64 {
        used.saturating_add(n).saturating_sub(self.limit)
    }

    /// The head after an admission of `n`; `None` if that, with the head and the `base` admissions
    /// before it, would exceed the limit.
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
