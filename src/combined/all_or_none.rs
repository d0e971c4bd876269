//! The limits of a combination as members of the [engine](crate::all_or_none) that charges all or
//! none.

#![expect(
    clippy::inline_always,
    reason = "members in registers: a call of its own takes a fifth more instructions"
)]

use alloc::vec::Vec;

use super::limit::{Limit, NamedLimit};
use super::{Combined, CombinedCharge, CombinedDenied};
use crate::all_or_none::{self, LeastHeadroom, Members, Refusal};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request};
use crate::sync::add_saturating;

/// A call, and the limits that it asks.
struct Asked<'a, C, R> {
    combined: &'a Combined<C>,
    /// What it requires of the limit with an index.
    request: &'a R,
    at: AsOf,
}

impl<C, R> Clone for Asked<'_, C, R> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, R> Copy for Asked<'_, C, R> {}

impl<C: Clock, R: Fn(usize) -> Request> Asked<'_, C, R> {
    #[inline(always)]
    fn refused(self, index: usize, denied: Denied) -> CombinedDenied {
        CombinedDenied {
            name: self.combined.limits[index].name,
            index,
            denied,
        }
    }
}

impl<C: Clock, R: Fn(usize) -> Request> Members for Asked<'_, C, R> {
    type Charges = [Exchange];
    type Refusal = CombinedDenied;

    #[inline(always)]
    fn count(self) -> usize {
        self.combined.limits.len()
    }

    #[inline(always)]
    fn commit(self, index: usize, charges: &mut [Exchange]) -> bool {
        (self.request)(index).cost == 0 || self.combined.limits[index].limit.commit(charges[index])
    }

    #[inline(always)]
    fn charge(self, index: usize, charges: &mut [Exchange]) -> Result<(), CombinedDenied> {
        let cost = (self.request)(index).cost;
        match self.combined.limits[index].limit.charge_at(cost, self.at) {
            Ok(charge) => {
                charges[index] = charge;
                Ok(())
            }
            Err(denied) => Err(self.refused(index, denied)),
        }
    }

    /// Counts what does not come back.
    #[inline(always)]
    fn undo(self, index: usize, charges: &mut [Exchange]) -> u64 {
        let permits = (self.request)(index).cost;
        self.combined
            .undo_or_forfeit(index, permits, charges[index]);
        0
    }

    #[inline(always)]
    fn refusal(self, index: usize) -> Option<CombinedDenied> {
        let required = (self.request)(index).required;
        let peeked = self.combined.limits[index].limit.peek_at(required, self.at);
        Some(self.refused(index, peeked.err()?))
    }

    #[inline(always)]
    fn longest(self, own: Option<CombinedDenied>) -> Option<CombinedDenied> {
        self.combined.refusal(self.request, self.at, own)
    }
}

impl Refusal for CombinedDenied {
    fn outlasts(&self, other: &Self) -> bool {
        self.denied.outlasts(&other.denied)
    }
}

impl<C: Clock> Combined<C> {
    /// Charges every limit or none. Passes each limit's index and [room](PreparedCharge::room)
    /// before the charge to `observe`, and does so again if the first pass is repeated.
    #[inline]
    pub(crate) fn admit(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        observe: impl FnMut(usize, u64),
    ) -> Result<(), CombinedDenied> {
        self.charge(request, at, observe, |_| ())
    }

    /// Like [`admit`](Self::admit), and passes the charges to `keep`, in the order of the limits.
    #[inline]
    fn charge(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        mut observe: impl FnMut(usize, u64),
        keep: impl FnOnce(&[Exchange]),
    ) -> Result<(), CombinedDenied> {
        // The most charges that are kept on the stack.
        const FEW: usize = 8;

        let mut few = [Exchange::NONE; FEW];
        let mut many = Vec::new();
        let charges = if let Some(few) = few.get_mut(..self.limits.len()) {
            few
        } else {
            many.resize(self.limits.len(), Exchange::NONE);
            &mut many
        };
        all_or_none::charge! {
            prepare: self.prepare(request, at, &mut observe, charges),
            refusal: self.refusal(request, at, None),
            charge: |first| {
                self.charge_all(first, request, at, charges)?;
                keep(charges);
                Ok(())
            },
            unprepared: {
                charges.fill(Exchange::NONE);
                self.charge_rest(0, 0, request, at, charges)?;
                keep(charges);
                Ok(())
            },
        }
    }

