//! What a configuration says of each limit, and the limit that it makes.

use core::time::Duration;

use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::refusal::LimitKind;
use crate::combined::Limit;
use crate::quota::{Quota, QuotaError};
use crate::sliding_window::{SlidingWindow, Which, WindowError};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The request limits and then the token limits, in the order of their fields.
pub(super) const KINDS: [LimitKind; 9] = [
    LimitKind::Minute,
    LimitKind::Hour,
    LimitKind::Burst,
    LimitKind::Day,
    LimitKind::Adaptive,
    LimitKind::Tokens,
    LimitKind::TokensPerDay,
    LimitKind::InputTokens,
    LimitKind::OutputTokens,
];

/// The numbers of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers {
    Window {
        limit: u64,
        length: Duration,
    },
    Bucket {
        rate: u64,
        period: Duration,
        capacity: u64,
        /// The number in the configuration.
        stated: u64,
    },
}

impl Numbers {
    /// A bucket that no caller can empty.
    pub(super) const UNUSED: Self = Self::Bucket {
        rate: 1_000_000_000_000,
        period: Duration::from_secs(1),
        capacity: 1 << 40,
        stated: RateLimitConfig::NO_LIMIT,
    };

    const fn window(limit: u64, length: Duration) -> Self {
        Self::Window { limit, length }
    }

    const fn bucket(rate: u64, period: Duration, capacity: u64) -> Self {
        let stated = rate;
        Self::Bucket {
            rate,
            period,
            capacity,
            stated,
        }
    }

    /// The number in the configuration.
    pub(super) const fn stated(self) -> u64 {
        match self {
            Self::Window { limit, .. } => limit,
            Self::Bucket { stated, .. } => stated,
        }
    }

    /// The most that one call can take.
    pub(super) const fn capacity(self) -> u64 {
        match self {
            Self::Window { limit, .. } => limit,
            Self::Bucket { capacity, .. } => capacity,
        }
    }

    /// The limit.
    ///
    /// # Errors
    ///
    /// The field that is wrong, and the reason.
    pub(super) fn limit<C: Clone>(
        self,
        kind: LimitKind,
        clock: &C,
    ) -> Result<Limit<C>, ConfigError> {
        match self {
            Self::Window { limit, length } => {
                SlidingWindow::with_clock(limit, length, clock.clone())
                    .map(Limit::from)
                    .map_err(|error| window_error(kind, error))
            }
            Self::Bucket { .. } => {
                let quota = self.quota(kind)?;
                Ok(Limit::from(crate::TokenBucket::with_clock(
                    quota,
                    clock.clone(),
                )))
            }
        }
    }

    /// The quota of a bucket.
    ///
    /// # Errors
    ///
    /// The field that is wrong, and the reason.
    pub(super) fn quota(self, kind: LimitKind) -> Result<Quota, ConfigError> {
        let (rate, period, capacity) = match self {
            Self::Bucket {
                rate,
                period,
                capacity,
                ..
            } => (rate, period, capacity),
            Self::Window { limit, length } => (limit, length, limit),
        };
        let error =
            |field| move |error: QuotaError| ConfigError::new(field, ConfigErrorKind::Quota(error));
        // The rate alone first, so that an error names the field that is wrong.
        Quota::new(rate, period)
            .map_err(error(field(kind)))?
            .try_burst(capacity)
            .map_err(error(capacity_field(kind)))
    }
}

pub(super) const fn window_error(kind: LimitKind, error: WindowError) -> ConfigError {
    ConfigError::new(field(kind), ConfigErrorKind::Window(error))
}

/// The limits of a minute and an hour over the same requests, in one.
///
/// # Errors
///
/// The field that is wrong, and the reason.
pub(super) fn minute_and_hour<C: Clone>(
    minute: u64,
    hour: u64,
    clock: &C,
) -> Result<[Limit<C>; 2], ConfigError> {
    let error = |(which, error)| {
        let kind = match which {
            Which::Shorter => LimitKind::Minute,
            Which::Longer => LimitKind::Hour,
        };
        window_error(kind, error)
    };
    SlidingWindow::nested((minute, MINUTE), (hour, HOUR), clock.clone())
        .map(Limit::both_of)
        .map_err(error)
}

