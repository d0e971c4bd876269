//! Tuples of members of different types.

use super::{LeastHeadroom, Members, Refusal};

/// A member, and what a call asks of it.
pub(crate) trait Member: Copy {
    type Charge;

    type Refusal: Refusal;

    /// Whether the call asks for any permits.
    fn is_charged(self) -> bool;

    /// The number of calls like this one for which there seems to be room; `None` for none.
    fn headroom(self) -> Option<u64>;

    /// The refusal at this moment. Changes nothing.
    fn refusal(self) -> Option<Self::Refusal>;

    fn charge(self) -> Result<Self::Charge, Self::Refusal>;

    /// Tells that the call was refused because of peeks. A member that counts its refusals looks
    /// whether its own was among them.
    #[inline]
    fn record_peeked_refusal(self) {}

    /// Undoes a charge, and returns the permits that are lost.
    fn undo(self, charge: Self::Charge) -> u64;
}

/// A tuple of [`Member`]s.
pub(crate) trait MemberTuple: Members<Charges: Sized> {
    /// The slots before any charge.
    fn no_charges() -> Self::Charges;

    /// The first pass: see [`charge`](super::charge).
    fn first(self) -> Option<usize>;
}

/// Charges every member of a tuple or none. The slots of those that are not charged stay empty.
#[inline]
pub(crate) fn charge<M: MemberTuple>(members: M) -> Result<M::Charges, M::Refusal> {
    super::charge! {
        prepare: members.first(),
        refusal: members.longest(None).inspect(|_| members.record_peeked_refusal()),
        charge: |first| charge_from(members, first),
        unprepared: charge_from(members, 0),
    }
}

/// The second pass: makes the charges, beginning with `first`.
fn charge_from<M: MemberTuple>(members: M, first: usize) -> Result<M::Charges, M::Refusal> {
    let mut charges = M::no_charges();
    super::charge_rest(members, 0, first, &mut charges)?;
    Ok(charges)
}

/// Undoes the charges of every member, last first. Returns the permits that are lost.
#[cfg(feature = "tower")]
pub(crate) fn undo<M: MemberTuple>(members: M, mut charges: M::Charges) -> u64 {
    super::roll_back(members, members.count(), 0, &mut charges)
}

macro_rules! tuples_of_members {
    ($(($($member:ident $index:tt),+))+) => {$(
        impl<R: Refusal, $($member: Member<Refusal = R>),+> Members for ($($member,)+) {
            type Charges = ($(Option<$member::Charge>,)+);
            type Refusal = R;

            #[inline]
            fn count(self) -> usize {
                [$($index),+].len()
            }

            #[inline]
            fn commit(self, index: usize, _: &mut Self::Charges) -> bool {
                match index {
                    $($index => !self.$index.is_charged(),)+
                    _ => true,
                }
            }

            #[inline]
            fn charge(self, index: usize, charges: &mut Self::Charges) -> Result<(), R> {
                match index {
                    $($index => charges.$index = Some(self.$index.charge()?),)+
                    _ => {}
                }
                Ok(())
            }

            fn undo(self, index: usize, charges: &mut Self::Charges) -> u64 {
                match index {
                    $($index => {
                        let charge = charges.$index.take();
                        charge.map_or(0, |charge| self.$index.undo(charge))
                    })+
                    _ => 0,
                }
            }

            fn refusal(self, index: usize) -> Option<R> {
                match index {
                    $($index => self.$index.refusal(),)+
                    _ => None,
                }
            }

            #[inline]
            fn record_peeked_refusal(self) {
                $(if self.$index.is_charged() {
                    self.$index.record_peeked_refusal();
                })+
            }
        }

        impl<R: Refusal, $($member: Member<Refusal = R>),+> MemberTuple for ($($member,)+) {
            #[inline]
            fn no_charges() -> Self::Charges {
                ($(None::<$member::Charge>,)+)
            }

            #[inline]
            fn first(self) -> Option<usize> {
                let mut least = LeastHeadroom::NONE;
                $(if self.$index.is_charged() {
                    least.consider($index, self.$index.headroom()?);
                })+
                Some(least.index())
            }
        }
    )+};
}
tuples_of_members! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
