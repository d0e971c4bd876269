//! Compares each answer of the real bucket with an exact one, to which it applies the same calls.

use core::time::Duration;

use super::exact::{CallTime, ExactQuota, Moment, TatBounds};
use super::ledger::Ledger;

/// The effect of a charge that may be undone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChargeRecord {
    pub(crate) tokens: u64,
    /// The latest time observed before it.
    made: u64,
    before: TatBounds,
    after: TatBounds,
    /// [`BucketOracle::version`] before and after.
    versions: (u64, u64),
    /// Its number in the ledger, unless it charged nothing.
    entry: Option<usize>,
}

/// The exact bucket and the course of time.
#[derive(Debug)]
pub(crate) struct BucketOracle {
    pub(crate) exact: ExactQuota,
    tat: TatBounds,
    /// The latest time of any call. Steps back are measured from it.
    latest: u64,
    /// The latest time of a change. Later callers gain nothing from rounding.
    last_change: u64,
    /// Identifies the state: a new number after each change, the old one after an undo.
    version: u64,
    versions: u64,
    ledger: Ledger,
}

impl BucketOracle {
    pub(crate) fn new(exact: ExactQuota) -> Self {
        let origin = Moment::at(0);
        Self {
            exact,
            tat: TatBounds {
                low: origin,
                high: origin,
            },
            latest: 0,
            last_change: 0,
            version: 0,
            versions: 0,
            ledger: Ledger::default(),
        }
    }

    /// Reports whether `tat` is too late for the bucket's epoch to have raised it. The epoch is at
    /// least half a span behind `latest`.
    fn is_out_of_reach(&self, tat: Moment) -> bool {
        self.latest < self.exact.span
            || tat > Moment::at((self.latest - self.exact.span / 2).into())
    }

    /// Returns the time that a call at `now` uses: `now`, unless the clock stepped back too far.
    pub(crate) fn observe(&mut self, now: u64) -> CallTime {
        self.latest = self.latest.max(now);
        let is_near = self.latest < self.exact.span || now >= self.latest - self.exact.span / 2;
        CallTime {
            from: now,
            to: if is_near { now } else { self.latest },
        }
    }

    /// Asserts that an admission is not early, at the caller's time and at the latest change.
    pub(crate) fn assert_admissible(&self, n: u64, when: CallTime) {
        let Self { exact, tat, .. } = self;
        assert!(
            exact.admits(tat.low, n, self.not_early(when.to.into())),
            "early: {n} at {when:?}: {self:?}"
        );
        assert!(
            exact.admits(tat.low, n, when.to.max(self.last_change).into()),
            "early: {n} at {when:?} with a clamped clock: {self:?}"
        );
    }

    /// Asserts that a refusal is late by no more than documented.
    pub(crate) fn assert_refusable(&self, n: u64, when: CallTime) {
        if let Some(earlier) = self.not_late(when.from) {
            assert!(
                !self.exact.admits(self.tat.high, n, earlier),
                "late: {n} at {when:?}: {self:?}"
            );
        }
    }

    /// Asserts that `n` tokens are available after `wait`, and not a nanosecond sooner.
    pub(crate) fn assert_hint(&self, n: u64, when: CallTime, wait: Duration) {
        if wait.as_nanos() == u64::MAX.into() {
            // The wait is longer than any clock can measure.
            return;
        }
        let then = u128::from(when.from) + wait.as_nanos();
        assert!(
            self.exact.admits(self.tat.low, n, self.not_early(then)),
            "the hint {wait:?} for {n} at {when:?} is too short: {self:?}"
        );
        // Rounding adds up beyond the range of a clock.
        let sooner = u64::try_from(then)
            .ok()
            .and_then(|then| then.checked_sub(1));
        if let Some(sooner) = sooner.and_then(|sooner| self.not_late(sooner)) {
            assert!(
                !self.exact.admits(self.tat.high, n, sooner),
                "the hint {wait:?} for {n} at {when:?} is too long: {self:?}"
            );
        }
    }

    /// Asserts the queries: tokens available, tokens of debt, and whether the bucket is unused.
    pub(crate) fn assert_views(&self, available: u64, debt: u64, unused: bool, when: CallTime) {
        let Self { exact, tat, .. } = self;
        let soon = self.not_early(when.to.into());
        assert!(
            u128::from(available) <= exact.available(tat.low, soon),
            "{available} available at {when:?}: {self:?}"
        );
        assert!(
            u128::from(debt) >= exact.debt(tat.low, soon),
            "{debt} of debt at {when:?}: {self:?}"
        );
        assert!(
            !unused || tat.low <= Moment::at(soon),
            "unused at {when:?}: {self:?}"
        );
        let Some(before) = self.not_late(when.from) else {
            return;
        };
        assert!(
            u128::from(available) >= exact.available(tat.high, before),
            "{available} available at {when:?}: {self:?}"
        );
        assert!(
            u128::from(debt) <= exact.debt(tat.high, before),
            "{debt} of debt at {when:?}: {self:?}"
        );
        assert!(
            unused || tat.high > Moment::at(before),
            "used at {when:?}: {self:?}"
        );
    }

