//! What a shared limit has decided about a request.

use alloc::vec::Vec;
use core::time::Duration;

use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// What a [`SharedGate`](super::SharedGate) has decided about a request.
///
/// | decision | response |
/// |---|---|
/// | [`admitted`](Self::admitted) | that of the service |
/// | [`denied`](Self::denied) | `429 Too Many Requests`, or `RESOURCE_EXHAUSTED` to gRPC clients |
/// | [`unavailable`](Self::unavailable) | `503 Service Unavailable`, or `UNAVAILABLE` |
///
/// ```
/// use core::time::Duration;
/// use tidegate::layer::SharedDecision;
/// use tidegate::{Denied, Snapshot};
///
/// let mut day = Snapshot::new(1_000, Duration::from_secs(86_400));
/// (day.limit, day.available) = (Some("day"), 0);
/// let retry_after = Duration::from_secs(86).into();
/// let decision = SharedDecision::denied(Denied::NotYet { retry_after }).describe([day]);
/// assert!(!decision.is_admitted());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it says whether the request may pass"]
pub struct SharedDecision {
    pub(super) outcome: SharedOutcome,
    /// The name of the limit that refused or could not decide.
    pub(super) limit: Option<&'static str>,
    /// Each limit on the request. Empty if the state is unknown.
    pub(super) snapshots: Vec<Snapshot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedOutcome {
    Admitted,
    Denied(Denied),
    Unavailable { retry_after: Option<Duration> },
}

impl SharedDecision {
    const fn new(outcome: SharedOutcome) -> Self {
        Self {
            outcome,
            limit: None,
            snapshots: Vec::new(),
        }
    }

    /// Admits the request.
    pub const fn admitted() -> Self {
        Self::new(SharedOutcome::Admitted)
    }

    /// Refuses the request. Nothing was charged.
    pub const fn denied(denied: Denied) -> Self {
        Self::new(SharedOutcome::Denied(denied))
    }

    /// Rejects the request, because the limit could not decide it. `retry_after` is when it is
    /// worth trying again, if that is known.
    pub const fn unavailable(retry_after: Option<Duration>) -> Self {
        Self::new(SharedOutcome::Unavailable { retry_after })
    }

    /// Names the limit that refused or could not decide. Without a name it is the one that has the
    /// least left.
    pub const fn by(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Describes the limits on the request to clients: after the charge, or as they are at the
    /// refusal. Use the same order each time. Of a decision that is not described, clients see
    /// whether they were refused, and when to retry.
    pub fn describe(mut self, snapshots: impl Into<Vec<Snapshot>>) -> Self {
        self.snapshots = snapshots.into();
        self
    }

    /// Returns whether the request may pass.
    pub const fn is_admitted(&self) -> bool {
        matches!(self.outcome, SharedOutcome::Admitted)
    }

    /// Returns the snapshot of the limit that refused: the one with its name, or the tightest.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let each = || self.snapshots.iter().copied();
        let named = self.limit.and_then(|limit| {
            let mut each = each();
            each.find(|snapshot| snapshot.limit == Some(limit))
        });
        named.or_else(|| each().reduce(Snapshot::tighter))
    }

    /// The same decision of a gate with one name, which has one limit then.
    pub(super) fn named(mut self, name: &'static str) -> Self {
        let snapshot = self.snapshot();
        self.limit = Some(name);
        self.snapshots.clear();
        self.snapshots.extend(snapshot.map(|snapshot| Snapshot {
            limit: Some(name),
            ..snapshot
        }));
        self
    }
}
