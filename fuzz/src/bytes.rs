//! Reading numbers out of a fuzzed input.

/// The rest of an input. It never ends: behind its last byte come zeros.
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

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// From -2 to 2: the neighbours of a value at which something changes.
    pub(crate) fn nudge(&mut self) -> i64 {
        i64::from(self.byte() % 5) - 2
    }

    /// Any number: small ones and the neighbours of powers of two in few bytes.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => u64::from(self.byte()),
            1 => u64::from(u16::from_le_bytes([self.byte(), self.byte()])),
            2 => (1_u64 << (self.byte() % 64)).saturating_add_signed(self.nudge()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }
}
