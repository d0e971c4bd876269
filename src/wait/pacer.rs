//! Repeated waits for permits, for a stream or a sink.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::timer::{SleepSlot, Timer};
use crate::wait::{Acquire, Awaitable, DefaultTimer};

pin_project! {
    /// Takes permits again and again. More than the limiter admits at once are taken in
    /// instalments.
    pub(super) struct Pacer<L, T>
    where
        L: Awaitable,
        T: SleepSlot,
    {
        // One future for all waits, because it owns the limiter.
        #[pin]
        wait: Acquire<L, T>,
        // What is still to be taken, the current instalment included; `None` between items.
        unpaid: Option<u64>,
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
            unpaid: None,
            instalment: 0,
            pause: None,
        }
    }

    /// The same on another timer, before anything was taken.
    pub(super) fn timer<U: Timer>(self, timer: U) -> Pacer<L, U> {
        Pacer::of(self.wait.timer(timer))
    }

    /// Leaves the wait queue. Instalments that were taken are lost.
    pub(super) fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.wait.restart(0);
        *this.unpaid = None;
        this.pause.set(None);
    }
}

impl<L: Awaitable, T: Timer> Pacer<L, T> {
    /// Takes `n` permits. Must be polled with the same `n` until it is ready.
    pub(super) fn poll_permits(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        n: u64,
    ) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(pause) = this.pause.as_mut().as_pin_mut() {
                ready!(pause.poll(context));
                this.pause.set(None);
            }
            let unpaid = match *this.unpaid {
                Some(unpaid) if *this.instalment > 0 => unpaid,
                unpaid => {
                    let unpaid = unpaid.unwrap_or(n);
                    *this.instalment = unpaid.min(this.wait.limiter().max_permits());
                    *this.unpaid = Some(unpaid);
                    this.wait.as_mut().restart(*this.instalment);
                    unpaid
                }
            };
            let outcome = ready!(this.wait.as_mut().poll(context));
            let taken = core::mem::take(this.instalment);
            match outcome.map_err(|denied| denied.retry_after()) {
                Ok(()) if taken < unpaid => *this.unpaid = Some(unpaid - taken),
                Err(Some(time)) => this.pause.set(Some(this.wait.sleep(time))),
                // Never `Denied::Never`, because an instalment is at most the capacity.
                Ok(()) | Err(None) => {
                    *this.unpaid = None;
                    return Poll::Ready(());
                }
            }
        }
    }
}
