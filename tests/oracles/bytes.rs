//! Reads numbers from a fuzzed input.

/// The unread part of an input. Reads past its end return zeros.
#[derive(Debug)]
pub(crate) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        first
    }

    pub(crate) const fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Returns one of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Returns an offset from -2 to 2, to test the neighbors of an edge.
    pub(crate) fn nudge(&mut self) -> i64 {
        i64::from(self.byte() % 5) - 2
    }

    /// Returns any number. Small numbers and the neighbors of powers of two take few bytes.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => u64::from(self.byte()),
            1 => u64::from(u16::from_le_bytes([self.byte(), self.byte()])),
            2 => (1_u64 << (self.byte() % 64)).saturating_add_signed(self.nudge()),
            _ => u64::from_le_bytes(core::array::from_fn(|_| self.byte())),
        }
    }
}
