//! A bucket on a server of which this node holds tokens.

use core::fmt;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use crate::error::AcquireError;
use crate::lease::lease_options::LeaseOptions;
use crate::lease::lease_state::LeaseState;
use crate::lease::local_lease::TakeOutcome;
use crate::lease::refill_task::RefillTask;
use crate::stats::{LeaseStats, LimitStats};
use crate::time;
use crate::token_bucket::RedisTokenBucket;

/// A [`RedisTokenBucket`] of which this node takes tokens in batches. A call is a compare-and-swap
/// instead of a round trip.
///
/// A refill task takes as many tokens as the recent demand needs, before they run out, and gives
/// back what is not used. Clones share the tokens. When the last clone is dropped, the rest goes
/// back.
///
/// # Guarantees
///
/// * **Bound.** As that of the bucket, over all nodes, for the whole capacity. What nodes hold does
///   not count as refilled, and what a node did not give back in time counts as spent when its
///   lease ended. So holding tokens back to spend them at once gains nothing.
/// * **Lock-free calls.** [`try_acquire`](Self::try_acquire) takes no lock and never waits. If it
///   finds less than half of a batch, it wakes the refill task, once per batch. Without the server,
///   the share of [`FailurePolicy::Local`](crate::FailurePolicy::Local) is looked up under a shared
///   lock.
/// * **Losses end with the lease.** This covers tokens of a node that dies and of a reply that is
///   lost.
///
/// * **A quiet node is admitted.** An idle node keeps what one call usually asks for, and gives the
///   rest back. So its next call is admitted at once, however rare its calls are, if the capacity
///   is at least twice what all nodes keep: 2 · nodes, for calls of 1.
///
/// The price: one node cannot use tokens that another one holds. No batch makes all leases hold
/// more than half of the capacity. Still, for small capacities over many nodes call the bucket
/// instead. An idle node renews what it keeps about once in three quarters of a
/// [`ttl`](LeaseOptions::ttl).
///
/// The wait in a denial is the server's if it refused. Otherwise a refill is under way, and the
/// wait is the time of the last round trip.
///
/// # Examples
///
/// ```no_run
/// use tidegate::Quota;
/// use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let bucket = RedisTokenBucket::new(&store, "api", Quota::per_second(50_000))?;
/// let api = bucket.lease(LeaseOptions::new()).await;
/// api.try_acquire(1)?; // nothing was sent
/// api.acquire(1).await?; // waits until it holds a token
/// api.close().await; // gives back what is left
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LeasedTokenBucket {
    handle: Arc<LeaseHandle>,
}

/// Ends the refill task when the last clone is dropped.
struct LeaseHandle {
    state: Arc<LeaseState>,
}

impl Drop for LeaseHandle {
    fn drop(&mut self) {
        self.state.close();
    }
}

impl RedisTokenBucket {
    /// Returns a limiter that takes tokens from this bucket in batches, and admits without a round
    /// trip.
    ///
    /// Waits for the first tokens, so that the first call is admitted as well. If the bucket is
    /// empty or the server does not answer, it returns nevertheless, and calls are refused or
    /// decided by the [`FailurePolicy`](crate::FailurePolicy).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn lease(self, options: LeaseOptions) -> LeasedTokenBucket {
        let state = Arc::new(LeaseState::new(self));
        let mut refilled = pin!(state.refilled.notified());
        refilled.as_mut().enable();
        // Before the wait: a dropped future gives back what was granted.
        let handle = Arc::new(LeaseHandle {
            state: Arc::clone(&state),
        });
        tokio::spawn(RefillTask::new(Arc::clone(&state), options).run());
        refilled.await;
        LeasedTokenBucket { handle }
    }
}

impl LeasedTokenBucket {
    fn state(&self) -> &LeaseState {
        &self.handle.state
    }

    /// Returns the bucket that it takes tokens from.
    pub fn bucket(&self) -> &RedisTokenBucket {
        &self.state().bucket
    }

    /// Takes `n` tokens if this node holds them. `n` = 0 always succeeds.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if the server refuses, if a refill is under way
    /// ([`Busy`](tidegate::Denied::Busy), with an estimate), or if `n` is above the capacity.
    /// [`AcquireError::Unavailable`] if the server does not answer and the policy is closed.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), AcquireError> {
        let state = self.state();
        match state.local.try_take(n, time::now()) {
            TakeOutcome::Taken => Ok(()),
            TakeOutcome::TakenAndWake => {
                state.wake_task.notify_one();
                Ok(())
            }
            TakeOutcome::Insufficient => state.insufficient(n),
        }
    }

    /// Waits until this node holds `n` tokens, and takes them. Waiters are served in the order of
    /// their arrival. [`try_acquire`](Self::try_acquire) may overtake them.
    ///
    /// For more than a quarter of the capacity call the [bucket](Self::bucket) instead. While other
    /// nodes hold tokens, so many may never be available at once.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if `n` is above the capacity; [`AcquireError::Unavailable`] as for
    /// [`try_acquire`](Self::try_acquire).
    ///
    /// # Cancel safety
    ///
    /// A dropped future has taken nothing, and leaves the queue.
    pub async fn acquire(&self, n: u64) -> Result<(), AcquireError> {
        let state = self.state();
        let _head = state.wait_queue.lock().await;
        loop {
            // Registered before the attempt, so that no refill is missed.
            let mut refilled = pin!(state.refilled.notified());
            refilled.as_mut().enable();
            let outcome = self.try_acquire(n);
            let Err(AcquireError::Denied { denied, .. }) = &outcome else {
                return outcome;
            };
            let Some(retry_after) = denied.retry_after() else {
                return outcome;
            };
            // After a refill or this time, the next attempt asks again. tokio's timer waits for a
            // millisecond at least.
            let wait = retry_after.max(Duration::from_millis(1));
            let _ = tokio::time::timeout(wait, refilled).await;
        }
    }

    /// Returns how many tokens this node holds.
    pub fn held(&self) -> u64 {
        self.state().local.remaining(time::now())
    }

    /// Returns what this node has taken and given back.
    pub fn stats(&self) -> LeaseStats {
        self.state().observer.counters.stats(self.held())
    }

    /// Returns the outcomes of calls without the server, and of calls to the bucket itself.
    pub fn limit_stats(&self) -> LimitStats {
        self.bucket().stats()
    }

    /// Gives back the tokens that are left. From then on no clone admits any call.
    ///
    /// Returns when the tokens have arrived. If the server does not answer, they count as spent
    /// when the lease ends.
    pub async fn close(&self) {
        let state = self.state();
        let mut ended = pin!(state.task_ended.notified());
        ended.as_mut().enable();
        if !state.close() {
            ended.await;
        }
    }
}

impl fmt::Debug for LeasedTokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedTokenBucket")
            .field("bucket", self.bucket())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
