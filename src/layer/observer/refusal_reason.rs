//! Why a request was refused, as the label `reason` of metrics.

use core::time::Duration;

use crate::denied::Denied;
use crate::layer::key_extractor::NoKey;
use crate::layer::rejection::Reason;

/// A [`Reason`] without its numbers, and with what a queue adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    Limited,
    Busy,
    Never,
    Timeout,
    QueueFull,
    NotSent,
    NotAttached,
    Ambiguous,
    Unavailable,
}

impl From<Reason> for RefusalReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Limited(Denied::NotYet { .. }) => Self::Limited,
            Reason::Limited(Denied::Busy { .. }) => Self::Busy,
            Reason::Limited(Denied::Never { .. }) => Self::Never,
            Reason::NoKey(why) => why.into(),
            Reason::Unavailable { .. } => Self::Unavailable,
        }
    }
}

impl From<NoKey> for RefusalReason {
    fn from(why: NoKey) -> Self {
        match why {
            NoKey::NotSent => Self::NotSent,
            NoKey::NotAttached => Self::NotAttached,
            NoKey::Ambiguous => Self::Ambiguous,
        }
    }
}

impl RefusalReason {
    /// Why a request was refused that could wait for `timeout`.
    ///
    /// `Denied` does not tell a full queue from a timeout. But a request that did not wait has the
    /// whole timeout before it, so only a full queue refuses it for less.
    pub(crate) fn of_wait(denied: Denied, timeout: Duration, has_waited: bool) -> Self {
        match denied {
            Denied::Never { .. } => Self::Never,
            _ if has_waited => Self::Timeout,
            Denied::Busy { .. } => Self::Busy,
            Denied::NotYet { retry_after } if retry_after > timeout => Self::Timeout,
            Denied::NotYet { .. } => Self::QueueFull,
        }
    }

    /// The value of the label.
    #[cfg(feature = "metrics")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Busy => "busy",
            Self::Never => "never",
            Self::Timeout => "timeout",
            Self::QueueFull => "queue_full",
            Self::NotSent => "not_sent",
            Self::NotAttached => "not_attached",
            Self::Ambiguous => "ambiguous",
            Self::Unavailable => "unavailable",
        }
    }
}
