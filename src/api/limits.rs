//! The limits of a configuration, and what a call asks of each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::status::LimitKind;
use super::usage::{TokenEstimate, TokenUsage};
use crate::clock::Clock;
use crate::combined::{Combined, CombinedBuilder};
use crate::prospect::Ask;
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
    builder: Option<CombinedBuilder<C>>,
    list: Vec<LimitInfo>,
}

impl<C: Clone> Draft<C> {
    fn push(&mut self, info: LimitInfo, limit: impl Into<crate::combined::Limit<C>>) {
        let kind = info.kind;
        self.list.push(info);
        self.builder = Some(match self.builder.take() {
            Some(builder) => builder.limit(kind.name(), limit),
            None => Combined::builder().limit(kind.name(), limit),
        });
    }

    fn window(
        &mut self,
        kind: LimitKind,
        field: &'static str,
        limit: Option<u64>,
        length: Duration,
    ) -> Result<(), ConfigError> {
        if let Some(limit) = limit {
            let window = SlidingWindow::with_clock(limit, length, self.clock.clone())
                .map_err(|error| ConfigError::new(field, ConfigErrorKind::Window(error)))?;
            let info = LimitInfo {
                kind,
                most: limit,
                stated: limit,
            };
            self.push(info, window);
        }
        Ok(())
    }

    fn bucket(
        &mut self,
        kind: LimitKind,
        field: &'static str,
        quota: Option<(u64, Duration, u64)>,
    ) -> Result<(), ConfigError> {
        if let Some((rate, period, burst)) = quota {
            let quota = Quota::new(rate, period)
                .and_then(|quota| quota.try_burst(burst))
                .map_err(|error| ConfigError::new(field, ConfigErrorKind::Quota(error)))?;
            let bucket = TokenBucket::with_clock(quota, self.clock.clone());
            let info = LimitInfo {
                kind,
                most: burst,
                stated: if kind == LimitKind::Burst {
                    burst
                } else {
                    rate
                },
            };
            self.push(info, bucket);
        }
        Ok(())
    }
}

impl<C: Clock + Clone> Limits<C> {
    pub(super) fn of(config: &RateLimitConfig, clock: &C) -> Result<Self, ConfigError> {
        let mut draft = Draft {
            clock: clock.clone(),
            builder: None,
            list: Vec::new(),
        };
        let per_minute = config.requests_per_minute;
        draft.window(
            LimitKind::Minute,
            "requests_per_minute",
            Some(per_minute),
            MINUTE,
        )?;
        draft.window(
            LimitKind::Hour,
            "requests_per_hour",
            Some(config.requests_per_hour),
            HOUR,
        )?;
        draft.window(
            LimitKind::Day,
            "requests_per_day",
            config.requests_per_day,
            DAY,
        )?;
        let burst = Some((per_minute, MINUTE, config.burst_size));
        draft.bucket(LimitKind::Burst, "burst_size", burst)?;
        let on_requests = draft.list.len();

        let saved_up = |tokens: u64, period| (tokens, period, tokens);
        let per_minute = |tokens| saved_up(tokens, MINUTE);
        // By itself first, so that the field that is wrong is the one that is named.
        Quota::new(config.tokens_per_minute, MINUTE).map_err(|error| {
            ConfigError::new("tokens_per_minute", ConfigErrorKind::Quota(error))
        })?;
        let tokens = config.tokens_per_minute;
        let burst = config.token_burst_size.unwrap_or(tokens);
        draft.bucket(
            LimitKind::Tokens,
            "token_burst_size",
            Some((tokens, MINUTE, burst)),
        )?;
        draft.bucket(
            LimitKind::TokensPerDay,
            "tokens_per_day",
            config.tokens_per_day.map(|tokens| saved_up(tokens, DAY)),
        )?;
        draft.bucket(
            LimitKind::InputTokens,
            "input_tokens_per_minute",
            config.input_tokens_per_minute.map(per_minute),
        )?;
        draft.bucket(
            LimitKind::OutputTokens,
            "output_tokens_per_minute",
            config.output_tokens_per_minute.map(per_minute),
        )?;
        match draft.builder {
            Some(builder) => Ok(Self {
                combined: builder.build(),
                list: draft.list.into_boxed_slice(),
                on_requests,
            }),
            // There is always the limit per minute.
            None => Err(ConfigError::new(
                "requests_per_minute",
                ConfigErrorKind::Zero,
            )),
        }
    }
}

impl<C: Clock> Limits<C> {
    /// What `n` requests ask for: so many permits, and that no limit on tokens is used up.
    #[inline]
    pub(super) fn requests(&self, n: u64) -> impl Fn(usize) -> Ask {
        let on_requests = self.on_requests;
        move |index| {
            if index < on_requests {
                Ask { need: n, cost: n }
            } else {
                Ask { need: 1, cost: 0 }
            }
        }
    }

    /// What one request with so many tokens asks for.
    pub(super) fn request_with(&self, estimate: TokenEstimate) -> impl Fn(usize) -> Ask + '_ {
        let on_requests = self.on_requests;
        move |index| {
            if index < on_requests {
                return Ask { need: 1, cost: 1 };
            }
            let cost = self.reserved(index, estimate);
            Ask {
                need: cost.max(1),
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
        // As in `requests_remaining_at`.
        if index + 1 < self.on_requests {
            left.requests = left.requests.min(room);
        } else if index >= self.on_requests {
            if let Some(bucket) = self.combined.bucket(index) {
                left.tokens = left.tokens.min(bucket.tokens_in(room));
            }
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
        // Without the burst, which is the last of the limits on requests: it spreads them out, and is back in no time.
        let windows = 0..self.on_requests - 1;
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
