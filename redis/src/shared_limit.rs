//! What is limited: a bucket or a window, alone or with others.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Quota;

/// A limit that nodes share: a token bucket or a sliding window.
///
/// A [`Quota`] is a bucket. Names and limits together make [`Quotas`].
///
/// ```no_run
/// use core::time::Duration;
/// use tidegate::Quota;
/// use tidegate_redis::{RedisKeyed, RedisStore, SharedLimit};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let limits = [
///     ("burst", SharedLimit::bucket(Quota::per_second(10))),
///     ("hour", SharedLimit::window(1_000, Duration::from_secs(3_600))),
/// ];
/// let tenants = RedisKeyed::new(&store, "tenant", limits)?;
/// tenants.try_acquire("acme", 1).await?; // both, or none
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLimit(pub(crate) LimitKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKind {
    Bucket(Quota),
    Window { limit: u64, length: Duration },
}

impl SharedLimit {
    /// A bucket: [`RedisTokenBucket`](crate::RedisTokenBucket) says what it promises.
    pub const fn bucket(quota: Quota) -> Self {
        Self(LimitKind::Bucket(quota))
    }

    /// At most `limit` in any interval of length `window`:
    /// [`RedisSlidingWindow`](crate::RedisSlidingWindow) says what it promises.
    pub const fn window(limit: u64, window: Duration) -> Self {
        Self(LimitKind::Window {
            limit,
            length: window,
        })
    }
}

impl From<Quota> for SharedLimit {
    fn from(quota: Quota) -> Self {
        Self::bucket(quota)
    }
}

/// One limit, or several with names.
///
/// Made from a [`Quota`] or a [`SharedLimit`], or from an array or `Vec` of pairs of a name and
/// either.
#[derive(Clone, Debug)]
pub struct Quotas(pub(crate) Vec<(Option<Arc<str>>, SharedLimit)>);

impl From<Quota> for Quotas {
    fn from(quota: Quota) -> Self {
        SharedLimit::from(quota).into()
    }
}

impl From<SharedLimit> for Quotas {
    fn from(limit: SharedLimit) -> Self {
        Self(vec![(None, limit)])
    }
}

impl<N: AsRef<str>, L: Into<SharedLimit>, const LIMITS: usize> From<[(N, L); LIMITS]> for Quotas {
    fn from(limits: [(N, L); LIMITS]) -> Self {
        limits.into_iter().collect()
    }
}

impl<N: AsRef<str>, L: Into<SharedLimit>> From<Vec<(N, L)>> for Quotas {
    fn from(limits: Vec<(N, L)>) -> Self {
        limits.into_iter().collect()
    }
}

impl<N: AsRef<str>, L: Into<SharedLimit>> FromIterator<(N, L)> for Quotas {
    fn from_iter<I: IntoIterator<Item = (N, L)>>(limits: I) -> Self {
        let limit = |(name, limit): (N, L)| (Some(Arc::from(name.as_ref())), limit.into());
        Self(limits.into_iter().map(limit).collect())
    }
}
