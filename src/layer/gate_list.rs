//! Lists of gates of one type. A request must pass each of them: all are charged, or none.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::gate::{Gate, GateDenied, GateOperations, MissingKey};
use super::gate_tuple::Asked;
use super::request_head::RequestHead;
use crate::all_or_none::lists;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// One for each gate. Lists of up to four need no memory of their own.
type Each<T> = SmallVec<[T; 4]>;

fn asked<'a, G: Gate>(
    gates: &'a [G],
    keys: &'a [G::Key],
    n: u64,
    now: Timestamp,
) -> Each<Asked<'a, G>> {
    let gates = gates.iter().zip(keys);
    gates
        .map(|(gate, key)| Asked { gate, key, n, now })
        .collect()
}

/// An empty list admits all.
impl<G: Gate> GateOperations for Vec<G> {
    type Clock = G::Clock;
    type Key = Each<G::Key>;
    /// `None` for a gate that was not charged.
    type Charge = Each<Option<G::Charge>>;

    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, MissingKey> {
        self.iter().map(|gate| gate.find(request)).collect()
    }

    fn now(&self, keys: &Self::Key) -> Option<Timestamp> {
        self.iter().zip(keys).find_map(|(gate, key)| gate.now(key))
    }

    /// Returns the refusal that lasts longest.
    fn peek_at(&self, keys: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        lists::refusal(&asked(self, keys, n, now)).map_or(Ok(()), Err)
    }

    fn headroom_at(&self, keys: &Self::Key, n: u64, now: Timestamp) -> Option<u64> {
        lists::headroom(&asked(self, keys, n, now))
    }

    fn charge_at(
        &self,
        keys: &Self::Key,
        n: u64,
        now: Timestamp,
    ) -> Result<Self::Charge, GateDenied> {
        let mut charges: Self::Charge = self.iter().map(|_| None).collect();
        lists::charge(&asked(self, keys, n, now), &mut charges)?;
        Ok(charges)
    }

    fn undo(&self, keys: &Self::Key, n: u64, mut charges: Self::Charge) -> u64 {
        // No gate reads the time to undo a charge.
        lists::undo(&asked(self, keys, n, Timestamp::ZERO), &mut charges)
    }

    fn settle_at(
        &self,
        keys: &Self::Key,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        let mut each = charge.unwrap_or_default().into_iter();
        for (gate, key) in self.iter().zip(keys) {
            let charge = each.next().flatten();
            gate.settle_at(key, charge, charged, used, now);
        }
    }

    fn record_peeked_refusal(&self, keys: &Self::Key, n: u64, now: Timestamp) {
        for (gate, key) in self.iter().zip(keys) {
            gate.record_peeked_refusal(key, n, now);
        }
    }

    fn snapshot_at(&self, keys: &Self::Key, now: Timestamp) -> Option<Snapshot> {
        let gates = self.iter().zip(keys);
        let snapshots = gates.filter_map(|(gate, key)| gate.snapshot_at(key, now));
        snapshots.reduce(Snapshot::tighter)
    }

    fn has_several_limits(&self) -> bool {
        true
    }

    fn each_snapshot_at(
        &self,
        keys: &Self::Key,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        for (gate, key) in self.iter().zip(keys) {
            gate.each_snapshot_at(key, now, each);
        }
    }
}
