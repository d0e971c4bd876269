//! How a [`PaceLayer`](super::PaceLayer) rejects requests, and its options.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use http::Response;

use super::gate::MissingKey;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::observer::RefusalReason;
use super::rejection::{Reason, Reject, Rejection};
use super::request_head::RequestHead;
use super::response_headers::add_retry_after;
use crate::denied::Denied;

/// The options of a [`PaceLayer`](super::PaceLayer) alone.
pub(super) struct PaceOptions<L, T> {
    /// Shared with the futures that wait at it.
    pub(super) limiter: Arc<L>,
    pub(super) timer: T,
    pub(super) timeout: Duration,
}

impl<L, T, R> LayerPolicy<PaceOptions<L, T>, R> {
    /// Rejects a request that its limiter refused, at once or after it has waited.
    #[cold]
    pub(super) fn reject_wait<B>(
        &self,
        request: &RequestHead<'_>,
        cost: u64,
        denied: Denied,
        has_waited: bool,
    ) -> Response<B>
    where
        R: Reject<B>,
    {
        let rejection = Rejection {
            request: *request,
            reason: Reason::Limited(denied),
            limit: &self.name,
            snapshot: None,
        };
        let reason = RefusalReason::of_wait(denied, self.own.timeout, has_waited);
        self.reject_request(RequestOutcome::Denied, &rejection, reason, cost)
    }

    /// Rejects a request that lacks the key.
    #[cold]
    pub(super) fn reject_keyless<B>(
        &self,
        request: &RequestHead<'_>,
        cost: u64,
        missing: MissingKey,
    ) -> Response<B>
    where
        R: Reject<B>,
    {
        let rejection = Rejection {
            request: *request,
            reason: Reason::NoKey(missing.why),
            limit: missing.limit.unwrap_or(&self.name),
            snapshot: None,
        };
        let reason = missing.why.into();
        self.reject_request(RequestOutcome::NoKey, &rejection, reason, cost)
    }

    fn reject_request<B>(
        &self,
        outcome: RequestOutcome,
        rejection: &Rejection<'_>,
        reason: RefusalReason,
        cost: u64,
    ) -> Response<B>
    where
        R: Reject<B>,
    {
        let (observer, layer) = (&self.observer, &self.name);
        observer.record_rejection(layer, outcome, rejection, reason, cost, 0);
        let mut response = self.reject.reject(rejection);
        if let Some(wait) = rejection.retry_after() {
            add_retry_after(wait, response.headers_mut());
        }
        response
    }
}

/// Omits the timer, which may be a closure.
impl<L: fmt::Debug, T> fmt::Debug for PaceOptions<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaceOptions")
            .field("limiter", &self.limiter)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
