//! The limits of a configuration, and the request that a call makes to each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use super::Ask;
use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::fast_path::{self, FastPath};
use super::status::{LimitKind, Remaining};
use super::usage::{TokenEstimate, TokenUsage};
use crate::clock::{Clock, ManualClock};
use crate::combined::{Combined, CombinedDenied};
use crate::prepared_charge::{AsOf, Request};
use crate::quota::Quota;
use crate::sliding_window::SlidingWindow;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Tokens per minute and day, input tokens, output tokens.
#[cfg(any(feature = "std", tidegate_loom))]
pub(super) const MAX_TOKEN_LIMITS: usize = 4;

/// A combination whose limits have kinds: first the request limits, then the token limits.
pub(super) struct Limits<C> {
    pub(super) combined: Combined<C>,
    /// In the order of the combination. The burst is at 0.
    pub(super) infos: Box<[LimitInfo]>,
    /// The index of [`LimitKind::Tokens`], the first token limit.
    first_token_limit: usize,
    /// The same limits, if no optional limit is configured.
    fast_path: Option<FastPath<C>>,
}

/// The kind and the numbers of a limit. Relaxed: they guard no memory, and the limits decide by
/// their own.
#[derive(Debug)]
pub(super) struct LimitInfo {
    pub(super) kind: LimitKind,
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
                capacity: AtomicU64::new(capacity),
                stated: AtomicU64::new(stated),
            }
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

    pub(super) fn stated(&self) -> u64 {
        // Relaxed: see the type.
        self.stated.load(Relaxed)
    }
}

fn window<C: Clone>(
    clock: &C,
    field: &'static str,
    limit: u64,
    length: Duration,
) -> Result<Arc<SlidingWindow<C>>, ConfigError> {
    SlidingWindow::with_clock(limit, length, clock.clone())
        .map(Arc::new)
        .map_err(|error| ConfigError::new(field, ConfigErrorKind::Window(error)))
}

fn bucket<C: Clone>(
    clock: &C,
    field: &'static str,
    rate: u64,
    period: Duration,
    burst: u64,
) -> Result<Arc<TokenBucket<C>>, ConfigError> {
    Quota::new(rate, period)
        .and_then(|quota| quota.try_burst(burst))
        .map(|quota| Arc::new(TokenBucket::with_clock(quota, clock.clone())))
        .map_err(|error| ConfigError::new(field, ConfigErrorKind::Quota(error)))
}

impl RateLimitConfig {
    /// Checks the configuration, as
    /// [`ApiRateLimiter::with_clock`](crate::ApiRateLimiter::with_clock) does.
    ///
    /// # Errors
    ///
    /// The first invalid field, and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::new(self, &ManualClock::new())?;
        self.validate_rest()
    }
}

impl<C: Clock + Clone> Limits<C> {
    pub(super) fn new(config: &RateLimitConfig, clock: &C) -> Result<Self, ConfigError> {
        let per_minute = config.requests_per_minute;
        let per_hour = config.requests_per_hour;
        let minute = window(clock, "requests_per_minute", per_minute, MINUTE)?;
        let hour = window(clock, "requests_per_hour", per_hour, HOUR)?;
        let burst = bucket(clock, "burst_size", per_minute, MINUTE, config.burst_size)?;

        // The burst first. It mostly has the least headroom, and then the order of declaration is
        // the order of charging.
        let mut infos = vec![
            LimitInfo::new(LimitKind::Burst, config.burst_size, config.burst_size),
            LimitInfo::new(LimitKind::Minute, per_minute, per_minute),
            LimitInfo::new(LimitKind::Hour, per_hour, per_hour),
        ];
        let mut builder = Combined::builder()
            .limit(LimitKind::Burst.name(), Arc::clone(&burst))
            .limit(LimitKind::Minute.name(), Arc::clone(&minute))
            .limit(LimitKind::Hour.name(), Arc::clone(&hour));
        if let Some(per_day) = config.requests_per_day {
            let day = window(clock, "requests_per_day", per_day, DAY)?;
            infos.push(LimitInfo::new(LimitKind::Day, per_day, per_day));
            builder = builder.limit(LimitKind::Day.name(), day);
        }
        let first_token_limit = infos.len();

        // The rate alone first, so that an error names the field that is wrong.
        let rate = config.tokens_per_minute;
        bucket(clock, "tokens_per_minute", rate, MINUTE, 1)?;
        let capacity = config.token_burst_size.unwrap_or(rate);
        let tokens = bucket(clock, "token_burst_size", rate, MINUTE, capacity)?;
        infos.push(LimitInfo::new(LimitKind::Tokens, rate, capacity));
        builder = builder.limit(LimitKind::Tokens.name(), Arc::clone(&tokens));
        let input = config.input_tokens_per_minute;
        let output = config.output_tokens_per_minute;
        for (kind, field, limit, period) in [
            (
                LimitKind::TokensPerDay,
                "tokens_per_day",
                config.tokens_per_day,
                DAY,
            ),
            (
                LimitKind::InputTokens,
                "input_tokens_per_minute",
                input,
                MINUTE,
            ),
            (
                LimitKind::OutputTokens,
                "output_tokens_per_minute",
                output,
                MINUTE,
            ),
        ] {
            if let Some(limit) = limit {
                infos.push(LimitInfo::new(kind, limit, limit));
                builder = builder.limit(kind.name(), bucket(clock, field, limit, period, limit)?);
            }
        }

        let fast_path = (infos.len() == fast_path::LIMITS).then_some(FastPath {
            burst,
            minute,
            hour,
            tokens,
        });
        Ok(Self {
            combined: builder.build(),
            infos: infos.into_boxed_slice(),
            first_token_limit,
            fast_path,
        })
    }
}

