//! A table of candidates beside a live table.

use alloc::sync::Arc;
use core::time::Duration;

use super::counts::{ShadowCounts, ShadowOutcome, ShadowStats};
use super::limiter::ShadowCharge;
use super::{CandidateCharges, ShadowDecision};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::{KeyView, KeyedLimiter, Table};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A live table of limits, and a table of candidates that is tried beside it, key by key.
///
/// It is a table itself, for `PerKey` gates and for waits.
/// [`Shadow`](crate::Shadow) explains what is counted. Both tables must read one clock or clones of
/// it, and have the same keys: the tables may be of different kinds.
///
/// To list the keys that the candidates refuse, make the candidates a
/// `TrackDenied`.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{FixedKeyed, KeyedShadow, ManualClock, Quota, TrackDenied};
///
/// let clock = ManualClock::new();
/// let table = |quota| FixedKeyed::with_clock(quota, 1_000, clock.clone());
/// let candidates = TrackDenied::new(table(Quota::per_minute(3)), 100);
/// let users = KeyedShadow::beside(table(Quota::per_minute(10)), candidates);
/// for _ in 0..5 {
///     assert!(users.try_acquire("alice", 1).is_ok());
/// }
/// assert!(users.try_acquire("bob", 1).is_ok());
///
/// let stats = users.stats();
/// assert_eq!((stats.both_admitted, stats.only_candidate_refused), (4, 2));
/// let top = users.candidates().most_denied().top(10);
/// assert_eq!((top.keys.len(), top.keys[0].key.as_str()), (1, "alice"));
/// # }
/// ```
#[derive(Debug)]
pub struct KeyedShadow<L, C> {
    live: L,
    candidates: C,
    counts: Arc<ShadowCounts>,
    candidate_charges: CandidateCharges,
}

impl<L, C> KeyedShadow<L, C> {
    /// Tries `candidates` as additions to `live`: they are charged for the calls that both admit.
    pub fn beside(live: L, candidates: C) -> Self {
        Self::new(live, candidates, CandidateCharges::Admitted)
    }

    /// Tries `candidates` as replacements of `live`: they are charged for all calls that they
    /// admit.
    pub fn instead(live: L, candidates: C) -> Self {
        Self::new(live, candidates, CandidateCharges::All)
    }

    fn new(live: L, candidates: C, candidate_charges: CandidateCharges) -> Self {
        Self {
            live,
            candidates,
            counts: Arc::default(),
            candidate_charges,
        }
    }

    /// Counts in `counts`, which other shadows may count in as well.
    #[must_use]
    pub fn counted_in(mut self, counts: Arc<ShadowCounts>) -> Self {
        self.counts = counts;
        self
    }

    /// Returns the live table.
    pub const fn live(&self) -> &L {
        &self.live
    }

    /// Returns the table of candidates.
    pub const fn candidates(&self) -> &C {
        &self.candidates
    }

    /// Returns the live table and that of the candidates, for example to replace one by the other.
    pub fn into_parts(self) -> (L, C) {
        (self.live, self.candidates)
    }

    /// Returns the counts of all keys so far.
    pub fn stats(&self) -> ShadowStats {
        self.counts.stats()
    }

    /// Returns the counters, to read them elsewhere.
    pub const fn counts(&self) -> &Arc<ShadowCounts> {
        &self.counts
    }

