//! One limit or several, charged all or none: the common part of buckets, combinations and tables.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;

use crate::admitted::{Admitted, AdmittedBy};
use crate::base_key::BaseKey;
use crate::denial_cache::{DenialCache, PresentDenial};
use crate::error::{AcquireError, BuildError};
use crate::options::{LimiterOptions, Quotas};
use crate::policy::{FailurePolicy, LocalShares};
use crate::scaled_quota::{Amount, MAX_REFILL_US, ScaledQuota};
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::stats::{LimitCounters, LimitStats};
use crate::store::{CallFailure, RedisStore};
use crate::time;
use crate::unreported::UnreportedCharges;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Limits {
    store: RedisStore,
    each: Box<[NamedLimit]>,
    options: LimiterOptions,
    denials: DenialCache,
    shares: Option<LocalShares>,
    counters: LimitCounters,
}

#[derive(Debug)]
struct NamedLimit {
    name: Option<Arc<str>>,
    /// The same name in header fields.
    #[cfg(feature = "tower")]
    label: Option<&'static str>,
    quota: ScaledQuota,
}

/// The result of a call that asks for tokens.
pub(crate) struct TakeOutcome {
    pub(crate) result: Result<Admitted, AcquireError>,
    /// How far the TAT of each bucket is ahead of the clock, if the server has told.
    pub(crate) ahead: Option<Arc<[Amount]>>,
}

/// The buckets of one call, one for each limit.
#[derive(Debug)]
pub(crate) struct BucketSet {
    pub(crate) base: BaseKey,
    pub(crate) keys: Vec<Vec<u8>>,
    /// `None` for a key of a table.
    pub(crate) unreported: Option<UnreportedCharges>,
}

/// The result of the script `take`.
struct TakeReply {
    /// The limit that denies the call, and for how long.
    denial: Option<(usize, Duration)>,
    /// How far the TAT of each bucket is ahead of the clock.
    ahead: Arc<[Amount]>,
}

impl Limits {
    pub(crate) fn new(
        store: &RedisStore,
        Quotas(quotas): Quotas,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        if quotas.is_empty() {
            return Err(BuildError::NoLimits);
        }
        for (index, (name, _)) in quotas.iter().enumerate() {
            if let (Some(name), true) =
                (name, quotas[..index].iter().any(|(other, _)| other == name))
            {
                return Err(BuildError::DuplicateLimit(Arc::clone(name)));
            }
        }
        let shares = match options.policy {
            FailurePolicy::Local { nodes } => {
                let quotas = quotas.iter().map(|(_, quota)| *quota);
                Some(LocalShares::new(quotas, nodes)?)
            }
            _ => None,
        };
        let limit = |(name, quota): (Option<Arc<str>>, _)| {
            let quota = ScaledQuota::new(quota)?;
            Ok(NamedLimit {
                #[cfg(feature = "tower")]
                label: name.as_deref().map(crate::label::label),
                name,
                quota,
            })
        };
        let limits = quotas.into_iter().map(limit);
        Ok(Self {
            store: store.clone(),
            each: limits.collect::<Result<_, BuildError>>()?,
            options,
            denials: DenialCache::new(options.cached_keys, options.denial_age),
            shares,
            counters: LimitCounters::default(),
        })
    }

    /// Builds the limits of a single name, with their buckets.
    pub(crate) fn named(
        store: &RedisStore,
        name: &str,
        quotas: Quotas,
        options: LimiterOptions,
    ) -> Result<(Self, BucketSet), BuildError> {
        let limits = Self::new(store, quotas, options.cached_keys(1))?;
        let buckets = limits.buckets(name, None);
        Ok((limits, buckets))
    }

    pub(crate) const fn store(&self) -> &RedisStore {
        &self.store
    }

    pub(crate) const fn options(&self) -> LimiterOptions {
        self.options
    }

    pub(crate) fn quota(&self, index: usize) -> &ScaledQuota {
        &self.each[index].quota
    }

    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    pub(crate) fn stats(&self) -> LimitStats {
        self.counters.stats()
    }

    pub(crate) const fn shares(&self) -> Option<&LocalShares> {
        self.shares.as_ref()
    }

