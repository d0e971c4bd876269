//! Why a bucket refuses a call.

use core::time::Duration;

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
    /// With the hint, where the quota has changed. In plain numbers: with a `Duration`, the
    /// compiler could not drop the hint of `NotYet` where it is not used.
    After {
        seconds: u64,
        nanos: u32,
    },
}

impl Shortage {
    // Inlined into the caller, so that an unused hint is never computed.
    #[inline]
    pub(crate) const fn denied(self, gcra: &Gcra) -> Denied {
        match self {
            Self::Never { capacity } => Denied::Never { capacity },
            Self::NotYet(now, shortfall) => Denied::NotYet {
                retry_after: gcra.wait(now, shortfall),
            },
            Self::After { seconds, nanos } => Denied::NotYet {
                retry_after: Duration::new(seconds, nanos),
            },
        }
    }

    /// The same with its hint, which does not need the bucket's quota.
    pub(crate) const fn hinted(self, gcra: &Gcra) -> Self {
        match self {
            Self::NotYet(now, shortfall) => {
                let wait = gcra.wait(now, shortfall);
                Self::After {
                    seconds: wait.as_secs(),
                    nanos: wait.subsec_nanos(),
                }
            }
            hinted => hinted,
        }
    }
}

impl From<Shortage> for Refusal<Shortage> {
    fn from(shortage: Shortage) -> Self {
        Self::Denied(shortage)
    }
}
