//! One limit or several, charged all or none: what buckets, combinations and tables are made of.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;

use crate::base_key::BaseKey;
use crate::denial_cache::DenialCache;
use crate::error::{AcquireError, BuildError};
use crate::options::Quotas;
use crate::policy::{FailurePolicy, LocalShares};
use crate::scaled_quota::{Amount, MOST_US, ScaledQuota};
use crate::script::ScriptArgs;
use crate::stats::{LimitCounters, LimitStats};
use crate::store::{Failure, RedisStore, ScriptKind};
use crate::unreported::UnreportedCharges;

/// How limiters are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) policy: FailurePolicy,
    pub(crate) empty_for: Option<Duration>,
    pub(crate) remember: Duration,
    pub(crate) cached_keys: usize,
}

impl Settings {
    pub(crate) const DEFAULT: Self = Self {
        policy: FailurePolicy::Closed,
        empty_for: None,
        remember: Duration::from_secs(1),
        cached_keys: 10_000,
    };
}

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Limits {
    store: RedisStore,
    rules: Box<[NamedLimit]>,
    settings: Settings,
    memory: DenialCache,
    shares: Option<LocalShares>,
    counts: LimitCounters,
}

#[derive(Debug)]
struct NamedLimit {
    name: Option<Arc<str>>,
    scale: ScaledQuota,
}

/// The buckets of one call, and what was admitted there without the server.
#[derive(Debug)]
pub(crate) struct BucketSet {
    pub(crate) place: BaseKey,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) owed: Option<UnreportedCharges>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Take,
    Peek,
    Debit,
    Reset,
}

/// What the server says.
struct ScriptReply {
    refusal: Option<(usize, Duration)>,
    ahead: Box<[Amount]>,
}

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub(crate) by: AdmittedBy,
    pub(crate) available: Option<u64>,
    pub(crate) refill_time: Option<Duration>,
}

/// Who admitted a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdmittedBy {
    /// The server.
    Server,
    /// This node's share, while the server does not answer.
    LocalShare,
    /// Nobody: the server does not answer, and the policy is to admit.
    FailOpen,
}

impl Admitted {
    /// Who admitted it.
    pub const fn by(&self) -> AdmittedBy {
        self.by
    }

    /// What is left, of several limits where it is least; `None` if the server was not asked.
    pub const fn available(&self) -> Option<u64> {
        self.available
    }

    /// How long until everything is there again if nobody comes; `None` if the server was not asked.
    pub const fn refill_time(&self) -> Option<Duration> {
        self.refill_time
    }

    pub(crate) const fn without_server(by: AdmittedBy) -> Self {
        Self {
            by,
            available: None,
            refill_time: None,
        }
    }
}

impl Limits {
    pub(crate) fn new(
        store: RedisStore,
        Quotas(limits): Quotas,
        settings: Settings,
    ) -> Result<Self, BuildError> {
        if limits.is_empty() {
            return Err(BuildError::NoLimits);
        }
        for (index, (name, _)) in limits.iter().enumerate() {
            if let (Some(name), true) =
                (name, limits[..index].iter().any(|(other, _)| other == name))
            {
                return Err(BuildError::DuplicateLimit(Arc::clone(name)));
            }
        }
        let shares = match settings.policy {
            FailurePolicy::Local { nodes } => Some(LocalShares::new(
                limits.iter().map(|(_, quota)| *quota),
                nodes,
            )?),
            _ => None,
        };
        let rule = |(name, quota)| {
            Ok(NamedLimit {
                name,
                scale: ScaledQuota::new(quota)?,
            })
        };
        Ok(Self {
            store,
            rules: limits
                .into_iter()
                .map(rule)
                .collect::<Result<_, BuildError>>()?,
            memory: DenialCache::new(settings.cached_keys, settings.remember),
            settings,
            shares,
            counts: LimitCounters::default(),
        })
    }

    pub(crate) const fn store(&self) -> &RedisStore {
        &self.store
    }

