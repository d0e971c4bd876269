//! Options of a [`Keyed`](crate::Keyed).

use alloc::boxed::Box;
use core::fmt;
use core::hash::BuildHasher;

use crate::keyed::keys::KeyHasher;
use crate::keyed::overflow::Overflow;

/// Makes the limiter of a key.
pub(super) type Factory<K, L> = Box<dyn Fn(&K) -> L + Send + Sync>;

/// Builds a [`Keyed`](crate::Keyed): see [`Keyed::builder`](crate::Keyed::builder).
#[must_use = "nothing is made until `build`"]
pub struct KeyedBuilder<K, L, S = KeyHasher> {
    pub(super) factory: Factory<K, L>,
    pub(super) max_keys: usize,
    pub(super) overflow: Overflow,
    pub(super) shared: Option<L>,
    pub(super) hasher: S,
}

/// A million keys of 8 bytes take 36 MB. With 24 bytes they take 69 MB: a `String`, without its
/// text.
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
    /// Sets the most keys that the table holds, 1 000 000 by default. Memory is allocated only as
    /// keys are added, and freed as they are evicted.
    ///
    /// With 0 the [`Overflow`] policy decides every call.
    pub const fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Sets what happens to new keys while all of `max_keys` are in use, [`Overflow::Share`] by
    /// default.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets the limiter that keys without room share under [`Overflow::Share`].
    ///
    /// By default it is what the factory makes for the first of these keys. Set it if limits differ
    /// from key to key, because otherwise the limit of that first key is the limit of all.
    pub fn shared(mut self, limiter: L) -> Self {
        self.shared = Some(limiter);
        self
    }

    /// Sets another hash function. All of its 64 bits must be good, because some of them choose the
    /// part of the table.
    ///
    /// Where clients can choose their keys, it must be seeded. Otherwise they can make all calls
    /// slow.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<K, L, T> {
        KeyedBuilder {
            factory: self.factory,
            max_keys: self.max_keys,
            overflow: self.overflow,
            shared: self.shared,
            hasher,
        }
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
