//! The one driver of all waits, of threads and futures, at every limiter.
//!
//! A call that finds no waiter ahead asks the limiter at once, and reads the clock once. If it is
//! refused it joins the [queue](crate::sync::WaitQueue), and the rest is done as its head.
//!
//! # As of when a waiter is decided
//!
//! A timer wakes the head late: tokio's counts milliseconds. If the head asked as of the moment at
//! which it woke up, a bucket that holds little would run full in between, and what flowed in
//! after that would be lost. With a burst of 1 and 10 000 per second that is nine tenths of the
//! rate. So the head is decided *as of the instant at which it was due*: the latest of
//!
//! * its arrival (`before_arrival`),
//! * the instant as of which the waiter before it was admitted (`before_the_last`),
//! * the instant that its last refusal named,
//! * now − slack (`however_late`).
//!
//! The instant lies between the start of the call and its return, so a bucket's bound holds as it
//! is stated, for decision times. An old instant never refills a bucket or moves its time back
//! (`old_instant_refills`). In real time, a bucket may admit up to rate · slack more in an interval
//! than its bound says. The slack keeps that small: without it, a process that was suspended for
//! ten seconds would let the waiters of ten seconds go at once.
//!
//! What takes permits in instalments (a stream, bytes) is one caller that waits all the time. So an
//! instalment arrived when the one before it was decided, if that was at most the slack ago.
//! Otherwise one caller alone would lose what flowed in after each instalment.
//!
//! A window is decided as of now: "at most so many in any minute" is about real time.
//!
//! The waiter behind is woken at once, and may be due already. So one tick of a timer serves all
//! waiters that were due in it, in order.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use core::fmt;
use core::task::Waker;
use core::time::Duration;

use super::call::{Call, Hold, Instants};
use crate::clock::Clock;
use crate::sync::{Ticket, Turn};
use crate::time::Timestamp;

/// How far a wait has come. It must be [given up](Self::give_up) before it is dropped.
pub(crate) enum Progress<P> {
    /// Not asked yet.
    Start,
    Waiting(Position<P>),
    /// Admitted as of this instant, which was before the moment at which it woke up.
    #[cfg_attr(
        not(any(feature = "futures", feature = "tokio")),
        expect(dead_code, reason = "only instalments follow each other")
    )]
    Late(Timestamp),
    Done,
}

/// A position in a queue.
pub(crate) struct Position<P> {
    place: P,
    ticket: Ticket,
    arrival: Timestamp,
    deadline: Timestamp,
    /// What the last refusal at the head said.
    hold: Option<Hold>,
}

