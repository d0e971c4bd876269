//! The limiters as gates of [`tidegate::layer`].
//!
//! The server, or the [`FailurePolicy`](crate::FailurePolicy) without it, decides about each
//! request:
//!
//! | the limiter | the layer |
//! |---|---|
//! | admits, also by its policy | admits |
//! | denies, also by this node's share | refuses: 429 |
//! | is [unavailable](crate::AcquireError::Unavailable) | rejects: 503, with the time of the next probe |
//!
//! What the server has told describes the limits in header fields. Without it they are not
//! described.

pub(crate) mod decision;
pub(crate) mod key_bytes;
pub(crate) mod redis_per_key;

use tidegate::Denied;
use tidegate::layer::{NoKey, RequestHead, SharedDecision, SharedGate};

use crate::combined::RedisCombined;
use crate::error::AcquireError;
use crate::lease::leased_token_bucket::LeasedTokenBucket;
use crate::sliding_window::RedisSlidingWindow;
use crate::token_bucket::RedisTokenBucket;
use decision::{decide, decision_of};

/// Limits all requests together, on all nodes.
impl SharedGate for RedisTokenBucket {
    type Key = ();

    fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
        Ok(())
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        decide(self.limits(), self.buckets(), n).await
    }
}

/// Limits all requests together, on all nodes.
impl SharedGate for RedisSlidingWindow {
    type Key = ();

    fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
        Ok(())
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        decide(self.limits(), self.buckets(), n).await
    }
}

/// Limits all requests together, on all nodes, by all of its limits.
impl SharedGate for RedisCombined {
    type Key = ();

    fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
        Ok(())
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        decide(self.limits(), self.buckets(), n).await
    }
}

/// Limits all requests together, on all nodes. A request for which this node holds no token asks
/// the bucket, unless the server has refused. Header fields do not describe the limit, because a
/// node does not know what others hold.
impl SharedGate for LeasedTokenBucket {
    type Key = ();

    fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
        Ok(())
    }

    async fn decide(&self, (): &(), n: u64) -> SharedDecision {
        let mut result = self.try_acquire(n);
        if let Err(AcquireError::Denied {
            denied: Denied::Busy { .. },
            ..
        }) = result
        {
            // A refill is under way: wait for it.
            result = self.bucket().try_acquire(n).await.map(drop);
        }
        decision_of(self.bucket().limits(), result)
    }
}
