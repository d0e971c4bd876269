//! Several gates, all of which a request must pass.

use super::gate::{Decide, Gate, Keyless, Refused};
use super::head::RequestHead;
use crate::limiter::sealed;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// For each gate: its type, its place in the tuple, and a name for its charge. And the latter two in reverse order.
macro_rules! together {
    ($($gate:ident $place:tt $charge:ident),+; last first: $($undone:tt $undone_charge:ident),+) => {
        impl<$($gate),+> sealed::Sealed for ($($gate,)+) {}

        impl<Clock, $($gate: Gate + Decide<Clock = Clock>),+> Decide for ($($gate,)+) {
            type Clock = Clock;
            type Key = ($($gate::Key,)+);
            /// Of each gate that was charged.
            type Charge = ($(Option<$gate::Charge>,)+);

            fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, Keyless> {
                Ok(($(self.$place.find(request)?,)+))
            }

            fn now(&self, key: &Self::Key) -> Option<Timestamp> {
                None$(.or_else(|| self.$place.now(&key.$place)))+
            }

            /// The refusal that lasts longest.
            fn peek_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
                let mut seen = Ok(());
                $(seen = longer(seen, self.$place.peek_at(&key.$place, n, now));)+
                seen
            }

            fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
                self.peek_at(key, n, now)?;
                self.charge_at(key, n, now).map(drop)
            }

            fn charge_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<Self::Charge, Refused> {
                $(let mut $charge = None;)+
                let mut charge_all = || -> Result<(), Refused> {
                    $($charge = Some(self.$place.charge_at(&key.$place, n, now)?);)+
                    Ok(())
                };
                match charge_all() {
                    Ok(()) => Ok(($($charge,)+)),
                    Err(refused) => Err(Refused {
                        forfeited: self.undo(key, n, ($($charge,)+)).saturating_add(refused.forfeited),
                        ..refused
                    }),
                }
            }

            fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64 {
                // The last first, or a limiter that is in it twice would find its first charge covered by its second.
                let ($($charge,)+) = charge;
                let mut forfeited = 0_u64;
                $(if let Some(charge) = $undone_charge {
                    let lost = self.$undone.undo(&key.$undone, n, charge);
                    forfeited = forfeited.saturating_add(lost);
                })+
                forfeited
            }

            fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot> {
                let standings = [$(self.$place.snapshot_at(&key.$place, now)),+];
                standings.into_iter().flatten().reduce(Snapshot::tighter)
            }
        }
    };
}
together!(A 0 a, B 1 b; last first: 1 b, 0 a);
together!(A 0 a, B 1 b, C 2 c; last first: 2 c, 1 b, 0 a);
together!(A 0 a, B 1 b, C 2 c, D 3 d; last first: 3 d, 2 c, 1 b, 0 a);

/// Of two answers the refusal, of two refusals the one that lasts longer.
fn longer(one: Result<(), Refused>, other: Result<(), Refused>) -> Result<(), Refused> {
    match (one, other) {
        (Err(one), Err(other)) if other.outlasts(&one) => Err(other),
        (Ok(()), other) => other,
        (one, _) => one,
    }
}
