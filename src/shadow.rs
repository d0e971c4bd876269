//! Limits that are tried on live traffic: a candidate beside the live limit, which refuses nothing.

mod counts;
mod keyed_shadow;
mod limiter;

use alloc::sync::Arc;

pub(crate) use counts::ShadowOutcome;
pub use counts::{ShadowCounts, ShadowStats};
pub use keyed_shadow::KeyedShadow;
pub use limiter::ShadowCharge;

use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// A live limit, and a candidate that is tried beside it. The live limit decides. The candidate
/// decides the same calls, and its decisions are only counted.
///
/// A `Shadow` is a [`Limiter`] as the live one is: for layers, tuples, tables, and waits. For two
/// tables of keys use a [`KeyedShadow`]. A layer of tower tries any gate with its option `shadow`.
///
/// # What "would have refused" means
///
/// The candidate has a state of its own, so it matters which calls it is charged for.
///
/// * **[`beside`](Self::beside), the default: "What if the candidate were added to the live
///   limit?"** The candidate is charged for the calls that both admit. A call that the live limit
///   refuses does not happen, so it costs the candidate nothing. It only tells whether it would
///   have admitted the call. So for limits that get stricter, every count is exact. With a looser
///   candidate, `only_live_refused` is too high: each of those calls would have taken permits, and
///   the candidate would have refused some of them.
/// * **[`instead`](Self::instead): "What if the candidate replaced the live limit?"** The candidate
///   is charged for all calls that it admits, as if it stood alone. Every count is exact for these
///   calls, stricter or looser.
///
/// Neither tells what callers would have done differently. A refused caller comes again, or waits.
///
/// | count | `beside` | `instead` |
/// |---|---|---|
/// | [`only_candidate_refused`](ShadowStats::only_candidate_refused) | calls that the addition would refuse | calls that the replacement would refuse and the live limit admits |
/// | [`only_live_refused`](ShadowStats::only_live_refused) | refusals that the candidate has no part in, an upper bound of what a looser limit gains | calls that the replacement would admit and the live limit refuses |
///
/// # Details
///
/// * The candidate is decided at the same instant as the live limit, so both must read one clock or
///   clones of it.
/// * Peeks and queries ask the live limit, and are not counted. Neither are calls for 0 permits.
/// * An [`undo`](Limiter::undo) undoes both charges and takes the count back, because the call did
///   not happen. In a tuple, a call is counted here if all admit it, or if this limit refuses it. A
///   call that only another limit refuses is not counted.
/// * Calls wait at the live limit. A call that it admits after a wait is decided by the candidate
///   as of the same instant. If the candidate would have refused it at that instant, it would have
///   waited longer. A wait that ends in a refusal is counted once, as of its end.
/// * The two charges are not one atomic step. Concurrent calls may reach the candidate in another
///   order than the live limit, as they could if it were alone.
///
/// # Cost
///
/// A call takes two decisions and one counter on a cache line of the thread, so refused callers do
/// not contend at the counters. Counters take 2 KB, which several shadows can
/// [share](Self::counted_in). A limit without a shadow pays nothing.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use core::time::Duration;
/// use tidegate::{ManualClock, Quota, Shadow, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = |quota| TokenBucket::with_clock(quota, clock.clone());
/// let live = bucket(Quota::per_second(10).burst(10));
/// let limit = Shadow::beside(live, bucket(Quota::per_second(10).burst(4)));
///
/// // Bursts of 6 pass, and the candidate would have refused 2 of each.
/// for _ in 0..5 {
///     for _ in 0..6 {
///         assert!(limit.try_acquire(1).is_ok());
///     }
///     clock.advance(Duration::from_secs(1));
/// }
/// let stats = limit.stats();
/// assert_eq!((stats.both_admitted, stats.only_candidate_refused), (20, 10));
/// assert_eq!((stats.only_live_refused, stats.both_refused), (0, 0));
/// # }
/// ```
#[derive(Debug)]
pub struct Shadow<L, C> {
    live: L,
    candidate: C,
    counts: Arc<ShadowCounts>,
    candidate_charges: CandidateCharges,
}

/// Which calls the candidate is charged for, if it admits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CandidateCharges {
    Admitted,
    All,
}

/// What a live limit and its candidate decided about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the live limit may have refused the call"]
pub struct ShadowDecision {
    /// The decision that counts.
    pub live: Result<(), Denied>,
    /// What the candidate would have decided.
    pub candidate: Result<(), Denied>,
}

impl ShadowDecision {
    /// Returns whether one would have admitted the call and the other not.
    pub const fn differs(&self) -> bool {
        self.live.is_ok() != self.candidate.is_ok()
    }

    const fn outcome(&self) -> ShadowOutcome {
        ShadowOutcome::new(self.live.is_ok(), self.candidate.is_ok())
    }
}

impl<L, C> Shadow<L, C> {
    /// Tries `candidate` as an addition to `live`: it is charged for the calls that both admit.
    pub fn beside(live: L, candidate: C) -> Self {
        Self::new(live, candidate, CandidateCharges::Admitted)
    }

