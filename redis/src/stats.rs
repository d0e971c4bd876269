//! What was decided by whom.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use redis::RedisError;

/// A counter. Relaxed everywhere: it guards nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        // Relaxed: a counter.
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    /// Takes back what was added before.
    fn one_less(&self) {
        // Relaxed: a counter.
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // Relaxed: a counter.
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct StoreCounters {
    calls: Counter,
    evals: Counter,
    errors: Counter,
    timeouts: Counter,
    released: Counter,
    outages: Counter,
    in_flight: Counter,
}

/// A call that is on its way, for the count of those.
pub(crate) struct InFlightCall<'a>(&'a StoreCounters);

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        self.0.in_flight.one_less();
    }
}

impl StoreCounters {
    pub(crate) fn sent(&self, known: bool) -> InFlightCall<'_> {
        self.calls.one();
        if !known {
            self.evals.one();
        }
        self.in_flight.one();
        InFlightCall(self)
    }

    pub(crate) fn failed(&self, error: &RedisError) {
        if error.is_timeout() {
            self.timeouts.one();
        } else {
            self.errors.one();
        }
    }

    pub(crate) fn released(&self) {
        self.released.one();
    }

    pub(crate) fn opened(&self) {
        self.outages.one();
    }

    pub(crate) fn stats(&self, open_breakers: usize, breakers: usize) -> StoreStats {
        StoreStats {
            calls: self.calls.get(),
            evals: self.evals.get(),
            in_flight: self.in_flight.get(),
            timeouts: self.timeouts.get(),
            errors: self.errors.get(),
            released: self.released.get(),
            outages: self.outages.get(),
            open_breakers,
            breakers,
        }
    }
}

/// What a [`RedisStore`](crate::RedisStore) has sent, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Commands sent: round trips.
    pub calls: u64,
    /// Of these, scripts sent as text, because the server did not know them: after its start, a failover, a `SCRIPT FLUSH`.
    pub evals: u64,
    /// Commands whose answer has not arrived.
    pub in_flight: u64,
    /// Calls that waited in vain.
    pub timeouts: u64,
    /// Calls that failed otherwise.
    pub errors: u64,
    /// Calls that were released because another one found the server gone.
    pub released: u64,
    /// How often it was found gone.
    pub outages: u64,
    /// How many parts of it do not answer now.
    pub open_breakers: usize,
    /// How many parts there are: 1, or 64 of a cluster.
    pub breakers: usize,
}

impl StoreStats {
    /// Whether all of it answers, as far as is known.
    pub const fn is_available(&self) -> bool {
        self.open_breakers == 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct LimitCounters {
    pub(crate) admitted: Counter,
    pub(crate) denied: Counter,
    pub(crate) denied_from_cache: Counter,
    pub(crate) open_admitted: Counter,
    pub(crate) local_admitted: Counter,
    pub(crate) local_denied: Counter,
    pub(crate) unavailable: Counter,
}

impl LimitCounters {
    pub(crate) fn stats(&self) -> LimitStats {
        LimitStats {
            admitted: self.admitted.get(),
            denied: self.denied.get(),
            denied_from_cache: self.denied_from_cache.get(),
            open_admitted: self.open_admitted.get(),
            local_admitted: self.local_admitted.get(),
            local_denied: self.local_denied.get(),
            unavailable: self.unavailable.get(),
        }
    }
}

/// What became of the calls of one limiter on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStats {
    /// Calls that the server admitted.
    pub admitted: u64,
    /// Calls that the server refused.
    pub denied: u64,
    /// Calls that were refused without a round trip, since the server had refused one like it.
    pub denied_from_cache: u64,
    /// Without the server: calls let through by [`FailurePolicy::Open`](crate::FailurePolicy::Open).
    pub open_admitted: u64,
    /// Without the server: calls admitted within this node's share.
    pub local_admitted: u64,
    /// Without the server: calls refused by this node's share.
    pub local_denied: u64,
    /// Without the server: calls turned away by [`FailurePolicy::Closed`](crate::FailurePolicy::Closed).
    pub unavailable: u64,
}
