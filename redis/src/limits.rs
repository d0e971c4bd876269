//! One limit or several, charged all or none: what buckets, combinations and tables are made of.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;

use crate::error::{AcquireError, BuildError};
use crate::key::Place;
use crate::memory::Memory;
use crate::options::Quotas;
use crate::owed::Owed;
use crate::policy::{FailurePolicy, Shares};
use crate::scale::{Amount, MOST_US, Scale};
use crate::script::Arguments;
use crate::stats::{Counts, LimitStats};
use crate::store::{Failure, RedisStore, Which};

/// How limiters are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) policy: FailurePolicy,
    pub(crate) empty_for: Option<Duration>,
    pub(crate) remember: Duration,
    pub(crate) remembered_keys: usize,
}

impl Settings {
    pub(crate) const DEFAULT: Self = Self {
        policy: FailurePolicy::Closed,
        empty_for: None,
        remember: Duration::from_secs(1),
        remembered_keys: 10_000,
    };
}

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Limits {
    store: RedisStore,
    rules: Box<[Rule]>,
    settings: Settings,
    memory: Memory,
    shares: Option<Shares>,
    counts: Counts,
}

#[derive(Debug)]
struct Rule {
    name: Option<Arc<str>>,
    scale: Scale,
}

/// The buckets of one call, and what was admitted there without the server.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) owed: Option<Owed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Take,
    Peek,
    Debit,
    Reset,
}

/// What the server says.
struct Answer {
    refusal: Option<(usize, Duration)>,
    ahead: Box<[Amount]>,
}

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub(crate) by: By,
    pub(crate) available: Option<u64>,
    pub(crate) full_in: Option<Duration>,
}

/// Who admitted a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// The server.
    Server,
    /// This node's share, while the server does not answer.
    Share,
    /// Nobody: the server does not answer, and the policy is to admit.
    Nobody,
}

impl Admitted {
    /// Who admitted it.
    pub const fn by(&self) -> By {
        self.by
    }

    /// What is left, of several limits where it is least; `None` if the server was not asked.
    pub const fn available(&self) -> Option<u64> {
        self.available
    }

    /// How long until everything is there again if nobody comes; `None` if the server was not asked.
    pub const fn full_in(&self) -> Option<Duration> {
        self.full_in
    }

    pub(crate) const fn without_server(by: By) -> Self {
        Self {
            by,
            available: None,
            full_in: None,
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
                return Err(BuildError::TwoLimits(Arc::clone(name)));
            }
        }
        let shares = match settings.policy {
            FailurePolicy::Local { nodes } => {
                Some(Shares::new(limits.iter().map(|(_, quota)| *quota), nodes)?)
            }
            _ => None,
        };
        let rule = |(name, quota)| {
            Ok(Rule {
                name,
                scale: Scale::new(quota)?,
            })
        };
        Ok(Self {
            store,
            rules: limits
                .into_iter()
                .map(rule)
                .collect::<Result<_, BuildError>>()?,
            memory: Memory::new(settings.remembered_keys, settings.remember),
            settings,
            shares,
            counts: Counts::default(),
        })
    }

    pub(crate) const fn store(&self) -> &RedisStore {
        &self.store
    }

    pub(crate) fn scale(&self, index: usize) -> &Scale {
        &self.rules[index].scale
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(crate) fn stats(&self) -> LimitStats {
        self.counts.stats()
    }

    pub(crate) const fn shares(&self) -> Option<&Shares> {
        self.shares.as_ref()
    }

    /// The buckets of one name, or of a key in a table. Debts of a single name are kept.
    pub(crate) fn target(&self, name: &str, key: Option<&[u8]>) -> Target {
        let place = self.store.place(name, key);
        let keys = self
            .rules
            .iter()
            .map(|rule| place.key(rule.name.as_deref()));
        Target {
            keys: keys.collect(),
            owed: key.is_none().then(|| Owed::new(self.len())),
            place,
        }
    }

    /// Charges all or none.
    pub(crate) async fn take(
        &self,
        target: &Target,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.check(costs)?;
        let key = target.place.head();
        if let Some((index, wait)) = self.memory.refuses(key, costs) {
            self.counts.remembered.one();
            // As below.
            tokio::task::consume_budget().await;
            return Err(self.denied(index, wait));
        }
        let asked = RedisStore::now();
        let answer = match self.run(Op::Take, target, costs).await {
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
        target: &Target,
        costs: &[u64],
    ) -> Result<Admitted, AcquireError> {
        self.check(costs)?;
        let answer = self.run(Op::Peek, target, costs).await;
        let answer = answer.map_err(|failure| self.unavailable(&target.place, failure))?;
        match answer.refusal {
            Some((index, wait)) => Err(self.denied(index, wait)),
            None => Ok(self.admitted(&answer)),
        }
    }

    /// What each limit has left.
    pub(crate) async fn available(&self, target: &Target) -> Result<Vec<u64>, AcquireError> {
        let costs = vec![0; self.len()];
        let answer = self.run(Op::Peek, target, &costs).await;
        let answer = answer.map_err(|failure| self.unavailable(&target.place, failure))?;
        let each = self.rules.iter().zip(&answer.ahead);
        Ok(each
            .map(|(rule, ahead)| rule.scale.available(*ahead))
            .collect())
    }

    /// Charges whether it is there or not.
    pub(crate) async fn debit(&self, target: &Target, costs: &[u64]) -> Result<(), AcquireError> {
        self.check_count(costs)?;
        let answer = self.run(Op::Debit, target, costs).await;
        answer
            .map(drop)
            .map_err(|failure| self.unavailable(&target.place, failure))
    }

    /// Fills everything up.
    pub(crate) async fn reset(&self, target: &Target) -> Result<(), AcquireError> {
        let costs = vec![0; self.len()];
        let answer = self.run(Op::Reset, target, &costs).await;
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

    fn admitted(&self, answer: &Answer) -> Admitted {
        let each = || self.rules.iter().zip(&answer.ahead);
        Admitted {
            by: By::Server,
            available: each()
                .map(|(rule, ahead)| rule.scale.available(*ahead))
                .min(),
            full_in: each().map(|(_, ahead)| Scale::until_full(*ahead)).max(),
        }
    }

    pub(crate) fn unavailable(&self, place: &Place, failure: Failure) -> AcquireError {
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
        target: &Target,
        costs: &[u64],
        failure: Failure,
    ) -> Result<Admitted, AcquireError> {
        match (self.settings.policy, &self.shares) {
            (FailurePolicy::Open, _) => {
                self.counts.let_through.one();
                Ok(Admitted::without_server(By::Nobody))
            }
            (FailurePolicy::Local { .. }, Some(shares)) => {
                match shares.try_acquire(target.place.head(), costs) {
                    Ok(()) => {
                        self.counts.local_admitted.one();
                        if let Some(owed) = &target.owed {
                            owed.add(costs);
                        }
                        Ok(Admitted::without_server(By::Share))
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

    async fn run(&self, op: Op, target: &Target, costs: &[u64]) -> Result<Answer, Failure> {
        let owed = target.owed.as_ref().map(Owed::take);
        let mut arguments = Arguments::default();
        arguments
            .text(match op {
                Op::Take => "take",
                Op::Peek => "peek",
                Op::Debit => "debit",
                Op::Reset => "reset",
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
            .run(Which::Take, &target.place, &target.keys, &arguments)
            .await?;
        if let Some(owed) = owed {
            owed.reported();
        }
        let answer = Answer::read(&numbers, self.rules.len());
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

impl Answer {
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