    /// Returns the buckets of a name, or of a key in the table of that name.
    pub(crate) fn buckets(&self, name: &str, key: Option<&[u8]>) -> BucketSet {
        let base = self.store.base_key(name, key);
        let keys = self.each.iter();
        BucketSet {
            keys: keys
                .map(|limit| base.limit_key(limit.name.as_deref()))
                .collect(),
            unreported: key.is_none().then(|| UnreportedCharges::new(self.len())),
            base,
        }
    }

    /// Charges all limits, or none.
    pub(crate) async fn take(
        &self,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.take_and_tell(buckets, costs).await.result
    }

    /// Charges all limits, or none, and tells what is left.
    pub(crate) async fn take_and_tell(&self, buckets: &BucketSet, costs: &[u64]) -> TakeOutcome {
        if let Err(error) = self.check(costs) {
            let result = Err(error);
            return TakeOutcome {
                result,
                ahead: None,
            };
        }
        let key = buckets.base.as_bytes();
        if let Some(PresentDenial { index, wait, ahead }) = self.denials.get(key, costs) {
            self.counters.denied_from_cache.increment();
            // Nothing was awaited, so a loop of calls would never let other tasks run.
            tokio::task::consume_budget().await;
            return TakeOutcome {
                result: Err(self.not_yet(index, wait)),
                ahead: Some(ahead),
            };
        }
        let sent = time::now();
        let reply = match self.run("take", buckets, costs).await {
            Ok(reply) => reply,
            Err(failure) => {
                // As above, if the breaker was open.
                tokio::task::consume_budget().await;
                let result = self.without_server(buckets, costs, failure);
                return TakeOutcome {
                    result,
                    ahead: None,
                };
            }
        };
        let result = if let Some((index, wait)) = reply.denial {
            self.counters.denied.increment();
            let denial = (index, wait);
            self.denials.insert(key, costs, sent, denial, &reply.ahead);
            Err(self.not_yet(index, wait))
        } else {
            self.counters.admitted.increment();
            if let Some(shares) = &self.shares {
                shares.follow(key, costs);
            }
            Ok(self.admitted(&reply))
        };
        TakeOutcome {
            result,
            ahead: Some(reply.ahead),
        }
    }

    /// The quota of each limit, and its name in header fields.
    #[cfg(feature = "tower")]
    pub(crate) fn labeled(&self) -> impl Iterator<Item = (Option<&'static str>, &ScaledQuota)> {
        self.each.iter().map(|limit| (limit.label, &limit.quota))
    }

