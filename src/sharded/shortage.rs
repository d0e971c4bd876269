//! Why a sharded bucket refuses a call.

use crate::gcra::{Now, Refusal, Shortfall};

/// Why a call is refused.
#[derive(Clone, Copy)]
pub(super) enum Shortage {
    Never {
        capacity: u64,
    },
    /// Without the hint.
    NotYet(Now, Shortfall),
    /// With the hint, where the quota has changed. In plain numbers: with a `Duration`, the
    /// compiler could not drop the hint of `NotYet` where it is not used.
    After {
        seconds: u64,
        nanos: u32,
    },
}

impl From<Shortage> for Refusal<Shortage> {
    fn from(shortage: Shortage) -> Self {
        Self::Denied(shortage)
    }
}
