//! Charging several members all or none: the one engine of combinations, tuples and gates.
//!
//! # A call
//!
//! 1. A first pass only reads. If any member would refuse, the call is refused and nothing was
//!    written.
//! 2. The member with the *least headroom* is charged first. Headroom is the number of calls like
//!    this one for which there is room. The others follow in order. So callers that race for the
//!    last permit meet at the first charge, where the losers have nothing to roll back.
//! 3. If a later charge fails all the same, the charges made before are undone, last first. An undo
//!    is exact or nothing ([`Limiter::undo`]), and what does not come back is forfeited. A full
//!    refund would admit too much (mutants `full_refund_across_limits` and `full_refund_of_a_key`,
//!    in `loom-tests/src/mutants/`).
//!
//! A charge that is undone later may have blocked other calls meanwhile. So a refusal means that a
//! member was used up at that moment. It does not mean that the member would have been used up
//! without the call that was rolled back.
//!
//! # Orderings
//!
//! There are none of its own: each member keeps its bound whatever happens to the others, and
//! nothing depends on the number of forfeited permits.
//!
//! # Progress
//!
//! A call takes one step of each member, two if a prepared charge fails. If a member refuses in the
//! first pass and no longer when its hint is computed, the call starts again, once.
//!
//! [`Limiter::undo`]: crate::Limiter::undo

#![deny(clippy::arithmetic_side_effects)]

/// The members of a call, and what it asks of each.
pub(crate) trait Members: Copy {
    /// A slot for the charge of each member.
    type Charges: ?Sized;

    type Refusal: Refusal;

    fn count(self) -> usize;

    /// Makes a prepared charge. Returns `true` as well if nothing is charged to this member.
    fn commit(self, index: usize, charges: &mut Self::Charges) -> bool;

    /// Charges a member after a check of its own.
    fn charge(self, index: usize, charges: &mut Self::Charges) -> Result<(), Self::Refusal>;

    /// Undoes a charge that was made. Returns the permits that are lost, unless the members count
    /// them.
    fn undo(self, index: usize, charges: &mut Self::Charges) -> u64;

    /// The refusal that a member returns at this moment. Changes nothing.
    fn refusal(self, index: usize) -> Option<Self::Refusal>;

    /// Tells the members that the call was refused because of peeks, for those that count their
    /// refusals.
    #[inline]
    fn record_peeked_refusal(self) {}

    /// The refusal that lasts the longest, among those of this moment and the call's `own`.
    fn longest(self, own: Option<Self::Refusal>) -> Option<Self::Refusal> {
        let refusals = (0..self.count()).map(|index| self.refusal(index));
        longest_of(own, refusals)
    }
}

/// A refusal that names its member.
pub(crate) trait Refusal: Copy {
    /// Whether this refusal lasts longer than another.
    fn outlasts(&self, other: &Self) -> bool;

    /// Permits that the call lost, unless the members count them.
    fn forfeited(&self) -> u64 {
        0
    }

    /// The same refusal, of a call that lost this number of permits.
    #[must_use]
    fn with_forfeited(self, _permits: u64) -> Self {
        self
    }
}

/// The first of the members that have the least headroom.
#[derive(Clone, Copy)]
pub(crate) struct LeastHeadroom {
    first: usize,
    least: u64,
}

impl LeastHeadroom {
    pub(crate) const NONE: Self = Self {
        first: 0,
        least: u64::MAX,
    };

    #[inline]
    pub(crate) const fn consider(&mut self, index: usize, headroom: u64) {
        if headroom < self.least {
            *self = Self {
                first: index,
                least: headroom,
            };
        }
    }

    /// The index of that member, or 0 if there are plenty of permits everywhere.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.first
    }
}

/// Charges every member or none. A macro, because closures would keep the charges of a combination
/// from staying in registers, which takes a fifth more instructions.
///
/// * `prepare` is the first pass. It prepares charges where it can, and returns the index of the
///   member to [charge first](LeastHeadroom). `None` if one would refuse.
/// * `refusal` is the refusal that lasts the longest at this moment.
/// * `charge` makes the charges, beginning with that member.
/// * `unprepared` makes them in order where nothing is prepared.
///
/// Both end with [`charge_rest`]. It returns from the function that it stands in.
macro_rules! charge {
    (
        prepare: $prepare:expr,
        refusal: $refusal:expr,
        charge: |$first:ident| $charge:expr,
        unprepared: $unprepared:expr $(,)?
    ) => {
        // Twice, because permits may have come back between the two passes.
        for _ in 0..2 {
            if let Some($first) = $prepare {
                return $charge;
            }
            if let Some(refusal) = $refusal {
                return Err(refusal);
            }
        }
        // Not forever: if the two passes keep disagreeing, each member decides for itself.
        return $unprepared;
    };
}
pub(crate) use charge;

#[cfg(feature = "tower")]
pub(crate) mod lists;
pub(crate) mod tuples;

/// The second pass from a position on, where the order differs, another call was faster, or a
/// charge could not be prepared.
// Inlined into a function that is not: members in memory would keep the compiler from seeing that
// the call which asks for them keeps no pointer to its own variables.
#[expect(clippy::inline_always, reason = "see above")]
#[inline(always)]
pub(crate) fn charge_rest<M: Members>(
    members: M,
    position: usize,
    first: usize,
    charges: &mut M::Charges,
) -> Result<(), M::Refusal> {
    for position in position..members.count() {
        let index = member_at(first, position);
        if members.commit(index, charges) {
            continue;
        }
        if let Err(own) = members.charge(index, charges) {
            let lost = roll_back(members, position, first, charges);
            let lost = lost.saturating_add(own.forfeited());
            // The refusals of now, because what was undone has come back.
            let refusal = members.longest(Some(own)).unwrap_or(own);
            return Err(refusal.with_forfeited(lost));
        }
    }
    Ok(())
}

/// Undoes the charges before a position, last first. So each undo finds its member as the charge
/// left it, also if one limiter is there twice.
#[expect(clippy::inline_always, reason = "as `charge_rest`")]
#[inline(always)]
fn roll_back<M: Members>(
    members: M,
    position: usize,
    first: usize,
    charges: &mut M::Charges,
) -> u64 {
    let mut lost = 0_u64;
    for position in (0..position).rev() {
        let index = member_at(first, position);
        lost = lost.saturating_add(members.undo(index, charges));
    }
    lost
}

/// The first of the refusals that last the longest.
pub(crate) fn longest_of<R: Refusal>(
    own: Option<R>,
    refusals: impl Iterator<Item = Option<R>>,
) -> Option<R> {
    refusals.flatten().fold(own, |longest, refusal| {
        if longest.is_none_or(|longest| refusal.outlasts(&longest)) {
            Some(refusal)
        } else {
            longest
        }
    })
}

/// The index of the member to charge at `position`: `first` is charged first, and the others follow
/// in order.
#[inline]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the position is not 0 where 1 is subtracted"
)]
const fn member_at(first: usize, position: usize) -> usize {
    if position > first {
        position
    } else if position == 0 {
        first
    } else {
        position - 1
    }
}