    /// Returns one key as a limiter: that of the live table, with its candidate beside it.
    pub const fn at<'a, Q: ?Sized>(&'a self, key: &'a Q) -> KeyView<&'a Self, &'a Q> {
        KeyView::new(self, key)
    }

    /// Takes `n` permits of the key's live limit if they are available.
    ///
    /// # Errors
    ///
    /// That of the live table.
    pub fn try_acquire<Q: ?Sized>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        L: KeyedLimiter<Q>,
        C: KeyedLimiter<Q, Clock = L::Clock>,
    {
        self.decide(key, n).live
    }

    /// Like [`try_acquire`](Self::try_acquire), but also returns what the candidate would have
    /// decided.
    pub fn decide<Q: ?Sized>(&self, key: &Q, n: u64) -> ShadowDecision
    where
        L: KeyedLimiter<Q>,
        C: KeyedLimiter<Q, Clock = L::Clock>,
    {
        self.decide_at(key, n, self.live.clock_for(key).now())
    }

    /// [`decide`](Self::decide) as of `now`.
    pub fn decide_at<Q: ?Sized>(&self, key: &Q, n: u64, now: Timestamp) -> ShadowDecision
    where
        L: KeyedLimiter<Q>,
        C: KeyedLimiter<Q, Clock = L::Clock>,
    {
        let live = self.live.try_acquire_for(key, n, now);
        let candidate = self.decide_candidate(live.is_ok(), key, n, now);
        let decision = ShadowDecision { live, candidate };
        if n > 0 {
            self.counts.add(decision.outcome());
        }
        decision
    }

    fn decide_candidate<Q: ?Sized>(
        &self,
        live_admits: bool,
        key: &Q,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        C: KeyedLimiter<Q>,
    {
        if live_admits || self.candidate_charges == CandidateCharges::All {
            self.candidates.try_acquire_for(key, n, now)
        } else {
            self.candidates.peek_for(key, n, now)
        }
    }
}

/// All queries are those of the live table.
impl<Q, L, C> Table<Q> for KeyedShadow<L, C>
where
    Q: ?Sized,
    L: KeyedLimiter<Q>,
    C: KeyedLimiter<Q, Clock = L::Clock>,
{
    type Clock = L::Clock;
    type Charge = ShadowCharge<L::Charge, C::Charge>;

    fn clock_for(&self, key: &Q) -> &L::Clock {
        self.live.clock_for(key)
    }

    fn capacity_for(&self, key: &Q) -> u64 {
        self.live.capacity_for(key)
    }

    #[inline]
    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.live.peek_for(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.decide_at(key, n, now).live
    }

    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
        let count = |outcome| (n > 0).then(|| self.counts.count(outcome));
        match self.live.charge_for(key, n, now) {
            Ok(live) => {
                let candidate = self.candidates.charge_for(key, n, now).ok();
                let counted = count(ShadowOutcome::new(true, candidate.is_some()));
                Ok(ShadowCharge::new(live, candidate, counted))
            }
            Err(denied) => {
                let candidate = self.decide_candidate(false, key, n, now);
                count(ShadowOutcome::new(false, candidate.is_ok()));
                Err(denied)
            }
        }
    }

    fn undo_for(&self, key: &Q, charge: Self::Charge) -> u64 {
        charge.undo(
            &self.counts,
            |candidate| self.candidates.undo_for(key, candidate),
            |live| self.live.undo_for(key, live),
        )
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.live.available_for(key, now)
    }

    fn refill_time_for(&self, key: &Q) -> Duration {
        self.live.refill_time_for(key)
    }

    fn settle_for(
        &self,
        key: &Q,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        let (live, candidate) = charge.map_or((None, None), ShadowCharge::into_parts);
        self.live.settle_for(key, live, charged, used, now);
        if charged == 0 || candidate.is_some() {
            self.candidates
                .settle_for(key, candidate, charged, used, now);
        }
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.live.give_back_for(key, n, now);
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.live.take_for(key, n, now);
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.live.snapshot_for(key, now)
    }

    fn has_several_limits(&self) -> bool {
        self.live.has_several_limits()
    }

    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        self.live.each_snapshot_for(key, now, each);
    }

    fn snapshot_of_refusal_for(&self, key: &Q, n: u64, now: Timestamp) -> Snapshot {
        self.live.snapshot_of_refusal_for(key, n, now)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        self.live.is_unused_for(key, now) && self.candidates.is_unused_for(key, now)
    }

    fn record_peeked_refusal_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.live.record_peeked_refusal_for(key, n, now);
        if n > 0 && self.live.peek_for(key, n, now).is_err() {
            let candidate = self.decide_candidate(false, key, n, now);
            self.counts
                .add(ShadowOutcome::new(false, candidate.is_ok()));
        }
    }
}