/// The field that states the limit of a kind.
pub(super) const fn field(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Minute => "requests_per_minute",
        LimitKind::Hour => "requests_per_hour",
        LimitKind::Day => "requests_per_day",
        LimitKind::Burst => "burst_size",
        LimitKind::Tokens => "tokens_per_minute",
        LimitKind::TokensPerDay => "tokens_per_day",
        LimitKind::InputTokens => "input_tokens_per_minute",
        LimitKind::OutputTokens => "output_tokens_per_minute",
        LimitKind::Adaptive => "adaptive",
        LimitKind::InFlight
        | LimitKind::Pause
        | LimitKind::Queue
        | LimitKind::Provider
        | LimitKind::Shared => "max_in_flight",
    }
}

/// The field with the capacity of a limit's bucket.
const fn capacity_field(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Tokens => "token_burst_size",
        other => field(other),
    }
}

const fn limited(number: u64) -> Option<u64> {
    if number == RateLimitConfig::NO_LIMIT {
        None
    } else {
        Some(number)
    }
}

impl RateLimitConfig {
    /// The requests that flow in, and in which time: those of the shortest period that is limited.
    pub(super) fn pace(&self) -> Option<(u64, Duration)> {
        let minute = limited(self.requests_per_minute).map(|rate| (rate, MINUTE));
        let hour = || limited(self.requests_per_hour).map(|rate| (rate, HOUR));
        let day = || self.requests_per_day.map(|rate| (rate, DAY));
        minute.or_else(hour).or_else(day)
    }

    /// What this configuration says of the limit of a kind; `None` if there is none.
    pub(super) fn numbers(&self, kind: LimitKind) -> Option<Numbers> {
        Some(match kind {
            LimitKind::Minute => Numbers::window(limited(self.requests_per_minute)?, MINUTE),
            LimitKind::Hour => Numbers::window(limited(self.requests_per_hour)?, HOUR),
            LimitKind::Day => Numbers::window(self.requests_per_day?, DAY),
            LimitKind::Burst => {
                let capacity = limited(self.burst_size)?;
                let (rate, period) = self.pace()?;
                Numbers::Bucket {
                    rate,
                    period,
                    capacity,
                    stated: capacity,
                }
            }
            LimitKind::Tokens => {
                let rate = limited(self.tokens_per_minute)?;
                Numbers::bucket(rate, MINUTE, self.token_burst_size.unwrap_or(rate))
            }
            LimitKind::TokensPerDay => {
                let rate = self.tokens_per_day?;
                Numbers::bucket(rate, DAY, rate)
            }
            LimitKind::InputTokens => {
                let rate = self.input_tokens_per_minute?;
                Numbers::bucket(rate, MINUTE, rate)
            }
            LimitKind::Adaptive => return self.adaptive.then_some(Numbers::UNUSED),
            LimitKind::OutputTokens => {
                let rate = self.output_tokens_per_minute?;
                Numbers::bucket(rate, MINUTE, rate)
            }
            LimitKind::InFlight
            | LimitKind::Pause
            | LimitKind::Queue
            | LimitKind::Provider
            | LimitKind::Shared => return None,
        })
    }

    /// Fields that contradict each other: a limit that was set, and a longer period's that is lower
    /// and so never lets it be used. A field that has its default is taken not to be set.
    pub(super) fn contradiction(&self) -> Option<ConfigError> {
        let set = |field, number, default| (number != default).then_some((field, number));
        let minute = set(
            "requests_per_minute",
            self.requests_per_minute,
            Self::DEFAULT.requests_per_minute,
        );
        let hour = set(
            "requests_per_hour",
            self.requests_per_hour,
            Self::DEFAULT.requests_per_hour,
        );
        let tokens = set(
            "tokens_per_minute",
            self.tokens_per_minute,
            Self::DEFAULT.tokens_per_minute,
        );
        let day = ("requests_per_day", self.requests_per_day);
        let pairs = [
            (minute, ("requests_per_hour", Some(self.requests_per_hour))),
            (minute, day),
            (hour, day),
            (tokens, ("tokens_per_day", self.tokens_per_day)),
        ];
        for (shorter, (field, longer)) in pairs {
            if let (Some((other, shorter)), Some(longer)) = (shorter, longer) {
                if longer < shorter && limited(shorter).is_some() {
                    return Some(ConfigError::new(field, ConfigErrorKind::Below { other }));
                }
            }
        }
        if self.token_burst_size.is_some() && limited(self.tokens_per_minute).is_none() {
            let kind = ConfigErrorKind::WithoutRate;
            return Some(ConfigError::new("token_burst_size", kind));
        }
        let has_burst = limited(self.burst_size).is_some();
        (has_burst && self.pace().is_none())
            .then(|| ConfigError::new("burst_size", ConfigErrorKind::WithoutRate))
    }
}
