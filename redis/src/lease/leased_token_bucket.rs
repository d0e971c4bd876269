//! A bucket on a server, gated by what this node holds of it.

use core::fmt;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use tidegate::{Clock, DefaultClock, Denied};
use tokio::sync::{Mutex, Notify};

use crate::error::AcquireError;
use crate::lease::last_refusal::LastRefusal;
use crate::lease::lease_options::LeaseOptions;
use crate::lease::local_lease::{LocalLease, TakeOutcome};
use crate::lease::refill_task::RefillTask;
use crate::stats::{Counter, LimitStats};
use crate::store::{Failure, RedisStore};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU64};
use crate::token_bucket::RedisTokenBucket;

/// A [`RedisTokenBucket`] of which this node takes tokens by the batch, so that a call is a compare-and-swap and no round trip.
///
/// A task takes as much as the demand of the last while has shown to be needed, before it runs out, and gives back what is not used. Clones
/// share it; when the last is dropped, what is left goes back.
///
/// # Guarantees
///
/// * **Bound.** As the bucket's own, over all nodes, for the whole capacity: what nodes hold does not count as refilled, and what a
///   node did not give back in time counts as spent when its lease ended. So holding back and spending at once gains nothing.
/// * **Lock-free calls**: [`try_acquire`](Self::try_acquire) takes no lock and waits for nothing. Where it finds less than half of a
///   batch it wakes the task, once per batch. (Without the server, the share of [`FailurePolicy::Local`](crate::FailurePolicy::Local) is
///   found under a shared lock.)
/// * **Nothing is lost** for longer than a lease lasts: what a node holds that dies, or whose answer was lost on the way.
///
/// The price is that tokens which one node holds are not there for another. No batch makes all leases hold more than half of the
/// capacity, and a node that is idle gives everything back; still, small capacities over many nodes are better served by calls to the bucket.
///
/// A refusal's hint is that of the server, if it refused; otherwise more is on its way, and the hint is how long the last way took.
///
/// ```no_run
/// use tidegate::Quota;
/// use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let bucket = RedisTokenBucket::new(&store, "api", Quota::per_second(50_000))?;
/// let api = bucket.lease(LeaseOptions::new());
/// api.acquire(1).await?; // waits for its turn
/// if api.try_acquire(1).is_ok() { /* nothing was sent */ }
/// api.close().await; // gives back what is left
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LeasedTokenBucket {
    handle: Arc<Handle>,
}

/// What ends the task when nobody has it any more.
struct Handle {
    shared: Arc<LeaseState>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// What callers and the task share.
pub(crate) struct LeaseState {
    pub(crate) local: LocalLease,
    pub(crate) bucket: RedisTokenBucket,
    /// Wakes the task.
    pub(crate) wake: Notify,
    /// Wakes those who wait, when there is more.
    pub(crate) filled: Notify,
    /// What the last call in vain since the last refill has asked for, or 0.
    pub(crate) wanted: AtomicU64,
    /// In nanoseconds.
    refusal: LastRefusal,
    /// How long the last way to the server and back took, in nanoseconds.
    pub(crate) way: AtomicU64,
    closing: AtomicBool,
    finished: AtomicBool,
    pub(crate) closed: Notify,
    pub(crate) counts: LeaseCounters,
    line: Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct LeaseCounters {
    pub(crate) refills: Counter,
    pub(crate) granted: Counter,
    pub(crate) returned: Counter,
    pub(crate) expired: Counter,
}

/// What a [`LeasedTokenBucket`] has taken and given back, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStats {
    /// Calls to the server.
    pub refills: u64,
    /// What it granted.
    pub granted: u64,
    /// What went back unused.
    pub returned: u64,
    /// What was not used before its lease ended.
    pub expired: u64,
    /// What is left now.
    pub held: u64,
}

impl LeaseStats {
    /// What calls were admitted for. While calls and refills are under way, off by as much.
    pub const fn spent(&self) -> u64 {
        self.granted
            .saturating_sub(self.returned)
            .saturating_sub(self.expired)
            .saturating_sub(self.held)
    }
}

impl LeasedTokenBucket {
    pub(crate) fn new(bucket: RedisTokenBucket, options: LeaseOptions) -> Self {
        let shared = Arc::new(LeaseState {
            local: LocalLease::new(),
            wake: Notify::new(),
            filled: Notify::new(),
            wanted: AtomicU64::new(0),
            refusal: LastRefusal::new(),
            way: AtomicU64::new(1_000_000),
            closing: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            closed: Notify::new(),
            counts: LeaseCounters::default(),
            line: Mutex::new(()),
            bucket,
        });
        tokio::spawn(RefillTask::new(Arc::clone(&shared), options).run());
        let handle = Arc::new(Handle { shared });
        Self { handle }
    }

    fn shared(&self) -> &LeaseState {
        &self.handle.shared
    }

    /// The bucket that it takes from.
    pub fn bucket(&self) -> &RedisTokenBucket {
        &self.shared().bucket
    }

