//! Why a bucket refuses a call.

use super::{Gcra, Now, Refusal, Shortfall};
use crate::denied::Denied;

/// Why a call is refused.
#[derive(Clone, Copy)]
pub(crate) enum Shortage {
    Never {
        capacity: u64,
    },
    /// Without the hint, so that a caller that ignores it does not pay for it.
    NotYet(Now, Shortfall),
    /// With the hint in nanoseconds, where the quota has changed.
    After(u64),
}

impl Shortage {
    // Inlined into the caller, so that an unused hint is never computed.
    #[expect(clippy::inline_always, reason = "see above")]
    #[inline(always)]
    pub(crate) const fn denied(self, gcra: &Gcra) -> Denied {
        match self {
            Self::Never { capacity } => Denied::Never { capacity },
            Self::NotYet(now, shortfall) => Denied::not_yet(gcra.wait_nanos(now, shortfall)),
            Self::After(nanos) => Denied::not_yet(nanos),
        }
    }

    /// The same with its hint, which does not need the bucket's quota.
    pub(crate) const fn hinted(self, gcra: &Gcra) -> Self {
        match self {
            Self::NotYet(now, shortfall) => Self::After(gcra.wait_nanos(now, shortfall)),
            hinted => hinted,
        }
    }
}

impl From<Shortage> for Refusal<Shortage> {
    fn from(shortage: Shortage) -> Self {
        Self::Denied(shortage)
    }
}
