//! One limit or several, charged all or none: the common part of buckets, windows, combinations and
//! tables.
//!
//! `quota_changes` follows and makes changes of quotas.

mod quota_changes;

use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::admitted::{Admitted, AdmittedBy};
use crate::base_key::BaseKey;
use crate::denial_cache::{DenialCache, PresentDenial};
use crate::error::{AcquireError, BuildError};
use crate::live_limit::{LimitNow, LiveLimit};
use crate::live_quota::{LiveQuota, told_quotas};
use crate::local_shares::{ApiShares, LocalShares};
use crate::observer::LimitObserver;
use crate::options::LimiterOptions;
use crate::policy::FailurePolicy;
use crate::quota_record::QuotaRecord;
use crate::scaled_limit::{LimitState, ScaledLimit};
use crate::scaled_quota::MAX_REFILL_US;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::shared_limit::Quotas;
use crate::stats::{CallOutcome, LimitStats};
use crate::store::{CallFailure, RedisStore};
use crate::table_quotas::TableQuotas;
use crate::take_call::{TakeArguments, TakeReply};
use crate::time;
use crate::unavailable::unavailable;
use crate::unreported::UnreportedCharges;

/// A limit may change that often while one call is made.
pub(crate) const MAX_CHANGES: u32 = 8;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Limits {
    store: RedisStore,
    each: Box<[NamedLimit]>,
    options: LimiterOptions,
    denials: DenialCache,
    shares: Option<LocalShares>,
    /// Those of API limiters that share a single limit.
    api_shares: Arc<ApiShares>,
    observer: LimitObserver,
    /// `None` unless this is a table.
    table: Option<TableQuotas>,
    /// Wakes the calls that wait when this node learns of a changed quota.
    changed: Notify,
}

#[derive(Debug)]
struct NamedLimit {
    name: Option<Arc<str>>,
    /// The same name in header fields.
    #[cfg(feature = "tower")]
    label: Option<&'static str>,
    limit: LiveLimit,
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
    fn new(
        store: &RedisStore,
        name: &str,
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
        let limit = |(name, limit): (Option<Arc<str>>, _)| {
            Ok(NamedLimit {
                #[cfg(feature = "tower")]
                label: name.as_deref().map(crate::label::label),
                name,
                limit: LiveLimit::new(limit)?,
            })
        };
        let limits = quotas.into_iter().map(limit);
        Ok(Self {
            store: store.clone(),
            each: limits.collect::<Result<_, BuildError>>()?,
            options,
            denials: DenialCache::new(options.cached_keys, options.denial_age),
            shares,
            api_shares: Arc::default(),
            observer: LimitObserver::new(name),
            table: None,
            changed: Notify::new(),
        })
    }

    /// Builds the limits of each key in the table of a name.
    pub(crate) fn table(
        store: &RedisStore,
        name: &str,
        quotas: Quotas,
        options: LimiterOptions,
    ) -> Result<Self, BuildError> {
        let mut limits = Self::new(store, name, quotas, options)?;
        let names = limits.each.iter().map(|limit| limit.name.clone());
        let base = store.base_key(name, None);
        limits.table = Some(TableQuotas::new(base, names, options.quota_age));
        Ok(limits)
    }

    /// Builds the limits of a single name, with their buckets.
    pub(crate) fn named(
        store: &RedisStore,
        name: &str,
        quotas: Quotas,
        options: LimiterOptions,
    ) -> Result<(Self, BucketSet), BuildError> {
        let limits = Self::new(store, name, quotas, options.cached_keys(1))?;
        let buckets = limits.buckets(name, None);
        Ok((limits, buckets))
    }

    pub(crate) const fn store(&self) -> &RedisStore {
        &self.store
    }

    pub(crate) const fn options(&self) -> LimiterOptions {
        self.options
    }

    /// The quota of a bucket; `None` if there is no such limit, or it is a window.
    pub(crate) fn quota(&self, index: usize) -> Option<&Arc<LiveQuota>> {
        self.each.get(index)?.limit.quota()
    }

    /// Whether these are the limits of each key in a table.
    pub(crate) const fn is_table(&self) -> bool {
        self.table.is_some()
    }

    fn limits_now(&self) -> Box<[LimitNow]> {
        self.each.iter().map(|named| named.limit.get()).collect()
    }

    /// Returns the index of the limit with this name.
    pub(crate) fn index_of(&self, name: Option<&str>) -> Option<usize> {
        let mut each = self.each.iter();
        each.position(|limit| limit.name.as_deref() == name)
    }

    pub(crate) const fn len(&self) -> usize {
        self.each.len()
    }

    pub(crate) fn stats(&self) -> LimitStats {
        self.observer.stats()
    }

    pub(crate) const fn observer(&self) -> &LimitObserver {
        &self.observer
    }

