//! Requests that wait in a queue of their key.

use alloc::sync::Arc;
use core::fmt;

use super::gate::{GateOperations, MissingKey};
use super::key_extractor::KeyExtractor;
use super::keyed_limiter::KeyedLimiter;
use super::pace_gate::PaceOperations;
use super::per_key::PerKey;
use super::request_head::RequestHead;
use crate::denied::Denied;
use crate::keyed::{KeyView, OwnedKey, Place, Table};
use crate::time::Timestamp;
use crate::wait::{Hold, Instants};

/// The table of a gate that is shared.
#[expect(unnameable_types, reason = "a detail of `PaceGate`")]
pub struct GateTable<T, E>(Arc<PerKey<T, E>>);

impl<T, E> GateTable<T, E> {
    fn table(&self) -> &T {
        self.0.table()
    }
}

impl<T, E> PaceOperations for PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key> + Table<E::Key>,
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

impl<T: Table<K>, E, K> Table<K> for GateTable<T, E> {
    type Clock = T::Clock;

    fn clock_for(&self, key: &K) -> &T::Clock {
        self.table().clock_for(key)
    }

    fn max_permits_for(&self, key: &K) -> u64 {
        self.table().max_permits_for(key)
    }

    fn waiting_for(&self, key: &K) -> u64 {
        self.table().waiting_for(key)
    }

    fn queued(&self, key: &K) -> u128 {
        self.table().queued(key)
    }

    fn enter(&self, key: &K) -> Option<Place> {
        self.table().enter(key)
    }

    fn exit(&self, place: Place) {
        self.table().exit(place);
    }

    fn attempt(&self, key: &K, n: u64, at: Instants) -> Result<(), Hold> {
        self.table().attempt(key, n, at)
    }

    fn refusal(&self, key: &K, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.table().refusal(key, ahead, n, now)
    }
}

impl<T, E> fmt::Debug for GateTable<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateTable").finish_non_exhaustive()
    }
}