    /// Tries `candidate` as a replacement of `live`: it is charged for all calls that it admits.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use tidegate::{ManualClock, Quota, Shadow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = |burst| {
    ///     TokenBucket::with_clock(Quota::per_second(1).burst(burst), clock.clone())
    /// };
    /// // A looser limit: of 10 calls at once, 3 instead of 2 would pass.
    /// let limit = Shadow::instead(bucket(2), bucket(3));
    /// for _ in 0..10 {
    ///     _ = limit.try_acquire(1);
    /// }
    /// assert_eq!(limit.stats().admitted(), 2);
    /// assert_eq!(limit.stats().candidate_admitted(), 3);
    /// # }
    /// ```
    pub fn instead(live: L, candidate: C) -> Self {
        Self::new(live, candidate, CandidateCharges::All)
    }

    fn new(live: L, candidate: C, candidate_charges: CandidateCharges) -> Self {
        Self {
            live,
            candidate,
            counts: Arc::default(),
            candidate_charges,
        }
    }

    /// Counts in `counts`, which other shadows may count in as well.
    ///
    /// That suits a factory of a table, which makes a shadow for each key. The counts then outlive
    /// the keys, and are kept once. A key is evicted only when both of its limits are unused.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use std::sync::Arc;
    /// use tidegate::{Keyed, ManualClock, Quota, Shadow, ShadowCounts, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let counts = Arc::new(ShadowCounts::new());
    /// let shared = Arc::clone(&counts);
    /// let users = Keyed::new(move |_: &String| {
    ///     let bucket = |burst| {
    ///         TokenBucket::with_clock(Quota::per_second(1).burst(burst), clock.clone())
    ///     };
    ///     Shadow::beside(bucket(5), bucket(3)).counted_in(Arc::clone(&shared))
    /// });
    /// for user in ["alice", "bob"] {
    ///     for _ in 0..4 {
    ///         assert!(users.try_acquire(user, 1).is_ok());
    ///     }
    /// }
    /// assert_eq!(counts.stats().only_candidate_refused, 2); // one of each
    /// # }
    /// ```
    #[must_use]
    pub fn counted_in(mut self, counts: Arc<ShadowCounts>) -> Self {
        self.counts = counts;
        self
    }

    /// Returns the live limit.
    pub const fn live(&self) -> &L {
        &self.live
    }

    /// Returns the candidate.
    pub const fn candidate(&self) -> &C {
        &self.candidate
    }

    /// Returns the live limit and the candidate, for example to replace one by the other.
    pub fn into_parts(self) -> (L, C) {
        (self.live, self.candidate)
    }

    /// Returns the counts so far. They are read one after the other while other threads go on.
    pub fn stats(&self) -> ShadowStats {
        self.counts.stats()
    }

    /// Returns the counters, to read them elsewhere.
    pub const fn counts(&self) -> &Arc<ShadowCounts> {
        &self.counts
    }
}

impl<L: Limiter, C: Limiter<Clock = L::Clock>> Shadow<L, C> {
    /// Takes `n` permits of the live limit if they are available.
    ///
    /// # Errors
    ///
    /// That of the live limit.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        self.decide(n).live
    }

    /// Like [`try_acquire`](Self::try_acquire), but also returns what the candidate would have
    /// decided, for logs of the calls about which they differ.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use tidegate::{ManualClock, Quota, Shadow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = |burst| {
    ///     TokenBucket::with_clock(Quota::per_second(1).burst(burst), clock.clone())
    /// };
    /// let limit = Shadow::beside(bucket(2), bucket(1));
    /// assert!(!limit.decide(1).differs());
    /// let decision = limit.decide(1);
    /// assert!(decision.live.is_ok());
    /// assert_eq!(decision.candidate.unwrap_err().to_string(), "not yet: retry after 1s");
    /// # }
    /// ```
    #[inline]
    pub fn decide(&self, n: u64) -> ShadowDecision {
        self.decide_at(n, self.live.now())
    }

    /// [`decide`](Self::decide) as of `now`.
    #[inline]
    pub fn decide_at(&self, n: u64, now: Timestamp) -> ShadowDecision {
        let live = self.live.try_acquire_at(n, now);
        let is_charged = live.is_ok() || self.candidate_charges == CandidateCharges::All;
        let candidate = if is_charged {
            self.candidate.try_acquire_at(n, now)
        } else {
            self.candidate.peek_at(n, now)
        };
        let decision = ShadowDecision { live, candidate };
        if n > 0 {
            self.counts.add(decision.outcome());
        }
        decision
    }

    /// Returns `Ok` if the live limit would admit `n` permits now. Changes and counts nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.live.peek_at(n, self.live.now())
    }

    /// Returns how many permits the live limit has now.
    pub fn available(&self) -> u64 {
        self.live.available_at(self.live.now())
    }
}
