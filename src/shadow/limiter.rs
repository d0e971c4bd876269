//! A shadow limit as a limiter, and as a place to wait at.

use core::time::Duration;

use super::counts::{Counted, ShadowCounts, ShadowOutcome};
use super::{CandidateCharges, Shadow};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A charge of a live limit, and that of its candidate.
#[derive(Debug)]
pub struct ShadowCharge<L, C> {
    live: L,
    /// `None` if the candidate would have refused the call.
    candidate: Option<C>,
    /// `None` for a call that was not counted.
    counted: Option<Counted>,
}

impl<L, C> ShadowCharge<L, C> {
    #[inline]
    pub(super) const fn new(live: L, candidate: Option<C>, counted: Option<Counted>) -> Self {
        Self {
            live,
            candidate,
            counted,
        }
    }

    /// The charge of the live limit, and that of a candidate which has admitted.
    pub(super) fn into_parts(self) -> (Option<L>, Option<C>) {
        (Some(self.live), self.candidate)
    }

    /// Undoes both charges, and takes back the count. Returns what the live limit got back.
    pub(super) fn undo(
        self,
        counts: &ShadowCounts,
        undo_candidate: impl FnOnce(C) -> u64,
        undo_live: impl FnOnce(L) -> u64,
    ) -> u64 {
        if let Some(counted) = self.counted {
            counts.uncount(counted);
        }
        // In reverse order, as a limiter that is both needs it.
        self.candidate.map(undo_candidate);
        undo_live(self.live)
    }
}

impl<L, C> sealed::Sealed for Shadow<L, C> {}

impl<L: Limiter, C: Limiter<Clock = L::Clock>> sealed::Internals for Shadow<L, C> {
    fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
        self.live.snapshot_for_at(n, now)
    }

    fn give_back_at(&self, n: u64, now: Timestamp) {
        self.live.give_back_at(n, now);
    }

    fn take_at(&self, n: u64, now: Timestamp) {
        self.live.take_at(n, now);
    }

    fn has_several_limits(&self) -> bool {
        self.live.has_several_limits()
    }

    fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        self.live.each_snapshot_at(now, each);
    }

    fn record_peeked_refusal_at(&self, n: u64, now: Timestamp) {
        self.live.record_peeked_refusal_at(n, now);
        if n > 0 && self.live.peek_at(n, now).is_err() {
            let candidate = match self.candidate_charges {
                CandidateCharges::Admitted => self.candidate.peek_at(n, now),
                CandidateCharges::All => self.candidate.try_acquire_at(n, now),
            };
            self.counts
                .add(ShadowOutcome::new(false, candidate.is_ok()));
        }
    }
}

/// All queries are those of the live limit.
impl<L: Limiter, C: Limiter<Clock = L::Clock>> Limiter for Shadow<L, C> {
    type Clock = L::Clock;
    type Charge = ShadowCharge<L::Charge, C::Charge>;

    fn clock(&self) -> &L::Clock {
        self.live.clock()
    }

    fn capacity(&self) -> u64 {
        self.live.capacity()
    }

    #[inline]
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.live.peek_at(n, now)
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.decide_at(n, now).live
    }

    #[inline]
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
        let count = |outcome| (n > 0).then(|| self.counts.count(outcome));
        match self.live.charge_at(n, now) {
            Ok(live) => {
                let candidate = self.candidate.charge_at(n, now).ok();
                let counted = count(ShadowOutcome::new(true, candidate.is_some()));
                Ok(ShadowCharge::new(live, candidate, counted))
            }
            Err(denied) => {
                let candidate = match self.candidate_charges {
                    CandidateCharges::Admitted => self.candidate.peek_at(n, now),
                    CandidateCharges::All => self.candidate.try_acquire_at(n, now),
                };
                count(ShadowOutcome::new(false, candidate.is_ok()));
                Err(denied)
            }
        }
    }

    /// Undoes both charges, and takes back the count. Returns what the live limit got back.
    fn undo(&self, charge: Self::Charge) -> u64 {
        charge.undo(
            &self.counts,
            |candidate| self.candidate.undo(candidate),
            |live| self.live.undo(live),
        )
    }

    /// A candidate is settled if it was charged.
    fn settle_at(&self, charge: Option<Self::Charge>, charged: u64, used: u64, now: Timestamp) {
        let (live, candidate) = charge.map_or((None, None), ShadowCharge::into_parts);
        self.live.settle_at(live, charged, used, now);
        if charged == 0 || candidate.is_some() {
            self.candidate.settle_at(candidate, charged, used, now);
        }
    }

    #[inline]
    fn available_at(&self, now: Timestamp) -> u64 {
        self.live.available_at(now)
    }

    #[inline]
    fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        self.live.wait_time_at(n, now)
    }

    fn refill_time(&self) -> Duration {
        self.live.refill_time()
    }

    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        self.live.snapshot_at(now)
    }

    /// Whether both are unused, so that a table that evicts the pair forgets nothing.
    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.live.is_unused_at(now) && self.candidate.is_unused_at(now)
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
mod waits {
    use super::{CandidateCharges, Limiter, Shadow, ShadowCharge, ShadowOutcome};
    use crate::denied::Denied;
    use crate::sync::WaitQueue;
    use crate::time::Timestamp;
    use crate::wait::sealed::Waits;
    use crate::wait::{Acquire, Hold, Instants, MemberWaits};

