//! One limiter for the whole process.

use alloc::sync::Arc;
use std::sync::LazyLock;

use arc_swap::ArcSwap;

use crate::api::{ApiRateLimiter, ConfigError, RateLimitConfig};

static GLOBAL: LazyLock<ArcSwap<ApiRateLimiter>> =
    LazyLock::new(|| ArcSwap::from_pointee(ApiRateLimiter::default()));

/// The limiter of the process: the same for everybody until it is [configured](configure_rate_limiter) anew. At first it has
/// [`RateLimitConfig::DEFAULT`].
///
/// Take it where you need it instead of keeping it, or a new configuration will not reach you. A library should take a limiter
/// from its caller instead.
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

/// Replaces the limiter of the process, for all at once, by a new one, and returns it.
///
/// The new one starts afresh, with everything to be had; who still holds the old one goes on with it.
///
/// # Errors
///
/// [`ConfigError`] with the first field that is wrong; the limiter stays as it was.
pub fn configure_rate_limiter(config: RateLimitConfig) -> Result<Arc<ApiRateLimiter>, ConfigError> {
    let limiter = Arc::new(ApiRateLimiter::new(config)?);
    GLOBAL.store(Arc::clone(&limiter));
    Ok(limiter)
}
