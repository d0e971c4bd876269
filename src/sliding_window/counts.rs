//! The counts of finished slots: an entry for each slot that counts, used again for later ones.

use alloc::boxed::Box;

use super::slots::{Window, Word};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Acquire;

/// Words of slot numbers and counts, each at its number modulo their length, a power of two.
pub(super) struct Counts(Box<[AtomicU64]>);

impl Counts {
    pub(super) fn new(len: u64) -> Self {
        Self((0..len).map(|_| AtomicU64::new(0)).collect())
    }

    /// The count of slot `number`, or of another one with the same index.
    pub(super) fn entry(&self, number: u64) -> &AtomicU64 {
        // Entries are a power of two, and at most 2^18 fit any usize.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the low bits are used"
        )]
        let number = number as usize;
        &self.0[number & (self.0.len() - 1)]
    }

    /// The count of a finished slot of `window`; 0 if nothing was admitted in it.
    pub(super) fn finished(&self, window: &Window, number: u64) -> u64 {
        // Acquire: pairs with the Release in `Ring::rotate` and `Longer::rotate`, for the second
        // load of the head in a view and in a hint.
        let word = Word(self.entry(number).load(Acquire));
        if window.number(word) == number {
            window.count(word)
        } else {
            0
        }
    }
}
