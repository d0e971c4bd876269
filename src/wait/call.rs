//! What a wait needs to know about a call: the interface between the one driver of waits and the
//! limiters.

use core::fmt;

use crate::clock::Clock;
use crate::sync::{Demand, WaitQueue};
use crate::time::Timestamp;

/// Why a waiting call is not admitted, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "only calls and their driver need it")]
pub enum Hold {
    /// At this instant it may be admitted, if no other call comes in between.
    Until(Timestamp),
    /// Another call has to end first. It wakes the head.
    UntilWoken,
    /// No wait helps.
    Never,
}

impl Hold {
    /// Whether waiting is in vain for a caller that has until `deadline`.
    pub(super) fn is_in_vain(self, deadline: Timestamp) -> bool {
        match self {
            // The end of the clock's time never comes.
            Self::Until(instant) => instant > deadline || instant == Timestamp::MAX,
            Self::UntilWoken => false,
            Self::Never => true,
        }
    }
}

/// The instants that matter to the decision of a call.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only calls and their driver need it")]
pub struct Instants {
    /// When the call came.
    pub arrival: Timestamp,
    /// As of when it is decided; at least its arrival and at most now.
    pub due: Timestamp,
    /// For limits that must not be decided in the past.
    pub now: Timestamp,
}

impl Instants {
    /// Those of a call that does not wait.
    pub(crate) const fn as_of(now: Timestamp) -> Self {
        Self {
            arrival: now,
            due: now,
            now,
        }
    }
}

/// Until when the head of a queue is not admitted; and the member in whose queue it should wait for
/// that, if it is another one.
pub(crate) type Refused = (Hold, Option<usize>);

/// A call that can wait: its limiter, and what it asks for.
pub(crate) trait Call {
    type Clock: Clock;
    type Demand: Demand;
    /// Keeps the queue while the call waits: nothing where the limiter has one of its own.
    type Place: fmt::Debug + Send + Sync + 'static;
    type Admitted;
    type Refusal;
    type Output;

    fn clock(&self) -> &Self::Clock;

    /// What it adds to the demand of the queue of a place.
    fn demand(&self, place: &Self::Place) -> Self::Demand;

    /// Admits it without a decision, if it asks for nothing.
    fn free(&self) -> Option<Self::Admitted>;

    /// Whether another call waits that came before.
    fn is_busy(&self) -> bool;

    /// What all that wait now ask for.
    fn queued(&self) -> Self::Demand;

    /// `None` if there are too many waiters.
    fn enter(&self) -> Option<Self::Place>;

    fn queue<'a>(&'a self, place: &'a Self::Place) -> &'a WaitQueue<Self::Demand>;

    fn exit(&self, place: Self::Place);

    /// Admits it, or says until when not.
    fn attempt(&self, at: Instants) -> Result<Self::Admitted, Hold>;

    /// [`attempt`](Self::attempt) of the head of a queue. A refusal also names the member in whose
    /// queue the call should wait instead, for [`enter_at`](Self::enter_at).
    ///
    /// Both from one look: a later one may find that this member refuses no more, and another does,
    /// and the call would sleep where nothing wakes it (mutant `moves_by_a_second_look`).
    #[inline]
    fn attempt_in(&self, _place: &Self::Place, at: Instants) -> Result<Self::Admitted, Refused> {
        self.attempt(at).map_err(|hold| (hold, None))
    }

    /// [`enter`](Self::enter) at a member.
    #[inline]
    fn enter_at(&self, _member: usize) -> Option<Self::Place> {
        None
    }

    /// The refusal that it would meet after the calls of `ahead`. Changes nothing. `None` if there
    /// is room for all of them.
    fn refusal(&self, ahead: Self::Demand, now: Timestamp) -> Option<Self::Refusal>;

    /// The refusal where there is room, but others are ahead.
    fn behind_others(&self) -> Self::Refusal;

    /// Until when a refusal holds.
    fn hold(&self, refusal: &Self::Refusal, now: Timestamp) -> Hold;

    /// Whether [`limited`](Self::limited) has an effect.
    fn is_observed(&self) -> bool {
        false
    }

    /// Tells that it has to wait.
    fn limited(&self, _refusal: &Self::Refusal, _now: Timestamp) {}

    fn output(
        &self,
        outcome: Result<Self::Admitted, Self::Refusal>,
        now: Timestamp,
    ) -> Self::Output;
}
