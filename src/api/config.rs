//! What an [`ApiRateLimiter`](crate::ApiRateLimiter) allows.

use core::fmt;
use core::time::Duration;

use super::limits::Limits;
use crate::clock::Clock;
use crate::quota::QuotaError;
use crate::sliding_window::WindowError;
use crate::time::Timestamp;

/// The limits of an API, as its provider states them.
///
/// Take the defaults and change what differs: `RateLimitConfig { requests_per_minute: 30, ..RateLimitConfig::DEFAULT }`.
/// [`ApiRateLimiter::with_clock`](crate::ApiRateLimiter::with_clock) (and `new`) check it.
///
/// With the feature `serde`, fields that are left out have their defaults, unknown fields are errors, and durations are
/// seconds (`"backoff_base": 0.5`).
///
/// ```
/// use tidegate::RateLimitConfig;
///
/// let config = RateLimitConfig { requests_per_minute: 30, burst_size: 5, ..RateLimitConfig::default() };
/// assert_eq!((config.requests_per_hour, config.tokens_per_minute), (500, 100_000));
/// assert!(config.enable_backoff);
/// assert!(RateLimitConfig { burst_size: 0, ..config }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct RateLimitConfig {
    /// At most so many requests in any minute. 50 by default.
    pub requests_per_minute: u64,
    /// At most so many requests in any hour. 500 by default.
    pub requests_per_hour: u64,
    /// At most so many requests in any 24 hours; no such limit by default.
    pub requests_per_day: Option<u64>,
    /// So many tokens flow in per minute, and so many can be saved up unless [`token_burst_size`](Self::token_burst_size) says
    /// otherwise: a minute in which all that was saved up is used holds twice as many. 100 000 by default.
    pub tokens_per_minute: u64,
    /// At most so many tokens can be saved up, and so be used at once or estimated for one call; a minute's worth by default. For
    /// providers that enforce a minute's limit in shorter intervals.
    pub token_burst_size: Option<u64>,
    /// So many tokens flow in per day, and so many can be saved up; no such limit by default.
    pub tokens_per_day: Option<u64>,
    /// A limit of its own for input tokens, beside that for all tokens; none by default.
    pub input_tokens_per_minute: Option<u64>,
    /// A limit of its own for output tokens, beside that for all tokens; none by default.
    pub output_tokens_per_minute: Option<u64>,
    /// At most so many requests at once; after that they flow at `requests_per_minute`. 10 by default.
    pub burst_size: u64,
    /// At most so many [permits](crate::TokenPermit) at the same time; no such limit by default.
    pub max_in_flight: Option<u64>,
    /// Whether refused callers are told to wait longer, the longer refusals last. On by default.
    pub enable_backoff: bool,
    /// The first refusal stretches the wait by up to this much; not zero. A second by default, the granularity at which
    /// providers report their limits.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub backoff_base: Duration,
    /// No refusal stretches the wait by more than this. A minute by default, the longest period of the per-minute limits.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub backoff_max: Duration,
    /// Seeds the jitter of the backoff, which then depends only on the seed and the clock's readings. By default each limiter has
    /// a seed of its own.
    pub backoff_seed: Option<u64>,
}

impl RateLimitConfig {
    /// The defaults as a constant.
    pub const DEFAULT: Self = Self {
        requests_per_minute: 50,
        requests_per_hour: 500,
        requests_per_day: None,
        tokens_per_minute: 100_000,
        token_burst_size: None,
        tokens_per_day: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        burst_size: 10,
        max_in_flight: None,
        enable_backoff: true,
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60),
        backoff_seed: None,
    };

    /// Checks the configuration, as [`ApiRateLimiter::with_clock`](crate::ApiRateLimiter::with_clock) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first field that is wrong, and what is wrong about it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::of(self, &Unread)?;
        self.validate_rest()
    }

    /// What is not a limit on a rate.
    pub(super) fn validate_rest(&self) -> Result<(), ConfigError> {
        if self.max_in_flight == Some(0) {
            return Err(ConfigError::new("max_in_flight", ConfigErrorKind::Zero));
        }
        if self.enable_backoff && self.backoff_base.is_zero() {
            return Err(ConfigError::new("backoff_base", ConfigErrorKind::Zero));
        }
        if self.enable_backoff && self.backoff_max < self.backoff_base {
            return Err(ConfigError::new("backoff_max", ConfigErrorKind::BelowBase));
        }
        Ok(())
    }
}

/// For limits that are only made to see whether they can be.
#[derive(Clone, Copy)]
struct Unread;

impl Clock for Unread {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

/// [`RateLimitConfig::DEFAULT`].
impl Default for RateLimitConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A configuration that cannot be used: which field is wrong, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigError {
    field: &'static str,
    kind: ConfigErrorKind,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// Zero would admit nothing ever, or would not be a backoff.
    Zero,
    /// The longest backoff is shorter than the first.
    BelowBase,
    /// No such rate can be represented.
    Quota(QuotaError),
    /// No such window can be represented.
    Window(WindowError),
}

impl ConfigError {
    pub(super) const fn new(field: &'static str, kind: ConfigErrorKind) -> Self {
        Self { field, kind }
    }

    /// The field's name.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// What is wrong.
    pub const fn kind(&self) -> ConfigErrorKind {
        self.kind
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.field)?;
        match self.kind {
            ConfigErrorKind::Zero => f.write_str("must not be zero"),
            ConfigErrorKind::BelowBase => f.write_str("must not be below `backoff_base`"),
            ConfigErrorKind::Quota(error) => error.fmt(f),
            ConfigErrorKind::Window(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            ConfigErrorKind::Quota(error) => Some(error),
            ConfigErrorKind::Window(error) => Some(error),
            _ => None,
        }
    }
}

/// Durations in configuration files: seconds, whole or with a fraction.
#[cfg(feature = "serde")]
mod seconds {
    use core::time::Duration;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