impl<P> Position<P> {
    /// Leaves its queue for another one, which it has joined.
    #[cold]
    #[inline(never)]
    fn move_to<C: Call<Place = P>>(&mut self, call: &C, place: P, ticket: Ticket) {
        let place = core::mem::replace(&mut self.place, place);
        let ticket = core::mem::replace(&mut self.ticket, ticket);
        self.hold = None;
        let next = call.queue(&place).leave(ticket, None);
        call.exit(place);
        // Last, because a waker may run any code, and may panic.
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// What a waiter does next.
pub(crate) enum Step<O> {
    Done(O),
    /// Sleep until woken, or until an instant.
    Sleep {
        until: Timestamp,
        now: Timestamp,
    },
    /// Sleep until woken.
    Park,
}

impl<O> Step<O> {
    /// Sleeps until woken, or until a deadline if there is one.
    const fn until(deadline: Timestamp, now: Timestamp) -> Self {
        match deadline {
            Timestamp::MAX => Self::Park,
            until => Self::Sleep { until, now },
        }
    }
}

/// What came of the start of a wait.
pub(crate) enum Started<O> {
    Done(O),
    /// To [join](Progress::join) the queue, after a refusal as of an instant; `None` if a call is
    /// ahead.
    Join(Option<(Hold, Timestamp)>),
    /// It started before.
    Before,
}

impl<P> Progress<P> {
    /// Asks the limiter if that was not done yet and no call is ahead.
    ///
    /// Without what follows a refusal.
    #[expect(clippy::inline_always, reason = "most waits end here")]
    #[inline(always)]
    pub(crate) fn start<C: Call<Place = P>>(&mut self, call: &C) -> Started<C::Output> {
        if !matches!(self, Self::Start) {
            return Started::Before;
        }
        if let Some(admitted) = call.free() {
            *self = Self::Done;
            return Started::Done(call.output(Ok(admitted), Timestamp::ZERO));
        }
        if call.is_busy() {
            return Started::Join(None);
        }
        let now = call.clock().now();
        let at = Instants {
            arrival: now,
            due: now,
            now,
        };
        match call.attempt(at) {
            Ok(admitted) => {
                *self = Self::Done;
                Started::Done(call.output(Ok(admitted), now))
            }
            Err(hold) => Started::Join(Some((hold, now))),
        }
    }

    /// Joins the queue, unless waiting is in vain.
    #[cold]
    #[inline(never)]
    pub(crate) fn join<C: Call<Place = P>>(
        &mut self,
        call: &C,
        timeout: Duration,
        hold: Option<Hold>,
        now: Timestamp,
    ) -> Option<C::Output> {
        let deadline = now + timeout;
        if hold.is_some_and(|hold| hold.is_in_vain(deadline)) {
            // Without the queue, so that a refusal writes nothing and allocates nothing.
            let ahead = C::Demand::default();
            if let Some(refused) = self.refuse_in_vain(call, ahead, deadline, now) {
                return Some(refused);
            }
        }
        // Before it joins, so that a call that is refused never counts as one that waits.
        let expected = call.queued();
        if let Some(refused) = self.refuse_in_vain(call, expected, deadline, now) {
            return Some(refused);
        }
        let Some(place) = call.enter() else {
            return Some(self.refuse(call, expected, now));
        };
        let queue = call.queue(&place);
        let Some((ticket, ahead)) = queue.join(call.demand(&place)) else {
            call.exit(place);
            return Some(self.refuse(call, expected, now));
        };
        // Stored before any code of the caller can run, so that it is given up in any case.
        *self = Self::Waiting(Position {
            place,
            ticket,
            arrival: now,
            deadline,
            hold: None,
        });
        if ahead != expected {
            // Others joined or left in between.
            if let Some(refused) = self.refuse_in_vain(call, ahead, deadline, now) {
                return Some(refused);
            }
        }
        if call.is_observed() {
            if let Some(refusal) = call.refusal(ahead, now) {
                call.limited(&refusal, now);
            }
        }
        None
    }

    /// Refuses a call that cannot be admitted in time after those ahead.
    fn refuse_in_vain<C: Call<Place = P>>(
        &mut self,
        call: &C,
        ahead: C::Demand,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Option<C::Output> {
        let refusal = call.refusal(ahead, now)?;
        if !call.hold(&refusal, now).is_in_vain(deadline) {
            return None;
        }
        self.leave(call, None);
        Some(call.output(Err(refusal), now))
    }

    /// Starts a call that continues one which was decided as of `since`, and had more to take. It
    /// arrived at that instant, unless that is longer ago than a timer is late.
    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(crate) fn start_since<C: Call<Place = P>>(
        &mut self,
        call: &C,
        timeout: Duration,
        since: Timestamp,
    ) -> Option<C::Output> {
        let now = call.clock().now();
        let output = self.join(call, timeout, None, now);
        if let Self::Waiting(own) = self {
            let slack = call.queue(&own.place).slack();
            if since <= now && now <= since + slack {
                own.arrival = since;
            }
        }
        output
    }

    /// The next step of a waiter, after [`start`](Self::start). `waker` is woken when there is
    /// another before its sleep ends.
    pub(crate) fn step<C: Call<Place = P>>(&mut self, call: &C, waker: &Waker) -> Step<C::Output> {
        loop {
            if let Some(step) = self.step_in_place(call, waker) {
                return step;
            }
        }
    }

    /// The next step in the queue that it is in; `None` if it moved to another one.
    #[expect(clippy::panic, reason = "as all futures; `Acquire` never does")]
    fn step_in_place<C: Call<Place = P>>(
        &mut self,
        call: &C,
        waker: &Waker,
    ) -> Option<Step<C::Output>> {
        let Self::Waiting(own) = self else {
            panic!("a wait was polled after it was ready");
        };
        let queue = call.queue(&own.place);
        let (earliest, woken) = match queue.poll(&own.ticket, waker) {
            Turn::Head { earliest, woken } => (earliest, woken),
            Turn::Behind if own.deadline == Timestamp::MAX => return Some(Step::Park),
            Turn::Behind => {
                let now = call.clock().now();
                // As late as a head may be decided, because those ahead may be as late.
                let until = own.deadline + queue.slack();
                if now < until {
                    return Some(Step::Sleep { until, now });
                }
                let ahead = queue.demand_ahead(&own.ticket);
                return Some(Step::Done(self.refuse(call, ahead, now)));
            }
        };
        let now = call.clock().now();
        let oldest = queue.oldest_decision(now);
        let mut due = own.arrival.max(earliest).max(oldest).min(now);
        match own.hold {
            Some(Hold::Until(instant)) if instant <= now => due = due.max(instant),
            // Something has changed before that instant: as of now.
            Some(Hold::Until(_)) if woken => due = now,
            Some(Hold::Until(until)) => return Some(Step::Sleep { until, now }),
            Some(_) if woken => due = now,
            Some(_) if now < own.deadline => return Some(Step::until(own.deadline, now)),
            _ => {}
        }
        loop {
            let at = Instants {
                arrival: own.arrival,
                due,
                now,
            };
            let (hold, member) = match call.attempt_in(&own.place, at) {
                Ok(admitted) => {
                    self.leave(call, Some(due));
                    if due < now {
                        *self = Self::Late(due);
                    }
                    return Some(Step::Done(call.output(Ok(admitted), now)));
                }
                Err(refused) => refused,
            };
            let is_late = hold == Hold::UntilWoken && now >= own.deadline;
            if is_late || hold.is_in_vain(own.deadline) {
                let refusal = call.refusal(C::Demand::default(), now);
                if refusal.is_none() && due < now {
                    // There is room by now. Not as of now if there was room before, because what
                    // a full bucket does not gain until now would be lost to those behind.
                    due = match hold {
                        Hold::Until(instant) if instant > due => instant.min(now),
                        _ => now,
                    };
                    continue;
                }
                self.leave(call, None);
                let refusal = refusal.unwrap_or_else(|| call.behind_others());
                return Some(Step::Done(call.output(Err(refusal), now)));
            }
            own.hold = Some(hold);
            match hold {
                // Due already, but the timer was late.
                Hold::Until(instant) if instant <= now => {
                    due = instant.max(due);
                    continue;
                }
                _ => {}
            }
            if let Some(place) = member.and_then(|member| call.enter_at(member)) {
                let joined = call.queue(&place).join(call.demand(&place));
                if let Some((ticket, ahead)) = joined {
                    let deadline = own.deadline;
                    own.move_to(call, place, ticket);
                    let refused = self.refuse_in_vain(call, ahead, deadline, now);
                    return refused.map(Step::Done);
                }
                // That queue is full, so it keeps its place.
                call.exit(place);
            }
            return Some(match hold {
                Hold::Until(until) => Step::Sleep { until, now },
                _ => Step::until(own.deadline, now),
            });
        }
    }

    /// Leaves the queue with a refusal.
    fn refuse<C>(&mut self, call: &C, ahead: C::Demand, now: Timestamp) -> C::Output
    where
        C: Call<Place = P>,
    {
        self.leave(call, None);
        let refusal = call.refusal(ahead, now);
        call.output(Err(refusal.unwrap_or_else(|| call.behind_others())), now)
    }

    /// Leaves the queue without a decision. The waiters behind move up.
    #[inline]
    pub(crate) fn give_up<C: Call<Place = P>>(&mut self, call: &C) {
        if matches!(self, Self::Waiting(_)) {
            self.leave(call, None);
        }
    }

    /// Ends the wait, and leaves the queue if it is in one.
    #[inline(never)]
    fn leave<C: Call<Place = P>>(&mut self, call: &C, decided_at: Option<Timestamp>) {
        if let Self::Waiting(own) = core::mem::replace(self, Self::Done) {
            let next = call.queue(&own.place).leave(own.ticket, decided_at);
            call.exit(own.place);
            // Last, because a waker may run any code, and may panic.
            if let Some(waker) = next {
                waker.wake();
            }
        }
    }
}

impl<P> fmt::Debug for Progress<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "not started",
            Self::Waiting(_) => "waiting",
            Self::Late(_) | Self::Done => "done",
        })
    }
}