    pub(crate) fn scale(&self, index: usize) -> &ScaledQuota {
        &self.rules[index].scale
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(crate) fn stats(&self) -> LimitStats {
        self.counts.stats()
    }

    pub(crate) const fn shares(&self) -> Option<&LocalShares> {
        self.shares.as_ref()
    }

    /// The buckets of one name, or of a key in a table. Debts of a single name are kept.
    pub(crate) fn target(&self, name: &str, key: Option<&[u8]>) -> BucketSet {
        let place = self.store.place(name, key);
        let keys = self
            .rules
            .iter()
            .map(|rule| place.key(rule.name.as_deref()));
        BucketSet {
            keys: keys.collect(),
            owed: key.is_none().then(|| UnreportedCharges::new(self.len())),
            place,
        }
    }

    /// Charges all or none.
    pub(crate) async fn take(
        &self,
        target: &BucketSet,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.check(costs)?;
        let key = target.place.head();
        if let Some((index, wait)) = self.memory.refuses(key, costs) {
            self.counts.denied_from_cache.one();
            // As below.
            tokio::task::consume_budget().await;
            return Err(self.denied(index, wait));
        }
        let asked = RedisStore::now();
        let answer = match self.run(Operation::Take, target, costs).await {
            Ok(answer) => answer,
            Err(failure) => {
                // Where nothing was sent nothing was waited for, and a loop of calls would keep its thread.
                tokio::task::consume_budget().await;
                return self.without_server(target, costs, failure);
            }
        };
        if let Some((index, wait)) = answer.refusal {
            self.counts.denied.one();
            self.memory.refused(key, costs, asked, index, wait);
            return Err(self.denied(index, wait));
        }
        self.counts.admitted.one();
        if let Some(shares) = &self.shares {
            shares.follow(key, costs);
        }
        Ok(self.admitted(&answer))
    }

    /// Whether it would be admitted.
    pub(crate) async fn peek(
        &self,
        target: &BucketSet,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.check(costs)?;
        let answer = self.run(Operation::Peek, target, costs).await;
        let answer = answer.map_err(|failure| self.unavailable(&target.place, failure))?;
        match answer.refusal {
            Some((index, wait)) => Err(self.denied(index, wait)),
            None => Ok(self.admitted(&answer)),
        }
    }

    /// What each limit has left.
    pub(crate) async fn available(&self, target: &BucketSet) -> Result<Vec<u64>, AcquireError> {
        let costs = vec![0; self.len()];
        let answer = self.run(Operation::Peek, target, &costs).await;
        let answer = answer.map_err(|failure| self.unavailable(&target.place, failure))?;
        let each = self.rules.iter().zip(&answer.ahead);
        Ok(each
            .map(|(rule, ahead)| rule.scale.available(*ahead))
            .collect())
    }

    /// Charges whether it is there or not.
    pub(crate) async fn debit(
        &self,
        target: &BucketSet,
        costs: &[u64],
    ) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        let answer = self.run(Operation::Debit, target, costs).await;
        answer
            .map(drop)
            .map_err(|failure| self.unavailable(&target.place, failure))
    }

    /// Fills everything up.
    pub(crate) async fn reset(&self, target: &BucketSet) -> Result<(), AcquireError> {
        let costs = vec![0; self.len()];
        let answer = self.run(Operation::Reset, target, &costs).await;
        self.memory.forget(target.place.head());
        answer
            .map(drop)
            .map_err(|failure| self.unavailable(&target.place, failure))
    }

    fn check_count(&self, costs: &[u64]) -> Result<(), AcquireError> {
        let limits = self.len();
        if costs.len() == limits {
            Ok(())
        } else {
            Err(AcquireError::CostCount { limits })
        }
    }

