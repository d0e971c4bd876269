//! How a [`PaceLayer`](super::PaceLayer) rejects requests, and its options.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use http::Response;

use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
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
    #[cold]
    pub(super) fn reject_request<B>(
        &self,
        request: &RequestHead<'_>,
        cost: u64,
        denied: Denied,
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
        self.record_rejection(RequestOutcome::Denied, &rejection, cost, 0);
        let mut response = self.reject.reject(&rejection);
        if let Some(wait) = denied.retry_after() {
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
