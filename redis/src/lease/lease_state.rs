//! What the calls of a leased bucket and its refill task share.

use arc_swap::ArcSwapOption;
use redis::RedisError;
use tidegate::{Denied, RetryAfter};
use tokio::sync::{Mutex, Notify};

use crate::error::AcquireError;
use crate::lease::last_refusal::LastRefusal;
use crate::lease::local_lease::LocalLease;
use crate::observer::LeaseObserver;
use crate::stats::TokenFlow;
use crate::store::CallFailure;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU64};
use crate::time;
use crate::token_bucket::RedisTokenBucket;

pub(crate) struct LeaseState {
    pub(crate) local: LocalLease,
    pub(crate) bucket: RedisTokenBucket,
    /// Wakes the refill task.
    pub(crate) wake_task: Notify,
    /// Wakes the head of the wait queue after a refill.
    pub(crate) refilled: Notify,
    /// The tokens that the last refused call since the last refill asked for, or 0.
    pub(crate) unmet_request: AtomicU64,
    /// In nanoseconds.
    pub(crate) last_refusal: LastRefusal,
    /// How long the last round trip took, in nanoseconds.
    pub(crate) round_trip: AtomicU64,
    closing: AtomicBool,
    ended: AtomicBool,
    /// Wakes the calls of `close` when the task has ended.
    pub(crate) task_ended: Notify,
    pub(crate) observer: LeaseObserver,
    pub(crate) wait_queue: Mutex<()>,
    /// Why the last refill failed, until one succeeds.
    pub(crate) failure: ArcSwapOption<RedisError>,
}

impl LeaseState {
    pub(crate) fn new(bucket: RedisTokenBucket) -> Self {
        Self {
            local: LocalLease::new(),
            bucket,
            wake_task: Notify::new(),
            refilled: Notify::new(),
            unmet_request: AtomicU64::new(0),
            last_refusal: LastRefusal::new(),
            round_trip: AtomicU64::new(1_000_000),
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            task_ended: Notify::new(),
            observer: LeaseObserver::default(),
            wait_queue: Mutex::new(()),
            failure: ArcSwapOption::empty(),
        }
    }

    /// Records what happened to tokens of the lease.
    pub(crate) fn record(&self, flow: TokenFlow, tokens: u64) {
        self.observer
            .record(self.bucket.limits().observer(), flow, tokens);
    }

    /// Decides a call for which the node does not hold enough tokens.
    #[cold]
    #[inline(never)]
    pub(crate) fn insufficient(&self, n: u64) -> Result<(), AcquireError> {
        let bucket = &self.bucket;
        if n == 0 {
            return Ok(());
        }
        let capacity = bucket.quota().capacity();
        if n > capacity {
            return Err(Denied::Never { capacity }.into());
        }
        if self.is_closing() {
            return Err(AcquireError::Closed);
        }
        let (limits, buckets) = (bucket.limits(), bucket.buckets());
        // Relaxed: a hint. The last of several calls counts, so that a small request does not wait
        // for as long as a large one is refused.
        self.unmet_request.store(n, Relaxed);
        // After the refusal of a larger request the task waits for that, although `n` may be
        // available.
        if self.local.claim_wake() || self.last_refusal.is_above(n) {
            self.wake_task.notify_one();
        }
        if let Some(wait) = limits.store().outage(&buckets.base) {
            let until = time::now().saturating_add(time::nanos(wait));
            let failure = CallFailure::BreakerOpen(until);
            return limits.without_server(buckets, &[n], failure).map(drop);
        }
        // The server answers, but not to this: the policy decides as for a bucket.
        if let Some(error) = self.failure.load_full() {
            let failure = CallFailure::Failed(RedisError::clone(&error));
            return limits.without_server(buckets, &[n], failure).map(drop);
        }
        let refused_for = self.last_refusal.until(n).map(time::until);
        let denied = match refused_for.filter(|wait| !wait.is_zero()) {
            Some(retry_after) => Denied::NotYet {
                retry_after: retry_after.into(),
            },
            // A refill takes about a round trip, and may be refused. Relaxed: a hint.
            None => Denied::Busy {
                retry_after: RetryAfter::from_nanos(self.round_trip.load(Relaxed).max(1)),
            },
        };
        Err(denied.into())
    }

    /// Asks the task to end. Returns whether it has already.
    pub(crate) fn close(&self) -> bool {
        // Relaxed: the wake-up of the task, which follows, synchronizes.
        self.closing.store(true, Relaxed);
        self.wake_task.notify_one();
        // Acquire: pairs with the Release in `end`, after which the task notifies no further calls.
        self.ended.load(Acquire)
    }

    pub(crate) fn is_closing(&self) -> bool {
        // Relaxed: see `close`.
        self.closing.load(Relaxed)
    }

    /// Records that the task has ended.
    pub(crate) fn end(&self) {
        // Relaxed: as in `close`.
        self.closing.store(true, Relaxed);
        self.local.drain();
        self.observer
            .record_held(self.bucket.limits().observer(), 0);
        // Release: pairs with the Acquire in `close`.
        self.ended.store(true, Release);
        self.task_ended.notify_waiters();
        self.refilled.notify_waiters();
    }
}
