//! Counts of calls and their outcomes.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use redis::RedisError;

/// A counter. All operations are Relaxed: it guards no other memory.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        // Relaxed: a counter.
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    fn decrement(&self) {
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
    in_flight: Counter,
    timeouts: Counter,
    errors: Counter,
    pub(crate) released: Counter,
    pub(crate) outages: Counter,
}

/// Counts a command as in flight until it is dropped.
pub(crate) struct InFlightCall<'a>(&'a StoreCounters);

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        self.0.in_flight.decrement();
    }
}

impl StoreCounters {
    /// Counts a command, as a script's text unless it is sent by its digest.
    pub(crate) fn sent(&self, by_digest: bool) -> InFlightCall<'_> {
        self.calls.increment();
        if !by_digest {
            self.evals.increment();
        }
        self.in_flight.increment();
        InFlightCall(self)
    }

    pub(crate) fn failed(&self, error: &RedisError) {
        if error.is_timeout() {
            self.timeouts.increment();
        } else {
            self.errors.increment();
        }
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

/// What a [`RedisStore`](crate::RedisStore) has sent, and the outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Commands sent: round trips.
    pub calls: u64,
    /// Of these, scripts sent as text (`EVAL`) because the server did not have them: after its
    /// start, a failover or a `SCRIPT FLUSH`.
    pub evals: u64,
    /// Commands whose reply has not arrived.
    pub in_flight: u64,
    /// Calls that timed out.
    pub timeouts: u64,
    /// Calls that failed otherwise.
    pub errors: u64,
    /// Calls that stopped waiting because another call found the server down.
    pub released: u64,
    /// How often a breaker opened because the server was down.
    pub outages: u64,
    /// Breakers that are open now.
    pub open_breakers: usize,
    /// Breakers in all: 1 for a server, 64 for a cluster, each for a range of slots.
    pub breakers: usize,
}

impl StoreStats {
    /// Returns whether the whole server or cluster answers, as far as is known.
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

/// The outcomes of one limiter's calls on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStats {
    /// Calls that the server admitted.
    pub admitted: u64,
    /// Calls that the server denied.
    pub denied: u64,
    /// Calls denied without a round trip, because the server had denied one like it.
    pub denied_from_cache: u64,
    /// Calls that [`FailurePolicy::Open`](crate::FailurePolicy::Open) admitted without the server.
    pub open_admitted: u64,
    /// Calls that this node's share admitted without the server.
    pub local_admitted: u64,
    /// Calls that this node's share denied without the server.
    pub local_denied: u64,
    /// Calls that [`FailurePolicy::Closed`](crate::FailurePolicy::Closed) refused without the
    /// server.
    pub unavailable: u64,
}

#[derive(Debug, Default)]
pub(crate) struct LeaseCounters {
    pub(crate) refills: Counter,
    pub(crate) granted: Counter,
    pub(crate) returned: Counter,
    pub(crate) expired: Counter,
}

impl LeaseCounters {
    pub(crate) fn stats(&self, held: u64) -> LeaseStats {
        LeaseStats {
            refills: self.refills.get(),
            granted: self.granted.get(),
            returned: self.returned.get(),
            expired: self.expired.get(),
            held,
        }
    }
}

/// What a [`LeasedTokenBucket`](crate::LeasedTokenBucket) has taken and given back, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStats {
    /// Calls to the server.
    pub refills: u64,
    /// Tokens that the server granted.
    pub granted: u64,
    /// Tokens given back unused.
    pub returned: u64,
    /// Tokens not used before their lease ended.
    pub expired: u64,
    /// Tokens left now.
    pub held: u64,
}

impl LeaseStats {
    /// Returns the tokens that calls have spent. Calls and refills under way make it inexact.
    pub const fn spent(&self) -> u64 {
        self.granted
            .saturating_sub(self.returned)
            .saturating_sub(self.expired)
            .saturating_sub(self.held)
    }
}
