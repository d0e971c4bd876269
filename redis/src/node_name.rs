//! The names by which servers tell nodes apart.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Returns a name that no other node has.
pub(crate) fn random_node_name() -> [u8; 16] {
    // Each state has a key of its own, but the keys of one thread differ by a counter.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    (random() << 64 | random()).to_be_bytes()
}