    /// Admits `n` if this node holds them. Of none it always does.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if it does not: the server refuses, or more is on its way, or it is more than the capacity.
    /// [`AcquireError::Unavailable`] if the server does not answer and the policy is closed.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), AcquireError> {
        let shared = self.shared();
        match shared.local.try_take(n, DefaultClock.now().as_nanos()) {
            TakeOutcome::Taken => Ok(()),
            TakeOutcome::TakenAndWake => {
                shared.wake.notify_one();
                Ok(())
            }
            TakeOutcome::Insufficient => shared.dry(n),
        }
    }

    /// Waits until `n` are there. For more than a quarter of the capacity ask the [bucket](Self::bucket) instead: as long as other nodes hold
    /// some, so much may never be there at once. Those who wait are served in the order of their arrival; [`try_acquire`](Self::try_acquire) may overtake
    /// them.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] if it is more than the capacity; [`AcquireError::Unavailable`] as [`try_acquire`](Self::try_acquire).
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken nothing, and gives its place up.
    pub async fn acquire(&self, n: u64) -> Result<(), AcquireError> {
        let shared = self.shared();
        let _first = shared.line.lock().await;
        loop {
            // Before the attempt, so that no refill is missed.
            let mut filled = pin!(shared.filled.notified());
            filled.as_mut().enable();
            match self.try_acquire(n) {
                Err(AcquireError::Denied {
                    denied: Denied::NotYet { retry_after },
                    ..
                }) => {
                    // Either; then the next attempt asks again.
                    let _ = tokio::time::timeout(retry_after.max(SHORTEST), filled).await;
                }
                other => return other,
            }
        }
    }

    /// How many this node holds.
    pub fn held(&self) -> u64 {
        self.shared().local.remaining(RedisStore::now())
    }

    /// What it has taken and given back.
    pub fn stats(&self) -> LeaseStats {
        let counts = &self.shared().counts;
        LeaseStats {
            refills: counts.refills.get(),
            granted: counts.granted.get(),
            returned: counts.returned.get(),
            expired: counts.expired.get(),
            held: self.held(),
        }
    }

    /// What became of calls while the server did not answer, and of those that went to the bucket itself.
    pub fn limit_stats(&self) -> LimitStats {
        self.bucket().stats()
    }

    /// Gives back what is left, and admits nothing any more, in any clone. Returns when that has arrived, or the server does not answer: then
    /// it counts as spent when the lease ends.
    pub async fn close(&self) {
        let shared = self.shared();
        let mut closed = pin!(shared.closed.notified());
        closed.as_mut().enable();
        if !shared.close() {
            closed.await;
        }
    }
}

/// What tokio's timer can wait for.
const SHORTEST: Duration = Duration::from_millis(1);

impl LeaseState {
    /// A call that did not find enough.
    #[cold]
    #[inline(never)]
    fn dry(&self, n: u64) -> Result<(), AcquireError> {
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
        let (limits, target) = (bucket.limits(), bucket.target());
        // Relaxed: a hint. Of several the last one, so that fewer do not wait for as long as many are refused.
        self.wanted.store(n, Relaxed);
        // Where more was refused, the task waits for that, although so few may be there.
        if self.local.claim_wake() || self.refusal.is_above(n) {
            self.wake.notify_one();
        }
        if let Some(wait) = limits.store().closed_for(&target.place) {
            let until = RedisStore::now().saturating_add(nanos(wait));
            return limits
                .without_server(target, &[n], Failure::Open(until))
                .map(drop);
        }
        let retry_after = self.refusal(n).unwrap_or_else(|| {
            // Relaxed: a hint.
            Duration::from_nanos(self.way.load(Relaxed))
        });
        Err(Denied::NotYet { retry_after }.into())
    }

    /// How long the server refuses `n`, if it said so.
    fn refusal(&self, n: u64) -> Option<Duration> {
        let until = self.refusal.until(n)?;
        let wait = until.checked_sub(RedisStore::now());
        wait.filter(|wait| *wait > 0).map(Duration::from_nanos)
    }

    /// The server refuses `cost` until then.
    pub(crate) fn refused(&self, cost: u64, until: u64) {
        self.refusal.set(cost, until);
    }

    /// Asks the task to end; whether it has already.
    fn close(&self) -> bool {
        // Relaxed: the task is woken after it, which synchronises.
        self.closing.store(true, Relaxed);
        self.wake.notify_one();
        // Acquire: meets the Release in `finish`, after which nobody is told any more.
        self.finished.load(Acquire)
    }

    pub(crate) fn is_closing(&self) -> bool {
        // Relaxed: see `close`.
        self.closing.load(Relaxed)
    }

    /// The task has ended.
    pub(crate) fn finish(&self) {
        // Relaxed: as in `close`.
        self.closing.store(true, Relaxed);
        self.local.drain();
        // Release: meets the Acquire in `close`.
        self.finished.store(true, Release);
        self.closed.notify_waiters();
        self.filled.notify_waiters();
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for LeasedTokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedTokenBucket")
            .field("bucket", self.bucket())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
