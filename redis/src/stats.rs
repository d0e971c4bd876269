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

/// Declares counters and the public struct that a reading of them returns. The fields after `with`
/// are not counted here.
macro_rules! counters {
    (
        $(#[$attribute:meta])*
        $counters:ident => $stats:ident {
            $($(#[$doc:meta])* $field:ident,)*
        } with {
            $($(#[$other_doc:meta])* $other:ident: $other_type:ty,)*
        }
    ) => {
        #[derive(Debug, Default)]
        pub(crate) struct $counters {
            $(pub(crate) $field: Counter,)*
        }

        impl $counters {
            pub(crate) fn stats(&self, $($other: $other_type),*) -> $stats {
                $stats {
                    $($field: self.$field.get(),)*
                    $($other,)*
                }
            }
        }

        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $stats {
            $($(#[$doc])* pub $field: u64,)*
            $($(#[$other_doc])* pub $other: $other_type,)*
        }
    };
}

counters! {
    /// What a [`RedisStore`](crate::RedisStore) has sent, and the outcomes.
    StoreCounters => StoreStats {
        /// Commands sent: round trips.
        calls,
        /// Of these, scripts sent as text (`EVAL`) because the server did not have them: after its
        /// start, a failover or a `SCRIPT FLUSH`.
        evals,
        /// Commands whose reply has not arrived.
        in_flight,
        /// Calls that timed out.
        timeouts,
        /// Calls that failed otherwise.
        errors,
        /// Calls that stopped waiting because another call found the server down.
        released,
        /// How often a breaker opened because the server was down.
        outages,
    } with {
        /// Breakers that are open now.
        open_breakers: usize,
        /// Breakers in all: 1 for a server, 64 for a cluster, each for a range of slots.
        breakers: usize,
    }
}

/// Counts a command as in flight until it is dropped.
pub(crate) struct InFlightCall<'a>(&'a StoreCounters);

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        self.0.in_flight.decrement();
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    Admitted,
    Denied,
    DeniedFromCache,
    OpenAdmitted,
    LocalAdmitted,
    LocalDenied,
    Unavailable,
}

impl LimitCounters {
    pub(crate) fn count(&self, outcome: CallOutcome) {
        let counter = match outcome {
            CallOutcome::Admitted => &self.admitted,
            CallOutcome::Denied => &self.denied,
            CallOutcome::DeniedFromCache => &self.denied_from_cache,
            CallOutcome::OpenAdmitted => &self.open_admitted,
            CallOutcome::LocalAdmitted => &self.local_admitted,
            CallOutcome::LocalDenied => &self.local_denied,
            CallOutcome::Unavailable => &self.unavailable,
        };
        counter.increment();
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
}

impl StoreStats {
    /// Returns whether the whole server or cluster answers, as far as is known.
    pub const fn is_available(&self) -> bool {
        self.open_breakers == 0
    }
}

counters! {
    /// The outcomes of one limiter's calls on this node.
    #[derive(Default)]
    LimitCounters => LimitStats {
        /// Calls that the server admitted.
        admitted,
        /// Calls that the server denied.
        denied,
        /// Calls denied without a round trip, because the server had denied one like it.
        denied_from_cache,
        /// Calls that [`FailurePolicy::Open`](crate::FailurePolicy::Open) admitted without the
        /// server.
        open_admitted,
        /// Calls that this node's share admitted without the server.
        local_admitted,
        /// Calls that this node's share denied without the server.
        local_denied,
        /// Calls that [`FailurePolicy::Closed`](crate::FailurePolicy::Closed) refused without the
        /// server.
        unavailable,
    } with {}
}

counters! {
    /// The outcomes of one semaphore's calls on this node, in permits unless another unit is named.
    SemaphoreCounters => SemaphoreStats {
        /// Calls to the server: each tells what this node holds, and asks for all calls that wait.
        requests,
        /// Permits that the server granted.
        granted,
        /// Calls that found too few permits and did not wait.
        denied,
        /// Permits that were lost: the server did not hear of this node for a time to live.
        lost,
        /// Permits that [`FailurePolicy::Open`](crate::FailurePolicy::Open) admitted without the
        /// server.
        open_admitted,
        /// Permits of this node's share, admitted without the server.
        local_admitted,
        /// Calls refused without the server.
        unavailable,
    } with {
        /// Permits out now on this node. Those that are lost count until they are dropped.
        out: u64,
        /// Calls that wait now on this node.
        waiting: usize,
    }
}

counters! {
    /// What a [`LeasedTokenBucket`](crate::LeasedTokenBucket) has taken and given back, in tokens.
    LeaseCounters => LeaseStats {
        /// Calls to the server.
        refills,
        /// Tokens that the server granted.
        granted,
        /// Tokens given back unused.
        returned,
        /// Tokens not used before their lease ended.
        expired,
    } with {
        /// Tokens left now.
        held: u64,
    }
}

/// What happens to the tokens of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFlow {
    Granted,
    Returned,
    Expired,
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
