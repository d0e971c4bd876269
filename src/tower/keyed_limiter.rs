//! The trait of tables that hold a limiter for each key.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash};

use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::{FixedKeyed, Keyed};
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A table of limiters: a [`Keyed`], a [`FixedKeyed`], or an `Arc` of either.
///
/// The trait is sealed, as [`Limiter`] is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait KeyedLimiter<K>: TableOperations<K> {}

impl<K, T: TableOperations<K>> KeyedLimiter<K> for T {}

/// What a table does. A trait of its own for the reason of `GateOperations`.
#[expect(unnameable_types, reason = "that is what seals it")]
pub trait TableOperations<K> {
    type Clock;

    fn now(&self, key: &K) -> Timestamp;

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot;
}

/// Calls the methods of `$table`, an expression of `$this`.
macro_rules! table_operations {
    ($this:ident => $table:expr) => {
        fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
            let $this = self;
            $table.peek_at(key, n, now)
        }

        fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
            let $this = self;
            $table.try_acquire_at(key, n, now)
        }

        fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot {
            let $this = self;
            $table.snapshot_at(key, now)
        }
    };
}

impl<K, L, S> TableOperations<K> for Keyed<K, L, S>
where
    K: Hash + Eq + Clone,
    L: Limiter,
    S: BuildHasher,
{
    type Clock = L::Clock;

    fn now(&self, key: &K) -> Timestamp {
        self.now_for(key)
    }

    table_operations!(table => table);
}

impl<K: Hash, C: Clock, S: BuildHasher> TableOperations<K> for FixedKeyed<C, S> {
    type Clock = C;

    fn now(&self, _: &K) -> Timestamp {
        self.clock().now()
    }

    table_operations!(table => table);
}

impl<K, T: TableOperations<K>> TableOperations<K> for Arc<T> {
    type Clock = T::Clock;

    fn now(&self, key: &K) -> Timestamp {
        (**self).now(key)
    }

    table_operations!(pointer => (**pointer));
}
