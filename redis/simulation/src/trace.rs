//! A digest of all that happens in a simulation, in order.

use std::hash::{DefaultHasher, Hasher as _};

/// A digest of events. Two simulations with the same digest had the same events, apart from
/// collisions.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    // Always with the same keys.
    hasher: DefaultHasher,
    events: u64,
}

impl Trace {
    /// Adds an event: what it is, when it was, at which node, and what was sent.
    pub fn add(&mut self, what: u8, at: u64, node: usize, content: &[u8]) {
        self.hasher.write_u8(what);
        self.hasher.write_u64(at);
        self.hasher.write_usize(node);
        self.hasher.write_usize(content.len());
        self.hasher.write(content);
        self.events += 1;
    }

    /// Returns the number of events, and their digest.
    pub fn digest(&self) -> (u64, u64) {
        (self.events, self.hasher.finish())
    }
}
