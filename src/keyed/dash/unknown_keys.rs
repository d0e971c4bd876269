//! What a table does with keys that its map does not hold.

use alloc::borrow::ToOwned;
use core::fmt;

/// Keys that the map does not hold are refused, in a [`DashKeyed`](crate::DashKeyed) as it is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownKeys;

/// Keys that the map does not hold are added, by
/// [`DashKeyed::or_insert_with`](crate::DashKeyed::or_insert_with).
#[derive(Clone, Copy)]
pub struct NewKeys<F>(pub(super) F);

/// Makes an entry of a map with keys `K` and values `V`, for calls whose keys are `Q`.
#[expect(unnameable_types, reason = "a detail of `DashKeyed`")]
pub trait UnknownKeys<K, V, Q: ?Sized> {
    /// `None` if the key stays unknown.
    fn make(&self, key: &Q) -> Option<(K, V)>;
}

impl<K, V, Q: ?Sized> UnknownKeys<K, V, Q> for KnownKeys {
    #[inline]
    fn make(&self, _: &Q) -> Option<(K, V)> {
        None
    }
}

impl<K, V, Q, F, R> UnknownKeys<K, V, Q> for NewKeys<F>
where
    Q: ToOwned<Owned = K> + ?Sized,
    F: Fn(&K) -> R,
    R: Into<Option<V>>,
{
    fn make(&self, key: &Q) -> Option<(K, V)> {
        let key = key.to_owned();
        let value = (self.0)(&key).into()?;
        Some((key, value))
    }
}

/// Omits the function, because closures do not implement `Debug`.
impl<F> fmt::Debug for NewKeys<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewKeys").finish_non_exhaustive()
    }
}
