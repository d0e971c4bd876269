//! Checks the bound on admissions between any two instants, without a model of the bucket's level.

use super::exact::{ExactQuota, Moment};

#[derive(Clone, Copy, Debug)]
struct LedgerEntry {
    /// In parts, as in [`ExactQuota`]; 0 after an undo.
    admitted: u128,
    /// The earliest and the latest instant from which the tokens may count as used.
    from: Moment,
    to: Moment,
    /// Parts that a credit, a reset or an undo returned to the bucket.
    returned: u128,
}

/// Everything that was admitted and returned, in the order of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Records an admission. Returns its number.
    pub(crate) fn admit(&mut self, admitted: u128, from: Moment, to: Moment) -> usize {
        self.entries.push(LedgerEntry {
            admitted,
            from,
            to,
            returned: 0,
        });
        self.entries.len() - 1
    }

    /// Removes an admission that was not used.
    pub(crate) fn undo(&mut self, number: usize) {
        self.entries[number].admitted = 0;
    }

    pub(crate) fn give_back(&mut self, returned: u128) {
        self.entries.push(LedgerEntry {
            admitted: 0,
            from: Moment::at(0),
            to: Moment::at(0),
            returned,
        });
    }

    /// Asserts that no interval admitted more than the capacity, its refill and what was returned.
    ///
    /// An interval includes both of its ends. A clock that steps back is clamped to the latest time
    /// of an admission.
    pub(crate) fn assert_bound(&self, exact: &ExactQuota) {
        let mut start = Moment::at(0);
        for (first, entry) in self.entries.iter().enumerate() {
            // An interval begins with an admission that advanced the time.
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
                let length = exact.between(start, end);
                let allowed = exact.full.saturating_add(length).saturating_add(returned);
                assert!(
                    admitted <= allowed,
                    "{admitted} parts of {allowed} admitted in [{start:?}, {end:?}]"
                );
            }
        }
    }
}
