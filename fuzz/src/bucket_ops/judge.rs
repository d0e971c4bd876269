//! What the ideal bucket says to each answer of the real one. It is charged with what the real one admitted.

use std::time::Duration;

use super::ideal::{Ideal, Moment, Tat, When};
use super::ledger::Ledger;

/// A charge that may be taken back: what it did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charged {
    pub(crate) tokens: u64,
    /// The latest instant that had been seen.
    made: u64,
    before: Tat,
    after: Tat,
    /// [`Judge::version`] before and after.
    versions: (u64, u64),
    /// Its number in the ledger, if anything was charged.
    entry: Option<usize>,
}

/// The ideal bucket and the course of time.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) ideal: Ideal,
    tat: Tat,
    /// The latest instant that was seen at all, which is what a step back is measured from.
    latest: u64,
    /// The latest instant at which something was changed: from here on there is no rounding in the caller's favour.
    settled: u64,
    /// Names the state: a new number after each change, the old one after an undo.
    version: u64,
    versions: u64,
    ledger: Ledger,
}

impl Judge {
    pub(crate) fn new(ideal: Ideal) -> Self {
        let origin = Moment::at(0);
        Self {
            ideal,
            tat: Tat {
                low: origin,
                high: origin,
            },
            latest: 0,
            settled: 0,
            version: 0,
            versions: 0,
            ledger: Ledger::default(),
        }
    }

    /// Whether raising the bucket's mark for `latest` could have reached a TAT. The mark is at least half a span behind.
    fn is_out_of_reach(&self, tat: Moment) -> bool {
        self.latest < self.ideal.span
            || tat > Moment::at((self.latest - self.ideal.span / 2).into())
    }

    /// The instant as of which a call at `now` is judged: `now`, unless the clock has stepped back too far.
    pub(crate) fn observe(&mut self, now: u64) -> When {
        self.latest = self.latest.max(now);
        let is_near = self.latest < self.ideal.span || now >= self.latest - self.ideal.span / 2;
        When {
            from: now,
            to: if is_near { now } else { self.latest },
        }
    }

    /// Never early: neither at the caller's own instant, nor at the latest at which anybody was charged.
    pub(crate) fn assert_admissible(&self, n: u64, when: When) {
        let Self { ideal, tat, .. } = self;
        assert!(
            ideal.admits(tat.low, n, self.not_early(when.to.into())),
            "early: {n} at {when:?}: {self:?}"
        );
        assert!(
            ideal.admits(tat.low, n, when.to.max(self.settled).into()),
            "early: {n} at {when:?} for a clock that stands still: {self:?}"
        );
    }

    /// Late at the most as documented.
    pub(crate) fn assert_refusable(&self, n: u64, when: When) {
        if let Some(earlier) = self.not_late(when.from) {
            assert!(
                !self.ideal.admits(self.tat.high, n, earlier),
                "late: {n} at {when:?}: {self:?}"
            );
        }
    }

    /// `n` tokens are there after the wait, and not a nanosecond sooner.
    pub(crate) fn assert_hint(&self, n: u64, when: When, wait: Duration) {
        if wait.as_nanos() == u64::MAX.into() {
            // As far as a clock can tell: never.
            return;
        }
        let then = u128::from(when.from) + wait.as_nanos();
        assert!(
            self.ideal.admits(self.tat.low, n, self.not_early(then)),
            "the hint {wait:?} for {n} at {when:?} is too short: {self:?}"
        );
        // Beyond its range a clock's rounding adds up.
        let sooner = u64::try_from(then)
            .ok()
            .and_then(|then| then.checked_sub(1));
        if let Some(sooner) = sooner.and_then(|sooner| self.not_late(sooner)) {
            assert!(
                !self.ideal.admits(self.tat.high, n, sooner),
                "the hint {wait:?} for {n} at {when:?} is too long: {self:?}"
            );
        }
    }

    /// What is only asked: tokens there, tokens owed, and whether the bucket is as good as new.
    pub(crate) fn assert_views(&self, available: u64, owed: u64, unused: bool, when: When) {
        let Self { ideal, tat, .. } = self;
        let soon = self.not_early(when.to.into());
        assert!(
            u128::from(available) <= ideal.available(tat.low, soon),
            "{available} available at {when:?}: {self:?}"
        );
        assert!(
            u128::from(owed) >= ideal.owed(tat.low, soon),
            "{owed} owed at {when:?}: {self:?}"
        );
        assert!(
            !unused || tat.low <= Moment::at(soon),
            "unused at {when:?}: {self:?}"
        );
        let Some(before) = self.not_late(when.from) else {
            return;
        };
        assert!(
            u128::from(available) >= ideal.available(tat.high, before),
            "{available} available at {when:?}: {self:?}"
        );
        assert!(
            u128::from(owed) <= ideal.owed(tat.high, before),
            "{owed} owed at {when:?}: {self:?}"
        );
        assert!(
            unused || tat.high > Moment::at(before),
            "used at {when:?}: {self:?}"
        );
    }

