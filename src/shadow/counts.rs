//! Counts of what a live limit and its candidate decided.

use alloc::boxed::Box;
use core::{array, fmt};

use crossbeam_utils::CachePadded;

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
#[cfg(feature = "std")]
use crate::sync::thread_number;

/// How often a live limit and its candidate agreed and differed. Each decision is counted once.
///
/// | | the candidate would admit | the candidate would refuse |
/// |---|---|---|
/// | **the live limit admitted** | [`both_admitted`](Self::both_admitted) | [`only_candidate_refused`](Self::only_candidate_refused) |
/// | **the live limit refused** | [`only_live_refused`](Self::only_live_refused) | [`both_refused`](Self::both_refused) |
///
/// [`Shadow`](crate::Shadow) says how to read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowStats {
    /// Calls that both admitted.
    pub both_admitted: u64,
    /// Calls that the live limit admitted and the candidate would have refused: what a stricter
    /// limit costs.
    pub only_candidate_refused: u64,
    /// Calls that the live limit refused and the candidate would have admitted: what a looser limit
    /// gains.
    pub only_live_refused: u64,
    /// Calls that both refused.
    pub both_refused: u64,
}

impl ShadowStats {
    /// Returns the number of calls.
    pub const fn calls(&self) -> u64 {
        self.admitted().saturating_add(self.refused())
    }

    /// Returns how many calls the live limit admitted.
    pub const fn admitted(&self) -> u64 {
        self.both_admitted
            .saturating_add(self.only_candidate_refused)
    }

    /// Returns how many calls the live limit refused.
    pub const fn refused(&self) -> u64 {
        self.only_live_refused.saturating_add(self.both_refused)
    }

    /// Returns how many calls the candidate would have admitted.
    pub const fn candidate_admitted(&self) -> u64 {
        self.both_admitted.saturating_add(self.only_live_refused)
    }

    /// Returns how many calls the candidate would have refused.
    pub const fn candidate_refused(&self) -> u64 {
        self.only_candidate_refused
            .saturating_add(self.both_refused)
    }
}

#[cfg(feature = "metrics")]
impl ShadowStats {
    /// Sets the metrics of the limiter with the name `limiter`. Call it before you show them, or
    /// every few seconds.
    ///
    /// The counter `rate_limiter.shadow.requests` has the labels `limiter` and `outcome`:
    /// `allowed`, `shadow_denied` (only the candidate refused), `live_denied` (only the live limit
    /// refused), or `denied` (both).
    pub fn publish(&self, limiter: &str) {
        let counts = [
            self.both_admitted,
            self.only_candidate_refused,
            self.only_live_refused,
            self.both_refused,
        ];
        for (outcome, count) in ShadowOutcome::ALL.into_iter().zip(counts) {
            metrics::counter!(
                "rate_limiter.shadow.requests",
                "limiter" => alloc::string::String::from(limiter),
                "outcome" => outcome.name(),
            )
            .absolute(count);
        }
    }
}

/// What the two decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShadowOutcome {
    BothAdmitted,
    OnlyCandidateRefused,
    OnlyLiveRefused,
    BothRefused,
}

impl ShadowOutcome {
    pub(crate) const ALL: [Self; 4] = [
        Self::BothAdmitted,
        Self::OnlyCandidateRefused,
        Self::OnlyLiveRefused,
        Self::BothRefused,
    ];

    #[inline]
    pub(crate) const fn new(live_admits: bool, candidate_admits: bool) -> Self {
        match (live_admits, candidate_admits) {
            (true, true) => Self::BothAdmitted,
            (true, false) => Self::OnlyCandidateRefused,
            (false, true) => Self::OnlyLiveRefused,
            (false, false) => Self::BothRefused,
        }
    }

    /// The name in metrics and events.
    #[cfg(any(feature = "metrics", all(feature = "tower", feature = "tracing")))]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BothAdmitted => "allowed",
            Self::OnlyCandidateRefused => "shadow_denied",
            Self::OnlyLiveRefused => "live_denied",
            Self::BothRefused => "denied",
        }
    }
}

/// The counters of one or more shadow limits, which may share them behind an `Arc`: see
/// [`Shadow::counted_in`](crate::Shadow::counted_in).
///
/// Threads count on cache lines of their own, so that refused callers do not slow each other down.
/// The counters take 2 KB. Without the feature `std` there is one line for all.
pub struct ShadowCounts(Box<[CachePadded<StripeCounts>; STRIPES]>);

/// As many threads that count at the same time share no line, if they were started one after the
/// other.
const STRIPES: usize = if cfg!(feature = "std") { 16 } else { 1 };

/// In the order of [`ShadowOutcome::ALL`]. Every access is Relaxed, because the counts guard no
/// other memory.
struct StripeCounts([AtomicU64; ShadowOutcome::ALL.len()]);

/// Where a call was counted, so that an undo can take it back there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    stripe: u8,
    outcome: ShadowOutcome,
}

impl ShadowCounts {
    /// Creates counters at 0.
    pub fn new() -> Self {
        Self(Box::new(array::from_fn(|_| {
            CachePadded::new(StripeCounts(array::from_fn(|_| AtomicU64::new(0))))
        })))
    }

    #[inline]
    pub(crate) fn add(&self, outcome: ShadowOutcome) {
        self.count(outcome);
    }

    #[inline]
    pub(super) fn count(&self, outcome: ShadowOutcome) -> Counted {
        let stripe = stripe();
        // Relaxed: see the type. A count of calls cannot reach 2⁶⁴.
        self.0[stripe].0[outcome as usize].fetch_add(1, Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "there are 16 stripes")]
        Counted {
            stripe: stripe as u8,
            outcome,
        }
    }

    /// Takes back what was counted for a call that was undone.
    pub(super) fn uncount(&self, counted: Counted) {
        let stripe = &self.0[usize::from(counted.stripe)];
        // Relaxed: see the type. The count is at least 1, because the call was counted in it, and a
        // word has one modification order.
        stripe.0[counted.outcome as usize].fetch_sub(1, Relaxed);
    }

    /// Returns the counts so far. They are read one after the other while other threads go on.
    pub fn stats(&self) -> ShadowStats {
        let sum = |outcome: ShadowOutcome| {
            // Relaxed: see the type.
            let counts = self.0.iter().map(|it| it.0[outcome as usize].load(Relaxed));
            counts.fold(0, u64::saturating_add)
        };
        ShadowStats {
            both_admitted: sum(ShadowOutcome::BothAdmitted),
            only_candidate_refused: sum(ShadowOutcome::OnlyCandidateRefused),
            only_live_refused: sum(ShadowOutcome::OnlyLiveRefused),
            both_refused: sum(ShadowOutcome::BothRefused),
        }
    }
}

#[cfg(feature = "std")]
#[inline]
fn stripe() -> usize {
    thread_number() % STRIPES
}

#[cfg(not(feature = "std"))]
#[inline]
const fn stripe() -> usize {
    0
}

impl Default for ShadowCounts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ShadowCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShadowCounts").field(&self.stats()).finish()
    }
}
