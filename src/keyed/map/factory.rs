//! What makes the limiter of a key, and can be replaced.

use alloc::boxed::Box;
use alloc::sync::Arc;

use arc_swap::ArcSwap;

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Release};

/// Makes the limiter of a key.
pub(super) type Factory<K, L> = Box<dyn Fn(&K) -> L + Send + Sync>;

/// The factory of a table.
pub(super) struct CurrentFactory<K, L> {
    factory: ArcSwap<Factory<K, L>>,
    /// How often the factory was replaced.
    version: AtomicU64,
}

impl<K, L> CurrentFactory<K, L> {
    pub(super) fn new(factory: Factory<K, L>) -> Self {
        Self {
            factory: ArcSwap::from_pointee(factory),
            version: AtomicU64::new(0),
        }
    }

    pub(super) fn make(&self, key: &K) -> L {
        (self.factory.load())(key)
    }

    pub(super) fn version(&self) -> u64 {
        // Acquire: pairs with the Release in `replace`. A thread that sees the version makes its
        // limiter with that factory or a later one.
        self.version.load(Acquire)
    }

    /// Replaces the factory. A thread that adds a key with an earlier one sees another version once
    /// it holds the lock of a shard that the caller has locked since.
    pub(super) fn replace(&self, factory: Factory<K, L>) {
        self.factory.store(Arc::new(factory));
        // Release: pairs with the Acquire in `version`. Relaxed would do for a thread that compares
        // two versions under a lock.
        self.version.fetch_add(1, Release);
    }
}
