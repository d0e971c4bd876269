//! The limits of a configuration, and what a call asks of each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::status::LimitKind;
use super::usage::{TokenEstimate, TokenUsage};
use super::usual::Usual;
use crate::clock::Clock;
use crate::combined::{Combined, CombinedBuilder, CombinedDenied, Limit};
use crate::prepared_charge::{Exchange, Request};
use crate::quota::Quota;
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A combination whose limits have kinds: first those on requests, then those on tokens.
pub(super) struct Limits<C> {
    pub(super) combined: Combined<C>,
    /// In the order of the combination.
    pub(super) list: Box<[LimitInfo]>,
    /// How many of them are on requests.
    on_requests: usize,
    /// The same limits, if they are those that every configuration has.
    usual: Option<Usual<C>>,
}

/// What a limit is, and how much it allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitInfo {
    pub(super) kind: LimitKind,
    /// At once.
    pub(super) most: u64,
    /// As it is written in the configuration.
    pub(super) stated: u64,
}

impl LimitInfo {
    const fn of(kind: LimitKind, most: u64) -> Self {
        Self {
            kind,
            most,
            stated: most,
        }
    }
}

/// What is left of the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Of the minute, hour and day.
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

impl Left {
    /// Before any limit was looked at.
    pub(super) const ALL: Self = Self {
        requests: u64::MAX,
        tokens: u64::MAX,
    };
}

/// Limits as they are put together.
struct Draft<C> {
    clock: C,
    builder: CombinedBuilder<C>,
    list: Vec<LimitInfo>,
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

impl<C: Clone> Draft<C> {
    /// With the first limit.
    fn of(clock: &C, info: LimitInfo, limit: impl Into<Limit<C>>) -> Self {
        Self {
            clock: clock.clone(),
            builder: Combined::builder().limit(info.kind.name(), limit),
            list: vec![info],
        }
    }

    fn with(mut self, info: LimitInfo, limit: impl Into<Limit<C>>) -> Self {
        self.list.push(info);
        self.builder = self.builder.limit(info.kind.name(), limit);
        self
    }

    /// Adds a limit on tokens that are saved up for a period, if there is one.
    fn with_tokens(
        self,
        kind: LimitKind,
        field: &'static str,
        tokens: Option<u64>,
        period: Duration,
    ) -> Result<Self, ConfigError> {
        let Some(tokens) = tokens else {
            return Ok(self);
        };
        let bucket = bucket(&self.clock, field, tokens, period, tokens)?;
        Ok(self.with(LimitInfo::of(kind, tokens), bucket))
    }
}

impl<C: Clock + Clone> Limits<C> {
    pub(super) fn of(config: &RateLimitConfig, clock: &C) -> Result<Self, ConfigError> {
        let per_minute = config.requests_per_minute;
        let per_hour = config.requests_per_hour;
        let burst_size = config.burst_size;
        let minute = window(clock, "requests_per_minute", per_minute, MINUTE)?;
        let hour = window(clock, "requests_per_hour", per_hour, HOUR)?;
        let burst = bucket(clock, "burst_size", per_minute, MINUTE, burst_size)?;

        // The burst first: it mostly has the least headroom, and then the order of declaration is that of charging.
        let info = LimitInfo::of(LimitKind::Burst, burst_size);
        let mut draft = Draft::of(clock, info, Arc::clone(&burst))
            .with(
                LimitInfo::of(LimitKind::Minute, per_minute),
                Arc::clone(&minute),
            )
            .with(LimitInfo::of(LimitKind::Hour, per_hour), Arc::clone(&hour));
        if let Some(per_day) = config.requests_per_day {
            let day = window(clock, "requests_per_day", per_day, DAY)?;
            draft = draft.with(LimitInfo::of(LimitKind::Day, per_day), day);
        }
        let on_requests = draft.list.len();

        // The rate by itself first, so that the field that is wrong is the one that is named.
        let rate = config.tokens_per_minute;
        bucket(clock, "tokens_per_minute", rate, MINUTE, 1)?;
        let most = config.token_burst_size.unwrap_or(rate);
        let tokens = bucket(clock, "token_burst_size", rate, MINUTE, most)?;
        let info = LimitInfo {
            most,
            ..LimitInfo::of(LimitKind::Tokens, rate)
        };
        let draft = draft
            .with(info, Arc::clone(&tokens))
            .with_tokens(
                LimitKind::TokensPerDay,
                "tokens_per_day",
                config.tokens_per_day,
                DAY,
            )?
            .with_tokens(
                LimitKind::InputTokens,
                "input_tokens_per_minute",
                config.input_tokens_per_minute,
                MINUTE,
            )?
            .with_tokens(
                LimitKind::OutputTokens,
                "output_tokens_per_minute",
                config.output_tokens_per_minute,
                MINUTE,
            )?;

        let usual = (draft.list.len() == Usual::<C>::COUNT).then_some(Usual {
            burst,
            minute,
            hour,
            tokens,
        });
        Ok(Self {
            combined: draft.builder.build(),
            list: draft.list.into_boxed_slice(),
            on_requests,
            usual,
        })
    }
}

impl<C: Clock> Limits<C> {
    /// What `n` requests ask for: so many permits, and that no limit on tokens is used up.
    #[inline]
    pub(super) fn requests(&self, n: u64) -> impl Fn(usize) -> Request {
        let on_requests = self.on_requests;
        move |index| {
            if index < on_requests {
                Request {
                    required: n,
                    cost: n,
                }
            } else {
                Request {
                    required: 1,
                    cost: 0,
                }
            }
        }
    }