    /// Asserts that the wait for `n` is within, or beyond, the largest debt.
    pub(crate) fn assert_debt(&self, n: u64, when: CallTime, is_within: bool) {
        let Self { exact, tat, .. } = self;
        let slack = 2 * exact.grain;
        if is_within {
            assert!(exact.shortfall(tat.low, n, when.to) <= exact.max_debt + slack);
        } else {
            let most = exact.shortfall(tat.high, n, when.from);
            assert!(most.saturating_add(slack) > exact.max_debt);
        }
    }

    /// Returns the time at which an admission must not be early. A caller older than the last
    /// change can observe rounding of less than a grain.
    fn not_early(&self, nanos: u128) -> u128 {
        if nanos < self.last_change.into() {
            nanos + self.exact.grain_nanos()
        } else {
            nanos
        }
    }

    /// Returns the time at which an exact bucket must still refuse.
    fn not_late(&self, nanos: u64) -> Option<u128> {
        nanos.checked_sub(self.exact.lateness).map(u128::from)
    }

    fn change(&mut self, tat: TatBounds, when: CallTime) {
        self.tat = tat;
        self.last_change = self.last_change.max(when.to);
        self.versions += 1;
        self.version = self.versions;
    }

    /// Charges `n` that may be used now or as soon as they are available.
    pub(crate) fn charge(&mut self, n: u64, when: CallTime) -> ChargeRecord {
        let (before, version) = (self.tat, self.version);
        let mut entry = None;
        if n > 0 {
            let after = self.exact.charge(before, n, when);
            self.change(after, when);
            // Exact to a fraction of a nanosecond, finer than any clock.
            let usable = |tat: Moment, now: u64| {
                Moment::at(now.into()).max(self.exact.earlier(tat, self.exact.full))
            };
            let (from, to) = (usable(after.low, when.from), usable(after.high, when.to));
            entry = Some(self.ledger.admit(self.exact.tokens(n), from, to));
        }
        ChargeRecord {
            tokens: n,
            made: self.latest,
            before,
            after: self.tat,
            versions: (version, self.version),
            entry,
        }
    }

    pub(crate) fn debit(&mut self, n: u64, when: CallTime) {
        if n > 0 {
            self.change(self.exact.debit(self.tat, n, when), when);
        }
    }

    pub(crate) fn credit(&mut self, n: u64, when: CallTime) {
        self.return_to(self.exact.credit(self.tat, n, when), when);
    }

    pub(crate) fn reset(&mut self, when: CallTime) {
        self.return_to(self.exact.filled(when), when);
    }

    fn return_to(&mut self, tat: TatBounds, when: CallTime) {
        self.note_return(tat);
        self.change(tat, when);
    }

    fn note_return(&mut self, tat: TatBounds) {
        let returned = self.exact.between(tat.low, self.tat.high);
        let slack = 3 * self.exact.grain;
        self.ledger.give_back(returned.saturating_add(slack));
    }

    /// Reports whether the circle of 2^64 grains may have closed since the charge, so that the same
    /// word may encode another state. That takes at least 39 hours; an undo is for recent charges.
    pub(crate) const fn is_too_old(&self, charged: &ChargeRecord) -> bool {
        self.latest - charged.made > self.exact.span.saturating_mul(8)
    }

    /// Applies an undo that returned the whole charge or nothing.
    ///
    /// The whole charge may return only in the state that it left. Nothing may return only if the
    /// state has changed since.
    pub(crate) fn undo(&mut self, charged: &ChargeRecord, returned: u64) {
        let is_current = self.version == charged.versions.1;
        if returned == 0 {
            assert!(
                charged.tokens == 0 || !is_current || !self.is_out_of_reach(charged.after.low),
                "forfeited without a change: {charged:?}: {self:?}"
            );
            return;
        }
        assert_eq!(returned, charged.tokens);
        if let Some(entry) = charged.entry {
            self.ledger.undo(entry);
        }
        if is_current {
            self.tat = charged.before;
            self.version = charged.versions.0;
        } else {
            // A credit or a reset restored the state. The undo then also returns what was charged
            // since. Or the epoch reached exactly this state, and the bucket stays full.
            let slack = 3 * self.exact.grain;
            assert!(
                !self.is_out_of_reach(charged.after.low)
                    || self.exact.between(self.tat.high, charged.after.low) <= slack
                        && self.exact.between(charged.after.high, self.tat.low) <= slack,
                "undone in a different state: {charged:?}: {self:?}"
            );
            self.note_return(charged.before);
            let last_change = self.last_change;
            self.change(
                charged.before,
                CallTime {
                    from: last_change,
                    to: last_change,
                },
            );
        }
    }

    /// Asserts the bound over the whole run.
    pub(crate) fn assert_bound(&self) {
        self.ledger.assert_bound(&self.exact);
    }
}