#[cfg(feature = "std")]
mod waits {
    use super::{CandidateCharges, KeyedShadow, ShadowCharge, ShadowOutcome, Table};
    use crate::denied::Denied;
    use crate::keyed::{KeyView, Place, WaitTable};
    use crate::time::Timestamp;
    use crate::wait::{Acquire, Hold, Instants};

    impl<L, C> KeyedShadow<L, C> {
        /// Waits for `n` permits of the key's live limit, in order of arrival at this key.
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
        /// use tidegate::{FixedKeyed, KeyedShadow, ManualClock, Quota};
        ///
        /// let clock = ManualClock::new();
        /// let table = |quota| FixedKeyed::with_clock(quota, 1_000, clock.clone());
        /// let (live, candidates) = (table(Quota::per_minute(2)), table(Quota::per_minute(1)));
        /// let users = KeyedShadow::beside(live, candidates);
        /// users.acquire("alice", 1).wait()?; // in async code: `users.acquire("alice", 1).await?`
        /// users.acquire("alice", 1).wait()?;
        /// assert_eq!(users.stats().only_candidate_refused, 1);
        /// # Ok::<(), tidegate::Denied>(())
        /// ```
        pub const fn acquire<'a, Q>(
            &'a self,
            key: &'a Q,
            n: u64,
        ) -> Acquire<KeyView<&'a Self, &'a Q>>
        where
            Q: ?Sized,
            L: WaitTable<Q>,
            C: WaitTable<Q, Clock = <L as Table<Q>>::Clock>,
        {
            Acquire::new(self.at(key), n)
        }
    }

    /// Calls wait at the live table. The candidates decide those that it admits.
    impl<Q, L, C> WaitTable<Q> for KeyedShadow<L, C>
    where
        Q: ?Sized,
        L: WaitTable<Q>,
        C: WaitTable<Q, Clock = <L as Table<Q>>::Clock>,
    {
        fn max_permits_for(&self, key: &Q) -> u64 {
            self.live.max_permits_for(key)
        }

        #[inline]
        fn waiting_for(&self, key: &Q) -> u64 {
            self.live.waiting_for(key)
        }

        fn queued(&self, key: &Q) -> u128 {
            self.live.queued(key)
        }

        fn enter(&self, key: &Q) -> Option<Place> {
            self.live.enter(key)
        }

        fn exit(&self, place: Place) {
            self.live.exit(place);
        }

        fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
            self.live.attempt(key, n, at)?;
            let candidate = self.candidates.attempt(key, n, at);
            if candidate.is_err() {
                self.candidates.refused(key, n, at.now);
            }
            self.counts.add(ShadowOutcome::new(true, candidate.is_ok()));
            Ok(())
        }

        fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
            let live = self.live.charge_as_of(key, n, at)?;
            let candidate = self.candidates.charge_as_of(key, n, at).ok();
            if candidate.is_none() {
                self.candidates.refused(key, n, at.now);
            }
            let counted = self
                .counts
                .count(ShadowOutcome::new(true, candidate.is_some()));
            Ok(ShadowCharge::new(live, candidate, Some(counted)))
        }

        fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
            self.live.hold_as_of(key, n, at)
        }

        fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
            self.live.refusal(key, ahead, n, now)
        }

        fn refused(&self, key: &Q, n: u64, now: Timestamp) {
            self.live.refused(key, n, now);
            let admits = match self.candidate_charges {
                CandidateCharges::Admitted => self.candidates.peek_for(key, n, now).is_ok(),
                CandidateCharges::All => self.candidates.try_acquire_for(key, n, now).is_ok(),
            };
            self.counts.add(ShadowOutcome::new(false, admits));
        }
    }
}