impl<C: Clock> Limits<C> {
    /// Changes the limits while no call uses them.
    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut Combined<C>) -> R) -> R {
        // The fast path shares the limits, which can be changed only without it.
        let had_fast_path = self.fast_path.take().is_some();
        let result = change(&mut self.combined);
        if had_fast_path {
            self.fast_path = self.shared_with_fast_path();
        }
        result
    }

    /// The limits for the fast path, in the order of `new`.
    fn shared_with_fast_path(&self) -> Option<FastPath<C>> {
        let limit = |index| self.combined.limit_at_index(index);
        Some(FastPath {
            burst: limit(0).share_bucket()?,
            minute: limit(1).share_window()?,
            hour: limit(2).share_window()?,
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

    /// Charges `n` requests, and returns what remains after them.
    #[inline]
    pub(super) fn admit(&self, n: u64, at: AsOf) -> Result<Remaining, CombinedDenied> {
        if let (1, Some(fast_path)) = (n, &self.fast_path) {
            if let Some(outcome) = fast_path.admit(&self.combined, &self.requests(1), at) {
                return outcome;
            }
        }
        let mut remaining = Remaining {
            requests: u64::MAX,
            tokens: u64::MAX,
        };
        let observe = |index, room| {
            if index >= self.first_token_limit {
                if let Some(bucket) = self.combined.bucket(index) {
                    remaining.tokens = remaining.tokens.min(bucket.tokens_in(room));
                }
            } else if index > 0 {
                remaining.requests = remaining.requests.min(room);
            }
        };
        self.combined.admit(&self.requests(n), at, observe)?;
        remaining.requests = remaining.requests.saturating_sub(n);
        Ok(remaining)
    }

    /// The request of one call with its estimated tokens.
    pub(super) fn request_with(&self, estimate: TokenEstimate) -> impl Fn(usize) -> Request + '_ {
        move |index| {
            if index < self.first_token_limit {
                return Request::charge(1);
            }
            let cost = self.reserved(index, estimate);
            Request {
                required: cost.max(1),
                cost,
            }
        }
    }

    /// The tokens that an estimate takes from the token limit at `index`.
    pub(super) fn reserved(&self, index: usize, estimate: TokenEstimate) -> u64 {
        let info = &self.infos[index];
        let tokens = info.kind.share_of(estimate.usage());
        if estimate.is_guess() {
            tokens.min(info.capacity())
        } else {
            tokens
        }
    }

    /// The tokens that a call is expected to use: of a guess no more than the limit has.
    pub(super) fn expected(&self, estimate: TokenEstimate) -> TokenUsage {
        let most = self.reserved_in_total(estimate);
        estimate.usage().at_most(most)
    }

    /// What a call with tokens asks of the provider.
    pub(super) fn ask(&self, estimate: TokenEstimate) -> Ask {
        Ask::tokens(self.expected(estimate), estimate.is_guess())
    }

    /// The tokens that an estimate takes from the limit for all tokens per minute.
    pub(super) fn reserved_in_total(&self, estimate: TokenEstimate) -> u64 {
        self.reserved(self.first_token_limit, estimate)
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
        let capacities = limits.map(|(index, limit)| (index, limit.capacity()));
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

    /// The fewest permits available at any limit in a range of indices.
    #[inline]
    fn fewest_at(&self, indices: core::ops::Range<usize>, now: Timestamp) -> u64 {
        let available = indices.map(|index| self.combined.available_at_index(index, now));
        available.min().unwrap_or(0)
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
            requests: self.fewest_at(1..self.first_token_limit, now),
            tokens: self.fewest_at(self.first_token_limit..self.infos.len(), now),
        }
    }

    /// What the limit of a kind has available; `None` without such a limit.
    pub(super) fn available_at(&self, kind: LimitKind, now: Timestamp) -> Option<u64> {
        let index = self.infos.iter().position(|limit| limit.kind == kind)?;
        Some(self.combined.available_at_index(index, now))
    }
}
