//! One limit or several, charged all or none: the common part of buckets, combinations and tables.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;

use crate::admitted::{Admitted, AdmittedBy};
use crate::base_key::BaseKey;
use crate::denial_cache::{DenialCache, PresentDenial};
use crate::error::{AcquireError, BuildError};
use crate::local_shares::LocalShares;
use crate::options::LimiterOptions;
use crate::policy::FailurePolicy;
use crate::scaled_limit::{LimitState, ScaledLimit};
use crate::scaled_quota::MAX_REFILL_US;
use crate::script::{self, ScriptCall};
use crate::shared_limit::Quotas;
use crate::stats::{LimitCounters, LimitStats};
use crate::store::{CallFailure, RedisStore};
use crate::take_call::{TakeArguments, TakeReply};
use crate::time;
use crate::unavailable::unavailable;
use crate::unreported::UnreportedCharges;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Limits {
    store: RedisStore,
    names: Box<[LimitName]>,
    scaled: Box<[ScaledLimit]>,
    options: LimiterOptions,
    denials: DenialCache,
    shares: Option<LocalShares>,
    counters: LimitCounters,
}

/// The name of a limit, if it has one.
#[derive(Debug)]
struct LimitName {
    name: Option<Arc<str>>,
    /// The same name in header fields.
    #[cfg(feature = "tower")]
    label: Option<&'static str>,
}

/// The result of a call that asks for tokens.
pub(crate) struct TakeOutcome {
    pub(crate) result: Result<Admitted, AcquireError>,
    /// The state of each limit, if the server has told.
    pub(crate) states: Option<Arc<[LimitState]>>,
}

/// The buckets and windows of one call, one for each limit.
#[derive(Debug)]
pub(crate) struct BucketSet {
    pub(crate) base: BaseKey,
    pub(crate) keys: Vec<Vec<u8>>,
    /// `None` for a key of a table.
    pub(crate) unreported: Option<UnreportedCharges>,
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
                let limits = quotas.iter().map(|(_, limit)| *limit);
                Some(LocalShares::new(limits, nodes)?)
            }
            _ => None,
        };
        let scaled = quotas.iter().map(|(_, limit)| ScaledLimit::new(*limit));
        let scaled = scaled.collect::<Result<_, BuildError>>()?;
        let names = quotas.into_iter().map(|(name, _)| LimitName {
            #[cfg(feature = "tower")]
            label: name.as_deref().map(crate::label::label),
            name,
        });
        Ok(Self {
            store: store.clone(),
            names: names.collect(),
            scaled,
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

    pub(crate) const fn len(&self) -> usize {
        self.scaled.len()
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
        let keys = self.names.iter();
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
                states: None,
            };
        }
        let key = buckets.base.as_bytes();
        if let Some(PresentDenial {
            index,
            wait,
            states,
        }) = self.denials.get(key, costs)
        {
            self.counters.denied_from_cache.increment();
            // Nothing was awaited, so a loop of calls would never let other tasks run.
            tokio::task::consume_budget().await;
            return TakeOutcome {
                result: Err(self.not_yet(index, wait)),
                states: Some(states),
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
                    states: None,
                };
            }
        };
        let result = if let Some((index, wait)) = reply.denial {
            self.counters.denied.increment();
            let denial = (index, wait);
            self.denials.insert(key, costs, sent, denial, &reply.states);
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
            states: Some(reply.states),
        }
    }

    /// Each limit, and its name in header fields.
    #[cfg(feature = "tower")]
    pub(crate) fn labeled(&self) -> impl Iterator<Item = (Option<&'static str>, &ScaledLimit)> {
        let labels = self.names.iter().map(|limit| limit.label);
        labels.zip(&self.scaled)
    }

    /// The name in header fields of the limit with this name.
    #[cfg(feature = "tower")]
    pub(crate) fn label_of(&self, name: &str) -> Option<&'static str> {
        let mut each = self.names.iter();
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

    /// Returns how much each limit has left.
    pub(crate) async fn available(&self, buckets: &BucketSet) -> Result<Vec<u64>, AcquireError> {
        let costs = vec![0; self.len()];
        let reply = self.query("peek", buckets, &costs).await?;
        Ok(self.available_of(&reply.states).collect())
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

    /// Fills all limits up.
    pub(crate) async fn reset(&self, buckets: &BucketSet) -> Result<(), AcquireError> {
        let costs = vec![0; self.len()];
        let result = self.query("reset", buckets, &costs).await;
        self.denials.remove(buckets.base.as_bytes());
        result.map(drop)
    }

    const fn check_count(&self, costs: &[u64]) -> Result<(), AcquireError> {
        let limits = self.len();
        if costs.len() == limits {
            Ok(())
        } else {
            Err(AcquireError::CostCount { limits })
        }
    }

    /// Denies costs above a capacity, which can never be admitted, without asking the server.
    pub(crate) fn check(&self, costs: &[u64]) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        for (index, (limit, &cost)) in self.scaled.iter().zip(costs).enumerate() {
            let capacity = limit.capacity();
            if cost > capacity {
                return Err(self.denied(index, Denied::Never { capacity }));
            }
        }
        Ok(())
    }

    fn denied(&self, index: usize, denied: Denied) -> AcquireError {
        AcquireError::Denied {
            denied,
            limit: self.names[index].name.clone(),
        }
    }

    fn not_yet(&self, index: usize, retry_after: Duration) -> AcquireError {
        self.denied(index, Denied::NotYet { retry_after })
    }

    /// How much is left of each limit in this state.
    pub(crate) fn available_of(&self, states: &[LimitState]) -> impl Iterator<Item = u64> {
        let each = self.scaled.iter().zip(states);
        each.map(|(limit, state)| limit.available(*state))
    }

    pub(crate) fn capacities(&self) -> impl Iterator<Item = u64> {
        self.scaled.iter().map(ScaledLimit::capacity)
    }

    fn admitted(&self, reply: &TakeReply) -> Admitted {
        let times = reply.states.iter().copied().map(LimitState::refill_time);
        Admitted {
            by: AdmittedBy::Server,
            available: self.available_of(&reply.states).min(),
            refill_time: times.max(),
        }
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
                Err(unavailable(&self.store, &buckets.base, failure))
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
        reply.map_err(|failure| unavailable(&self.store, &buckets.base, failure))
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
        let short = is_plain_take.then(|| TakeArguments::short(&self.scaled, costs));
        let (arguments, reader) = short
            .flatten()
            .unwrap_or_else(|| {
                let empty_for_us = self.empty_for_us();
                TakeArguments::any(operation, &self.scaled, costs, unreported, empty_for_us)
            })
            .split();
        let call = ScriptCall {
            script: &script::TAKE,
            keys: &buckets.keys,
            arguments,
        };
        let numbers = self.store.run(&buckets.base, &call).await?;
        if let Some(report) = report {
            report.confirm();
        }
        let reply = reader.read(&numbers, &self.scaled, costs);
        reply.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))
    }

    /// How long an absent bucket counts as empty, in microseconds; 0 if it counts as full.
    pub(crate) fn empty_for_us(&self) -> u64 {
        self.options.empty_for.map_or(0, |time| {
            u64::try_from(time.as_micros()).map_or(MAX_REFILL_US, |us| us.clamp(1, MAX_REFILL_US))
        })
    }
}
