//! Lists of members of one type, of any length.

use super::tuples::Member;
use super::{LeastHeadroom, Members};

/// The members of a list. Their charges are in a list of the same length.
pub(crate) struct List<'a, M>(&'a [M]);

impl<M> Clone for List<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for List<'_, M> {}

impl<M: Member> List<'_, M> {
    /// The first pass: see [`charge`](super::charge).
    fn first(self) -> Option<usize> {
        let mut least = LeastHeadroom::NONE;
        for (index, member) in self.0.iter().enumerate() {
            if member.is_charged() {
                least.consider(index, member.headroom()?);
            }
        }
        Some(least.index())
    }
}

impl<M: Member> Members for List<'_, M> {
    type Charges = [Option<M::Charge>];
    type Refusal = M::Refusal;

    fn count(self) -> usize {
        self.0.len()
    }

    fn commit(self, index: usize, _: &mut Self::Charges) -> bool {
        !self.0[index].is_charged()
    }

    fn charge(self, index: usize, charges: &mut Self::Charges) -> Result<(), M::Refusal> {
        charges[index] = Some(self.0[index].charge()?);
        Ok(())
    }

    fn undo(self, index: usize, charges: &mut Self::Charges) -> u64 {
        let charge = charges[index].take();
        charge.map_or(0, |charge| self.0[index].undo(charge))
    }

    fn refusal(self, index: usize) -> Option<M::Refusal> {
        self.0[index].refusal()
    }

    fn record_peeked_refusal(self) {
        for member in self.0.iter().filter(|member| member.is_charged()) {
            member.record_peeked_refusal();
        }
    }
}

/// Charges every member of a list or none. Those that are not charged keep an empty slot. There are
/// as many `charges` as members, all empty.
pub(crate) fn charge<M: Member>(
    members: &[M],
    charges: &mut [Option<M::Charge>],
) -> Result<(), M::Refusal> {
    let members = List(members);
    super::charge! {
        prepare: members.first(),
        refusal: members.longest(None).inspect(|_| members.record_peeked_refusal()),
        charge: |first| super::charge_rest(members, 0, first, charges),
        unprepared: super::charge_rest(members, 0, 0, charges),
    }
}

/// Undoes the charges of every member, last first. Returns the permits that are lost.
pub(crate) fn undo<M: Member>(members: &[M], charges: &mut [Option<M::Charge>]) -> u64 {
    super::roll_back(List(members), members.len(), 0, charges)
}

/// The refusal that lasts the longest at this moment.
pub(crate) fn refusal<M: Member>(members: &[M]) -> Option<M::Refusal> {
    let charged = members.iter().filter(|member| member.is_charged());
    super::longest_of(None, charged.map(|member| member.refusal()))
}

/// The least headroom of the members; `None` if one has none.
pub(crate) fn headroom<M: Member>(members: &[M]) -> Option<u64> {
    let mut least = u64::MAX;
    for member in members.iter().filter(|member| member.is_charged()) {
        least = least.min(member.headroom()?);
    }
    Some(least)
}
