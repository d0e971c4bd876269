//! The lengths and limits of a ring: one window, or two over the same admissions.

use core::num::NonZeroU64;
use core::time::Duration;

use super::slots::{Window, WindowError};

/// A window, and perhaps a longer one over the same admissions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// The only one, or the shorter one.
    pub(super) window: Window,
    pub(super) longer: Option<Window>,
}

/// One of the two windows over the same admissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Shorter,
    Longer,
}

impl Windows {
    pub(super) const fn alone(window: Window) -> Self {
        let longer = None;
        Self { window, longer }
    }

    /// The window, and a longer one. A slot of the longer one is a whole number of slots of the
    /// other, and at most `slots` of them are in its length, or fewer if so many do not fit.
    pub(super) fn nested(
        window: Window,
        limit: u64,
        length: Duration,
        slots: u64,
    ) -> Result<Self, WindowError> {
        let longer = Window::fitting_slots_of(window.slot_nanos(), limit, length, slots)?;
        Ok(Self {
            window,
            longer: Some(longer),
        })
    }

    /// One of the limits and lengths changed, with as many slots as `chosen` has, or fewer if so
    /// many do not fit.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn with(
        self,
        which: Which,
        limit: u64,
        length: Duration,
        chosen: &Self,
    ) -> Result<Self, WindowError> {
        let shorter = || Window::fitting(limit, length, chosen.window.slots());
        match (which, self.longer.zip(chosen.longer)) {
            (Which::Shorter, None) => shorter().map(Self::alone),
            (Which::Shorter, Some((old, chosen))) => {
                Self::nested(shorter()?, old.limit(), old.length(), chosen.slots())
            }
            (Which::Longer, Some((_, chosen))) => {
                Self::nested(self.window, limit, length, chosen.slots())
            }
            (Which::Longer, None) => Ok(self),
        }
    }

    /// Whether limits and lengths are the same.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn are_like(&self, other: &Self) -> bool {
        let is_longer_alike = match (&self.longer, &other.longer) {
            (Some(one), Some(other)) => one.is_like(other),
            (one, other) => one.is_some() == other.is_some(),
        };
        self.window.is_like(&other.window) && is_longer_alike
    }

    /// Number of ring entries: enough for the window, and for all slots in one of the longer one.
    pub(super) fn ring_len(&self) -> u64 {
        let own = self.window.ring_len();
        match self.longer {
            Some(longer) => own.max(self.slots_in_one_of(&longer).get().next_power_of_two()),
            None => own,
        }
    }

    /// The number of slots in one slot of the longer window.
    pub(super) fn slots_in_one_of(&self, longer: &Window) -> NonZeroU64 {
        let slots = longer.slot_nanos().get() / self.window.slot_nanos();
        NonZeroU64::new(slots).unwrap_or(NonZeroU64::MIN)
    }
}
