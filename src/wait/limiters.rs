//! Waits at the limiters that have a queue of their own.

#![expect(
    clippy::inline_always,
    reason = "most waits end with their first attempt"
)]

use core::time::Duration;

use super::acquire::Acquire;
use super::awaitable::sealed::Waits;
use super::call::{Hold, Instants};
use crate::clock::Clock;
use crate::combined::{Combined, Limit};
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// The waits of a limiter, with the notes on its order.
macro_rules! waits {
    ($($limiter:ident: $note:literal),* $(,)?) => {$(
        impl<C: Clock> $limiter<C> {
            /// Waits for `n` permits, in order of arrival: await the result, or let the thread
            /// [`wait`](Acquire::wait).
            ///
            #[doc = $note]
            ///
            /// `n = 0` is ready at once. The wait borrows the limiter; [`Acquire::new`] makes one
            /// that owns a share of it.
            ///
            /// # Errors
            ///
            /// As [`Acquire::wait`].
            ///
            /// # Cancel safety
            ///
            /// See [`Acquire`].
            ///
            /// ```
            /// use core::time::Duration;
            /// use tidegate::{ManualClock, Quota, SlidingWindow, TokenBucket};
            ///
            /// let clock = ManualClock::new();
            /// let calls = TokenBucket::with_clock(Quota::per_second(5).burst(2), clock.clone());
            /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
            /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            /// runtime.block_on(async {
            ///     for _ in 0..4 {
            ///         // In a program with the feature `tokio`: `calls.acquire(1).await?`.
            ///         calls.acquire(1).timer(timer).await?;
            ///     }
            ///     Ok::<(), tidegate::Denied>(())
            /// })?;
            /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 400_000_000);
            /// # Ok::<(), tidegate::Denied>(())
            /// ```
            pub const fn acquire(&self, n: u64) -> Acquire<&Self> {
                Acquire::new(self, n)
            }

            /// Returns the same limiter with a bounded wait queue; by default it is unbounded.
            ///
            /// A caller that finds the queue full is refused at once, unless it is admitted without
            /// waiting. Threads and futures count.
            ///
            /// ```
            /// # use core::{future::Future, pin::pin};
            /// # use core::task::{Context, Poll, Waker};
            /// use tidegate::{ManualClock, Quota, TokenBucket};
            ///
            /// let quota = Quota::per_second(1);
            /// let bucket = TokenBucket::with_clock(quota, ManualClock::new()).max_waiters(1);
            /// bucket.try_acquire(1)?;
            /// # let never = |_| core::future::pending();
            /// # let mut context = Context::from_waker(Waker::noop());
            /// let mut first = pin!(bucket.acquire(1).timer(never));
            /// assert!(first.as_mut().poll(&mut context).is_pending());
            /// assert_eq!(bucket.waiting(), 1);
            /// assert!(bucket.acquire(1).wait().is_err());
            /// # Ok::<(), tidegate::Denied>(())
            /// ```
            #[must_use]
            pub fn max_waiters(self, most: usize) -> Self {
                self.wait_queue().set_max_waiters(most as u64);
                self
            }

            /// Returns the same limiter with another slack: by how much the decision of a waiter
            /// may precede the moment at which its timer woke it. 2 ms by default, two ticks of
            /// tokio's timer.
            ///
            /// Late timers cost no part of the rate while they are late by at most this. In real
            /// time, a bucket may admit up to rate · slack more in an interval than its bound. With
            /// a slack of 0 every waiter is decided as of the moment at which it wakes up. The
            /// [design](crate::docs::design#waits) has the reasons.
            #[must_use]
            pub fn wait_slack(self, slack: Duration) -> Self {
                self.wait_queue().set_slack(slack);
                self
            }

            /// Returns the number of threads and futures that wait.
            pub fn waiting(&self) -> u64 {
                self.wait_queue().waiting()
            }
        }

        impl<C: Clock> Waits for $limiter<C> {
            type Clock = C;
            type Demand = u128;
            type Place = ();

            fn wait_clock(&self) -> &C {
                self.clock()
            }

            fn max_permits(&self) -> u64 {
                Limiter::capacity(self)
            }

            fn demand(&self, n: u64) -> u128 {
                n.into()
            }

            #[inline]
            fn is_busy(&self) -> bool {
                self.wait_queue().is_busy()
            }

            fn queued(&self) -> u128 {
                self.wait_queue().demand()
            }

            fn enter(&self) -> Option<()> {
                self.follow_limits();
                Some(())
            }

            fn queue<'a>(&'a self, (): &'a ()) -> &'a WaitQueue {
                self.wait_queue()
            }

            fn exit(&self, (): ()) {}

            #[inline(always)]
            fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
                self.attempt_at(n, at)
            }

            fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
                self.refusal_behind(ahead, n, now)
            }
        }
    )*};
}
waits! {
    TokenBucket: "A [`reset`](Self::reset), a [`credit`](Self::credit), and a reservation that is \
        canceled wake the first waiter.",
    ShardedTokenBucket: "",
    SlidingWindow: "The first waiter is decided as of the moment at which it wakes up, because \
        \"at most so many in any minute\" is about real time.",
    Combined: "Each limit is decided as of the instant that fits it: a bucket as of the instant at \
        which the call was due, a window as of now.",
}

