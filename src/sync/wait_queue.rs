//! The wait queue of a limiter: threads and futures in order of arrival.
//!
//! The first waiter is the *head*. Only the head asks the limiter, and only the head sleeps on a
//! timer until its instant. It leaves when it is admitted or gives up. The others sleep until they
//! are the head. So no waiter overtakes another, whatever the sizes, and a call that ends or a
//! waiter that leaves wakes at most one.
//!
//! Nothing is charged for a waiter before it is admitted, so a waiter can leave at any time and
//! owes nothing. Those behind it move up.
//!
//! # State
//!
//! * `line`: the waiters in order of arrival, behind a mutex. All else about the order follows from
//!   it: the head is the first entry, so there is no turn that could be lost with a waiter.
//! * `waiting`: the number of waiters, written under the lock. Callers that do not wait read it
//!   without the lock, to see whether anyone is ahead of them or has to be woken.
//!
//! A combination has a queue of its own, which *follows* the queues of its limits: what wakes the
//! head there wakes the head here (`followers_are_not_woken`). A limit holds weak pointers to those
//! that follow it. A queue begins to follow with its first waiter, and no other goes on before it
//! does (`followed_in_part`).
//!
//! # Invariants
//!
//! 1. A step that removes the head marks the next entry `woken` and wakes its task
//!    (`next_is_not_woken`), whether it was admitted or gave up (`dropped_head_wakes_none`).
//! 2. A head that sleeps has asked the limiter since it was last marked. The mark is removed in the
//!    same step that stores the waker, before the limiter is asked (`mark_removed_late`).
//! 3. Wakers are called, cloned and dropped without the lock: each may run code of an executor,
//!    and a task that is dropped may hold a waiter of the same queue.
//!
//! # Orderings
//!
//! A caller that changes a limit in favor of waiters (a reset, a credit, an undo) writes to the
//! limit and then reads `waiting`, in [`wake_head`](WaitQueue::wake_head). A waiter raises
//! `waiting` and then asks the limiter. A `SeqCst` fence between the two steps on both sides lets
//! one of them see the other (`no_fence_after_joining`, `no_fence_before_waking`). Otherwise the
//! waiter would sleep for what is already there. Once a waiter is seen, the mutex orders all else.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Cost and progress
//!
//! A limiter at which no call ever waited holds a null pointer here. A waiter takes the mutex to
//! join, to leave, and each time it is polled: O(log w) with w waiters, and O(w) if its timeout
//! ends while others are ahead. Other callers read one word, and take the mutex only to wake a
//! waiter.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::task::Waker;
use core::time::Duration;

use super::Ordering::{Relaxed, SeqCst};
use super::{AtomicU64, Lazy, Mutex, MutexGuard, const_fn, fence, lock};
use crate::time::Timestamp;

/// By how much the decision of a waiter may precede the moment at which its timer woke it: two
/// ticks of a timer that counts milliseconds, as tokio's does.
pub(crate) const DEFAULT_SLACK: Duration = Duration::from_millis(2);

/// What a waiter asks for. A queue keeps the sum over all waiters.
#[expect(unnameable_types, reason = "a detail of `Awaitable`")]
pub trait Demand: Copy + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The demand of both.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// The demand without that of a waiter that is part of it.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// The number of permits in it.
    fn permits(self) -> u128;
}

/// A number of permits. 128 bits, so that no sum of 64-bit numbers overflows.
impl Demand for u128 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn permits(self) -> u128 {
        self
    }
}

/// See the [module](self) documentation.
#[expect(unnameable_types, reason = "a detail of `Awaitable`")]
pub struct WaitQueue<D: Demand = u128>(Lazy<Arc<Queue<D>>>);

struct Queue<D> {
    waiting: AtomicU64,
    max_waiters: AtomicU64,
    /// Nanoseconds.
    slack: AtomicU64,
    /// The number of `followers` in the line, for `wake_head`.
    followers: AtomicU64,
    line: Mutex<Line<D>>,
}

struct Line<D> {
    /// By number: the order of arrival.
    waiters: BTreeMap<u64, Waiting<D>>,
    next_number: u64,
    /// The sum over all waiters.
    demand: D,
    /// When the latest waiter was decided. No waiter behind it is decided as of an earlier instant.
    decided_at: Timestamp,
    /// The queues of combinations that the limiter is part of, and at which calls have waited.
    followers: Vec<Weak<Queue<D>>>,
    /// Whether this is the queue of a combination that follows those of its limits.
    is_linked: bool,
}

