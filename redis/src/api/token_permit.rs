//! One call that was admitted with its tokens.

use core::fmt;
use std::sync::Arc;

use tidegate::__fleet as fleet;
use tidegate::{TokenEstimate, TokenPermit, TokenUsage};
use tokio::runtime::Handle;

use super::call_costs::CallCosts;
use super::call_id::CallId;
use super::core::Core;
use super::delivery::{CallEnding, CallMessage, Delivery, deliver};
use super::fleet_limit::ApiLimit;
use crate::admitted::AdmittedBy;

/// One admitted request with its estimated tokens, from
/// [`RedisApiRateLimiter::reserve_tokens`](crate::RedisApiRateLimiter::reserve_tokens) or
/// `acquire_tokens`.
///
/// | end of the permit | charge |
/// |---|---|
/// | [`settle`](Self::settle) with the tokens that were used | the tokens used: the rest of the estimate comes back, and tokens beyond it become debt |
/// | [`commit`](Self::commit), then drop | the estimate |
/// | [`report`](Self::report) while it streams, then drop | what was reported |
/// | `settle(0)`, for a call that the provider refused | the request; all tokens come back |
/// | drop | nothing, because the call was not made |
/// | the process ends | the estimate, and the call is in flight for its time to live |
///
/// Commit right before the request is sent. Each ending is sent to the server in the background,
/// again if an answer is lost, and takes effect once. A [`Delivery`] tells when, and need not be
/// awaited. Before a process ends, await
/// [`delivered`](crate::RedisApiRateLimiter::delivered).
///
/// Canceling [forfeits](tidegate::RateLimitStats::forfeited) the request in each window whose slot
/// has passed, 1/64 of the window. Tokens always come back.
#[must_use = "a permit that is dropped is canceled"]
pub struct RedisTokenPermit {
    core: Arc<Core>,
    runtime: Handle,
    id: CallId,
    admission: Admission,
    estimate: TokenEstimate,
    /// What is charged: the estimate, and what was reported beyond it.
    costs: CallCosts,
    reported: Option<TokenUsage>,
    is_committed: bool,
    has_ended: bool,
}

/// Who has admitted it.
enum Admission {
    Server,
    /// `None` once it has ended.
    Share(Option<Box<TokenPermit>>),
    Open,
}

