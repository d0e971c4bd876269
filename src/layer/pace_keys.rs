//! Requests that wait in a queue of their key.

use alloc::sync::Arc;
use core::fmt;

use super::gate::{GateOperations, MissingKey};
use super::key_extractor::KeyExtractor;
use super::pace_gate::PaceOperations;
use super::per_key::PerKey;
use super::request_head::RequestHead;
use crate::keyed::{KeyView, KeyedLimiter, OwnedKey, TablePointer, WaitTable};

/// The table of a gate that is shared.
#[expect(unnameable_types, reason = "a detail of `PaceGate`")]
pub struct GateTable<T, E>(Arc<PerKey<T, E>>);

impl<T, E> PaceOperations for PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key> + WaitTable<E::Key>,
{
    type Limiter = KeyView<GateTable<T, E>, OwnedKey<E::Key>>;

    fn limiter_of(
        self: &Arc<Self>,
        request: &RequestHead<'_>,
    ) -> Result<Option<Self::Limiter>, MissingKey> {
        let key = GateOperations::find(&**self, request)?;
        Ok(key.map(|key| KeyView::owned(GateTable(Arc::clone(self)), key)))
    }
}

impl<T, E> TablePointer for GateTable<T, E> {
    type Table = T;

    fn table(&self) -> &T {
        PerKey::table(&self.0)
    }
}

impl<T, E> fmt::Debug for GateTable<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateTable").finish_non_exhaustive()
    }
}