#[derive(Debug)]
struct Waiting<D> {
    demand: D,
    waker: Option<Waker>,
    /// The limiter must be asked again.
    woken: bool,
}

/// A waiter in a queue. It does not borrow the queue, so every call takes the queue that it was
/// taken in. A ticket that is only dropped stays in the queue.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that does not leave blocks the queue"]
pub(crate) struct Ticket(u64);

/// The position of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Behind,
    Head {
        /// It must not be decided as of an earlier instant.
        earliest: Timestamp,
        /// The limiter must be asked, even if the instant of the last hint has not come.
        woken: bool,
    },
}

impl<D: Demand> Queue<D> {
    fn new() -> Self {
        Self {
            waiting: AtomicU64::new(0),
            max_waiters: AtomicU64::new(u64::MAX),
            slack: AtomicU64::new(crate::time::nanos(DEFAULT_SLACK)),
            followers: AtomicU64::new(0),
            line: Mutex::new(Line {
                waiters: BTreeMap::new(),
                next_number: 0,
                demand: D::default(),
                decided_at: Timestamp::ZERO,
                followers: Vec::new(),
                is_linked: false,
            }),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<D>> {
        lock(&self.line)
    }

    fn wake_first(&self) {
        // Relaxed: the fence in `wake_head` orders it.
        if self.waiting.load(Relaxed) == 0 {
            return;
        }
        let head = self.line().mark_head();
        if let Some(waker) = head {
            waker.wake();
        }
    }
}

impl<D: Demand> WaitQueue<D> {
    const_fn! {
        /// A queue for any number of waiters. Allocates nothing before the first one comes.
        pub(crate) const fn new() -> Self {
            Self(Lazy::new())
        }
    }

    fn queue(&self) -> &Arc<Queue<D>> {
        self.0.get_or_init(|| Box::new(Arc::new(Queue::new())))
    }

    /// Limits the number of waiters, the head included.
    pub(crate) fn set_max_waiters(&self, most: u64) {
        // Relaxed: a number on its own.
        self.queue().max_waiters.store(most, Relaxed);
    }

    pub(crate) fn set_slack(&self, slack: Duration) {
        // Relaxed: a number on its own.
        let nanos = crate::time::nanos(slack);
        self.queue().slack.store(nanos, Relaxed);
    }

    pub(crate) fn slack(&self) -> Duration {
        self.0.get().map_or(DEFAULT_SLACK, |queue| {
            // Relaxed: a number on its own.
            Duration::from_nanos(queue.slack.load(Relaxed))
        })
    }

    /// How far back a waiter may be decided now.
    pub(crate) fn oldest_decision(&self, now: Timestamp) -> Timestamp {
        oldest_decision(self.slack(), now)
    }

    /// As of when a call may be decided behind waiters that ask for `ahead`. The first of them may
    /// be due already although its timer is late, and will be decided as of then.
    pub(crate) fn earliest_behind(&self, ahead: D, now: Timestamp) -> Timestamp {
        earliest_behind(self.slack(), ahead, now)
    }

    /// Whether a waiter is ahead of a new caller.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting() != 0
    }

    /// The number of waiters.
    #[inline]
    pub(crate) fn waiting(&self) -> u64 {
        // Relaxed: a thread that knows of a waiter sees the count that the waiter raised, and
        // concurrent callers have no order.
        self.0.get().map_or(0, |queue| queue.waiting.load(Relaxed))
    }

    /// What all waiters ask for together.
    pub(crate) fn demand(&self) -> D {
        self.0
            .get()
            .map_or_else(D::default, |queue| queue.line().demand)
    }

    /// What the waiters ahead of one ask for.
    pub(crate) fn demand_ahead(&self, ticket: &Ticket) -> D {
        let line = self.queue().line();
        let ahead = line.waiters.range(..ticket.0);
        ahead.fold(D::default(), |sum, (_, ahead)| sum.plus(ahead.demand))
    }

    /// Joins the end, and returns what the waiters ahead ask for. `None` if the queue is full.
    pub(crate) fn join(&self, demand: D) -> Option<(Ticket, D)> {
        let queue = self.queue();
        let mut line = queue.line();
        // Relaxed: a number on its own.
        if line.waiters.len() as u64 >= queue.max_waiters.load(Relaxed) {
            return None;
        }
        let number = line.next_number;
        line.next_number += 1;
        let waiting = Waiting {
            demand,
            waker: None,
            woken: true,
        };
        line.waiters.insert(number, waiting);
        let ahead = line.demand;
        line.demand = ahead.plus(demand);
        // Relaxed: the fence orders it for `wake_head`.
        queue.waiting.store(line.waiters.len() as u64, Relaxed);
        drop(line);
        // Pairs with the fence in `wake_head`.
        fence(SeqCst);
        Some((Ticket(number), ahead))
    }

    /// Returns the position of a waiter, and stores the waker that tells when it may have changed.
    pub(crate) fn poll(&self, ticket: &Ticket, waker: &Waker) -> Turn {
        let queue = self.queue();
        let mut spare = None;
        loop {
            let mut line = queue.line();
            let is_head = line.waiters.keys().next() == Some(&ticket.0);
            let earliest = line.decided_at;
            let Some(own) = line.waiters.get_mut(&ticket.0) else {
                // Not reached: a ticket is in the queue until it leaves.
                return Turn::Behind;
            };
            let is_stored = own
                .waker
                .as_ref()
                .is_some_and(|stored| stored.will_wake(waker));
            if !is_stored {
                if spare.is_none() {
                    drop(line);
                    spare = Some(waker.clone());
                    continue;
                }
                core::mem::swap(&mut own.waker, &mut spare);
            }
            if !is_head {
                return Turn::Behind;
            }
            let woken = core::mem::take(&mut own.woken);
            return Turn::Head { earliest, woken };
        }
    }

    /// Lets this queue follow the queues of its limits: what wakes a head there wakes its own.
    pub(crate) fn follow<'a>(&self, limits: impl Iterator<Item = &'a Self>)
    where
        D: 'a,
    {
        let own = self.queue();
        // Held until all is done, so that no other waiter goes on before. Nothing locks this queue
        // while it holds the lock of a limit's.
        let mut line = own.line();
        if core::mem::replace(&mut line.is_linked, true) {
            return;
        }
        for limit in limits {
            let limit = limit.queue();
            let mut theirs = limit.line();
            theirs.followers.retain(|other| other.strong_count() > 0);
            theirs.followers.push(Arc::downgrade(own));
            // Relaxed: the fence in `join` orders it for `wake_head`.
            limit
                .followers
                .store(theirs.followers.len() as u64, Relaxed);
        }
    }

