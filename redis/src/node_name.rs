//! The names by which servers tell nodes apart.

#[cfg(not(tidegate_simulation))]
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Returns a name that no other node has: 128 bits of the system's randomness, because a collision
/// would break the bound.
#[cfg(not(tidegate_simulation))]
pub(crate) fn random_node_name() -> [u8; 16] {
    // Each state has a key of its own, but the keys of one thread differ by a counter.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    (random() << 64 | random()).to_be_bytes()
}

/// From the generator of the simulation, so that runs can be repeated.
#[cfg(tidegate_simulation)]
pub(crate) fn random_node_name() -> [u8; 16] {
    fastrand::u128(..).to_be_bytes()
}
