//! A limit on requests at the same time.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use alloc::sync::Arc;
use core::fmt;

use crossbeam_utils::CachePadded;

use crate::denied::Denied;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// A limit on what is done at the same time: requests, connections, jobs.
///
/// Each takes a permit, which comes back when it is dropped. A layer has such limits beside rates
/// (`RateLimitLayerBuilder::in_flight`): a request keeps its permit until its response body has
/// ended, or the client has left.
///
/// Clones share the limit. Nothing waits at it; to wait, use a semaphore.
///
/// # Guarantees
///
/// * **Bound.** At no time are more permits out than the limit, unless
///   [`set_limit`](Self::set_limit) has lowered it meanwhile.
/// * **No false refusal.** Each refusal finds all permits out.
/// * **Order.** Who gets a permit sees what was done before it came back, as with a semaphore. So
///   the work that permits stand for never overlaps more than the limit allows.
///
/// # Progress
///
/// Lock-free: one exchange to take a permit, and one to return it. A refusal writes nothing.
///
/// ```
/// use tidegate::InFlight;
///
/// let exports = InFlight::new(2);
/// let (first, second) = (exports.try_acquire(), exports.try_acquire());
/// assert!(first.is_ok() && second.is_ok() && exports.try_acquire().is_err());
/// drop(first);
/// assert_eq!((exports.in_flight(), exports.available()), (1, 1));
/// ```
#[derive(Clone)]
pub struct InFlight {
    core: Arc<CachePadded<Core>>,
}

#[derive(Debug)]
struct Core {
    /// The permits that are out.
    count: AtomicU64,
    /// Relaxed: it guards no memory.
    limit: AtomicU64,
}

/// A permit of an [`InFlight`], which comes back when it is dropped.
#[must_use = "the permit comes back when it is dropped"]
pub struct InFlightPermit {
    core: Arc<CachePadded<Core>>,
}

impl InFlight {
    /// Creates a limit of this many at the same time. With 0 it refuses all.
    pub fn new(limit: u64) -> Self {
        let core = Core {
            count: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
        };
        Self {
            core: Arc::new(CachePadded::new(core)),
        }
    }

    /// Takes a permit.
    ///
    /// # Errors
    ///
    /// [`Denied::Busy`] if all are out. Its wait is a second, because it is not known when one
    /// comes back. [`Denied::Never`] if the limit is 0.
    pub fn try_acquire(&self) -> Result<InFlightPermit, Denied> {
        let limit = self.limit();
        // Acquire: pairs with the Release of each permit that has come back (`relaxed_take`). They
        // are all read-modify-writes, so they are in one release sequence. Relaxed on failure:
        // nothing is done then.
        let taken = self
            .core
            .count
            .fetch_update(Acquire, Relaxed, |count| (count < limit).then(|| count + 1));
        match taken {
            Ok(_) => Ok(InFlightPermit {
                core: Arc::clone(&self.core),
            }),
            Err(_) => Err(refusal(limit)),
        }
    }

    /// Whether a permit is there, without taking it.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self) -> Result<(), Denied> {
        let limit = self.limit();
        if self.in_flight() < limit {
            Ok(())
        } else {
            Err(refusal(limit))
        }
    }

    /// Returns how many permits are out.
    pub fn in_flight(&self) -> u64 {
        // Relaxed: for display, and to refuse.
        self.core.count.load(Relaxed)
    }

    /// Returns how many permits are there.
    pub fn available(&self) -> u64 {
        self.limit().saturating_sub(self.in_flight())
    }

    /// Returns the most permits that can be out.
    pub fn limit(&self) -> u64 {
        // Relaxed: see `Core`.
        self.core.limit.load(Relaxed)
    }

    /// Sets another limit. Permits that are out stay out, so after a lower limit there may be more
    /// for a while.
    pub fn set_limit(&self, limit: u64) {
        // Relaxed: see `Core`.
        self.core.limit.store(limit, Relaxed);
    }
}

/// A second, for clients that need a number.
const RETRY_NANOS: u64 = 1_000_000_000;

pub(crate) const fn refusal(limit: u64) -> Denied {
    if limit == 0 {
        Denied::Never { capacity: 0 }
    } else {
        Denied::busy(RETRY_NANOS)
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next permit (`relaxed_return`).
        self.core.count.fetch_sub(1, Release);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InFlightPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightPermit").finish_non_exhaustive()
    }
}
