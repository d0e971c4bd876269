//! Tuples of gates, all of which a request must pass: all are charged, or none.

use super::gate::{Gate, GateDenied, GateOperations, MissingKey};
use super::request_head::RequestHead;
use crate::all_or_none::Members;
use crate::all_or_none::tuples::{self, Member};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A gate of several, and what a request asks of it.
pub(super) struct Asked<'a, G: GateOperations> {
    pub(super) gate: &'a G,
    pub(super) key: &'a G::Key,
    pub(super) n: u64,
    pub(super) now: Timestamp,
}

impl<G: GateOperations> Clone for Asked<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G: GateOperations> Copy for Asked<'_, G> {}

impl<G: GateOperations> Member for Asked<'_, G> {
    type Charge = G::Charge;
    type Refusal = GateDenied;

    fn is_charged(self) -> bool {
        self.n > 0
    }

    fn headroom(self) -> Option<u64> {
        self.gate.headroom_at(self.key, self.n, self.now)
    }

    fn refusal(self) -> Option<GateDenied> {
        self.gate.peek_at(self.key, self.n, self.now).err()
    }

    fn record_peeked_refusal(self) {
        self.gate.record_peeked_refusal(self.key, self.n, self.now);
    }

    fn charge(self) -> Result<G::Charge, GateDenied> {
        self.gate.charge_at(self.key, self.n, self.now)
    }

    fn undo(self, charge: G::Charge) -> u64 {
        self.gate.undo(self.key, self.n, charge)
    }
}

/// Takes the type and the index of each gate.
macro_rules! gate_tuples {
    ($(($($gate:ident $index:tt),+))+) => {$(
        impl<Clock, $($gate: Gate + GateOperations<Clock = Clock>),+> GateOperations for ($($gate,)+) {
            type Clock = Clock;
            type Key = ($($gate::Key,)+);
            /// `None` for a gate that was not charged.
            type Charge = ($(Option<$gate::Charge>,)+);

            fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, MissingKey> {
                Ok(($(self.$index.find(request)?,)+))
            }

            fn now(&self, key: &Self::Key) -> Option<Timestamp> {
                None$(.or_else(|| self.$index.now(&key.$index)))+
            }

            /// Returns the refusal that lasts longest.
            fn peek_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
                let asked = ($(Asked { gate: &self.$index, key: &key.$index, n, now },)+);
                asked.longest(None).map_or(Ok(()), Err)
            }

            fn headroom_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Option<u64> {
                let least = u64::MAX;
                $(let least = least.min(self.$index.headroom_at(&key.$index, n, now)?);)+
                Some(least)
            }

            fn charge_at(
                &self,
                key: &Self::Key,
                n: u64,
                now: Timestamp,
            ) -> Result<Self::Charge, GateDenied> {
                tuples::charge(($(Asked { gate: &self.$index, key: &key.$index, n, now },)+))
            }

            fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64 {
                // No gate reads the time to undo a charge.
                let now = Timestamp::ZERO;
                let asked = ($(Asked { gate: &self.$index, key: &key.$index, n, now },)+);
                tuples::undo(asked, charge)
            }

            #[allow(non_snake_case, reason = "a variable for each type")]
            fn settle_at(
                &self,
                key: &Self::Key,
                charge: Option<Self::Charge>,
                charged: u64,
                used: u64,
                now: Timestamp,
            ) {
                let ($($gate,)+) = charge.unwrap_or_default();
                $(self.$index.settle_at(&key.$index, $gate, charged, used, now);)+
            }

            fn record_peeked_refusal(&self, key: &Self::Key, n: u64, now: Timestamp) {
                $(self.$index.record_peeked_refusal(&key.$index, n, now);)+
            }

            fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot> {
                let snapshots = [$(self.$index.snapshot_at(&key.$index, now)),+];
                snapshots.into_iter().flatten().reduce(Snapshot::tighter)
            }

            fn has_several_limits(&self) -> bool {
                true
            }

            fn each_snapshot_at(
                &self,
                key: &Self::Key,
                now: Timestamp,
                each: &mut dyn FnMut(Option<Snapshot>),
            ) {
                $(self.$index.each_snapshot_at(&key.$index, now, each);)+
            }
        }
    )+};
}
gate_tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
