//! The configuration of an [`ApiRateLimiter`](crate::ApiRateLimiter), and what can be wrong with
//! it.

#[cfg(feature = "serde")]
mod serde_impl;
mod text;

pub use text::{ParseConfigError, ParseConfigErrorKind};

use core::fmt;
use core::time::Duration;

use crate::quota::QuotaError;
use crate::sliding_window::WindowError;

/// The limits of an API, as its provider states them.
///
/// Start from the defaults, or from [`UNLIMITED`](Self::UNLIMITED), and change what differs.
/// [`ApiRateLimiter::with_clock`](crate::ApiRateLimiter::with_clock) and `new` validate the result.
///
/// With the feature `serde`, a configuration is read from such a text as [it is parsed
/// from](#impl-FromStr-for-RateLimitConfig), or from a map: missing fields have their defaults,
/// unknown fields are errors, durations are in seconds (`"backoff_base": 0.5`), and a limit of
/// `"unlimited"` is none.
///
/// ```
/// use tidegate::RateLimitConfig;
///
/// let config = RateLimitConfig {
///     requests_per_minute: 30,
///     burst_size: 5,
///     ..RateLimitConfig::DEFAULT
/// };
/// assert_eq!((config.requests_per_hour, config.tokens_per_minute), (500, 100_000));
/// assert!(config.enable_backoff);
/// assert!(RateLimitConfig { burst_size: 0, ..config }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(remote = "Self", default, deny_unknown_fields)
)]
pub struct RateLimitConfig {
    /// The most requests in any minute. 50 by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::limit"))]
    pub requests_per_minute: u64,
    /// The most requests in any hour. 500 by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::limit"))]
    pub requests_per_hour: u64,
    /// The most requests in any 24 hours. Unlimited by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub requests_per_day: Option<u64>,
    /// The tokens that flow in per minute. 100 000 by default.
    ///
    /// As many can accumulate, unless [`token_burst_size`](Self::token_burst_size) says otherwise.
    /// So a minute that begins with a full limit can use twice as many.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::limit"))]
    pub tokens_per_minute: u64,
    /// The most tokens that can accumulate, and so be used at once or estimated for one call. A
    /// minute's tokens by default.
    ///
    /// Set it for providers that enforce a limit per minute in shorter intervals.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub token_burst_size: Option<u64>,
    /// The tokens that flow in per day, and the most that can accumulate. Unlimited by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub tokens_per_day: Option<u64>,
    /// A separate limit for input tokens, besides the limit for all tokens. None by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub input_tokens_per_minute: Option<u64>,
    /// A separate limit for output tokens, besides the limit for all tokens. None by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub output_tokens_per_minute: Option<u64>,
    /// The most requests at once. After a burst, requests flow at `requests_per_minute`. 10 by
    /// default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::limit"))]
    pub burst_size: u64,
    /// The most [permits](crate::TokenPermit) at the same time. Unlimited by default.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::optional_limit"))]
    pub max_in_flight: Option<u64>,
    /// Whether the limiter finds the rate at which the provider lets requests through: a refusal
    /// lowers it, and it rises again. Off by default.
    ///
    /// For clients that share a quota which none of them knows. It takes the place of the backoff
    /// after refusals that tell no wait, and only lowers what the other limits admit. It learns
    /// from `observe_response`, with the feature `http`.
    pub adaptive: bool,
    /// Whether waits grow while refusals continue. On by default.
    pub enable_backoff: bool,
    /// The most that the first refusal adds to the wait; not zero. A second by default, the
    /// granularity at which providers report their limits.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::seconds"))]
    pub backoff_base: Duration,
    /// The most that any refusal adds to the wait. A minute by default, the longest period of the
    /// per-minute limits.
    #[cfg_attr(feature = "serde", serde(with = "serde_impl::seconds"))]
    pub backoff_max: Duration,
    /// Seeds the jitter of the backoff, which then depends only on the seed and the clock's
    /// readings. By default each limiter has its own seed.
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
        adaptive: false,
        enable_backoff: true,
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60),
        backoff_seed: None,
    };

    /// In place of a number: there is no such limit. [`UNLIMITED`](Self::UNLIMITED) has it in each
    /// field that is not an `Option`.
    pub const NO_LIMIT: u64 = u64::MAX;

    /// No limit at all, to switch on those that a provider has.
    ///
    /// ```
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let config = RateLimitConfig {
    ///     requests_per_minute: 600,
    ///     burst_size: 100,
    ///     ..RateLimitConfig::UNLIMITED
    /// };
    /// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// assert_eq!(limiter.check().requests_remaining, 600);
    /// assert_eq!(limiter.check().tokens_remaining, RateLimitConfig::NO_LIMIT);
    ///
    /// // The defaults have a limit of 500 per hour, which would stop calls after a minute.
    /// let config = RateLimitConfig { requests_per_minute: 600, ..RateLimitConfig::DEFAULT };
    /// assert_eq!(config.validate().unwrap_err().field(), "requests_per_hour");
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub const UNLIMITED: Self = Self {
        requests_per_minute: Self::NO_LIMIT,
        requests_per_hour: Self::NO_LIMIT,
        tokens_per_minute: Self::NO_LIMIT,
        burst_size: Self::NO_LIMIT,
        ..Self::DEFAULT
    };

    /// Checks the fields that are not limits on a rate, and whether fields contradict each other.
    pub(super) fn validate_rest(&self) -> Result<(), ConfigError> {
        if let Some(error) = self.contradiction() {
            return Err(error);
        }
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

/// Returns [`RateLimitConfig::DEFAULT`].
impl Default for RateLimitConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The first invalid field of a configuration, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigError {
    field: &'static str,
    kind: ConfigErrorKind,
}

/// The reason why a field is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The field is zero: it would admit nothing, or would not be a backoff.
    Zero,
    /// The longest backoff is shorter than the first.
    BelowBase,
    /// The limit is below that of a shorter period, which was set and could never be used up. Calls
    /// would go on for less than the shorter period, and then stand still for the rest of the
    /// longer. A limit that has its default counts as not set.
    Below {
        /// The field with the shorter period.
        other: &'static str,
    },
    /// There are more of these than a limiter can have.
    TooMany,
    /// A burst without a limit per minute, hour or day, or of tokens per minute, at whose rate it
    /// would fill up.
    WithoutRate,
    /// The rate cannot be represented.
    Quota(QuotaError),
    /// The window cannot be represented.
    Window(WindowError),
    /// A limiter in use can be given neither a limit of a kind that it was created without, nor
    /// another seed, and cannot lose a limit.
    Fixed,
}

impl ConfigError {
    pub(super) const fn new(field: &'static str, kind: ConfigErrorKind) -> Self {
        Self { field, kind }
    }

    /// Returns the field's name.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the reason.
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
            ConfigErrorKind::Below { other } => write!(
                f,
                "must not be below `{other}`; `RateLimitConfig::UNLIMITED` has no limits but those \
                 that you set"
            ),
            ConfigErrorKind::TooMany => f.write_str("too many limits, at most 4"),
            ConfigErrorKind::WithoutRate => {
                f.write_str("needs a limit of a minute, hour or day, at whose rate it fills up")
            }
            ConfigErrorKind::Fixed => {
                f.write_str("cannot be added or removed while the limiter is used")
            }
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
