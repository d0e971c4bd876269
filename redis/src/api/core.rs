//! What all clones of a limiter, its permits and its tasks share, and the calls of its script.

use core::time::Duration;
use std::sync::Arc;

use tidegate::__fleet::CallerBackoff;
use tidegate::{Clock, DefaultClock, RateLimitConfig, RateLimitStatus};
use tokio::sync::Notify;

use super::api_error::ApiError;
use super::call_costs::{Amounts, CallCosts, add_used};
use super::call_id::{CallId, NodeId};
use super::decision::{Decision, Refused, Remaining};
use super::fleet_limit::{FleetLimit, micros};
use super::last_denial::LastDenial;
use super::local_share::LocalShare;
use super::open_calls::OpenCalls;
use super::wait_order::WaitOrder;
use crate::base_key::BaseKey;
use crate::policy::FailurePolicy;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::stats::LimitCounters;
use crate::store::{CallFailure, RedisStore};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::unreported::UnreportedCharges;

/// How long the record of an expired call is kept, for a node that was only cut off: longer than
/// most outages.
pub(super) const KEPT: Duration = Duration::from_secs(900);

/// See the [module](self) documentation.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) store: RedisStore,
    pub(super) base: BaseKey,
    /// Of the state, the calls, their ends, and then of the limits.
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) limits: Vec<FleetLimit>,
    pub(super) config: RateLimitConfig,
    pub(super) policy: FailurePolicy,
    pub(super) call_ttl: Duration,
    pub(super) node: NodeId,
    /// The number of the next call. Relaxed: each value is used once, and it guards no memory.
    pub(super) next_call: AtomicU64,
    pub(super) open_calls: OpenCalls,
    pub(super) last_denial: LastDenial,
    pub(super) backoff: CallerBackoff,
    pub(super) share: Option<LocalShare>,
    /// Permits of each limit that the share admitted.
    pub(super) unreported: UnreportedCharges,
    pub(super) counters: LimitCounters,
    pub(super) wait_order: WaitOrder,
    /// Messages about calls that the server has not taken yet.
    pub(super) undelivered: AtomicU64,
    /// Notified when something has changed that may let a waiter of this node go.
    pub(super) changed: Notify,
}

/// How a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// It does not wait.
    Passing,
    /// It is the first of those that wait on this node.
    FirstInLine {
        /// It has waited so long that others leave what it needs.
        claims: bool,
    },
}

impl Core {
    pub(super) fn new_id(&self) -> CallId {
        // Relaxed: see the field.
        CallId::new(self.node, self.next_call.fetch_add(1, Relaxed))
    }

    pub(super) fn most_in_flight(&self) -> u64 {
        self.config.max_in_flight.unwrap_or(0)
    }

    /// Runs one step.
    pub(super) async fn run(&self, arguments: ScriptArgs) -> Result<Vec<i64>, CallFailure> {
        let call = ScriptCall {
            script: &script::API,
            keys: &self.keys,
            arguments,
        };
        self.store.run(&self.base, &call).await
    }

    /// Runs one step that no policy replaces.
    pub(super) async fn query(&self, arguments: ScriptArgs) -> Result<Vec<i64>, ApiError> {
        let reply = self.run(arguments).await;
        reply.map_err(|failure| self.unavailable(failure))
    }

    pub(super) fn unavailable(&self, failure: CallFailure) -> ApiError {
        let (retry_after, cause) = match failure {
            CallFailure::BreakerOpen(until) => {
                (RedisStore::wait_for_probe(until), self.store.last_error())
            }
            CallFailure::Failed(error) => (self.store.retry_after(&self.base), Some(error)),
            CallFailure::Overloaded => return ApiError::Overloaded,
        };
        ApiError::Unavailable { retry_after, cause }
    }

    /// Asks whether a call would be admitted. Changes nothing.
    pub(super) async fn check(&self, costs: &CallCosts) -> Result<Decision, ApiError> {
        let arguments = self.decide_arguments("check", None, Asker::Passing, costs, |_| 0);
        self.read(&self.query(arguments).await?)
    }

    /// Asks the server to admit a call, with a record if it has an id.
    pub(super) async fn decide(
        &self,
        id: Option<CallId>,
        asker: Asker,
        costs: &CallCosts,
    ) -> Result<Decision, CallFailure> {
        let report = self.unreported.take_report();
        let late = |index| report.get(index);
        let arguments = self.decide_arguments("reserve", id, asker, costs, late);
        let reply = self.run(arguments).await?;
        report.confirm();
        let decision = Decision::read(&reply, &self.limits);
        decision.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))
    }

    fn decide_arguments(
        &self,
        operation: &str,
        id: Option<CallId>,
        asker: Asker,
        costs: &CallCosts,
        late: impl Fn(usize) -> u64,
    ) -> ScriptArgs {
        let mut arguments = ScriptArgs::default();
        arguments.bytes(operation.as_bytes());
        match id {
            Some(id) => arguments.bytes(&id.to_bytes()),
            None => arguments.bytes(b""),
        };
        match asker {
            Asker::Passing => arguments.bytes(b"").number(0),
            Asker::FirstInLine { claims } => arguments.bytes(&self.node).number(claims.into()),
        };
        arguments
            .number(micros(self.call_ttl))
            .number(micros(KEPT))
            .number(self.most_in_flight());
        costs.add_amounts(&mut arguments);
        costs.add_limits(&mut arguments, &self.limits, late);
        arguments
    }

    pub(super) fn read(&self, reply: &[i64]) -> Result<Decision, ApiError> {
        let decision = Decision::read(reply, &self.limits);
        decision.ok_or_else(|| self.unavailable(CallFailure::Failed(script::unexpected_reply())))
    }

    /// The arguments that charge tokens without a record.
    pub(super) fn record_arguments(&self, used: tidegate::TokenUsage) -> ScriptArgs {
        let mut arguments = ScriptArgs::default();
        arguments.bytes(b"record");
        Amounts::new(0, used).add_to(&mut arguments);
        add_used(&mut arguments, &self.limits, used);
        arguments
    }

    /// The status of a refused call, which counts for the backoff of this node's callers.
    pub(super) fn refused(&self, refused: Refused, remaining: Remaining) -> RateLimitStatus {
        let backoff = refused.wait().map_or(Duration::ZERO, |wait| {
            self.backoff.extra_wait(DefaultClock.now(), wait)
        });
        remaining.limited(refused, backoff, &self.limits, self.most_in_flight())
    }

    /// What the limits have when they are unused: for statuses that need no round trip.
    pub(super) fn unused(&self) -> Remaining {
        let fewest = |counts_tokens| {
            let limits = self.limits.iter();
            let of_kind = limits.filter(|limit| {
                limit.counts_tokens == counts_tokens && limit.kind != tidegate::LimitKind::Burst
            });
            let fewest = of_kind.map(|limit| limit.capacity).min();
            fewest.unwrap_or(RateLimitConfig::NO_LIMIT)
        };
        Remaining {
            requests: fewest(false),
            tokens: fewest(true),
        }
    }

    /// Something has changed that may let calls of this node go.
    pub(super) fn wake(&self) {
        self.last_denial.forget();
        self.changed.notify_waiters();
    }

    pub(super) fn message_begins(&self) {
        // Relaxed: a counter that guards no memory.
        self.undelivered.fetch_add(1, Relaxed);
    }

    pub(super) fn message_ends(self: &Arc<Self>) {
        // Relaxed: as above.
        self.undelivered.fetch_sub(1, Relaxed);
        self.wake();
    }
}