/// Limiters that consist of no others.
macro_rules! follow_none {
    ($($limiter:ident),*) => {$(
        impl<C: Clock> $limiter<C> {
            const fn follow_limits(&self) {}
        }
    )*};
}
follow_none!(TokenBucket, ShardedTokenBucket, SlidingWindow);

impl<C: Clock> TokenBucket<C> {
    #[inline(always)]
    fn attempt_at(&self, n: u64, Instants { due, .. }: Instants) -> Result<(), Hold> {
        self.try_acquire_at(n, due)
            .map_err(|denied| denied.hold(due))
    }

    fn refusal_behind(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        let due = self.wait_queue().earliest_behind(ahead, now);
        let denied = self.peek_behind_at(ahead, n, due).err()?;
        super::behind::from_now(denied, due, now)
    }
}

impl<C: Clock> ShardedTokenBucket<C> {
    #[inline(always)]
    fn attempt_at(&self, n: u64, Instants { due, .. }: Instants) -> Result<(), Hold> {
        self.try_acquire_at(n, due)
            .map_err(|denied| denied.hold(due))
    }

    fn refusal_behind(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        let due = self.wait_queue().earliest_behind(ahead, now);
        let peek = |n| self.peek_at(n, due);
        let beyond = |n| self.quota().refill_time_of(n);
        let denied = super::behind::refusal(self.capacity(), ahead, n, peek, beyond)?;
        super::behind::from_now(denied, due, now)
    }
}

impl<C: Clock> SlidingWindow<C> {
    #[inline(always)]
    fn attempt_at(&self, n: u64, Instants { now, .. }: Instants) -> Result<(), Hold> {
        self.try_acquire_at(n, now)
            .map_err(|denied| denied.hold(now))
    }

    fn refusal_behind(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.peek_behind_at(ahead, n, now).err()
    }
}

impl<C: Clock> Combined<C> {
    fn follow_limits(&self) {
        // Not that of a limiter that is part of it twice: it undoes its own first charge, and would
        // wake itself again and again.
        let queues = || self.limits().map(Limit::wait_queue);
        let is_single = |queue: &&WaitQueue| {
            let same = queues().filter(|other| core::ptr::eq(*other, *queue));
            same.count() == 1
        };
        self.wait_queue().follow(queues().filter(is_single));
    }

    #[inline(always)]
    fn attempt_at(&self, n: u64, at: Instants) -> Result<(), Hold> {
        self.try_acquire_as_of(n, at.into())
    }

    fn refusal_behind(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        let denied = self.refusal_behind_at(ahead, n, now)?;
        Some(denied.denied())
    }
}
