//! How many requests a layer has let through and refused.

use alloc::boxed::Box;
use core::array;

use crossbeam_utils::CachePadded;

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, thread_number};

/// What became of the requests that came to a layer. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitLayerStats {
    /// Admitted by the limit.
    pub allowed: u64,
    /// Refused by the limit.
    pub denied: u64,
    /// Let through although the limit refused: see [`dry_run`](super::RateLimitLayerBuilder::dry_run).
    pub shadow_denied: u64,
    /// Not subject to the limit: see [`exempt`](super::RateLimitLayerBuilder::exempt).
    pub exempt: u64,
    /// Without the key that they must have. In a dry run they were let through.
    pub no_key: u64,
    /// Permits that gates of a tuple were charged for requests that another of them then refused: see [`Gate`](super::Gate).
    pub forfeited: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Allowed,
    Denied,
    ShadowDenied,
    Exempt,
    NoKey,
}

impl Outcome {
    /// As metrics and events have it.
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::ShadowDenied => "shadow_denied",
            Self::Exempt => "exempt",
            Self::NoKey => "error",
        }
    }

    pub(super) const ALL: [Self; 5] = [
        Self::Allowed,
        Self::Denied,
        Self::ShadowDenied,
        Self::Exempt,
        Self::NoKey,
    ];
}

/// Counts that threads raise in cache lines of their own, so that refused requests do not get in each other's way.
#[derive(Debug)]
pub(super) struct Counts(Box<[CachePadded<Stripe>; STRIPES]>);

/// Of how many threads that count at the same time none share a line, if they were started one after the other.
const STRIPES: usize = 16;

/// Every operation on it is Relaxed: the numbers stand for themselves.
#[derive(Debug)]
struct Stripe {
    /// In the order of [`Outcome::ALL`].
    requests: [AtomicU64; Outcome::ALL.len()],
    forfeited: AtomicU64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self(Box::new(array::from_fn(|_| {
            CachePadded::new(Stripe {
                requests: array::from_fn(|_| AtomicU64::new(0)),
                forfeited: AtomicU64::new(0),
            })
        })))
    }

    pub(super) fn add(&self, outcome: Outcome, forfeited: u64) {
        let stripe = &self.0[thread_number() % STRIPES];
        // Relaxed: see the type. So many requests do not come that a count of them could wrap.
        stripe.requests[outcome as usize].fetch_add(1, Relaxed);
        if forfeited > 0 {
            // Relaxed: see the type.
            stripe.forfeited.fetch_add(forfeited, Relaxed);
        }
    }

    pub(super) fn sum(&self) -> RateLimitLayerStats {
        // Relaxed: see the type.
        let sum = |count: &dyn Fn(&Stripe) -> &AtomicU64| {
            let counts = self.0.iter().map(|stripe| count(stripe).load(Relaxed));
            counts.fold(0, u64::saturating_add)
        };
        let requests = |outcome: Outcome| sum(&|stripe| &stripe.requests[outcome as usize]);
        RateLimitLayerStats {
            allowed: requests(Outcome::Allowed),
            denied: requests(Outcome::Denied),
            shadow_denied: requests(Outcome::ShadowDenied),
            exempt: requests(Outcome::Exempt),
            no_key: requests(Outcome::NoKey),
            forfeited: sum(&|stripe| &stripe.forfeited),
        }
    }
}
