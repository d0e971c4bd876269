//! Admits calls: with the server, and without it by the policy.

use core::future::Future;
use std::sync::Arc;

use redis::ErrorKind;
use tidegate::{RateLimitStatus, TokenEstimate};
use tokio::runtime::Handle;

use super::api_error::ApiError;
use super::call_costs::CallCosts;
use super::core::{Asker, Core, Decided};
use super::fleet_limit::FleetLimit;
use super::renewal;
use super::token_permit::{RedisTokenPermit, Undecided};
use crate::policy::FailurePolicy;
use crate::store::CallFailure;
use crate::time;

/// A call that asks, once or until it is admitted.
pub(super) trait Ask: Send + Sync {
    type Admitted;

    fn ask(
        &self,
        core: &Arc<Core>,
        asker: Asker,
    ) -> impl Future<Output = Result<Self::Admitted, ApiError>> + Send;
}

/// A request without a record.
pub(super) struct RequestCall;

/// A request with its tokens.
pub(super) struct TokenCall(pub(super) TokenEstimate);

impl Ask for RequestCall {
    type Admitted = RateLimitStatus;

    async fn ask(&self, core: &Arc<Core>, asker: Asker) -> Result<RateLimitStatus, ApiError> {
        admit(core, asker).await
    }
}

impl Ask for TokenCall {
    type Admitted = RedisTokenPermit;

    async fn ask(&self, core: &Arc<Core>, asker: Asker) -> Result<RedisTokenPermit, ApiError> {
        reserve(core, self.0, asker).await
    }
}

async fn admit(core: &Arc<Core>, asker: Asker) -> Result<RateLimitStatus, ApiError> {
    let costs = CallCosts::request(&core.limits_now());
    refuse_as_before(core, asker, &costs).await?;
    let sent = time::now();
    let call = core.decide("reserve", (None, asker), CallCosts::request);
    let decided = match call.await {
        Ok(decided) => decided,
        Err(failure) => {
            // Nothing may have been awaited, so a loop of calls would never let other tasks run.
            tokio::task::consume_budget().await;
            return admit_without_server(core, failure);
        }
    };
    admitted(core, asker, &decided, sent)?;
    Ok(decided.decision.remaining().free())
}

async fn reserve(
    core: &Arc<Core>,
    estimate: TokenEstimate,
    asker: Asker,
) -> Result<RedisTokenPermit, ApiError> {
    let runtime = Handle::current();
    let limits = core.limits_now();
    let costs_of = |limits: &[FleetLimit]| CallCosts::new(estimate, limits);
    let costs = costs_of(&limits);
    if let Some(limit) = costs.never(&limits) {
        return Err(ApiError::Limited(core.unused().never(limit)));
    }
    refuse_as_before(core, asker, &costs).await?;
    let id = core.new_id();
    let mut undecided = Undecided {
        core,
        id,
        runtime: &runtime,
        // While the server is known to be down, nothing is sent.
        may_be_charged: core.store.outage(&core.base).is_none(),
    };
    let sent = time::now();
    let decided = core.decide("reserve", (Some(id), asker), costs_of).await;
    match &decided {
        Ok(_) | Err(CallFailure::Overloaded) => undecided.may_be_charged = false,
        // The server has answered that it did nothing.
        Err(CallFailure::Failed(error))
            if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) =>
        {
            undecided.may_be_charged = false;
        }
        Err(_) => {}
    }
    drop(undecided);
    match decided {
        Ok(decided) => {
            admitted(core, asker, &decided, sent)?;
            renewal::open(core, id, &runtime);
            let call = (estimate, decided.costs);
            Ok(RedisTokenPermit::by_server(core, id, call, &runtime))
        }
        Err(failure) => {
            tokio::task::consume_budget().await;
            reserve_without_server(core, estimate, failure, &runtime)
        }
    }
}

/// Refuses a call like one that the server has refused, without asking. The first of a line always
/// asks, because it sleeps between its calls.
async fn refuse_as_before(core: &Core, asker: Asker, costs: &CallCosts) -> Result<(), ApiError> {
    if asker != Asker::Passing {
        return Ok(());
    }
    let Some((refused, remaining)) = core.last_denial.get(costs) else {
        return Ok(());
    };
    core.counters.denied_from_cache.increment();
    tokio::task::consume_budget().await;
    let status = core.refused(refused, remaining, &core.limits_now());
    Err(ApiError::Limited(status))
}

/// Counts a decision of the server.
fn admitted(core: &Core, asker: Asker, decided: &Decided, sent: u64) -> Result<(), ApiError> {
    let Decided { decision, costs } = decided;
    let Some(refused) = decision.refusal else {
        core.counters.admitted.increment();
        core.backoff.end_streak();
        if let Some(share) = &core.share {
            share.follow(costs.usage);
        }
        return Ok(());
    };
    core.counters.denied.increment();
    if let Some(limit) = costs.never(&decision.limits) {
        // A quota that this call has made known is too small.
        return Err(ApiError::Limited(core.unused().never(limit)));
    }
    let remaining = decision.remaining();
    // That of a call that waits counts what other nodes have claimed. Others may overtake.
    if asker == Asker::Passing {
        core.last_denial.keep(costs, sent, refused, remaining);
    }
    let status = core.refused(refused, remaining, &decision.limits);
    Err(ApiError::Limited(status))
}

fn admit_without_server(core: &Core, failure: CallFailure) -> Result<RateLimitStatus, ApiError> {
    match (core.policy, &core.share) {
        (FailurePolicy::Open, _) => {
            core.counters.open_admitted.increment();
            Ok(core.unused().free())
        }
        (FailurePolicy::Local { .. }, Some(share)) => {
            let limits = core.limits_now();
            share.follow_quotas(&limits);
            let status = share.limiter.try_acquire();
            if status.is_limited {
                core.counters.local_denied.increment();
                return Err(ApiError::Limited(status));
            }
            core.counters.local_admitted.increment();
            let requests = limits.iter().map(|limit| u64::from(!limit.counts_tokens));
            core.unreported.add(&requests.collect::<Vec<_>>());
            Ok(status)
        }
        _ => {
            core.counters.unavailable.increment();
            Err(core.unavailable(failure))
        }
    }
}

fn reserve_without_server(
    core: &Arc<Core>,
    estimate: TokenEstimate,
    failure: CallFailure,
    runtime: &Handle,
) -> Result<RedisTokenPermit, ApiError> {
    let id = core.new_id();
    let limits = core.limits_now();
    let call = (estimate, CallCosts::new(estimate, &limits));
    match (core.policy, &core.share) {
        (FailurePolicy::Open, _) => {
            core.counters.open_admitted.increment();
            Ok(RedisTokenPermit::fail_open(core, id, call, runtime))
        }
        (FailurePolicy::Local { .. }, Some(share)) => {
            share.follow_quotas(&limits);
            match share.limiter.reserve_tokens(estimate) {
                Ok(permit) => {
                    core.counters.local_admitted.increment();
                    Ok(RedisTokenPermit::by_share(core, id, permit, call, runtime))
                }
                Err(status) => {
                    core.counters.local_denied.increment();
                    Err(ApiError::Limited(status))
                }
            }
        }
        _ => {
            core.counters.unavailable.increment();
            Err(core.unavailable(failure))
        }
    }
}
