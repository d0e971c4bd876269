//! What undoes a charge on a window.

use crate::prepared_charge::Exchange;

/// A charge on a [`SlidingWindow`](crate::SlidingWindow), for [`Limiter::undo`].
///
/// [`Limiter::undo`]: crate::Limiter::undo
#[derive(Debug)]
#[must_use = "dropping a charge does not undo it"]
pub struct WindowCharge {
    pub(super) slot: u64,
    pub(super) permits: u64,
    pub(super) generation: Generation,
}

impl WindowCharge {
    pub(super) const NOTHING: Self = Self {
        slot: 0,
        permits: 0,
        generation: Generation::FIRST,
    };

    /// The number of the slot that was charged, for models.
    #[cfg(tidegate_loom)]
    #[doc(hidden)]
    pub const fn slot(&self) -> u64 {
        self.slot
    }
}

/// The number of changes of a window's limit before a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Generation {
    pub(super) const FIRST: Self = Self(0);

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// What a combination keeps of a charge in a slot. The first generation keeps a `word` with the
    /// slot's number, as in a prepared exchange. Later ones keep the number itself, and the
    /// distance of the two words is the generation.
    pub(super) fn exchange(self, slot: u64, word: impl FnOnce() -> u64) -> Exchange {
        let before = if self == Self::FIRST { word() } else { slot };
        let after = before.wrapping_sub(self.0);
        Exchange { before, after }
    }

    /// The generation of a charge that a combination has kept.
    pub(super) const fn of(charge: Exchange) -> Self {
        let distance = charge.before.wrapping_sub(charge.after);
        // A prepared exchange counts up, by less than 2^63.
        if distance > u64::MAX >> 1 {
            Self::FIRST
        } else {
            Self(distance)
        }
    }
}
