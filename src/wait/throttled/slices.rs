//! The part of a vectored write that may be written.

use std::io::IoSlice;

/// The start of some slices.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// Whole slices.
    Slices(&'a [IoSlice<'a>]),
    /// A part of the first slice.
    Start(&'a [u8]),
}

impl<'a> Part<'a> {
    /// At most `most` bytes from the start of `slices`, and at least one if there are any.
    pub(super) fn of(slices: &'a [IoSlice<'a>], most: usize) -> Self {
        // Without empty slices before it, a write of 0 bytes would mean an error.
        let first = slices.iter().position(|slice| !slice.is_empty());
        let slices = &slices[first.unwrap_or(slices.len())..];
        let mut room = most;
        let fits = |slice: &&IoSlice<'_>| match room.checked_sub(slice.len()) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        match (slices.iter().take_while(fits).count(), slices) {
            (0, [first, ..]) => Self::Start(&first[..most.min(first.len())]),
            (whole, slices) => Self::Slices(&slices[..whole]),
        }
    }
}

/// The bytes of all slices.
pub(super) fn total(slices: &[IoSlice<'_>]) -> usize {
    let lengths = slices.iter().map(|slice| slice.len());
    lengths.fold(0, usize::saturating_add)
}