    /// Charges `n` requests, and says what is left after them.
    #[inline]
    pub(super) fn admit(&self, n: u64, now: Timestamp) -> Result<Left, CombinedDenied> {
        if let (1, Some(usual)) = (n, &self.usual) {
            match usual.look(now) {
                Some(prospects) if prospects.is_burst_first() => {
                    let mut charges = prospects.charges();
                    let made = usual.charge(&charges);
                    if let Some(failed) = charges.get_mut(made) {
                        // Not tried again as it is.
                        *failed = Exchange::NONE;
                        let request = self.requests(1);
                        self.combined
                            .charge_rest(made, 0, &request, now, &mut charges)?;
                    }
                    return Ok(usual.left(&prospects));
                }
                Some(_) => {}
                None => {
                    if let Some(denied) = self.combined.refusal(&self.requests(1), now, None) {
                        return Err(denied);
                    }
                }
            }
        }
        let mut left = Left::ALL;
        let observe = |index, room| self.observe(&mut left, index, room);
        self.combined.admit(&self.requests(n), now, observe)?;
        left.requests = left.requests.saturating_sub(n);
        Ok(left)
    }

    /// What one request with so many tokens asks for.
    pub(super) fn request_with(&self, estimate: TokenEstimate) -> impl Fn(usize) -> Request + '_ {
        let on_requests = self.on_requests;
        move |index| {
            if index < on_requests {
                return Request {
                    required: 1,
                    cost: 1,
                };
            }
            let cost = self.reserved(index, estimate);
            Request {
                required: cost.max(1),
                cost,
            }
        }
    }

    /// What an estimate takes from a limit on tokens.
    pub(super) fn reserved(&self, index: usize, estimate: TokenEstimate) -> u64 {
        let LimitInfo { kind, most, .. } = self.list[index];
        let tokens = kind.share_of(estimate.usage);
        if estimate.is_guess {
            tokens.min(most)
        } else {
            tokens
        }
    }

    /// What an estimate takes from the limit on all tokens.
    pub(super) fn reserved_in_total(&self, estimate: TokenEstimate) -> u64 {
        self.reserved(self.on_requests, estimate)
    }

    /// The limits on tokens, with their places; that on all tokens per minute is the first.
    pub(super) fn on_tokens(&self) -> impl Iterator<Item = (usize, LimitKind, &TokenBucket<C>)> {
        let range = self.on_requests..self.list.len();
        range.filter_map(|index| {
            let bucket = self.combined.bucket(index)?;
            Some((index, self.list[index].kind, bucket))
        })
    }

