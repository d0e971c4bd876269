//! Numbers that depend on the seed alone.

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("a length")
    }

    pub(crate) fn of<T>(&mut self, list: &mut Vec<T>) -> T {
        let index = self.index(list.len());
        list.swap_remove(index)
    }
}
