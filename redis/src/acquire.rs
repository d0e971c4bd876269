//! A call that waits, and its options.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::time::Duration;

use crate::admitted::Admitted;
use crate::error::AcquireError;
use crate::time;

/// A call that waits until the server admits it: awaited, it does. It returns how it was admitted,
/// or the permit of a [`RedisSemaphore`](crate::RedisSemaphore) or of an API limiter
/// ([`ApiAcquire`](crate::ApiAcquire)).
///
/// ```no_run
/// use core::time::Duration;
/// use tidegate_redis::{AcquireError, RedisTokenBucket};
///
/// # async fn example(bucket: &RedisTokenBucket) -> Result<(), AcquireError> {
/// bucket.acquire(1).await?;
/// bucket.acquire(1).timeout(Duration::from_secs(2)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is asked for until it is awaited"]
pub struct Acquire<'a, T = Admitted, E = AcquireError> {
    wait: Box<dyn FnOnce(u64) -> Waiting<'a, T, E> + Send + 'a>,
    timeout: Option<Duration>,
}

/// Waits until a deadline on the node's clock.
type Waiting<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

impl<'a, T, E> Acquire<'a, T, E> {
    pub(crate) fn new<F>(wait: impl FnOnce(u64) -> F + Send + 'a) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'a,
    {
        Self {
            wait: Box::new(move |deadline| Box::pin(wait(deadline))),
            timeout: None,
        }
    }

    /// Waits for this long at most. A call at the front of the line is refused at once if the
    /// server's wait is longer, with [`AcquireError::Denied`], and is not charged. One further back
    /// waits for its turn, and then ends with [`AcquireError::TimedOut`]. If the server was being
    /// asked for it at that moment, it may have been charged.
    ///
    /// A call of an API limiter that has to wait for another one in flight to end also waits until
    /// then. Its error is the status that refuses it.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<'a, T, E> IntoFuture for Acquire<'a, T, E> {
    type Output = Result<T, E>;
    type IntoFuture = Waiting<'a, T, E>;

    fn into_future(self) -> Waiting<'a, T, E> {
        let deadline = self.timeout.map_or(u64::MAX, |timeout| {
            time::now().saturating_add(time::nanos(timeout))
        });
        (self.wait)(deadline)
    }
}

impl<T, E> fmt::Debug for Acquire<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