    impl<L, C> Shadow<L, C>
    where
        L: Waits,
        C: Waits<Clock = L::Clock>,
    {
        /// Waits for `n` permits of the live limit, in order of arrival: await the result, or let
        /// the thread [`wait`](Acquire::wait).
        ///
        /// # Errors
        ///
        /// As [`Acquire::wait`].
        ///
        /// # Cancel safety
        ///
        /// See [`Acquire`]. A wait that is dropped is not counted.
        ///
        /// ```
        /// use core::time::Duration;
        /// use tidegate::{ManualClock, Quota, Shadow, TokenBucket};
        ///
        /// let clock = ManualClock::new();
        /// let bucket = |rate| {
        ///     TokenBucket::with_clock(Quota::per_second(rate).burst(1), clock.clone())
        /// };
        /// let limit = Shadow::beside(bucket(10), bucket(5));
        /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
        /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        /// runtime.block_on(async {
        ///     for _ in 0..4 {
        ///         limit.acquire(1).timer(timer).await?;
        ///     }
        ///     Ok::<(), tidegate::Denied>(())
        /// })?;
        /// // At the candidate, every other call would have waited longer.
        /// assert_eq!(limit.stats().only_candidate_refused, 2);
        /// # Ok::<(), tidegate::Denied>(())
        /// ```
        pub const fn acquire(&self, n: u64) -> Acquire<&Self> {
            Acquire::new(self, n)
        }
    }

    /// Calls wait at the live limit. The candidate decides those that it admits.
    impl<L, C> Waits for Shadow<L, C>
    where
        L: Waits,
        C: Waits<Clock = L::Clock>,
    {
        type Clock = L::Clock;
        type Demand = L::Demand;
        type Place = L::Place;

        fn wait_clock(&self) -> &L::Clock {
            self.live.wait_clock()
        }

        fn max_permits(&self) -> u64 {
            self.live.max_permits()
        }

        fn demand(&self, n: u64) -> L::Demand {
            self.live.demand(n)
        }

        #[inline]
        fn is_busy(&self) -> bool {
            self.live.is_busy()
        }

        fn queued(&self) -> L::Demand {
            self.live.queued()
        }

        fn enter(&self) -> Option<L::Place> {
            self.live.enter()
        }

        fn queue<'a>(&'a self, place: &'a L::Place) -> &'a WaitQueue<L::Demand> {
            self.live.queue(place)
        }

        fn exit(&self, place: L::Place) {
            self.live.exit(place);
        }

        #[inline]
        fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
            self.live.attempt(n, at)?;
            let candidate = self.candidate.attempt(n, at);
            self.counts.add(ShadowOutcome::new(true, candidate.is_ok()));
            Ok(())
        }

        fn refusal(&self, ahead: L::Demand, n: u64, now: Timestamp) -> Option<Denied> {
            self.live.refusal(ahead, n, now)
        }

        fn hold(&self, refusal: &Denied, now: Timestamp) -> Hold {
            self.live.hold(refusal, now)
        }

        fn refused(&self, n: u64, now: Timestamp) {
            self.live.refused(n, now);
            let at = Instants::as_of(now);
            let admits = match self.candidate_charges {
                CandidateCharges::Admitted => {
                    let nothing = self.candidate.demand(0);
                    self.candidate.refusal(nothing, n, now).is_none()
                }
                CandidateCharges::All => self.candidate.attempt(n, at).is_ok(),
            };
            self.counts.add(ShadowOutcome::new(false, admits));
        }
    }

    /// In a tuple, the candidate is charged with the live limit, and undone with it.
    impl<L, C> MemberWaits for Shadow<L, C>
    where
        L: MemberWaits,
        C: MemberWaits
            + Limiter<Clock = <L as Limiter>::Clock>
            + Waits<Clock = <L as Waits>::Clock>,
    {
        fn charge_as_of(&self, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
            let live = self.live.charge_as_of(n, at)?;
            let candidate = self.candidate.charge_as_of(n, at).ok();
            let counted = self
                .counts
                .count(ShadowOutcome::new(true, candidate.is_some()));
            Ok(ShadowCharge::new(live, candidate, Some(counted)))
        }

        fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
            self.live.hold_as_of(n, at)
        }
    }
}