    /// The first pass: prepares the charge of each limit, and returns the index of the first limit
    /// with the least headroom. `None` if one would refuse.
    #[inline]
    fn prepare(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        observe: &mut impl FnMut(usize, u64),
        charges: &mut [Exchange],
    ) -> Option<usize> {
        let mut least = LeastHeadroom::NONE;
        let limits = self.limits.iter().zip(charges).enumerate();
        for (index, (named, prepared)) in limits {
            let PreparedCharge {
                room,
                headroom,
                charge,
            } = named.limit.prepare_at(request(index), at)?;
            observe(index, room);
            *prepared = charge;
            least.consider(index, headroom);
        }
        Some(least.index())
    }

    /// The second pass: makes the prepared charges, as long as they are made in order.
    #[expect(
        clippy::inline_always,
        reason = "inlined after the first pass, the charges need not be copied"
    )]
    #[inline(always)]
    fn charge_all(
        &self,
        first: usize,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        if first != 0 {
            return self.charge_rest(0, first, request, at, charges);
        }
        for (index, (named, &mut charge)) in self.limits.iter().zip(&mut *charges).enumerate() {
            if request(index).cost > 0 && !named.limit.commit(charge) {
                // The prepared exchange failed, so it must not be tried again.
                charges[index] = Exchange::NONE;
                return self.charge_rest(index, first, request, at, charges);
            }
        }
        Ok(())
    }

    /// The second pass from a position on, where the order differs, another call was faster, or a
    /// window has to rotate.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge_rest(
        &self,
        position: usize,
        first: usize,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        let asked = Asked {
            combined: self,
            request,
            at,
        };
        all_or_none::charge_rest(asked, position, first, charges)
    }

    /// Undoes a charge and counts what does not come back.
    #[cold]
    fn undo_or_forfeit(&self, index: usize, permits: u64, charge: Exchange) {
        if permits > 0 {
            let returned = self.limits[index].limit.undo(permits, charge);
            self.forfeit(permits - returned);
        }
    }

    fn forfeit(&self, permits: u64) {
        add_saturating(&self.forfeited, permits);
    }

    /// The refusal that lasts the longest, among the limits' refusals now and the call's `own`.
    #[cold]
    pub(crate) fn refusal(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        own: Option<CombinedDenied>,
    ) -> Option<CombinedDenied> {
        self.longest(own, |index, limit| {
            limit.peek_at(request(index).required, at).err()
        })
    }

    /// The refusal that lasts the longest, of each limit's `refusal` and the call's `own`.
    pub(crate) fn longest(
        &self,
        own: Option<CombinedDenied>,
        refusal: impl Fn(usize, &Limit<C>) -> Option<Denied>,
    ) -> Option<CombinedDenied> {
        let mut longest = own;
        for (index, &NamedLimit { name, ref limit }) in self.limits.iter().enumerate() {
            let Some(denied) = refusal(index, limit) else {
                continue;
            };
            if longest.is_none_or(|longest| denied.outlasts(&longest.denied)) {
                longest = Some(CombinedDenied {
                    name,
                    index,
                    denied,
                });
            }
        }
        longest
    }

    /// Like [`admit`](Self::admit), but returns the charges for [`undo_all`](Self::undo_all).
    pub(crate) fn charge_each_at(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
    ) -> Result<CombinedCharge, CombinedDenied> {
        let mut made = Vec::new();
        let keep = |charges: &[Exchange]| {
            let charges = charges.iter().enumerate();
            made.extend(charges.map(|(index, &charge)| (index, request(index).cost, charge)));
        };
        self.charge(request, at, |_, _| (), keep)?;
        Ok(CombinedCharge {
            charges: made,
            permits: 0,
        })
    }

    /// Undoes charges. Calls `rescue` with a limit's index and the permits that did not come back.
    /// These are forfeited unless `rescue` returns `true`. Returns whether none were forfeited.
    pub(crate) fn undo_all(
        &self,
        charge: CombinedCharge,
        rescue: impl Fn(usize, u64) -> bool,
    ) -> bool {
        let mut complete = true;
        // Last first, so that each undo finds its limit as the charge left it.
        for (index, permits, charge) in charge.charges.into_iter().rev() {
            // `None` for a charge of another combination.
            let Some(named) = self.limits.get(index) else {
                continue;
            };
            let missing = permits - named.limit.undo(permits, charge);
            if missing > 0 && !rescue(index, missing) {
                self.forfeit(missing);
                complete = false;
            }
        }
        complete
    }
}
