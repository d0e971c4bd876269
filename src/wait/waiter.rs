//! A call that waits, in a thread or in a future. It leaves its queue when it is dropped.

use alloc::boxed::Box;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::call::{Call, Hold};
use super::progress::{Progress, Started, Step};
use super::thread_waker;
use super::timer::{SleepSlot, Timer};
use crate::clock::Clock;
use crate::time::Timestamp;

/// A call, how long it may wait, and how far it has come.
pub(crate) struct Waiter<C: Call> {
    call: C,
    timeout: Duration,
    progress: Progress<C::Place>,
}

impl<C: Call> Waiter<C> {
    pub(crate) const fn new(call: C) -> Self {
        Self {
            call,
            timeout: Duration::MAX,
            progress: Progress::Start,
        }
    }

    pub(crate) const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(crate) const fn call(&self) -> &C {
        &self.call
    }

    /// Leaves the queue, and starts again with what `change` makes of the call. Returns the
    /// decision if it was refused already.
    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut C)) -> Option<C::Output> {
        self.progress.give_up(&self.call);
        change(&mut self.call);
        match core::mem::replace(&mut self.progress, Progress::Start) {
            Progress::Late(since) if self.call.free().is_none() => {
                let progress = &mut self.progress;
                progress.start_since(&self.call, self.timeout, since)
            }
            _ => None,
        }
    }

    /// Asks the limiter if that was not done yet and no call is ahead.
    #[expect(clippy::inline_always, reason = "most waits end here")]
    #[inline(always)]
    pub(super) fn start(&mut self) -> Started<C::Output> {
        self.progress.start(&self.call)
    }

    /// Joins the queue after a [start](Self::start). Returns the decision if waiting is in vain.
    fn join(&mut self, refusal: Option<(Hold, Timestamp)>) -> Option<C::Output> {
        let (hold, now) = match refusal {
            Some((hold, now)) => (Some(hold), now),
            None => (None, self.call.clock().now()),
        };
        self.progress.join(&self.call, self.timeout, hold, now)
    }

    /// Blocks the thread until the call is decided.
    pub(crate) fn block(mut self) -> C::Output {
        match self.start() {
            Started::Done(output) => return output,
            Started::Join(refusal) => {
                if let Some(output) = self.join(refusal) {
                    return output;
                }
            }
            Started::Before => {}
        }
        thread_waker::with(|waker| {
            loop {
                let until = match self.progress.step(&self.call, waker) {
                    Step::Done(output) => return output,
                    Step::Sleep { until, .. } => until,
                    Step::Park => Timestamp::MAX,
                };
                self.call.clock().park_until(until);
            }
        })
    }
}

impl<C: Call> Drop for Waiter<C> {
    #[inline]
    fn drop(&mut self) {
        // A model that ends in a deadlock unwinds all threads, and no lock works then.
        #[cfg(tidegate_loom)]
        if std::thread::panicking() {
            return;
        }
        self.progress.give_up(&self.call);
    }
}

impl<C: Call> fmt::Debug for Waiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("timeout", &self.timeout)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// The sleep of a future that waits. It is boxed, so that a call that need not wait is small, and
/// moves freely: a wait can stand in a `select!` without being pinned first.
pub(crate) struct Asleep<T: SleepSlot> {
    timer: T,
    sleep: Option<(Timestamp, Pin<Box<T::Slot>>)>,
}

/// The timer is never pinned.
impl<T: SleepSlot> Unpin for Asleep<T> {}

impl<T: SleepSlot> Asleep<T> {
    pub(crate) const fn new(timer: T) -> Self {
        Self { timer, sleep: None }
    }

    /// The same timer, not asleep.
    pub(crate) fn wake_up(&mut self) {
        self.sleep = None;
    }
}

impl<T: Timer> Asleep<T> {
    /// Waits in a future.
    pub(crate) async fn wait<C: Call>(&mut self, mut waiter: Waiter<C>) -> C::Output {
        poll_fn(|context| self.poll(&mut waiter, context)).await
    }

    pub(crate) const fn timer(&self) -> &T {
        &self.timer
    }

    /// Polls a waiter, and sleeps for it.
    #[inline]
    pub(crate) fn poll<C: Call>(
        &mut self,
        waiter: &mut Waiter<C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        match waiter.start() {
            Started::Done(output) => Poll::Ready(output),
            Started::Join(refusal) => self.poll_joining(waiter, refusal, context),
            Started::Before => self.poll_waiting(waiter, context),
        }
    }

    /// Polls a waiter that has to join the queue.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_joining<C: Call>(
        &mut self,
        waiter: &mut Waiter<C>,
        refusal: Option<(Hold, Timestamp)>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        match waiter.join(refusal) {
            Some(output) => Poll::Ready(output),
            None => self.poll_waiting(waiter, context),
        }
    }

    /// Polls a waiter that is in the queue.
    #[inline(never)]
    pub(super) fn poll_waiting<C: Call>(
        &mut self,
        waiter: &mut Waiter<C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        loop {
            match waiter.progress.step(&waiter.call, context.waker()) {
                Step::Done(output) => {
                    self.wake_up();
                    return Poll::Ready(output);
                }
                Step::Park => {
                    self.wake_up();
                    return Poll::Pending;
                }
                // The clock is read again after the sleep, because the timer may have been early.
                Step::Sleep { until, now } => {
                    ready!(self.poll_until(until, now, context));
                }
            }
        }
    }

    /// Sleeps until an instant.
    pub(crate) fn poll_until(
        &mut self,
        until: Timestamp,
        now: Timestamp,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let sleep = match &mut self.sleep {
            Some((instant, sleep)) if *instant == until => sleep,
            slot => {
                let sleep = Box::pin(self.timer.sleep(until - now));
                &mut slot.insert((until, sleep)).1
            }
        };
        ready!(sleep.as_mut().poll(context));
        self.wake_up();
        Poll::Ready(())
    }
}
