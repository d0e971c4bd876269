//! The trait of tables that hold a limiter for each key.

use super::table::Table;

/// A table of limiters for keys of type `K`: a `Keyed`, a
/// [`FixedKeyed`](crate::FixedKeyed), a [`KeyedShadow`](crate::KeyedShadow), a
/// `TrackDenied`, or a pointer to one, such as an `Arc`.
///
/// The trait is sealed, as [`Limiter`](crate::Limiter) is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait KeyedLimiter<K: ?Sized>: Table<K> {}

impl<K: ?Sized, T: Table<K> + ?Sized> KeyedLimiter<K> for T {}