    /// Whether the wait for `n` is within, or beyond, the debt that the bucket can hold.
    pub(crate) fn assert_debt(&self, n: u64, when: When, is_within: bool) {
        let Self { ideal, tat, .. } = self;
        let slack = 2 * ideal.grain;
        if is_within {
            assert!(ideal.shortfall(tat.low, n, when.to) <= ideal.debt + slack);
        } else {
            let most = ideal.shortfall(tat.high, n, when.from);
            assert!(most.saturating_add(slack) > ideal.debt);
        }
    }

    /// An older caller can see the rounding: less than a grain.
    fn not_early(&self, nanos: u128) -> u128 {
        if nanos < self.settled.into() {
            nanos + self.ideal.grain_nanos()
        } else {
            nanos
        }
    }

    fn not_late(&self, nanos: u64) -> Option<u128> {
        nanos.checked_sub(self.ideal.lateness).map(u128::from)
    }

    fn change(&mut self, tat: Tat, when: When) {
        self.tat = tat;
        self.settled = self.settled.max(when.to);
        self.versions += 1;
        self.version = self.versions;
    }

    /// Charges `n` that may be used now, or as soon as they are there.
    pub(crate) fn charge(&mut self, n: u64, when: When) -> Charged {
        let (before, version) = (self.tat, self.version);
        let mut entry = None;
        if n > 0 {
            let after = self.ideal.charge(before, n, when);
            self.change(after, when);
            // To a fraction of a nanosecond, which a clock cannot show.
            let usable = |tat: Moment, now: u64| {
                Moment::at(now.into()).max(self.ideal.earlier(tat, self.ideal.full))
            };
            let (from, to) = (usable(after.low, when.from), usable(after.high, when.to));
            entry = Some(self.ledger.admit(self.ideal.tokens(n), from, to));
        }
        Charged {
            tokens: n,
            made: self.latest,
            before,
            after: self.tat,
            versions: (version, self.version),
            entry,
        }
    }

    pub(crate) fn debit(&mut self, n: u64, when: When) {
        if n > 0 {
            self.change(self.ideal.debit(self.tat, n, when), when);
        }
    }

    pub(crate) fn credit(&mut self, n: u64, when: When) {
        self.return_to(self.ideal.credit(self.tat, n, when), when);
    }

    pub(crate) fn reset(&mut self, when: When) {
        self.return_to(self.ideal.filled(when), when);
    }

    fn return_to(&mut self, tat: Tat, when: When) {
        self.note_return(tat);
        self.change(tat, when);
    }

    fn note_return(&mut self, tat: Tat) {
        let returned = self.ideal.between(tat.low, self.tat.high);
        let slack = 3 * self.ideal.grain;
        self.ledger.give_back(returned.saturating_add(slack));
    }

    /// Whether a charge is so old that the circle of 2^64 grains may have closed, on which the same word stands for another
    /// state. That takes 39 hours or more; an undo is for what was charged a moment ago.
    pub(crate) const fn is_ancient(&self, charged: &Charged) -> bool {
        self.latest - charged.made > self.ideal.span.saturating_mul(8)
    }

    /// A charge was taken back, all of it or nothing.
    ///
    /// All is right only if the state is the one that the charge left, and nothing only if something has happened since.
    pub(crate) fn undo(&mut self, charged: &Charged, returned: u64) {
        let is_current = self.version == charged.versions.1;
        if returned == 0 {
            assert!(
                charged.tokens == 0 || !is_current || !self.is_out_of_reach(charged.after.low),
                "forfeited without a reason: {charged:?}: {self:?}"
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
            // A credit or a reset has brought the state back. What was charged since is then given back too, and counts as
            // credited. Or the mark was raised to just this state: then the bucket was full before and after.
            let slack = 3 * self.ideal.grain;
            assert!(
                !self.is_out_of_reach(charged.after.low)
                    || self.ideal.between(self.tat.high, charged.after.low) <= slack
                        && self.ideal.between(charged.after.high, self.tat.low) <= slack,
                "undone in another state: {charged:?}: {self:?}"
            );
            self.note_return(charged.before);
            let settled = self.settled;
            self.change(
                charged.before,
                When {
                    from: settled,
                    to: settled,
                },
            );
        }
    }

    /// After the last operation.
    pub(crate) fn assert_bound(&self) {
        self.ledger.assert_bound(&self.ideal);
    }
}
