//! The bound as users read it: what was admitted between any two instants, without looking at levels.

use super::ideal::{Ideal, Moment};

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// In parts, as in [`Ideal`]; 0 once the charge was undone.
    admitted: u128,
    /// The earliest and the latest instant from which the tokens may count as used.
    from: Moment,
    to: Moment,
    /// By how much the bucket was filled up out of turn, in parts.
    returned: u128,
}

/// Everything that was admitted and given back, in the order in which it happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    /// Records an admission, and returns its number.
    pub(crate) fn admit(&mut self, admitted: u128, from: Moment, to: Moment) -> usize {
        self.entries.push(Entry {
            admitted,
            from,
            to,
            returned: 0,
        });
        self.entries.len() - 1
    }

    /// Forgets an admission of which no use was made.
    pub(crate) fn undo(&mut self, number: usize) {
        self.entries[number].admitted = 0;
    }

    pub(crate) fn give_back(&mut self, returned: u128) {
        self.entries.push(Entry {
            admitted: 0,
            from: Moment::at(0),
            to: Moment::at(0),
            returned,
        });
    }

    /// Between any two admissions, both included, at most the capacity, the refill of that time, and what came back.
    ///
    /// A clock that steps back counts as standing still at the latest time at which something was admitted.
    pub(crate) fn assert_bound(&self, ideal: &Ideal) {
        let mut start = Moment::at(0);
        for (first, entry) in self.entries.iter().enumerate() {
            // An interval begins with an admission that moved time on.
            if entry.admitted == 0 || entry.from < start {
                continue;
            }
            start = entry.from;
            let (mut admitted, mut returned, mut end) = (0_u128, 0_u128, entry.to);
            for entry in &self.entries[first..] {
                returned = returned.saturating_add(entry.returned);
                if entry.admitted == 0 {
                    continue;
                }
                admitted = admitted.saturating_add(entry.admitted);
                end = end.max(entry.to);
                let length = ideal.between(start, end);
                let allowed = ideal.full.saturating_add(length).saturating_add(returned);
                assert!(
                    admitted <= allowed,
                    "{admitted} parts of {allowed} admitted in [{start:?}, {end:?}]"
                );
            }
        }
    }
}
