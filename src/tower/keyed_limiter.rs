//! The trait of tables that hold a limiter for each key.

use crate::keyed::Table;

/// A table of limiters: a [`Keyed`](crate::Keyed), a [`FixedKeyed`](crate::FixedKeyed), or a
/// pointer to either, such as an `Arc`.
///
/// The trait is sealed, as [`Limiter`](crate::Limiter) is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait KeyedLimiter<K>: Table<K> {}

impl<K, T: Table<K>> KeyedLimiter<K> for T {}
