//! The ideal window: a list of all admissions.

use std::collections::VecDeque;

/// The last instant that the window's time reaches, 292 years after the origin.
pub(crate) const LAST: u64 = u64::MAX >> 1;

#[derive(Clone, Copy, Debug)]
struct Admission {
    /// Never decreasing from one to the next.
    at: u64,
    n: u64,
    number: u64,
}

/// Everything that was admitted and not undone, with its decision time.
#[derive(Clone, Debug)]
pub(crate) struct Ideal {
    limit: u128,
    length: u64,
    /// How much later than the window's length an admission may still count.
    slot: u64,
    admissions: VecDeque<Admission>,
    /// The latest instant at which anybody wanted to be admitted; a clock that steps back stands still here.
    latest: u64,
    numbers: u64,
}

impl Ideal {
    pub(crate) fn new(limit: u64, length: u64, slots: u64) -> Self {
        Self {
            limit: limit.into(),
            length,
            slot: length.div_ceil(slots),
            admissions: VecDeque::new(),
            latest: 0,
            numbers: 0,
        }
    }

    pub(crate) const fn latest(&self) -> u64 {
        self.latest
    }

    /// The instant as of which a call at `now` is judged.
    pub(crate) fn decision_time(&self, now: u64) -> u64 {
        now.min(LAST).max(self.latest)
    }

    /// The instant at which an admission as of `at` counts no longer, at the latest.
    pub(crate) const fn gone(&self, at: u64) -> u64 {
        at.saturating_add(self.length).saturating_add(self.slot)
    }

    fn count_since(&self, start: u64) -> u128 {
        self.admissions
            .iter()
            .rev()
            .take_while(|admission| admission.at >= start)
            .map(|admission| u128::from(admission.n))
            .sum()
    }

    /// What counts is at least the last window, and less than a window and a slot.
    pub(crate) fn assert_counts(&self, used: u64, now: u64) {
        let at = self.decision_time(now);
        let least = self.count_since(at.saturating_sub(self.length));
        let most = match at.checked_sub(self.length + self.slot) {
            Some(start) => self.count_since(start + 1),
            None => self.count_since(0),
        };
        assert!(
            (least..=most).contains(&used.into()),
            "{used} is not in {least}..={most} at {now}: {self:?}"
        );
    }

    /// Somebody wants to be admitted.
    pub(crate) fn attempt(&mut self, now: u64) {
        self.latest = self.decision_time(now);
    }

    /// Somebody was; the bound is looked at for the intervals that end here. Returns a number for [`undo`](Self::undo).
    pub(crate) fn admit(&mut self, n: u64) -> u64 {
        self.numbers += 1;
        self.admissions.push_back(Admission {
            at: self.latest,
            n,
            number: self.numbers,
        });
        let count = self.count_since(self.latest.saturating_sub(self.length));
        assert!(count <= self.limit, "{count} in a window: {self:?}");
        self.numbers
    }

    pub(crate) fn undo(&mut self, number: u64) {
        self.admissions
            .retain(|admission| admission.number != number);
    }
}
