//! A candidate gate beside that of a layer, which refuses nothing.

use alloc::boxed::Box;
use core::fmt;

#[cfg(feature = "metrics")]
use metrics::Counter;

use super::gate::Gate;
use super::rejection::Reason;
use super::request_head::RequestHead;
use crate::shadow::{ShadowCounts, ShadowOutcome, ShadowStats};

/// A candidate and its counts.
pub(super) struct ShadowGate {
    decide: Box<DecideFn>,
    counts: ShadowCounts,
    /// Count requests, in the order of [`ShadowOutcome::ALL`]. Looked up at the first request, as
    /// those of the layer are.
    #[cfg(feature = "metrics")]
    counters: std::sync::OnceLock<[Counter; ShadowOutcome::ALL.len()]>,
}

/// Decides a request of this cost that the live gate admitted or not.
type DecideFn = dyn Fn(&RequestHead<'_>, u64, bool) -> Result<(), CandidateRefusal> + Send + Sync;

/// Why the candidate would have refused a request.
struct CandidateRefusal {
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "events tell it"))]
    why: Reason,
    /// The name of the gate that would have refused, if it has one.
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "events tell it"))]
    limit: Option<&'static str>,
}

impl ShadowGate {
    /// `charges_all`: the candidate is charged for all requests that it admits, not only for those
    /// that the live gate admits, too.
    pub(super) fn new(gate: impl Gate + Send + Sync + 'static, charges_all: bool) -> Self {
        let decide = move |request: &RequestHead<'_>, cost: u64, live_admits: bool| {
            let key = gate.find(request).map_err(|missing| CandidateRefusal {
                why: Reason::NoKey(missing.why),
                limit: missing.limit,
            })?;
            let Some(now) = gate.now(&key) else {
                return Ok(());
            };
            let decided = if live_admits || charges_all {
                gate.try_acquire_at(&key, cost, now)
            } else {
                gate.peek_at(&key, cost, now)
            };
            decided.map_err(|refusal| CandidateRefusal {
                why: Reason::Limited(refusal.denied),
                limit: refusal.snapshot.limit,
            })
        };
        Self {
            decide: Box::new(decide),
            counts: ShadowCounts::new(),
            #[cfg(feature = "metrics")]
            counters: std::sync::OnceLock::new(),
        }
    }

    pub(super) fn stats(&self) -> ShadowStats {
        self.counts.stats()
    }

    /// Decides a request after the live gate, and counts both decisions.
    #[cold]
    pub(super) fn observe(
        &self,
        layer: &str,
        request: &RequestHead<'_>,
        cost: u64,
        live_admits: bool,
    ) {
        // As in a shadow limit, free requests are not counted.
        if cost == 0 {
            return;
        }
        let decided = (self.decide)(request, cost, live_admits);
        let outcome = ShadowOutcome::new(live_admits, decided.is_ok());
        self.counts.add(outcome);
        #[cfg(feature = "metrics")]
        self.increment(layer, outcome);
        #[cfg(feature = "tracing")]
        if let (ShadowOutcome::OnlyCandidateRefused, Err(refusal)) = (outcome, &decided) {
            emit(layer, outcome, cost, refusal);
        }
        #[cfg(not(any(feature = "metrics", feature = "tracing")))]
        let _ = layer;
    }

    #[cfg(feature = "metrics")]
    fn increment(&self, layer: &str, outcome: ShadowOutcome) {
        let counters = self.counters.get_or_init(|| {
            ShadowOutcome::ALL.map(|outcome| {
                metrics::counter!(
                    "rate_limiter.shadow.requests",
                    "limiter" => alloc::string::String::from(layer),
                    "outcome" => outcome.name(),
                )
            })
        });
        counters[outcome as usize].increment(1);
    }
}

#[cfg(feature = "tracing")]
fn emit(layer: &str, outcome: ShadowOutcome, cost: u64, refusal: &CandidateRefusal) {
    let why = refusal.why;
    let (limit, outcome) = (refusal.limit.unwrap_or(layer), outcome.name());
    tracing::debug!(
        target: "tidegate",
        limiter = layer,
        limit,
        outcome,
        cost,
        %why,
        "a shadow limit would refuse",
    );
}

/// Omits the candidate, which is behind a closure.
impl fmt::Debug for ShadowGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowGate")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
