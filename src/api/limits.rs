//! The limits of a configuration, and the request that a call makes to each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::Ask;
use super::config::{ConfigError, RateLimitConfig};
use super::fast_path::{self, FastPath, Look, Uncharged};
use super::numbers::{self, KINDS, Numbers};
use super::refusal::LimitKind;
use super::status::Remaining;
use super::usage::{TokenEstimate, TokenUsage};
use crate::clock::{Clock, ManualClock};
use crate::combined::{Combined, CombinedBuilder, CombinedDenied, Limit};
use crate::prepared_charge::{AsOf, Request};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// The tokens of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallTokens {
    /// What is charged to each token limit.
    pub(super) charged: [u64; MAX_TOKEN_LIMITS],
    /// What the call is expected to use: of a guess no more than the limits can give.
    pub(super) usage: TokenUsage,
    is_guess: bool,
}

impl CallTokens {
    /// What the call asks of the provider.
    pub(super) fn ask(&self) -> Ask {
        Ask::tokens(self.usage, self.is_guess)
    }
}

/// The most token limits that are shared.
pub(super) const MAX_SHARED_TOKEN_LIMITS: usize = 4;

/// Tokens per minute and day, input tokens, output tokens, and those that are shared.
pub(super) const MAX_TOKEN_LIMITS: usize = 4 + MAX_SHARED_TOKEN_LIMITS;

/// A combination whose limits have kinds: first the request limits, then the token limits.
pub(super) struct Limits<C> {
    pub(super) combined: Combined<C>,
    /// In the order of the combination. If there is a burst, it is at 0.
    pub(super) infos: Box<[LimitInfo]>,
    /// The index of the first limit that does not only spread requests out.
    first_window: usize,
    /// Of the first token limit, if there is one. There is always a request limit.
    first_token_limit: usize,
    /// The same limits, if no optional limit is configured.
    fast_path: Option<FastPath<C>>,
}

/// The kind and the numbers of a limit. Relaxed: they guard no memory, and the limits decide by
/// their own.
#[derive(Debug)]
pub(super) struct LimitInfo {
    pub(super) kind: LimitKind,
    pub(super) shared_name: Option<&'static str>,
    /// The most that one call can take.
    capacity: AtomicU64,
    /// The number in the configuration.
    stated: AtomicU64,
}

impl LimitInfo {
    const_fn! {
        const fn new(kind: LimitKind, stated: u64, capacity: u64) -> Self {
            Self {
                kind,
                shared_name: None,
                capacity: AtomicU64::new(capacity),
                stated: AtomicU64::new(stated),
            }
        }
    }

    const_fn! {
        const fn shared(name: &'static str, capacity: u64) -> Self {
            let mut info = Self::new(LimitKind::Shared, capacity, capacity);
            info.shared_name = Some(name);
            info
        }
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn set(&self, stated: u64, capacity: u64) {
        // Relaxed, both: see the type.
        self.stated.store(stated, Relaxed);
        self.capacity.store(capacity, Relaxed);
    }

    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        // Relaxed: see the type.
        self.capacity.load(Relaxed)
    }

    #[inline]
    pub(super) fn stated(&self) -> u64 {
        // Relaxed: see the type.
        self.stated.load(Relaxed)
    }
}

impl RateLimitConfig {
    /// Checks the configuration, as
    /// [`ApiRateLimiter::with_clock`](crate::ApiRateLimiter::with_clock) does.
    ///
    /// # Errors
    ///
    /// The first invalid field, and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::new(self, &ManualClock::new(), SharedLimits::NONE)?;
        self.validate_rest()
    }
}

