//! What a call of a limiter means for a request.

use tidegate::Snapshot;
use tidegate::layer::SharedDecision;

use crate::error::AcquireError;
use crate::limits::{BucketSet, Limits};
use crate::scaled_limit::LimitState;

/// Takes `n` tokens of every limit, or none.
pub(crate) async fn decide(limits: &Limits, buckets: &BucketSet, n: u64) -> SharedDecision {
    let costs = vec![n; limits.len()];
    let taken = limits.take_and_tell(buckets, &costs).await;
    let decision = decision_of(limits, taken.result);
    match taken.states {
        Some(states) => decision.describe(snapshots(limits, &states)),
        None => decision,
    }
}

pub(crate) fn decision_of<T>(limits: &Limits, result: Result<T, AcquireError>) -> SharedDecision {
    match result {
        Ok(_) => SharedDecision::admitted(),
        Err(AcquireError::Denied { denied, limit }) => {
            let decision = SharedDecision::denied(denied);
            match limit.and_then(|limit| limits.label_of(&limit)) {
                Some(label) => decision.by(label),
                None => decision,
            }
        }
        // A closed lease has no wait that helps.
        Err(error) => SharedDecision::unavailable(error.retry_after()),
    }
}

fn snapshots(limits: &Limits, states: &[LimitState]) -> Vec<Snapshot> {
    let each = limits.labeled().zip(states);
    each.map(|((label, limit), &state)| {
        let mut snapshot = Snapshot::new(limit.capacity(), limit.period());
        snapshot.limit = label;
        snapshot.available = limit.available(state);
        snapshot.next_permit_in = limit.next_permit_in(state);
        snapshot
    })
    .collect()
}
