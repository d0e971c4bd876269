//! Reads values as the scripts write them.

/// Reads numbers of several bytes, the highest first.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl<'a> Numbers<'a> {
    /// `None` if fewer bytes are left.
    pub(super) fn next(&mut self, bytes: usize) -> Option<u64> {
        let add = |number, byte: &u8| number << 8 | u64::from(*byte);
        Some(self.bytes(bytes)?.iter().fold(0, add))
    }

    /// A number of seven bytes that may be negative.
    pub(super) fn next_signed(&mut self) -> Option<i64> {
        let number = self.next(7)?.cast_signed();
        Some(number << 8 >> 8)
    }

    pub(super) fn next_chunk<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        self.bytes(SIZE)?.try_into().ok()
    }

    pub(super) fn bytes(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Whether the scripts count with a number exactly.
pub(super) const fn is_exact(number: u64) -> bool {
    number < 1 << 53
}

/// Writes a value for a test: numbers with their sizes.
#[cfg(test)]
pub(super) fn bytes(numbers: &[(u64, usize)]) -> Vec<u8> {
    let bytes = numbers
        .iter()
        .flat_map(|(number, size)| number.to_be_bytes()[8 - size..].to_vec());
    bytes.collect()
}
