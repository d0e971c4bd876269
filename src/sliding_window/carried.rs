//! Where a ring finds what its window counts besides its own slots.

use super::history::History;

/// What is carried to the slots of a ring from earlier ones.
pub(crate) trait Carried: Copy {
    /// Whether slots may be later than the current one: see [`Handover`](super::handover).
    const MAY_BE_LATER: bool;

    /// `restored` is what the ring holds itself.
    fn history<'a>(self, restored: &'a History) -> &'a History
    where
        Self: 'a;
}

/// The first ring of a window holds what a restore has carried to it. So its calls pass nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restored;

impl Carried for Restored {
    const MAY_BE_LATER: bool = false;

    fn history<'a>(self, restored: &'a History) -> &'a History
    where
        Self: 'a,
    {
        restored
    }
}

/// A ring that has taken over from another finds it beside.
#[cfg(any(feature = "std", tidegate_loom))]
impl Carried for &History {
    const MAY_BE_LATER: bool = true;

    fn history<'a>(self, _: &'a History) -> &'a History
    where
        Self: 'a,
    {
        self
    }
}
