//! What a window counts besides its own slots, after its limit has changed.

/// Permits that were admitted by an earlier ring, in slots of this one. Some slots may be later
/// than the current one: see [`Handover`](super::handover).
pub(crate) trait Carried: Copy {
    /// What is carried to slot `number`.
    fn at(self, number: u64) -> u64;

    /// What is carried to slots from `number` on.
    fn since(self, number: u64) -> u64;

    /// Takes what is carried to slots from `number` on off the `room`. If there is too little, the
    /// newest slot that, with the slots after it, does not fit.
    fn fit_from(self, number: u64, room: u64) -> Result<u64, u64>;
}

/// The first ring of a window has no earlier one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nothing;

impl Carried for Nothing {
    #[inline]
    fn at(self, _: u64) -> u64 {
        0
    }

    #[inline]
    fn since(self, _: u64) -> u64 {
        0
    }

    #[inline]
    fn fit_from(self, _: u64, room: u64) -> Result<u64, u64> {
        Ok(room)
    }
}
