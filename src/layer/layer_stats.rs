//! Counts of what became of a layer's requests.

use alloc::boxed::Box;
use core::array;

use crossbeam_utils::CachePadded;

use crate::shadow::ShadowStats;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, thread_number};

/// How many requests of a layer had which outcome. Each request is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitLayerStats {
    /// Requests that the limit admitted.
    pub allowed: u64,
    /// Requests that the limit refused.
    pub denied: u64,
    /// Requests that were forwarded although the limit refused: see
    /// [`dry_run`](super::RateLimitLayerBuilder::dry_run).
    pub shadow_denied: u64,
    /// Requests that the limit does not apply to: see
    /// [`exempt`](super::RateLimitLayerBuilder::exempt).
    pub exempt: u64,
    /// Requests without the key that they must have. A dry run forwards them.
    pub no_key: u64,
    /// Requests that the [shared](super::RateLimitLayerBuilder::shared) limit could not decide and
    /// did not admit. A dry run forwards them.
    pub unavailable: u64,
    /// Permits that gates of a tuple were charged for requests that another of them then refused:
    /// see [`Gate`](super::Gate). Also those of the layer's gate for requests that the shared limit
    /// did not admit.
    pub forfeited: u64,
    /// What the candidate gate would have decided, if the layer has one: see
    /// [`shadow`](super::RateLimitLayerBuilder::shadow). Free and exempt requests are not among
    /// them.
    pub shadow: ShadowStats,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    Allowed,
    Denied,
    ShadowDenied,
    Exempt,
    NoKey,
    Unavailable,
}

impl RequestOutcome {
    /// The name in metrics and events.
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::ShadowDenied => "shadow_denied",
            Self::Exempt => "exempt",
            Self::NoKey | Self::Unavailable => "error",
        }
    }

    pub(super) const ALL: [Self; 6] = [
        Self::Allowed,
        Self::Denied,
        Self::ShadowDenied,
        Self::Exempt,
        Self::NoKey,
        Self::Unavailable,
    ];
}

/// Counters that threads raise on cache lines of their own, so that rejected requests do not slow
/// each other down.
pub(super) struct RequestCounts(Box<[CachePadded<ThreadCounts>; STRIPES]>);

/// As many threads that count at the same time share no line, if they were started one after the
/// other.
const STRIPES: usize = 16;

/// Every access is Relaxed, because the counts guard no other memory.
struct ThreadCounts {
    /// In the order of [`RequestOutcome::ALL`].
    requests: [AtomicU64; RequestOutcome::ALL.len()],
    forfeited: AtomicU64,
}

impl RequestCounts {
    pub(super) fn new() -> Self {
        Self(Box::new(array::from_fn(|_| {
            CachePadded::new(ThreadCounts {
                requests: array::from_fn(|_| AtomicU64::new(0)),
                forfeited: AtomicU64::new(0),
            })
        })))
    }

    pub(super) fn add(&self, outcome: RequestOutcome, forfeited: u64) {
        let counts = &self.0[thread_number() % STRIPES];
        // Relaxed: see the type. A count of requests cannot reach 2⁶⁴.
        counts.requests[outcome as usize].fetch_add(1, Relaxed);
        if forfeited > 0 {
            self.add_forfeited(forfeited);
        }
    }

    #[cold]
    pub(super) fn add_forfeited(&self, permits: u64) {
        let counts = &self.0[thread_number() % STRIPES];
        // Relaxed: see the type.
        counts.forfeited.fetch_add(permits, Relaxed);
    }

    pub(super) fn sum(&self) -> RateLimitLayerStats {
        // Relaxed: see the type.
        let sum = |count: &dyn Fn(&ThreadCounts) -> &AtomicU64| {
            let counts = self.0.iter().map(|stripe| count(stripe).load(Relaxed));
            counts.fold(0, u64::saturating_add)
        };
        let requests = |outcome| sum(&|counts| &counts.requests[outcome as usize]);
        RateLimitLayerStats {
            allowed: requests(RequestOutcome::Allowed),
            denied: requests(RequestOutcome::Denied),
            shadow_denied: requests(RequestOutcome::ShadowDenied),
            exempt: requests(RequestOutcome::Exempt),
            no_key: requests(RequestOutcome::NoKey),
            unavailable: requests(RequestOutcome::Unavailable),
            forfeited: sum(&|counts| &counts.forfeited),
            shadow: ShadowStats::default(),
        }
    }
}
