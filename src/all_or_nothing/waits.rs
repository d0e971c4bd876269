//! Waits of tuples, in the queue of the member that refuses the longest.
//!
//! A tuple is a temporary value, so it has no queue. A call joins the queue of the member that
//! refuses it the longest behind those that wait there. As the head it asks all members. If another
//! refuses longer than this one, it moves to the end of that member's queue.
//!
//! # Why one queue at a time
//!
//! A call that kept its place at one member while it waits for another would delay those behind it,
//! which may not need the other at all: one user without permits would stop all users at the global
//! limit. Calls that keep places in opposite orders would also wait for each other. A call that is
//! in one queue at a time blocks no queue for longer than that member refuses it, and the head of
//! each queue is due when its member says so. So whenever a member has permits, its head asks at
//! once, and is admitted or makes way. The price is that a call may be overtaken at the members
//! whose queues it is not in.
//!
//! # Wake-ups
//!
//! As the head of the queue of a member, the call sleeps only until an instant that *this* member
//! has named, since it was last woken there. No other member matters before. What changes this
//! member in favor of its waiters wakes the head (the invariants of [`WaitQueue`]). If another
//! member was what refused, the call moves there, and asks again once it has joined. So no such
//! change is missed. Only if that member's queue is full, the call stays, and asks again at the
//! instant that was named.
//!
//! The refusal and the member come from one attempt. A second look might find that the other member
//! refuses no more, and the call would sleep here, although its change woke the heads there (mutant
//! `moves_by_a_second_look`).

use core::fmt;

use super::tuple_denied::TupleDenied;
use crate::all_or_none::tuples::{self, Member};
use crate::all_or_none::{Refusal, longest_of};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::prepared_charge::headroom_of;
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::wait::sealed::Waits;
use crate::wait::{Hold, Instants, MemberWaits, Refused};

/// A tuple whose members calls can wait at.
#[expect(unnameable_types, reason = "a detail of `AllOrNothing`")]
pub trait WaitTuple {
    type Clock: Clock;

    /// The permits of each member.
    type Costs: Copy + Send + Sync + 'static;

    /// For each member, its place if the call waits there.
    type Places: fmt::Debug + Send + Sync + 'static;

    fn first_clock(&self) -> &Self::Clock;

    /// `n` times these permits.
    fn costs(permits: Self::Costs, n: u64) -> Self::Costs;

    fn cost(costs: Self::Costs, index: usize) -> u64;

    /// Whether any member is charged.
    fn is_charged(costs: Self::Costs) -> bool;

    /// The most times that one call can be admitted for these permits.
    fn most(&self, permits: Self::Costs) -> u64;

    /// Whether calls wait at a member that is charged.
    fn is_busy(&self, costs: Self::Costs) -> bool;

    /// The refusal that lasts the longest, of a call that waits at the end of each queue, but
    /// behind no more than `most`.
    fn refusal_behind(&self, costs: Self::Costs, most: u128, now: Timestamp)
    -> Option<TupleDenied>;

    /// The first charged member at which calls wait, else the first that is charged.
    fn first_busy(&self, costs: Self::Costs) -> usize;

    /// What all ask for that wait at a member.
    fn queued_at(&self, index: usize) -> u128;

    fn enter_at(&self, index: usize) -> Option<TuplePlace<Self::Places>>;

    fn queue_of<'a>(&'a self, place: &'a TuplePlace<Self::Places>) -> Option<&'a WaitQueue>;

    fn exit_from(&self, place: TuplePlace<Self::Places>);

    /// Charges all or none. A refusal names the member that refuses the longest, and until when.
    fn attempt_each(&self, costs: Self::Costs, at: Instants) -> Result<(), (usize, Hold)>;

    /// Until when a member refuses.
    fn hold_at(&self, index: usize, costs: Self::Costs, at: Instants) -> Option<Hold>;

    /// Tells the members that refuse at `now` that a call was refused in the end.
    fn tell_refused(&self, costs: Self::Costs, now: Timestamp);

    /// Asks as the head of the queue of a member.
    fn attempt_at(
        &self,
        place: &TuplePlace<Self::Places>,
        costs: Self::Costs,
        at: Instants,
    ) -> Result<(), Refused> {
        let (index, longest) = match self.attempt_each(costs, at) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        // It keeps its place where it can: of two that refuse as long, and of a member that refuses
        // longer by now.
        match self.hold_at(place.index, costs, at) {
            Some(own) if !outlasts(longest, own) => Err((own, None)),
            _ if index == place.index => Err((longest, None)),
            _ => Err((longest, Some(index))),
        }
    }

    /// The member at which a call should wait.
    fn choose(&self, costs: Self::Costs) -> usize {
        let now = self.first_clock().now();
        let refusal = self.refusal_behind(costs, u128::MAX, now);
        refusal.map_or_else(|| self.first_busy(costs), |refusal| refusal.index)
    }
}

/// A place in the queue of a member.
#[derive(Debug)]
#[expect(unnameable_types, reason = "a detail of `AllOrNothing`")]
pub struct TuplePlace<P> {
    index: usize,
    places: P,
}

