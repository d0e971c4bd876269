//! Repeated waits for permits, for what cannot return a refusal: streams, sinks and bytes.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::timer::{SleepSlot, Timer};
use crate::wait::{Acquire, Awaitable, DefaultTimer};

/// How many instalments one poll takes before it lets other tasks run. Permits may flow in faster
/// than a loop takes them, and then a large number of instalments would block the thread.
pub(super) const INSTALMENTS_PER_POLL: u32 = 32;

/// How long to wait for another capacity, at a limiter that refuses what fits into its capacity.
const RETRY: Duration = Duration::from_millis(100);

pin_project! {
    /// Takes permits again and again, in instalments of at most the limiter's capacity.
    pub(super) struct Pacer<L, T>
    where
        L: Awaitable,
        T: SleepSlot,
    {
        // One future for all waits, because it owns the limiter.
        #[pin]
        wait: Acquire<L, T>,
        // The permits that it waits for; 0 while it does not wait.
        instalment: u64,
        // The pause before a retry, where the wait queue was full.
        #[pin]
        pause: Option<T::Slot>,
    }
}

impl<L: Awaitable> Pacer<L, DefaultTimer> {
    pub(super) const fn new(limiter: L) -> Self {
        Self::of(Acquire::new(limiter, 0))
    }
}

impl<L: Awaitable, T: SleepSlot> Pacer<L, T> {
    const fn of(wait: Acquire<L, T>) -> Self {
        Self {
            wait,
            instalment: 0,
            pause: None,
        }
    }

    /// The same on another timer, before anything was taken.
    pub(super) fn timer<U: Timer>(self, timer: U) -> Pacer<L, U> {
        Pacer::of(self.wait.timer(timer))
    }

    /// Leaves the wait queue. Instalments that were taken are lost.
    #[cfg(feature = "futures")]
    pub(super) fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.wait.restart(0);
        *this.instalment = 0;
        this.pause.set(None);
    }

    /// The most permits of one instalment.
    pub(super) fn max_instalment(&self) -> u64 {
        self.wait.limiter().max_permits().max(1)
    }
}

impl<L: Awaitable, T: Timer> Pacer<L, T> {
    /// Takes `unpaid` permits, and counts them down. Dropped in between, it loses nothing: the next
    /// poll goes on with what is left.
    #[cfg(feature = "futures")]
    pub(super) fn poll_all(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        unpaid: &mut u64,
    ) -> Poll<()> {
        for _ in 0..INSTALMENTS_PER_POLL {
            if *unpaid == 0 {
                return Poll::Ready(());
            }
            let taken = ready!(self.as_mut().poll_instalment(context, *unpaid));
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
    pub(super) fn poll_instalment(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        unpaid: u64,
    ) -> Poll<u64> {
        loop {
            let most = self.max_instalment();
            let mut this = self.as_mut().project();
            if let Some(pause) = this.pause.as_mut().as_pin_mut() {
                ready!(pause.poll(context));
                this.pause.set(None);
            }
            if *this.instalment == 0 {
                *this.instalment = unpaid.min(most);
                this.wait.as_mut().restart(*this.instalment);
            }
            let outcome = ready!(this.wait.as_mut().poll(context));
            let instalment = core::mem::take(this.instalment);
            let Err(denied) = outcome else {
                return Poll::Ready(instalment);
            };
            // Without a hint the capacity was reduced meanwhile.
            let pause = denied.retry_after().unwrap_or(RETRY);
            this.pause.set(Some(this.wait.sleep(pause)));
        }
    }
}