impl RedisTokenPermit {
    fn new(
        core: &Arc<Core>,
        id: CallId,
        admission: Admission,
        (estimate, costs): (TokenEstimate, CallCosts),
        runtime: &Handle,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            runtime: runtime.clone(),
            id,
            admission,
            estimate,
            costs,
            reported: None,
            is_committed: false,
            has_ended: false,
        }
    }

    pub(super) fn by_server(
        core: &Arc<Core>,
        id: CallId,
        asked: (TokenEstimate, CallCosts),
        runtime: &Handle,
    ) -> Self {
        Self::new(core, id, Admission::Server, asked, runtime)
    }

    pub(super) fn by_share(
        core: &Arc<Core>,
        id: CallId,
        permit: TokenPermit,
        asked: (TokenEstimate, CallCosts),
        runtime: &Handle,
    ) -> Self {
        Self::new(
            core,
            id,
            Admission::Share(Some(Box::new(permit))),
            asked,
            runtime,
        )
    }

    pub(super) fn fail_open(
        core: &Arc<Core>,
        id: CallId,
        asked: (TokenEstimate, CallCosts),
        runtime: &Handle,
    ) -> Self {
        Self::new(core, id, Admission::Open, asked, runtime)
    }

    /// Returns the call's id, by which another node can
    /// [settle](crate::RedisApiRateLimiter::settle) or
    /// [cancel](crate::RedisApiRateLimiter::cancel) it. A permit that is handed on this way must be
    /// [forgotten](Self::hand_over) here.
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Returns the source of the admission.
    pub const fn by(&self) -> AdmittedBy {
        match self.admission {
            Admission::Server => AdmittedBy::Server,
            Admission::Share(_) => AdmittedBy::LocalShare,
            Admission::Open => AdmittedBy::FailOpen,
        }
    }

    /// Returns the estimate.
    pub const fn estimate(&self) -> TokenEstimate {
        self.estimate
    }

    /// Marks the request as sent. Its estimate counts as used, unless [`settle`](Self::settle)
    /// gives the number. Sends nothing: the estimate also counts if this process ends.
    pub const fn commit(&mut self) {
        self.is_committed = true;
    }

    /// Leaves the end of the call to another node, which ends it by the returned id. Until then it
    /// is renewed here no longer: it counts as in flight for its time to live.
    ///
    /// The server does not know a call that it has not [admitted](Self::by). The end of such a call
    /// finds nothing, and its estimate counts as used.
    pub fn hand_over(mut self) -> CallId {
        self.has_ended = true;
        self.core.open_calls.remove(self.id);
        if matches!(self.admission, Admission::Share(_)) {
            drop(self.end_with(self.costs.usage));
        }
        self.id
    }

    /// Charges tokens while an answer is streamed: those that the call has used since the last
    /// report. As long as all reports are within the estimate, they are charged already, and
    /// nothing is sent. What is beyond it becomes a debt. Marks the request as sent.
    ///
    /// A permit that is dropped after a report is settled with the sum of the reports. If they
    /// contain no input tokens, or no output tokens, those of the estimate count.
    pub fn report(&mut self, more: impl Into<TokenUsage>) -> Delivery {
        self.commit();
        let more = more.into();
        let reported = fleet::plus(self.reported.unwrap_or_default(), more);
        self.reported = Some(reported);
        let used = fleet::used_so_far(self.estimate, reported, self.costs.usage);
        let is_beyond = self.charge_so_far(used);
        match &mut self.admission {
            Admission::Share(Some(permit)) => permit.report(more),
            Admission::Server if is_beyond => return self.deliver(CallMessage::Report(used)),
            _ => {}
        }
        Delivery::ready(CallEnding::Done)
    }

    /// Notes what is charged with this usage. Returns whether it is more than before.
    fn charge_so_far(&mut self, used: TokenUsage) -> bool {
        let limits = self.core.limits.iter().map(ApiLimit::as_built);
        let token_limits = limits.filter(|limit| limit.counts_tokens);
        let mut is_beyond = false;
        for (limit, charged) in token_limits.zip(&mut self.costs.tokens) {
            let share = fleet::share_of(limit.kind, used);
            is_beyond |= share > *charged;
            *charged = share.max(*charged);
        }
        let usage = fleet::at_least(self.costs.usage, used);
        is_beyond |= usage != self.costs.usage;
        self.costs.usage = usage;
        is_beyond
    }

    /// Ends the permit with the tokens that were used.
    ///
    /// Unused tokens of the estimate come back, up to what an unused limit has. Tokens beyond the
    /// estimate become a debt.
    pub fn settle(mut self, used: impl Into<TokenUsage>) -> Delivery {
        self.end_with(used.into())
    }

    /// Ends a call that was not made: its request and its tokens come back. A committed one keeps
    /// its charge.
    pub fn cancel(mut self) -> Delivery {
        self.end()
    }

    fn end_with(&mut self, used: TokenUsage) -> Delivery {
        self.has_ended = true;
        match &mut self.admission {
            Admission::Server => return self.deliver(CallMessage::Settle(used)),
            Admission::Share(permit) => {
                if let Some(permit) = permit.take() {
                    (*permit).settle(used);
                }
                self.report_late(used);
            }
            Admission::Open => {}
        }
        Delivery::ready(CallEnding::Done)
    }

    /// Ends the call as dropping the permit does.
    fn end(&mut self) -> Delivery {
        if let Some(reported) = self.reported.filter(|_| self.is_committed) {
            let used = fleet::used_so_far(self.estimate, reported, self.costs.usage);
            return self.end_with(used);
        }
        self.has_ended = true;
        let is_committed = self.is_committed;
        match &mut self.admission {
            Admission::Server => {
                return self.deliver(if is_committed {
                    CallMessage::Keep
                } else {
                    CallMessage::Cancel {
                        is_remembered: false,
                    }
                });
            }
            Admission::Share(permit) => {
                if let Some(permit) = permit.as_mut().filter(|_| is_committed) {
                    permit.commit();
                }
                drop(permit.take());
                if is_committed {
                    self.report_late(self.costs.usage);
                }
            }
            Admission::Open => {}
        }
        Delivery::ready(CallEnding::Done)
    }

    /// Notes what the share has admitted, for the server.
    fn report_late(&self, used: TokenUsage) {
        let limits = self.core.limits.iter().map(ApiLimit::as_built);
        let costs = limits.map(|limit| {
            if limit.counts_tokens {
                fleet::share_of(limit.kind, used)
            } else {
                1
            }
        });
        self.core.unreported.add(&costs.collect::<Vec<_>>());
    }

    fn deliver(&self, message: CallMessage) -> Delivery {
        if !matches!(message, CallMessage::Report(_)) {
            self.core.open_calls.remove(self.id);
        }
        deliver(&self.core, self.id, message, &self.runtime)
    }

    #[cfg(feature = "http")]
    pub(super) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    #[cfg(feature = "http")]
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for RedisTokenPermit {
    fn drop(&mut self) {
        if !self.has_ended {
            drop(self.end());
        }
    }
}

impl fmt::Debug for RedisTokenPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenPermit")
            .field("id", &self.id)
            .field("estimate", &self.estimate)
            .field("is_committed", &self.is_committed)
            .finish_non_exhaustive()
    }
}

/// Cancels a call that the server may have admitted, because its answer was lost or its caller has
/// left.
pub(super) struct Undecided<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) id: CallId,
    pub(super) runtime: &'a Handle,
    pub(super) may_be_charged: bool,
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        if self.may_be_charged {
            let message = CallMessage::Cancel {
                is_remembered: true,
            };
            drop(deliver(self.core, self.id, message, self.runtime));
        }
    }
}
