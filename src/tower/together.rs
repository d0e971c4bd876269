//! Several gates, all of which a request must pass.

use super::gate::{Gate, NoKey, Refused};
use super::head::RequestHead;
use crate::limiter::sealed;
use crate::standing::Standing;
use crate::time::Timestamp;

/// For each gate: its type, its place in the tuple, and a name for its charge.
macro_rules! together {
    ($($gate:ident $place:tt $charge:ident),+) => {
        impl<$($gate),+> sealed::Sealed for ($($gate,)+) {}

        impl<$($gate: Gate),+> Gate for ($($gate,)+) {
            type Key = ($($gate::Key,)+);
            /// Of each gate that was charged.
            type Charge = ($(Option<$gate::Charge>,)+);

            fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey> {
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
                let mut forfeited = 0_u64;
                $(if let Some(charge) = charge.$place {
                    forfeited = forfeited.saturating_add(self.$place.undo(&key.$place, n, charge));
                })+
                forfeited
            }

            fn standing_at(&self, key: &Self::Key, now: Timestamp) -> Option<Standing> {
                let standings = [$(self.$place.standing_at(&key.$place, now)),+];
                standings.into_iter().flatten().reduce(Standing::tighter)
            }

            fn standing_of(&self, limit: &str, key: &Self::Key, now: Timestamp) -> Option<Standing> {
                None$(.or_else(|| self.$place.standing_of(limit, &key.$place, now)))+
            }
        }
    };
}
together!(A 0 a, B 1 b);
together!(A 0 a, B 1 b, C 2 c);
together!(A 0 a, B 1 b, C 2 c, D 3 d);

/// Of two answers the refusal, of two refusals the one that lasts longer.
fn longer(one: Result<(), Refused>, other: Result<(), Refused>) -> Result<(), Refused> {
    match (one, other) {
        (Err(one), Err(other)) if other.outlasts(&one) => Err(other),
        (Ok(()), other) => other,
        (one, _) => one,
    }
}
