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
use super::fleet_limit::{ApiLimit, FleetLimit, micros};
use super::last_denial::LastDenial;
use super::local_share::LocalShare;
use super::message::{PendingMessage, Stranded};
use super::open_calls::OpenCalls;
use super::wait_order::WaitOrder;
use crate::base_key::BaseKey;
use crate::limits::MAX_CHANGES;
use crate::live_quota::told_quotas;
use crate::policy::FailurePolicy;
use crate::quota_record::QuotaRecord;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::stats::LimitCounters;
use crate::store::{CallFailure, RedisStore};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::unavailable::outage;
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
    pub(super) limits: Vec<ApiLimit>,
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
    /// Those of them whose runtimes have ended.
    pub(super) stranded: Stranded,
    /// Notified when something has changed that may let a waiter of this node go.
    pub(super) changed: Notify,
}

/// Newer quotas, and the indices of their limits.
type NewerQuotas = Vec<(usize, QuotaRecord)>;

/// What the server has decided about a call.
pub(super) struct Decided {
    pub(super) decision: Decision,
    /// What the call asked for.
    pub(super) costs: CallCosts,
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

    /// The limits with the newest quotas that this node knows.
    pub(super) fn limits_now(&self) -> Box<[FleetLimit]> {
        self.limits.iter().map(ApiLimit::now).collect()
    }

    fn adopt(&self, told: &[(usize, QuotaRecord)]) {
        for &(index, record) in told {
            if let Some(limit) = self.limits.get(index) {
                limit.adopt(record);
            }
        }
        self.wake();
    }

    /// Runs one step that needs no limits.
    pub(super) async fn run(&self, arguments: ScriptArgs) -> Result<Vec<i64>, CallFailure> {
        let call = ScriptCall {
            script: &script::API,
            keys: &self.keys,
            arguments,
        };
        self.store.run(&self.base, &call).await
    }

    /// Runs one step. The error is the newer quotas that the server knows: it has done nothing.
    async fn run_once(
        &self,
        arguments: ScriptArgs,
    ) -> Result<Result<Vec<i64>, NewerQuotas>, CallFailure> {
        let reply = self.run(arguments).await?;
        match told_quotas(&reply) {
            Some(newer) => Ok(Err(newer)),
            // Quotas that this version cannot read.
            None if reply.first() == Some(&-2) => {
                Err(CallFailure::Failed(script::unexpected_reply()))
            }
            None => Ok(Ok(reply)),
        }
    }

    /// Runs one step, again whenever the server tells newer quotas.
    pub(super) async fn run_newest(
        &self,
        arguments: impl Fn(&[FleetLimit]) -> ScriptArgs,
    ) -> Result<Vec<i64>, CallFailure> {
        for _ in 0..MAX_CHANGES {
            match self.run_once(arguments(&self.limits_now())).await? {
                Ok(reply) => return Ok(reply),
                Err(newer) => self.adopt(&newer),
            }
        }
        Err(CallFailure::Failed(script::unexpected_reply()))
    }

    /// Runs one step that no policy replaces.
    pub(super) async fn query(
        &self,
        arguments: impl Fn(&[FleetLimit]) -> ScriptArgs,
    ) -> Result<Vec<i64>, ApiError> {
        let reply = self.run_newest(arguments).await;
        reply.map_err(|failure| self.unavailable(failure))
    }

    pub(super) fn unavailable(&self, failure: CallFailure) -> ApiError {
        match outage(&self.store, &self.base, failure) {
            Some((retry_after, cause)) => ApiError::Unavailable { retry_after, cause },
            None => ApiError::Overloaded,
        }
    }

    /// Asks whether a request would be admitted. Changes nothing.
    pub(super) async fn check(&self) -> Result<Decision, ApiError> {
        let decided = self.decide("check", (None, Asker::Passing), CallCosts::request);
        let decided = decided.await.map_err(|failure| self.unavailable(failure))?;
        Ok(decided.decision)
    }

    /// Asks the server to admit a call, with a record if it has an id. `costs` are those under the
    /// newest quotas, and it is asked again whenever the server tells newer ones.
    pub(super) async fn decide(
        &self,
        operation: &str,
        caller: (Option<CallId>, Asker),
        costs: impl Fn(&[FleetLimit]) -> CallCosts,
    ) -> Result<Decided, CallFailure> {
        for limit in &self.limits {
            limit.follow_changes().await;
        }
        for _ in 0..MAX_CHANGES {
            let limits = self.limits_now();
            let costs = costs(&limits);
            let report = (operation != "check").then(|| self.unreported.take_report());
            let late = |index| report.as_ref().map_or(0, |report| report.get(index));
            let arguments = self.decide_arguments(operation, caller, &limits, &costs, late);
            match self.run_once(arguments).await? {
                Ok(reply) => {
                    if let Some(report) = report {
                        report.confirm();
                    }
                    let decision = Decision::read(&reply, limits);
                    let decided = decision.map(|decision| Decided { decision, costs });
                    return decided.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()));
                }
                // Nothing was charged, so the report is restored.
                Err(newer) => self.adopt(&newer),
            }
        }
        Err(CallFailure::Failed(script::unexpected_reply()))
    }

    fn decide_arguments(
        &self,
        operation: &str,
        (id, asker): (Option<CallId>, Asker),
        limits: &[FleetLimit],
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
        costs.add_limits(&mut arguments, limits, late);
        arguments
    }

    /// Charges tokens without a record.
    pub(super) async fn record(&self, used: tidegate::TokenUsage) -> Result<(), ApiError> {
        let arguments = |limits: &[FleetLimit]| {
            let mut arguments = ScriptArgs::default();
            arguments.bytes(b"record");
            Amounts::new(0, used).add_to(&mut arguments);
            add_used(&mut arguments, limits, used);
            arguments
        };
        self.query(arguments).await.map(drop)
    }

    /// The status of a refused call, which counts for the backoff of this node's callers.
    pub(super) fn refused(
        &self,
        refused: Refused,
        remaining: Remaining,
        limits: &[FleetLimit],
    ) -> RateLimitStatus {
        let backoff = refused.wait().map_or(Duration::ZERO, |wait| {
            self.backoff.extra_wait(DefaultClock.now(), wait)
        });
        remaining.limited(refused, backoff, limits, self.most_in_flight())
    }

    /// What the limits have when they are unused: for statuses that need no round trip.
    pub(super) fn unused(&self) -> Remaining {
        let limits = self.limits_now();
        let fewest = |counts_tokens| {
            let of_kind = limits.iter().filter(|limit| {
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

    /// The runtime of a message has ended.
    pub(super) fn message_strands(&self, message: PendingMessage) {
        self.stranded.add(message);
        self.changed.notify_waiters();
    }

    pub(super) fn message_ends(self: &Arc<Self>) {
        // Relaxed: as above.
        self.undelivered.fetch_sub(1, Relaxed);
        self.wake();
    }
}