    /// What is above a capacity can never be had, and need not be asked for.
    fn check(&self, costs: &[u64]) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        for (rule, &cost) in self.rules.iter().zip(costs) {
            let capacity = rule.scale.capacity();
            if cost > capacity {
                return Err(AcquireError::Denied {
                    denied: Denied::Never { capacity },
                    limit: rule.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn denied(&self, index: usize, retry_after: Duration) -> AcquireError {
        AcquireError::Denied {
            denied: Denied::NotYet { retry_after },
            limit: self.rules[index].name.clone(),
        }
    }

    fn admitted(&self, answer: &ScriptReply) -> Admitted {
        let each = || self.rules.iter().zip(&answer.ahead);
        Admitted {
            by: AdmittedBy::Server,
            available: each()
                .map(|(rule, ahead)| rule.scale.available(*ahead))
                .min(),
            refill_time: each()
                .map(|(_, ahead)| ScaledQuota::until_full(*ahead))
                .max(),
        }
    }

    pub(crate) fn unavailable(&self, place: &BaseKey, failure: Failure) -> AcquireError {
        let (wait, cause) = match failure {
            Failure::Open(until) => (RedisStore::wait_for_probe(until), None),
            Failure::Failed(error) => {
                let wait = self.store.closed_for(place);
                (
                    wait.unwrap_or_else(|| self.store.probe_interval()),
                    Some(error),
                )
            }
        };
        AcquireError::Unavailable {
            retry_after: wait,
            cause,
        }
    }

    /// What the policy says.
    pub(crate) fn without_server(
        &self,
        target: &BucketSet,
        costs: &[u64],
        failure: Failure,
    ) -> Result<Admitted, AcquireError> {
        match (self.settings.policy, &self.shares) {
            (FailurePolicy::Open, _) => {
                self.counts.open_admitted.one();
                Ok(Admitted::without_server(AdmittedBy::FailOpen))
            }
            (FailurePolicy::Local { .. }, Some(shares)) => {
                match shares.try_acquire(target.place.head(), costs) {
                    Ok(()) => {
                        self.counts.local_admitted.one();
                        if let Some(owed) = &target.owed {
                            owed.add(costs);
                        }
                        Ok(Admitted::without_server(AdmittedBy::LocalShare))
                    }
                    Err((index, denied)) => {
                        self.counts.local_denied.one();
                        Err(AcquireError::Denied {
                            denied,
                            limit: self.rules[index].name.clone(),
                        })
                    }
                }
            }
            _ => {
                self.counts.unavailable.one();
                Err(self.unavailable(&target.place, failure))
            }
        }
    }

    async fn run(
        &self,
        op: Operation,
        target: &BucketSet,
        costs: &[u64],
    ) -> Result<ScriptReply, Failure> {
        let owed = target.owed.as_ref().map(UnreportedCharges::take_report);
        let mut arguments = ScriptArgs::default();
        arguments
            .text(match op {
                Operation::Take => "take",
                Operation::Peek => "peek",
                Operation::Debit => "debit",
                Operation::Reset => "reset",
            })
            .number(MOST_US)
            .number(self.empty_for_us());
        for (index, (rule, &cost)) in self.rules.iter().zip(costs).enumerate() {
            let owed = owed.as_ref().map_or(0, |owed| owed.get(index));
            arguments
                .number(rule.scale.den())
                .amount(rule.scale.full())
                .amount(rule.scale.cost(cost))
                .amount(rule.scale.cost(owed));
        }
        let numbers = self
            .store
            .run(ScriptKind::Take, &target.place, &target.keys, &arguments)
            .await?;
        if let Some(owed) = owed {
            owed.confirm();
        }
        let answer = ScriptReply::read(&numbers, self.rules.len());
        answer.ok_or_else(|| Failure::Failed(unexpected()))
    }

    /// Microseconds; 0 if a bucket that is not there is full.
    pub(crate) fn empty_for_us(&self) -> u64 {
        self.settings.empty_for.map_or(0, |time| {
            u64::try_from(time.as_micros()).map_or(MOST_US, |us| us.clamp(1, MOST_US))
        })
    }
}

/// An answer of another script.
pub(crate) fn unexpected() -> redis::RedisError {
    (
        redis::ErrorKind::UnexpectedReturnType,
        "the script's answer cannot be read",
    )
        .into()
}

impl ScriptReply {
    fn read(numbers: &[i64], limits: usize) -> Option<Self> {
        let [admitted, index, wait, ahead @ ..] = numbers else {
            return None;
        };
        let number = |n: i64| u64::try_from(n).ok();
        let refusal = if *admitted == 1 {
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
        let ahead: Box<[Amount]> = ahead.collect::<Option<_>>()?;
        (ahead.len() == limits).then_some(Self { refusal, ahead })
    }
}
