//! An exact sliding window: a list of all admissions.

use alloc::collections::VecDeque;

/// The last instant that the window's clock reaches, 292 years after the origin.
pub(crate) const LAST: u64 = (u64::MAX >> 1) - 1;

#[derive(Clone, Copy, Debug)]
struct Admission {
    /// Never decreases from one admission to the next.
    at: u64,
    n: u64,
    number: u64,
}

/// Every admission that was not undone, with its decision time.
#[derive(Clone, Debug)]
pub(crate) struct Admissions {
    limit: u128,
    length: u64,
    /// How much longer than the window's length an admission may count.
    slot: u64,
    list: VecDeque<Admission>,
    /// The latest time of an attempt. A clock that steps back is clamped to it.
    latest: u64,
    numbers: u64,
}

impl Admissions {
    pub(crate) fn new(limit: u64, length: u64, slots: u64) -> Self {
        Self {
            limit: limit.into(),
            length,
            slot: length.div_ceil(slots),
            list: VecDeque::new(),
            latest: 0,
            numbers: 0,
        }
    }

    pub(crate) const fn latest(&self) -> u64 {
        self.latest
    }

    /// Returns the time that a call at `now` uses.
    pub(crate) fn decision_time(&self, now: u64) -> u64 {
        now.min(LAST).max(self.latest)
    }

    /// Returns the instant from which an admission at `at` must no longer count.
    pub(crate) const fn expiry(&self, at: u64) -> u64 {
        at.saturating_add(self.length).saturating_add(self.slot)
    }

    fn count_since(&self, start: u64) -> u128 {
        self.list
            .iter()
            .rev()
            .take_while(|admission| admission.at >= start)
            .map(|admission| u128::from(admission.n))
            .sum()
    }

    /// Asserts that `used` counts at least the last window, and less than a window and a slot.
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

    /// Records the time of an attempt, admitted or not.
    pub(crate) fn attempt(&mut self, now: u64) {
        self.latest = self.decision_time(now);
    }

    /// Records an admission, and asserts the bound on the interval that it ends.
    ///
    /// Returns a number for [`undo`](Self::undo).
    pub(crate) fn admit(&mut self, n: u64) -> u64 {
        self.numbers += 1;
        self.list.push_back(Admission {
            at: self.latest,
            n,
            number: self.numbers,
        });
        let count = self.count_since(self.latest.saturating_sub(self.length));
        assert!(count <= self.limit, "{count} in a window: {self:?}");
        self.numbers
    }

    pub(crate) fn undo(&mut self, number: u64) {
        self.list.retain(|admission| admission.number != number);
    }
}