    /// Leaves from any position; `decided_at` if it was admitted. Returns the waker of the new
    /// head, which must be woken.
    #[must_use = "the new head sleeps until it is woken"]
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub(crate) fn leave(&self, ticket: Ticket, decided_at: Option<Timestamp>) -> Option<Waker> {
        let queue = self.queue();
        let mut line = queue.line();
        let was_head = line.waiters.keys().next() == Some(&ticket.0);
        let own = line.waiters.remove(&ticket.0);
        if let Some(own) = &own {
            line.demand = line.demand.minus(own.demand);
        }
        if let Some(decided_at) = decided_at {
            line.decided_at = line.decided_at.max(decided_at);
        }
        // Relaxed: a caller that still counts this waiter takes the lock for nothing.
        queue.waiting.store(line.waiters.len() as u64, Relaxed);
        let next = if was_head { line.mark_head() } else { None };
        drop(line);
        drop(own);
        next
    }

    /// Lets the head ask again, after something has changed in its favor.
    pub(crate) fn wake_head(&self) {
        // Pairs with the fence in `join`: either this thread sees the waiter, or the waiter sees
        // the change.
        fence(SeqCst);
        let Some(queue) = self.0.get() else { return };
        queue.wake_first();
        // Relaxed: the fence orders it.
        if queue.followers.load(Relaxed) > 0 {
            let followers = queue.line().followers.clone();
            for follower in followers.iter().filter_map(Weak::upgrade) {
                follower.wake_first();
            }
        }
    }
}

const fn oldest_decision(slack: Duration, now: Timestamp) -> Timestamp {
    Timestamp::from_nanos(now.as_nanos().saturating_sub(crate::time::nanos(slack)))
}

/// [`WaitQueue::earliest_behind`] for a queue with this slack.
pub(crate) fn earliest_behind(slack: Duration, ahead: impl Demand, now: Timestamp) -> Timestamp {
    if ahead.permits() == 0 {
        return now;
    }
    oldest_decision(slack, now)
}

impl<D: Demand> Line<D> {
    /// Marks the head, and returns its waker.
    fn mark_head(&mut self) -> Option<Waker> {
        let mut head = self.waiters.first_entry()?;
        let head = head.get_mut();
        head.woken = true;
        head.waker.take()
    }
}

impl<D: Demand> fmt::Debug for WaitQueue<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