/// Limits that other limiters may share, with their names.
pub(super) struct SharedLimits<C> {
    pub(super) requests: Vec<(&'static str, Limit<C>)>,
    pub(super) tokens: Vec<(&'static str, Limit<C>)>,
}

impl<C> SharedLimits<C> {
    pub(super) const NONE: Self = Self {
        requests: Vec::new(),
        tokens: Vec::new(),
    };
}

/// The minute and the hour, which count the same requests, if both are limited.
fn two_windows<C: Clone>(
    config: &RateLimitConfig,
    clock: &C,
) -> Result<Option<[Limit<C>; 2]>, ConfigError> {
    let limit = |kind| match config.numbers(kind) {
        Some(Numbers::Window { limit, .. }) => Some(limit),
        _ => None,
    };
    let Some((minute, hour)) = limit(LimitKind::Minute).zip(limit(LimitKind::Hour)) else {
        return Ok(None);
    };
    numbers::minute_and_hour(minute, hour, clock).map(Some)
}

/// A limit, and what is noted of it.
type Made<C> = (LimitInfo, Limit<C>);

impl<C: Clock> Limits<C> {
    fn shared((name, limit): (&'static str, Limit<C>)) -> Made<C> {
        let capacity = limit.capacity();
        (LimitInfo::shared(name, capacity), limit)
    }
}

impl<C: Clock + Clone> Limits<C> {
    pub(super) fn new(
        config: &RateLimitConfig,
        clock: &C,
        shared: SharedLimits<C>,
    ) -> Result<Self, ConfigError> {
        let mut both = two_windows(config, clock)?.map_or([None, None], |both| both.map(Some));
        let mut configured = |kind: LimitKind, numbers: Numbers| {
            let info = LimitInfo::new(kind, numbers.stated(), numbers.capacity());
            let one_of_both = match kind {
                LimitKind::Minute => both[0].take(),
                LimitKind::Hour => both[1].take(),
                _ => None,
            };
            let limit = match one_of_both {
                Some(limit) => limit,
                None => numbers.limit(kind, clock)?,
            };
            Ok((info, limit))
        };
        let (mut requests, mut tokens): (Vec<Made<C>>, Vec<Made<C>>) = Default::default();
        for kind in KINDS {
            if let Some(numbers) = config.numbers(kind) {
                let limit = configured(kind, numbers)?;
                if kind.counts_tokens() {
                    tokens.push(limit);
                } else {
                    requests.push(limit);
                }
            }
        }
        requests.extend(shared.requests.into_iter().map(Self::shared));
        tokens.extend(shared.tokens.into_iter().map(Self::shared));
        if requests.is_empty() {
            // A combination has one limit at least.
            requests.push(configured(LimitKind::Burst, Numbers::UNUSED)?);
        }
        // The burst first. It mostly has the least headroom, and then the order of declaration is
        // the order of charging.
        requests.sort_by_key(|(info, _)| match info.kind {
            LimitKind::Burst => 0,
            LimitKind::Adaptive => 1,
            _ => 2,
        });
        let spreads = |kind| matches!(kind, LimitKind::Burst | LimitKind::Adaptive);
        let first_window = requests
            .iter()
            .filter(|(info, _)| spreads(info.kind))
            .count();
        let first_token_limit = requests.len();
        let all = requests.into_iter().chain(tokens);
        let (infos, named): (Vec<_>, Vec<_>) = all
            .map(|(info, limit)| {
                let name = info.shared_name.unwrap_or(info.kind.name());
                (info, (name, limit))
            })
            .unzip();
        let mut limits = Self {
            combined: CombinedBuilder::of(named.into_iter()).build(),
            infos: infos.into_boxed_slice(),
            first_window,
            first_token_limit,
            fast_path: None,
        };
        limits.fast_path = limits.shared_with_fast_path();
        Ok(limits)
    }
}

impl<C: Clock> Limits<C> {
    /// Changes the limits while no call uses them.
    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut Combined<C>) -> R) -> R {
        // The fast path shares the limits, which can be changed only without it.
        self.fast_path = None;
        let result = change(&mut self.combined);
        self.fast_path = self.shared_with_fast_path();
        result
    }

    /// The limits for the fast path, if there are no others.
    fn shared_with_fast_path(&self) -> Option<FastPath<C>> {
        let kinds = self.infos.iter().map(|info| info.kind);
        if !kinds.eq(fast_path::KINDS) {
            return None;
        }
        let limit = |index| self.combined.limit_at_index(index);
        Some(FastPath {
            burst: limit(0).share_bucket()?,
            windows: limit(1).share_two_windows()?,
            tokens: limit(3).share_bucket()?,
        })
    }

    /// The request of `n` calls: `n` permits, and that no token limit is used up.
    #[inline]
    pub(super) fn requests(&self, n: u64) -> impl Fn(usize) -> Request {
        let first_token_limit = self.first_token_limit;
        move |index| {
            if index < first_token_limit {
                Request::charge(n)
            } else {
                Request {
                    required: 1,
                    cost: 0,
                }
            }
        }
    }

    /// Charges one request if all limits are those of the fast path and have room.
    #[expect(clippy::inline_always, reason = "see `FastPath::admit`")]
    #[inline(always)]
    pub(super) fn admit_fast(&self, at: AsOf) -> Result<Remaining, Uncharged> {
        let fast_path = self.fast_path.as_ref().ok_or(Uncharged::Undecided)?;
        fast_path.admit(&self.combined, at)
    }

    /// One look at each limit for a request that was not prepared, if the limits are those of the
    /// fast path.
    #[expect(clippy::inline_always, reason = "see `Look`")]
    #[inline(always)]
    pub(super) fn look(&self, at: AsOf) -> Option<Look> {
        Some(self.fast_path.as_ref()?.look(at))
    }

    /// Charges one request to the limits of the fast path after a [`look`](Self::look) that has
    /// shown what remains.
    pub(super) fn charge_after_look(
        &self,
        mut remaining: Remaining,
        at: AsOf,
    ) -> Result<Remaining, Uncharged> {
        fast_path::charge_in_steps(&self.combined, at)?;
        remaining.requests = remaining.requests.saturating_sub(1);
        Ok(remaining)
    }

    /// Charges `n` requests, and returns what remains after them.
    pub(super) fn admit(&self, n: u64, at: AsOf) -> Result<Remaining, CombinedDenied> {
        let mut remaining = Remaining {
            requests: u64::MAX,
            tokens: u64::MAX,
        };
        let observe = |index, room| {
            if index >= self.first_token_limit {
                if let Some(bucket) = self.combined.bucket(index) {
                    remaining.tokens = remaining.tokens.min(bucket.tokens_in(room));
                }
            } else if index >= self.first_window {
                remaining.requests = remaining.requests.min(room);
            }
        };
        self.combined.admit(&self.requests(n), at, observe)?;
        remaining.requests = remaining.requests.saturating_sub(n);
        Ok(remaining)
    }

    /// The request of one call with its tokens.
    pub(super) fn request_with(&self, tokens: &CallTokens) -> impl Fn(usize) -> Request + use<C> {
        let (first_token_limit, charged) = (self.first_token_limit, tokens.charged);
        move |index| match index.checked_sub(first_token_limit) {
            None => Request::charge(1),
            Some(number) => {
                let cost = charged.get(number).copied().unwrap_or(0);
                Request {
                    required: cost.max(1),
                    cost,
                }
            }
        }
    }

    /// The most that one call can take from a limit. A shared one may have been changed.
    pub(super) fn capacity(&self, index: usize) -> u64 {
        match self.infos[index].kind {
            LimitKind::Shared => self.combined.limit_at_index(index).capacity(),
            _ => self.infos[index].capacity(),
        }
    }

    /// What a call with this estimate takes from each token limit. It is noted, because another
    /// quota may cap a guess differently when the call ends.
    pub(super) fn tokens_of(&self, estimate: TokenEstimate) -> CallTokens {
        let usage = estimate.usage();
        let mut charged = [0; MAX_TOKEN_LIMITS];
        let mut most = u64::MAX;
        let limits = self.first_token_limit..self.infos.len();
        for (charged, index) in charged.iter_mut().zip(limits) {
            let kind = self.infos[index].kind;
            *charged = kind.charge_of(estimate, self.capacity(index));
            if kind.bounds_usage() {
                most = most.min(*charged);
            }
        }
        CallTokens {
            charged,
            usage: usage.at_most(most),
            is_guess: estimate.is_guess(),
        }
    }

    /// The token limits with their indices.
    pub(super) fn token_limits(&self) -> impl Iterator<Item = (usize, LimitKind, &TokenBucket<C>)> {
        let range = self.first_token_limit..self.infos.len();
        range.filter_map(|index| {
            let bucket = self.combined.bucket(index)?;
            Some((index, self.infos[index].kind, bucket))
        })
    }

    /// The number of a limit among the token limits; `None` for a request limit.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn token_index(&self, index: usize) -> Option<usize> {
        index.checked_sub(self.first_token_limit)
    }