    /// The name in header fields of the limit with this name.
    #[cfg(feature = "tower")]
    pub(crate) fn label_of(&self, name: &str) -> Option<&'static str> {
        let mut each = self.each.iter();
        each.find(|limit| limit.name.as_deref() == Some(name))?
            .label
    }

    /// Returns what `take` would, without a charge.
    pub(crate) async fn peek(
        &self,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.check(costs)?;
        let reply = self.query("peek", buckets, costs).await?;
        match reply.denial {
            Some((index, wait)) => Err(self.not_yet(index, wait)),
            None => Ok(self.admitted(&reply)),
        }
    }

    /// Returns the tokens left in each bucket.
    pub(crate) async fn available(&self, buckets: &BucketSet) -> Result<Vec<u64>, AcquireError> {
        let costs = vec![0; self.len()];
        let reply = self.query("peek", buckets, &costs).await?;
        Ok(self.available_of(&reply.ahead).collect())
    }

    /// Charges all limits, also beyond what they have.
    pub(crate) async fn debit(
        &self,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        self.query("debit", buckets, costs).await.map(drop)
    }

    /// Fills all buckets up.
    pub(crate) async fn reset(&self, buckets: &BucketSet) -> Result<(), AcquireError> {
        let costs = vec![0; self.len()];
        let result = self.query("reset", buckets, &costs).await;
        self.denials.remove(buckets.base.as_bytes());
        result.map(drop)
    }

    const fn check_count(&self, costs: &[u64]) -> Result<(), AcquireError> {
        let limits = self.each.len();
        if costs.len() == limits {
            Ok(())
        } else {
            Err(AcquireError::CostCount { limits })
        }
    }

    /// Denies costs above a capacity, which can never be admitted, without asking the server.
    pub(crate) fn check(&self, costs: &[u64]) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        for (index, (limit, &cost)) in self.each.iter().zip(costs).enumerate() {
            let capacity = limit.quota.capacity();
            if cost > capacity {
                return Err(self.denied(index, Denied::Never { capacity }));
            }
        }
        Ok(())
    }

    fn denied(&self, index: usize, denied: Denied) -> AcquireError {
        AcquireError::Denied {
            denied,
            limit: self.each[index].name.clone(),
        }
    }

    fn not_yet(&self, index: usize, retry_after: Duration) -> AcquireError {
        self.denied(index, Denied::NotYet { retry_after })
    }

    /// The tokens in each bucket whose TAT is this far ahead.
    pub(crate) fn available_of(&self, ahead: &[Amount]) -> impl Iterator<Item = u64> {
        let each = self.each.iter().zip(ahead);
        each.map(|(limit, ahead)| limit.quota.available(*ahead))
    }

    pub(crate) fn capacities(&self) -> impl Iterator<Item = u64> {
        self.each.iter().map(|limit| limit.quota.capacity())
    }

    fn admitted(&self, reply: &TakeReply) -> Admitted {
        let times = reply.ahead.iter().copied().map(ScaledQuota::refill_time);
        Admitted {
            by: AdmittedBy::Server,
            available: self.available_of(&reply.ahead).min(),
            refill_time: times.max(),
        }
    }

    fn unavailable(&self, base: &BaseKey, failure: CallFailure) -> AcquireError {
        let (retry_after, cause) = match failure {
            CallFailure::BreakerOpen(until) => {
                (RedisStore::wait_for_probe(until), self.store.last_error())
            }
            CallFailure::Failed(error) => (self.store.retry_after(base), Some(error)),
            CallFailure::Overloaded => return AcquireError::Overloaded,
        };
        AcquireError::Unavailable { retry_after, cause }
    }

    /// Decides by the policy.
    pub(crate) fn without_server(
        &self,
        buckets: &BucketSet,
        costs: &[u64],
        failure: CallFailure,
    ) -> Result<Admitted, AcquireError> {
        match (self.options.policy, &self.shares) {
            (FailurePolicy::Open, _) => {
                self.counters.open_admitted.increment();
                Ok(Admitted::without_server(AdmittedBy::FailOpen))
            }
            (FailurePolicy::Local { .. }, Some(shares)) => {
                let taken = shares.try_acquire(buckets.base.as_bytes(), costs);
                if let Err((index, denied)) = taken {
                    self.counters.local_denied.increment();
                    return Err(self.denied(index, denied));
                }
                self.counters.local_admitted.increment();
                if let Some(unreported) = &buckets.unreported {
                    unreported.add(costs);
                }
                Ok(Admitted::without_server(AdmittedBy::LocalShare))
            }
            _ => {
                self.counters.unavailable.increment();
                Err(self.unavailable(&buckets.base, failure))
            }
        }
    }

    /// Runs a call that no policy replaces.
    async fn query(
        &self,
        operation: &str,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<TakeReply, AcquireError> {
        let reply = self.run(operation, buckets, costs).await;
        reply.map_err(|failure| self.unavailable(&buckets.base, failure))
    }

    async fn run(
        &self,
        operation: &str,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<TakeReply, CallFailure> {
        let report = buckets
            .unreported
            .as_ref()
            .map(UnreportedCharges::take_report);
        let unreported = |index| report.as_ref().map_or(0, |report| report.get(index));
        let is_plain_take = operation == "take"
            && self.options.empty_for.is_none()
            && (0..self.len()).all(|index| unreported(index) == 0);
        let short = if is_plain_take {
            self.short_arguments(costs)
        } else {
            None
        };
        let is_short = short.is_some();
        let arguments = short.unwrap_or_else(|| self.arguments(operation, costs, unreported));
        let call = ScriptCall {
            script: &script::TAKE,
            keys: &buckets.keys,
            arguments,
        };
        let numbers = self.store.run(&buckets.base, &call).await?;
        if let Some(report) = report {
            report.confirm();
        }
        // What the short way leaves to the rest has the reply of any call.
        let reply = if is_short && numbers.len() <= 1 + self.len() {
            self.read_short(&numbers, costs)
        } else {
            TakeReply::read(&numbers, self.len())
        };
        reply.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))
    }

    /// The arguments of any call.
    fn arguments(
        &self,
        operation: &str,
        costs: &[u64],
        unreported: impl Fn(usize) -> u64,
    ) -> ScriptArgs {
        let mut arguments = ScriptArgs::default();
        arguments
            .bytes(operation.as_bytes())
            .number(MAX_REFILL_US)
            .number(self.empty_for_us());
        for (index, (NamedLimit { quota, .. }, &cost)) in self.each.iter().zip(costs).enumerate() {
            arguments
                .number(quota.den())
                .amount(quota.full())
                .amount(quota.cost(cost))
                .amount(quota.cost(unreported(index)));
        }
        arguments
    }

    /// The arguments of a call that takes, if there is a short way for it.
    fn short_arguments(&self, costs: &[u64]) -> Option<ScriptArgs> {
        let mut arguments = ScriptArgs::default();
        let limits = self.each.iter().map(|limit| &limit.quota).zip(costs);
        if limits.clone().all(|(quota, _)| quota.is_whole()) {
            costs.iter().any(|cost| *cost > 0).then_some(())?;
            for (quota, &cost) in limits {
                arguments
                    .number(quota.cost(cost).us)
                    .number(quota.full().us);
            }
        } else {
            let ([NamedLimit { quota, .. }], &[cost]) = (&*self.each, costs) else {
                return None;
            };
            (cost > 0).then_some(())?;
            arguments
                .amount(quota.cost(cost))
                .amount(quota.full())
                .number(quota.den());
        }
        Some(arguments)
    }

    /// The reply to [`short_arguments`](Self::short_arguments).
    fn read_short(&self, numbers: &[i64], costs: &[u64]) -> Option<TakeReply> {
        let number = |number: i64| u64::try_from(number).ok();
        let (admitted, ahead): (_, Arc<[Amount]>) = if self.len() == 1 {
            let us = *numbers.first()?;
            let ahead = Amount {
                us: number(if us < 0 { -1 - us } else { us })?,
                num: number(numbers.get(1).copied().unwrap_or(0))?,
            };
            (us >= 0, [ahead].into())
        } else {
            let [admitted, ahead @ ..] = numbers else {
                return None;
            };
            let ahead = ahead.iter().map(|us| {
                Some(Amount {
                    us: number(*us)?,
                    num: 0,
                })
            });
            (*admitted == 1, ahead.collect::<Option<_>>()?)
        };
        (ahead.len() == self.len()).then_some(())?;
        let waits = || {
            let limits = self.each.iter().zip(costs).zip(&*ahead).enumerate();
            let denying = limits.filter(|(_, ((_, cost), _))| **cost > 0);
            denying.map(|(index, ((limit, cost), ahead))| (index, limit.quota.wait(*ahead, *cost)))
        };
        // The first of those that last equally long.
        let longest = || waits().rev().max_by_key(|(_, wait)| *wait);
        let denial = if admitted { None } else { Some(longest()?) };
        Some(TakeReply { denial, ahead })
    }

    /// How long an absent bucket counts as empty, in microseconds; 0 if it counts as full.
    pub(crate) fn empty_for_us(&self) -> u64 {
        self.options.empty_for.map_or(0, |time| {
            u64::try_from(time.as_micros()).map_or(MAX_REFILL_US, |us| us.clamp(1, MAX_REFILL_US))
        })
    }
}

impl TakeReply {
    fn read(numbers: &[i64], limits: usize) -> Option<Self> {
        let [admitted, index, wait, ahead @ ..] = numbers else {
            return None;
        };
        let number = |n: i64| u64::try_from(n).ok();
        let denial = if *admitted == 1 {
            None
        } else {
            let index = usize::try_from(*index).ok()?.checked_sub(1)?;
            (index < limits).then_some(())?;
            Some((index, Duration::from_micros(number(*wait)?)))
        };
        let ahead = ahead.chunks_exact(2).map(|pair| {
            Some(Amount {
                us: number(pair[0])?,
                num: number(pair[1])?,
            })
        });
        let ahead: Arc<[Amount]> = ahead.collect::<Option<_>>()?;
        (ahead.len() == limits).then_some(Self { denial, ahead })
    }
}
