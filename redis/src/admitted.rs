//! The result of a call that was admitted.

use core::time::Duration;

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub(crate) by: AdmittedBy,
    pub(crate) available: Option<u64>,
    pub(crate) refill_time: Option<Duration>,
}

/// The source of an admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdmittedBy {
    /// The server.
    Server,
    /// This node's share: [`FailurePolicy::Local`](crate::FailurePolicy::Local), without the
    /// server.
    LocalShare,
    /// No limit: [`FailurePolicy::Open`](crate::FailurePolicy::Open), without the server.
    FailOpen,
}

impl Admitted {
    pub(crate) const fn without_server(by: AdmittedBy) -> Self {
        Self {
            by,
            available: None,
            refill_time: None,
        }
    }

    /// Returns the source of the admission.
    pub const fn by(&self) -> AdmittedBy {
        self.by
    }

    /// Returns the tokens left, of several limits the least; `None` if the server was not asked.
    pub const fn available(&self) -> Option<u64> {
        self.available
    }

    /// Returns the time until all limits are full if no call comes; `None` if the server was not
    /// asked.
    pub const fn refill_time(&self) -> Option<Duration> {
        self.refill_time
    }
}