/// Until when a member refuses. A call that waits cannot report what it lost before it ends.
#[derive(Clone, Copy)]
struct MemberHold {
    index: usize,
    hold: Hold,
}

fn outlasts(one: Hold, other: Hold) -> bool {
    match (one, other) {
        (_, Hold::Never) => false,
        (Hold::Until(mine), Hold::Until(theirs)) => mine > theirs,
        (Hold::Never, _) | (Hold::UntilWoken, Hold::Until(_)) => true,
        (_, Hold::UntilWoken) => false,
    }
}

impl Refusal for MemberHold {
    fn outlasts(&self, other: &Self) -> bool {
        outlasts(self.hold, other.hold)
    }
}

/// A member of a tuple, and the permits that a waiting call asks it for.
struct Awaited<'a, L> {
    limiter: &'a L,
    index: usize,
    n: u64,
    at: Instants,
}

impl<L> Clone for Awaited<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Awaited<'_, L> {}

impl<L: MemberWaits> Member for Awaited<'_, L> {
    type Charge = L::Charge;
    type Refusal = MemberHold;

    fn is_charged(self) -> bool {
        self.n > 0
    }

    fn headroom(self) -> Option<u64> {
        if self.limiter.hold_as_of(self.n, self.at).is_some() {
            return None;
        }
        let room = self.limiter.available_at(self.at.now);
        // As of now there may be less than as of the due instant, which has decided.
        Some(headroom_of(room, self.n).unwrap_or(0))
    }

    fn refusal(self) -> Option<MemberHold> {
        if self.n == 0 {
            return None;
        }
        let hold = self.limiter.hold_as_of(self.n, self.at)?;
        let index = self.index;
        Some(MemberHold { index, hold })
    }

    fn charge(self) -> Result<L::Charge, MemberHold> {
        let index = self.index;
        let charged = self.limiter.charge_as_of(self.n, self.at);
        charged.map_err(|hold| MemberHold { index, hold })
    }

    fn undo(self, charge: L::Charge) -> u64 {
        self.n.saturating_sub(self.limiter.undo(charge))
    }
}

/// A tuple, and the permits of each member: what
/// [`acquire_each`](crate::AllOrNothing::acquire_each) waits at.
pub struct Each<'a, T: WaitTuple> {
    tuple: &'a T,
    permits: T::Costs,
}

impl<'a, T: WaitTuple> Each<'a, T> {
    pub(super) const fn new(tuple: &'a T, permits: T::Costs) -> Self {
        Self { tuple, permits }
    }
}

impl<T: WaitTuple> Clone for Each<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: WaitTuple> Copy for Each<'_, T> {}

impl<T: WaitTuple<Costs: fmt::Debug>> fmt::Debug for Each<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Each")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

/// The waits of a tuple that a call asks for `$n` times `$permits`.
macro_rules! waits_at {
    ($this:ident => $tuple:expr, $permits:expr, $type:ty) => {
        type Clock = <$type as WaitTuple>::Clock;
        type Demand = u128;
        type Place = TuplePlace<<$type as WaitTuple>::Places>;

        fn wait_clock(&self) -> &Self::Clock {
            let $this = self;
            $tuple.first_clock()
        }

        fn max_permits(&self) -> u64 {
            let $this = self;
            $tuple.most($permits)
        }

        fn demand(&self, n: u64) -> u128 {
            n.into()
        }

        fn demand_at(&self, n: u64, place: &Self::Place) -> u128 {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            <$type as WaitTuple>::cost(costs, place.index).into()
        }

        fn is_busy(&self) -> bool {
            let $this = self;
            let permits = $permits;
            <$type as WaitTuple>::is_charged(permits) && WaitTuple::is_busy($tuple, permits)
        }

        fn queued(&self) -> u128 {
            self.queued_for(1)
        }

        fn queued_for(&self, n: u64) -> u128 {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            $tuple.queued_at($tuple.choose(costs))
        }

        fn enter(&self) -> Option<Self::Place> {
            self.enter_for(1)
        }

        fn enter_for(&self, n: u64) -> Option<Self::Place> {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            WaitTuple::enter_at($tuple, $tuple.choose(costs))
        }

        fn queue<'a>(&'a self, place: &'a Self::Place) -> &'a WaitQueue {
            let $this = self;
            $tuple.queue_of(place).expect("a place of this tuple")
        }

        fn exit(&self, place: Self::Place) {
            let $this = self;
            $tuple.exit_from(place);
        }

        fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            $tuple.attempt_each(costs, at).map_err(|(_, hold)| hold)
        }

        fn attempt_in(&self, place: &Self::Place, n: u64, at: Instants) -> Result<(), Refused> {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            $tuple.attempt_at(place, costs, at)
        }

        fn enter_at(&self, member: usize) -> Option<Self::Place> {
            let $this = self;
            WaitTuple::enter_at($tuple, member)
        }

        fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            let refusal = $tuple.refusal_behind(costs, ahead, now)?;
            Some(refusal.denied)
        }

        #[inline]
        fn refused(&self, n: u64, now: Timestamp) {
            let $this = self;
            let costs = <$type as WaitTuple>::costs($permits, n);
            WaitTuple::tell_refused($tuple, costs, now);
        }
    };
}