    /// Charges tokens that were used, even if they are not available.
    pub(super) fn debit(&self, usage: TokenUsage, now: Timestamp) {
        for (_, kind, bucket) in self.token_limits() {
            bucket.debit_at(kind.share_of(usage), now);
        }
    }

    /// Returns tokens to a token limit; `false` if the limit at `index` is a request limit.
    pub(super) fn credit(&self, index: usize, tokens: u64, now: Timestamp) -> bool {
        match self.combined.bucket(index) {
            Some(bucket) if index >= self.first_token_limit => {
                bucket.credit_at(tokens, now);
                true
            }
            _ => false,
        }
    }

    /// The request limit that allows the fewest requests at once: its index and its capacity.
    fn tightest(&self) -> (usize, u64) {
        let limits = self.infos[..self.first_token_limit].iter().enumerate();
        let capacities = limits.map(|(index, _)| (index, self.capacity(index)));
        let tightest = capacities.min_by_key(|&(_, capacity)| capacity);
        tightest.unwrap_or_default()
    }

    /// The most requests that can ever be admitted at once.
    pub(super) fn max_requests(&self) -> u64 {
        self.tightest().1
    }

    /// The time until [that many](Self::max_requests) are available again once all were used.
    pub(super) fn requests_refill_time(&self) -> Duration {
        self.combined.refill_time_at_index(self.tightest().0)
    }

