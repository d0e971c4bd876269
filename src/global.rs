//! One limiter for the whole process.

use alloc::sync::Arc;
use std::sync::LazyLock;

use arc_swap::ArcSwap;

use crate::api::{ApiRateLimiter, ConfigError, RateLimitConfig};

static GLOBAL: LazyLock<ArcSwap<ApiRateLimiter>> =
    LazyLock::new(|| ArcSwap::from_pointee(ApiRateLimiter::default()));

/// Returns the limiter of the process, which starts with [`RateLimitConfig::DEFAULT`].
///
/// [`configure_rate_limiter`] replaces it. So call this function for each use instead of keeping
/// the result, or a new configuration will not take effect. A library should accept a limiter from
/// its caller instead.
///
/// ```
/// use std::sync::Arc;
/// use tidegate::{RateLimitConfig, configure_rate_limiter, get_rate_limiter};
///
/// assert!(Arc::ptr_eq(&get_rate_limiter(), &get_rate_limiter()));
/// assert_eq!(get_rate_limiter().config().requests_per_minute, 50);
///
/// let config = RateLimitConfig { requests_per_minute: 30, ..RateLimitConfig::DEFAULT };
/// let limiter = configure_rate_limiter(config)?;
/// assert!(Arc::ptr_eq(&limiter, &get_rate_limiter()));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
pub fn get_rate_limiter() -> Arc<ApiRateLimiter> {
    GLOBAL.load_full()
}

/// Replaces the limiter of the process by a new one, and returns it.
///
/// The new one starts unused. Callers that keep the old one continue to use it.
///
/// # Errors
///
/// The first invalid field of the configuration, and the reason. The limiter is not replaced.
pub fn configure_rate_limiter(config: RateLimitConfig) -> Result<Arc<ApiRateLimiter>, ConfigError> {
    let limiter = Arc::new(ApiRateLimiter::new(config)?);
    GLOBAL.store(Arc::clone(&limiter));
    Ok(limiter)
}
