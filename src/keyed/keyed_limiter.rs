//! The trait of tables that hold a limiter for each key.

#[cfg(feature = "std")]
use alloc::borrow::ToOwned;
use alloc::sync::Arc;
#[cfg(feature = "std")]
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::fixed::FixedKeyed;
#[cfg(feature = "std")]
use super::map::Keyed;
use crate::clock::Clock;
use crate::denied::Denied;
#[cfg(feature = "std")]
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A table of limiters for keys of type `K`: a [`Keyed`](crate::Keyed), a [`FixedKeyed`], a
/// [`KeyedShadow`](crate::KeyedShadow), a [`TrackDenied`](crate::TrackDenied), or a pointer to one.
///
/// The trait is sealed, as [`Limiter`](crate::Limiter) is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait KeyedLimiter<K: ?Sized>: TableOperations<K> {}

impl<K: ?Sized, T: TableOperations<K> + ?Sized> KeyedLimiter<K> for T {}

/// What a table does. A trait of its own, so that a glob import of the crate does not bring methods
/// into scope that tables also have.
#[expect(unnameable_types, reason = "that is what seals it")]
pub trait TableOperations<K: ?Sized> {
    type Clock;

    fn now(&self, key: &K) -> Timestamp;

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot;

    /// Tells that a call was refused because of peeks at several tables or limiters. A table that
    /// counts its refusals looks whether its own was among them.
    #[inline]
    fn record_peeked_refusal(&self, _key: &K, _n: u64, _now: Timestamp) {}
}

/// Calls the methods of `$table`, an expression of `$this`.
macro_rules! table_operations {
    ($key:ident, $this:ident => $table:expr) => {
        fn peek_at(&self, key: &$key, n: u64, now: Timestamp) -> Result<(), Denied> {
            let $this = self;
            $table.peek_at(key, n, now)
        }

        fn try_acquire_at(&self, key: &$key, n: u64, now: Timestamp) -> Result<(), Denied> {
            let $this = self;
            $table.try_acquire_at(key, n, now)
        }

        fn snapshot_at(&self, key: &$key, now: Timestamp) -> Snapshot {
            let $this = self;
            $table.snapshot_at(key, now)
        }
    };
}

#[cfg(feature = "std")]
impl<Q, K, L, S> TableOperations<Q> for Keyed<K, L, S>
where
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    K: Borrow<Q> + Hash + Eq,
    L: Limiter,
    S: BuildHasher,
{
    type Clock = L::Clock;

    fn now(&self, key: &Q) -> Timestamp {
        self.now_for(key)
    }

    table_operations!(Q, table => table);
}

impl<K: Hash + ?Sized, C: Clock, S: BuildHasher> TableOperations<K> for FixedKeyed<C, S> {
    type Clock = C;

    fn now(&self, _: &K) -> Timestamp {
        self.clock().now()
    }

    table_operations!(K, table => table);
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<K: ?Sized, T: TableOperations<K> + ?Sized> TableOperations<K> for $pointer {
            type Clock = T::Clock;

            fn now(&self, key: &K) -> Timestamp {
                (**self).now(key)
            }

            table_operations!(K, pointer => (**pointer));

            fn record_peeked_refusal(&self, key: &K, n: u64, now: Timestamp) {
                (**self).record_peeked_refusal(key, n, now);
            }
        }
    )*};
}
forward!(&T, Arc<T>);
