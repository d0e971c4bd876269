//! A call that waits, in a thread or in a future. It leaves its queue when it is dropped.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::call::Call;
use super::progress::{Progress, Step};
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

    /// Leaves the queue, and starts again with what `change` makes of the call.
    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut C)) {
        self.progress.give_up(&self.call);
        change(&mut self.call);
        self.progress = Progress::Start;
    }

    fn step(&mut self, waker: &Waker) -> Step<C::Output> {
        self.progress.step(&self.call, self.timeout, waker)
    }

    /// Blocks the thread until the call is decided.
    pub(crate) fn block(mut self) -> C::Output {
        thread_waker::with(|waker| {
            loop {
                let until = match self.step(waker) {
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
    fn drop(&mut self) {
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

pin_project! {
    /// The sleep of a future that waits.
    pub(crate) struct Asleep<T: SleepSlot> {
        timer: T,
        until: Option<Timestamp>,
        #[pin]
        sleep: Option<T::Slot>,
    }
}

impl<T: SleepSlot> Asleep<T> {
    pub(crate) const fn new(timer: T) -> Self {
        Self {
            timer,
            until: None,
            sleep: None,
        }
    }

    /// The same timer, not asleep.
    pub(crate) fn wake_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.until = None;
        this.sleep.set(None);
    }
}

impl<T: Timer> Asleep<T> {
    /// Waits in a future.
    pub(crate) async fn wait<C: Call>(timer: T, mut waiter: Waiter<C>) -> C::Output {
        let mut asleep = pin!(Self::new(timer));
        poll_fn(|context| asleep.as_mut().poll(&mut waiter, context)).await
    }

    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(crate) const fn timer(&self) -> &T {
        &self.timer
    }

    /// Polls a waiter, and sleeps for it.
    pub(crate) fn poll<C: Call>(
        mut self: Pin<&mut Self>,
        waiter: &mut Waiter<C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        loop {
            match waiter.step(context.waker()) {
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
                    ready!(self.as_mut().poll_until(until, now, context));
                }
            }
        }
    }

    /// Sleeps until an instant.
    pub(crate) fn poll_until(
        self: Pin<&mut Self>,
        until: Timestamp,
        now: Timestamp,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut this = self.project();
        if *this.until != Some(until) || this.sleep.is_none() {
            *this.until = Some(until);
            this.sleep.set(Some(this.timer.sleep(until - now)));
        }
        if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
            ready!(sleep.poll(context));
        }
        *this.until = None;
        this.sleep.set(None);
        Poll::Ready(())
    }
}
