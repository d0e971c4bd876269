//! Pseudorandom numbers.

/// A generator whose numbers depend on the seed alone.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns a number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Removes a random element.
    pub(crate) fn take<T>(&mut self, list: &mut Vec<T>) -> T {
        let index = self.below(list.len() as u64);
        list.swap_remove(usize::try_from(index).expect("a length"))
    }
}
