//! For how long an entry stays with its owner after tokens came back.

use crate::gcra::WordGcra;

/// For how long an entry is held for its owner after the TAT was lowered: the top bits of `owner`.
#[derive(Clone, Copy)]
pub(super) struct EntryHold(u64);

impl EntryHold {
    const SHIFT: u32 = 59;
    const LONGEST: u64 = 31;
    /// The span of the longest hold. Together with a TAT it fits 64 bits.
    const MOST: u64 = 1 << 62;

    pub(super) const fn of(owner: u64) -> Self {
        Self(owner >> Self::SHIFT)
    }

    /// The owner with at least this hold; `None` if it has one.
    pub(super) fn noted_in(self, owner: u64) -> Option<u64> {
        let without = owner & ((1 << Self::SHIFT) - 1);
        (Self::of(owner).0 < self.0).then_some(without | self.0 << Self::SHIFT)
    }

    /// The span in grains.
    pub(super) fn span(self, gcra: &WordGcra) -> u64 {
        match self.0 {
            0 => 0,
            Self::LONGEST => Self::MOST,
            // At most 2^60 grains times 2^29.
            hold => {
                let span = u128::from(gcra.limit()) << (hold - 1);
                u64::try_from(span).unwrap_or(Self::MOST).min(Self::MOST)
            }
        }
    }

    /// The shortest hold with at least this span.
    pub(super) fn for_span(span: u64, gcra: &WordGcra) -> Self {
        let holds = (1..Self::LONGEST).map(Self);
        let enough = holds.into_iter().find(|hold| hold.span(gcra) >= span);
        enough.unwrap_or(Self(Self::LONGEST))
    }
}
