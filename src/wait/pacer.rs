//! Repeated waits for permits, for what cannot return a refusal: streams, sinks and bytes.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::timer::{SleepSlot, Timer};
use crate::wait::{Acquire, Awaitable, DefaultTimer};

/// How many instalments one poll takes before it lets other tasks run. Permits may flow in faster
/// than a loop takes them, and then a large number of instalments would block the thread.
pub(super) const INSTALMENTS_PER_POLL: u32 = 32;

/// How long to wait for another capacity, at a limiter that refuses what fits into its capacity.
const RETRY: Duration = Duration::from_millis(100);

/// Takes permits again and again, in instalments of at most the limiter's capacity.
pub(super) struct Pacer<L: Awaitable, T: SleepSlot> {
    /// One future for all waits, because it owns the limiter.
    wait: Acquire<L, T>,
    /// The permits that it waits for; 0 while it does not wait.
    instalment: u64,
    /// The pause before a retry, where the wait queue was full.
    pause: Option<Pin<Box<T::Slot>>>,
}

/// The limiter is never pinned.
impl<L: Awaitable, T: SleepSlot> Unpin for Pacer<L, T> {}

impl<L: Awaitable> Pacer<L, DefaultTimer> {
    pub(super) const fn new(limiter: L) -> Self {
        Self {
            wait: Acquire::new(limiter, 0),
            instalment: 0,
            pause: None,
        }
    }
}

impl<L: Awaitable, T: SleepSlot> Pacer<L, T> {
    /// The same on another timer.
    pub(super) fn timer<U: Timer>(self, timer: U) -> Pacer<L, U> {
        Pacer {
            wait: self.wait.timer(timer),
            instalment: self.instalment,
            pause: None,
        }
    }

    /// Leaves the wait queue. Instalments that were taken are lost.
    #[cfg(feature = "futures")]
    pub(super) fn give_up(&mut self) {
        Pin::new(&mut self.wait).restart(0);
        self.instalment = 0;
        self.pause = None;
    }

    pub(super) const fn limiter(&self) -> &L {
        self.wait.limiter()
    }
}

impl<L: Awaitable, T: Timer> Pacer<L, T> {
    /// Takes `unpaid` permits, and counts them down. Dropped in between, it loses nothing: the next
    /// poll goes on with what is left.
    #[cfg(feature = "futures")]
    pub(super) fn poll_all(&mut self, context: &mut Context<'_>, unpaid: &mut u64) -> Poll<()> {
        for _ in 0..INSTALMENTS_PER_POLL {
            if *unpaid == 0 {
                return Poll::Ready(());
            }
            let taken = ready!(self.poll_instalment(context, *unpaid));
            *unpaid = unpaid.saturating_sub(taken);
        }
        if *unpaid == 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes an instalment of `unpaid` permits, and returns its size. An instalment that is being
    /// waited for keeps its size, whatever `unpaid` is by now.
    pub(super) fn poll_instalment(&mut self, context: &mut Context<'_>, unpaid: u64) -> Poll<u64> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let mut wait = Pin::new(&mut self.wait);
            if self.instalment == 0 {
                self.instalment = unpaid.min(wait.limiter().max_permits()).max(1);
                wait.as_mut().restart(self.instalment);
            }
            let outcome = ready!(wait.poll(context));
            let instalment = core::mem::take(&mut self.instalment);
            let Err(denied) = outcome else {
                return Poll::Ready(instalment);
            };
            // Without a hint, the capacity was reduced meanwhile.
            let pause = denied.retry_after().unwrap_or(RETRY);
            self.pause = Some(Box::pin(self.wait.sleep(pause)));
        }
    }
}
