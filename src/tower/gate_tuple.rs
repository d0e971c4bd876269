//! Tuples of gates, all of which a request must pass.

use super::gate::{Gate, GateDenied, GateOperations, MissingKey};
use super::request_head::RequestHead;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Takes the type, the index and a variable of each gate, and then indexes and variables in reverse
/// order.
macro_rules! gate_tuple {
    ($($gate:ident $index:tt $charge:ident),+; reversed: $($undone:tt $undone_charge:ident),+) => {
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
                let mut peeked = Ok(());
                $(peeked = longer(peeked, self.$index.peek_at(&key.$index, n, now));)+
                peeked
            }

            fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
                self.peek_at(key, n, now)?;
                self.charge_at(key, n, now).map(drop)
            }

            fn charge_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<Self::Charge, GateDenied> {
                $(let mut $charge = None;)+
                let mut charge_all = || -> Result<(), GateDenied> {
                    $($charge = Some(self.$index.charge_at(&key.$index, n, now)?);)+
                    Ok(())
                };
                match charge_all() {
                    Ok(()) => Ok(($($charge,)+)),
                    Err(denied) => Err(GateDenied {
                        forfeited: self.undo(key, n, ($($charge,)+)).saturating_add(denied.forfeited),
                        ..denied
                    }),
                }
            }

            fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64 {
                // In reverse order. Otherwise a limiter that is in the tuple twice could not undo
                // its first charge, because the second was made on top of it.
                let ($($charge,)+) = charge;
                let mut forfeited = 0_u64;
                $(if let Some(charge) = $undone_charge {
                    let lost = self.$undone.undo(&key.$undone, n, charge);
                    forfeited = forfeited.saturating_add(lost);
                })+
                forfeited
            }

            fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot> {
                let snapshots = [$(self.$index.snapshot_at(&key.$index, now)),+];
                snapshots.into_iter().flatten().reduce(Snapshot::tighter)
            }
        }
    };
}
gate_tuple!(A 0 a, B 1 b; reversed: 1 b, 0 a);
gate_tuple!(A 0 a, B 1 b, C 2 c; reversed: 2 c, 1 b, 0 a);
gate_tuple!(A 0 a, B 1 b, C 2 c, D 3 d; reversed: 3 d, 2 c, 1 b, 0 a);

/// Returns the refusal that lasts longer, if any.
fn longer(one: Result<(), GateDenied>, other: Result<(), GateDenied>) -> Result<(), GateDenied> {
    match (one, other) {
        (Err(one), Err(other)) if other.outlasts(&one) => Err(other),
        (Ok(()), other) => other,
        (one, _) => one,
    }
}