    /// Returns a future that ends with the next change of a quota that this node learns of.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(crate) const fn api_shares(&self) -> &Arc<ApiShares> {
        &self.api_shares
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
        // Before the check, which needs the newest capacity.
        self.follow_changes().await;
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
            self.observer.record(CallOutcome::DeniedFromCache);
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
            self.observer.record(CallOutcome::Denied);
            if let Err(never) = self.check(costs) {
                // A quota that this call has made known is too small.
                return TakeOutcome {
                    result: Err(never),
                    states: Some(reply.states),
                };
            }
            let denial = (index, wait);
            self.denials.insert(key, costs, sent, denial, &reply.states);
            Err(self.not_yet(index, wait))
        } else {
            self.observer.record(CallOutcome::Admitted);
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
    pub(crate) fn labeled(&self) -> impl Iterator<Item = (Option<&'static str>, ScaledLimit)> {
        let each = self.each.iter();
        each.map(|named| (named.label, named.limit.scaled()))
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
        self.follow_changes().await;
        self.check(costs)?;
        let reply = self.query("peek", buckets, costs).await?;
        match reply.denial {
            Some((index, wait)) => {
                self.check(costs)?;
                Err(self.not_yet(index, wait))
            }
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
        for (index, (capacity, &cost)) in self.capacities().zip(costs).enumerate() {
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
        self.denied(
            index,
            Denied::NotYet {
                retry_after: retry_after.into(),
            },
        )
    }

    /// How much is left of each limit in this state.
    pub(crate) fn available_of(&self, states: &[LimitState]) -> impl Iterator<Item = u64> {
        let each = self.each.iter().zip(states);
        each.map(|(named, state)| named.limit.scaled().available(*state))
    }

    pub(crate) fn capacities(&self) -> impl Iterator<Item = u64> {
        let each = self.each.iter();
        each.map(|named| named.limit.scaled().capacity())
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
                self.observer.record(CallOutcome::OpenAdmitted);
                Ok(Admitted::without_server(AdmittedBy::FailOpen))
            }
            (FailurePolicy::Local { .. }, Some(shares)) => {
                let taken = shares.try_acquire(buckets.base.as_bytes(), costs);
                if let Err((index, denied)) = taken {
                    self.observer.record(CallOutcome::LocalDenied);
                    return Err(self.denied(index, denied));
                }
                self.observer.record(CallOutcome::LocalAdmitted);
                if let Some(unreported) = &buckets.unreported {
                    unreported.add(costs);
                }
                Ok(Admitted::without_server(AdmittedBy::LocalShare))
            }
            _ => {
                self.observer.record(CallOutcome::Unavailable);
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

    /// Runs a call, again whenever the server tells of a newer quota: then it has charged nothing.
    async fn run(
        &self,
        operation: &str,
        buckets: &BucketSet,
        costs: &[u64],
    ) -> Result<TakeReply, CallFailure> {
        self.follow_changes().await;
        for _ in 0..MAX_CHANGES {
            let limits = self.limits_now();
            match self.run_once(operation, buckets, costs, &limits).await? {
                Ok(reply) => return Ok(reply),
                Err(newer) => self.adopt(&newer),
            }
        }
        Err(CallFailure::Failed(script::unexpected_reply()))
    }

    /// The error is the newer quotas that the server knows.
    async fn run_once(
        &self,
        operation: &str,
        buckets: &BucketSet,
        costs: &[u64],
        limits: &[LimitNow],
    ) -> Result<Result<TakeReply, Vec<(usize, QuotaRecord)>>, CallFailure> {
        let report = buckets
            .unreported
            .as_ref()
            .map(UnreportedCharges::take_report);
        let unreported = |index| report.as_ref().map_or(0, |report| report.get(index));
        let scaled: Box<[ScaledLimit]> = limits.iter().map(LimitNow::scaled).collect();
        let is_changed = limits.iter().any(|limit| limit.changed().is_some());
        let is_plain_take = operation == "take"
            && self.options.empty_for.is_none()
            && !is_changed
            && (0..self.len()).all(|index| unreported(index) == 0);
        let short = is_plain_take.then(|| TakeArguments::short(&scaled, costs));
        let (arguments, reader) = short
            .flatten()
            .unwrap_or_else(|| {
                let changes = |index: usize, arguments: &mut ScriptArgs| {
                    if is_changed {
                        self.append_change(index, &limits[index], arguments);
                    }
                };
                let empty_for_us = self.empty_for_us();
                TakeArguments::any(operation, &scaled, costs, unreported, changes, empty_for_us)
            })
            .split();
        let call = ScriptCall {
            script: &script::TAKE,
            keys: &buckets.keys,
            arguments,
        };
        let start = time::now();
        let numbers = self.store.run(&buckets.base, &call).await?;
        let round_trip = time::now().saturating_sub(start);
        self.observer
            .record_round_trip(Duration::from_nanos(round_trip));
        if let Some(newer) = told_quotas(&numbers) {
            // Nothing was counted, so the report is restored.
            return Ok(Err(newer));
        }
        if let Some(report) = report {
            report.confirm();
        }
        let reply = reader.read(&numbers, &scaled, costs);
        let reply = reply.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))?;
        Ok(Ok(reply))
    }

    /// How long an absent bucket counts as empty, in microseconds; 0 if it counts as full.
    pub(crate) fn empty_for_us(&self) -> u64 {
        self.options.empty_for.map_or(0, |time| {
            u64::try_from(time.as_micros()).map_or(MAX_REFILL_US, |us| us.clamp(1, MAX_REFILL_US))
        })
    }
}