    /// Charges tokens that were used, whether or not they are there.
    pub(super) fn debit(&self, usage: TokenUsage, now: Timestamp) {
        for (_, kind, bucket) in self.on_tokens() {
            bucket.debit_at(kind.share_of(usage), now);
        }
    }

    /// The most requests that can ever be admitted at once.
    pub(super) fn most_requests(&self) -> u64 {
        let most = self.list[..self.on_requests].iter().map(|limit| limit.most);
        most.min().unwrap_or(0)
    }

    /// How long it takes until [that many](Self::most_requests) are there again.
    pub(super) fn requests_refill_time(&self) -> Duration {
        let tightest = (0..self.on_requests).min_by_key(|&index| self.list[index].most);
        tightest.map_or(Duration::ZERO, |index| {
            self.combined.refill_time_at_index(index)
        })
    }

    /// How many requests would be admitted at once.
    pub(super) fn requests_available_at(&self, now: Timestamp) -> u64 {
        if self.tokens_remaining_at(now) == 0 {
            return 0;
        }
        let available = (0..self.on_requests).map(|i| self.combined.available_at_index(i, now));
        available.min().unwrap_or(0)
    }

    /// Takes note of the room that a limit was seen to have.
    #[inline]
    pub(super) fn observe(&self, left: &mut Left, index: usize, room: u64) {
        if index >= self.on_requests {
            if let Some(bucket) = self.combined.bucket(index) {
                left.tokens = left.tokens.min(bucket.tokens_in(room));
            }
        } else if index > 0 {
            // Without the burst, as in `requests_remaining_at`.
            left.requests = left.requests.min(room);
        }
    }

    /// Gives tokens back to a limit on tokens; `false` if it is one on requests.
    pub(super) fn credit(&self, index: usize, tokens: u64, now: Timestamp) -> bool {
        match self.combined.bucket(index) {
            Some(bucket) if index >= self.on_requests => {
                bucket.credit_at(tokens, now);
                true
            }
            _ => false,
        }
    }

    /// How many requests the windows have room for.
    #[inline]
    pub(super) fn requests_remaining_at(&self, now: Timestamp) -> u64 {
        // Without the burst, which comes first: it spreads requests out, and is back in no time.
        let windows = 1..self.on_requests;
        let remaining = windows.map(|index| self.combined.available_at_index(index, now));
        remaining.min().unwrap_or(0)
    }

    /// How many tokens every limit on tokens has left.
    #[inline]
    pub(super) fn tokens_remaining_at(&self, now: Timestamp) -> u64 {
        let limits = self.on_requests..self.list.len();
        let remaining = limits.map(|index| self.combined.available_at_index(index, now));
        remaining.min().unwrap_or(0)
    }

    /// Takes what a limit of a kind has left down to `remaining`, where there is such a limit and it has more. For requests the
    /// burst as well.
    #[cfg(feature = "http")]
    pub(super) fn lower(&self, kind: LimitKind, remaining: u64, now: Timestamp) {
        for (index, limit) in self.list.iter().enumerate() {
            let is_meant =
                limit.kind == kind || (kind == LimitKind::Minute && limit.kind == LimitKind::Burst);
            if is_meant {
                loop {
                    let available = self.combined.available_at_index(index, now);
                    let excess = available.saturating_sub(remaining);
                    // Refused if others were charged in between, and then there is less to take.
                    if excess == 0 || self.combined.take(index, excess, now) {
                        break;
                    }
                }
            }
        }
    }

    /// How much a limit of a kind has left; `None` if there is no such limit.
    pub(super) fn remaining_at(&self, kind: LimitKind, now: Timestamp) -> Option<u64> {
        let index = self.list.iter().position(|limit| limit.kind == kind)?;
        Some(self.combined.available_at_index(index, now))
    }
}