    /// The fewest permits available at any limit in a range of indices; the largest number if
    /// there is none.
    #[inline]
    fn fewest_at(&self, indices: core::ops::Range<usize>, now: Timestamp) -> u64 {
        let available = indices.map(|index| self.combined.available_at_index(index, now));
        available.min().unwrap_or(RateLimitConfig::NO_LIMIT)
    }

    /// The number of requests that would be admitted at once.
    pub(super) fn requests_available_at(&self, now: Timestamp) -> u64 {
        if self.fewest_at(self.first_token_limit..self.infos.len(), now) == 0 {
            return 0;
        }
        self.fewest_at(0..self.first_token_limit, now)
    }

    #[inline]
    pub(super) fn remaining_at(&self, now: Timestamp) -> Remaining {
        Remaining {
            // Without the burst.
            requests: self.fewest_at(self.first_window..self.first_token_limit, now),
            tokens: self.fewest_at(self.first_token_limit..self.infos.len(), now),
        }
    }

    /// Whether both have the same shared limits.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn has_shared_of(&self, other: &Self) -> bool {
        let shared = |limits: &Self| {
            let all = limits.infos.iter().enumerate();
            let shared = all.filter(|(_, info)| info.kind == LimitKind::Shared);
            shared.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let (own, others) = (shared(self), shared(other));
        own.len() == others.len()
            && own.into_iter().zip(others).all(|(own, of_other)| {
                let limit = self.combined.limit_at_index(own);
                limit.is_same(other.combined.limit_at_index(of_other))
            })
    }

    fn index_of(&self, kind: LimitKind) -> Option<usize> {
        self.infos.iter().position(|info| info.kind == kind)
    }

    /// The bucket of the adaptive pace.
    #[cfg(feature = "http")]
    pub(super) fn adaptive(&self) -> Option<&TokenBucket<C>> {
        self.combined.bucket(self.index_of(LimitKind::Adaptive)?)
    }

    /// What the limit of a kind has available; `None` without such a limit.
    pub(super) fn available_at(&self, kind: LimitKind, now: Timestamp) -> Option<u64> {
        let index = self.index_of(kind)?;
        Some(self.combined.available_at_index(index, now))
    }
}