impl<T: WaitTuple> Waits for Each<'_, T> {
    waits_at!(each => each.tuple, each.permits, T);
}

macro_rules! waits_of_tuples {
    ($($arity:literal: ($($member:ident $index:tt),+))+) => {$(
        impl<Time, $($member),+> WaitTuple for ($($member,)+)
        where
            Time: Clock,
            $($member: Limiter<Clock = Time> + MemberWaits,)+
        {
            type Clock = Time;
            type Costs = [u64; $arity];
            type Places = ($(Option<<$member as Waits>::Place>,)+);

            fn first_clock(&self) -> &Time {
                Limiter::clock(&self.0)
            }

            fn costs(permits: [u64; $arity], n: u64) -> [u64; $arity] {
                permits.map(|permits| permits.saturating_mul(n))
            }

            fn cost(costs: [u64; $arity], index: usize) -> u64 {
                costs.get(index).copied().unwrap_or(0)
            }

            fn is_charged(costs: [u64; $arity]) -> bool {
                costs.iter().any(|cost| *cost > 0)
            }

            fn most(&self, permits: [u64; $arity]) -> u64 {
                let most = u64::MAX;
                $(
                    let of_member = Waits::max_permits(&self.$index);
                    let most = most.min(of_member.checked_div(permits[$index]).unwrap_or(most));
                )+
                most
            }

            fn is_busy(&self, costs: [u64; $arity]) -> bool {
                false$(|| (costs[$index] > 0 && Waits::is_busy(&self.$index)))+
            }

            fn refusal_behind(
                &self,
                costs: [u64; $arity],
                most: u128,
                now: Timestamp,
            ) -> Option<TupleDenied> {
                let refusals = [$({
                    let cost = costs[$index];
                    let denied = (cost > 0).then(|| {
                        // Nothing is locked to count those ahead of a call that is the head.
                        let ahead = if most == 0 { 0 } else { self.$index.queued().min(most) };
                        self.$index.refusal(ahead, cost, now)
                    });
                    denied.flatten().map(|denied| TupleDenied {
                        index: $index,
                        denied,
                        forfeited: 0,
                    })
                },)+];
                longest_of(None, refusals.into_iter())
            }

            fn first_busy(&self, costs: [u64; $arity]) -> usize {
                $(if costs[$index] > 0 && Waits::is_busy(&self.$index) {
                    return $index;
                })+
                costs.iter().position(|cost| *cost > 0).unwrap_or(0)
            }

            fn queued_at(&self, index: usize) -> u128 {
                match index {
                    $($index => self.$index.queued(),)+
                    _ => 0,
                }
            }

            fn enter_at(&self, index: usize) -> Option<TuplePlace<Self::Places>> {
                let mut places = ($(None::<<$member as Waits>::Place>,)+);
                match index {
                    $($index => places.$index = Some(Waits::enter(&self.$index)?),)+
                    _ => return None,
                }
                Some(TuplePlace { index, places })
            }

            fn queue_of<'a>(
                &'a self,
                place: &'a TuplePlace<Self::Places>,
            ) -> Option<&'a WaitQueue> {
                match place.index {
                    $($index => {
                        let place = place.places.$index.as_ref()?;
                        Some(Waits::queue(&self.$index, place))
                    })+
                    _ => None,
                }
            }

            fn exit_from(&self, place: TuplePlace<Self::Places>) {
                $(if let Some(place) = place.places.$index {
                    Waits::exit(&self.$index, place);
                })+
            }

            fn attempt_each(
                &self,
                costs: [u64; $arity],
                at: Instants,
            ) -> Result<(), (usize, Hold)> {
                let awaited = ($(Awaited {
                    limiter: &self.$index,
                    index: $index,
                    n: costs[$index],
                    at,
                },)+);
                tuples::charge(awaited).map(drop).map_err(|refused| (refused.index, refused.hold))
            }

            fn hold_at(
                &self,
                index: usize,
                costs: [u64; $arity],
                at: Instants,
            ) -> Option<Hold> {
                match index {
                    $($index => self.$index.hold_as_of(costs[$index], at),)+
                    _ => None,
                }
            }

            fn tell_refused(&self, costs: [u64; $arity], now: Timestamp) {
                $(if costs[$index] > 0 && self.$index.peek_at(costs[$index], now).is_err() {
                    self.$index.refused(costs[$index], now);
                })+
            }
        }

        #[expect(unused_variables, reason = "a tuple itself asks each member for the same")]
        impl<Time, $($member),+> Waits for ($($member,)+)
        where
            Time: Clock,
            $($member: Limiter<Clock = Time> + MemberWaits,)+
        {
            waits_at!(tuple => tuple, [1; $arity], Self);
        }
    )+};
}
waits_of_tuples! {
    1: (A 0)
    2: (A 0, B 1)
    3: (A 0, B 1, C 2)
    4: (A 0, B 1, C 2, D 3)
    5: (A 0, B 1, C 2, D 3, E 4)
    6: (A 0, B 1, C 2, D 3, E 4, F 5)
    7: (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    8: (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
