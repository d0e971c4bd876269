//! Where a table finds its map.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash};

use dashmap::DashMap;

/// A [`DashMap`], or a pointer to one.
///
/// It has the types of the map, so that a table needs one parameter for all of them.
#[expect(unnameable_types, reason = "a detail of `DashKeyed`")]
pub trait MapPointer {
    type Key: Eq + Hash;
    type Value;
    type Hasher: BuildHasher + Clone;

    fn dash_map(&self) -> &DashMap<Self::Key, Self::Value, Self::Hasher>;
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> MapPointer for DashMap<K, V, S> {
    type Key = K;
    type Value = V;
    type Hasher = S;

    #[inline]
    fn dash_map(&self) -> &Self {
        self
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<M: MapPointer + ?Sized> MapPointer for $pointer {
            type Key = M::Key;
            type Value = M::Value;
            type Hasher = M::Hasher;

            #[inline]
            fn dash_map(&self) -> &DashMap<M::Key, M::Value, M::Hasher> {
                (**self).dash_map()
            }
        }
    )*};
}
forward!(&M, Arc<M>);
