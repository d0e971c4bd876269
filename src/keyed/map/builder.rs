//! What can be chosen for a [`Keyed`].

use alloc::boxed::Box;
use core::fmt;
use core::hash::BuildHasher;

use super::Keyed;
use crate::keyed::keys::KeyHasher;
use crate::keyed::overflow::Overflow;

/// What makes the limiter of a key.
pub(super) type Factory<K, L> = Box<dyn Fn(&K) -> L + Send + Sync>;

/// Builds a [`Keyed`]: see [`Keyed::builder`].
#[must_use = "nothing is made until `build`"]
pub struct KeyedBuilder<K, L, S = KeyHasher> {
    pub(super) factory: Factory<K, L>,
    pub(super) max_keys: usize,
    pub(super) overflow: Overflow,
    pub(super) shared: Option<L>,
    pub(super) hasher: S,
}

/// A million keys take 36 MB with 8 bytes of their own, 69 MB with 24 (a `String`, without what it points to).
const DEFAULT_MAX_KEYS: usize = 1_000_000;

impl<K, L> KeyedBuilder<K, L> {
    pub(super) fn new(factory: Factory<K, L>) -> Self {
        Self {
            factory,
            max_keys: DEFAULT_MAX_KEYS,
            overflow: Overflow::default(),
            shared: None,
            hasher: KeyHasher::new(),
        }
    }
}

impl<K, L, S> KeyedBuilder<K, L, S> {
    /// How many keys there may be; 1 000 000 if not set. Memory is taken only as keys come, and given back as they go.
    ///
    /// With 0 the [`Overflow`] policy decides everything.
    pub const fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// What becomes of new keys while all of `max_keys` are in use; [`Overflow::Share`] if not set.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The limiter that keys without room share with [`Overflow::Share`]; if not set, what the factory makes for the first of
    /// them. With tiers, set it: otherwise the tier of whoever happens to be first is that of all.
    pub fn shared(mut self, limiter: L) -> Self {
        self.shared = Some(limiter);
        self
    }

    /// Another hash function, all of whose 64 bits must be good: some of them choose the part of the table. Where clients can
    /// choose their keys it must be seeded, or they can make all calls slow.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<K, L, T> {
        KeyedBuilder {
            factory: self.factory,
            max_keys: self.max_keys,
            overflow: self.overflow,
            shared: self.shared,
            hasher,
        }
    }

    /// Makes it. The factory is not called before the first key comes.
    pub fn build(self) -> Keyed<K, L, S> {
        Keyed::built(self)
    }
}

impl<K, L, S> fmt::Debug for KeyedBuilder<K, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBuilder")
            .field("max_keys", &self.max_keys)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
