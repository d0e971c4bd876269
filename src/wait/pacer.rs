//! Repeated waits for permits, for a stream or a sink.

use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::timer::{Timer, awake};
use crate::limiter::Limiter;
use crate::wait::{Acquire, Awaitable};

pin_project! {
    pub(super) struct Pacer<P, T>
    where
        P: Deref,
        P::Target: Awaitable,
        T: Timer,
    {
        // One future for all waits, because it owns the pointer.
        #[pin]
        wait: Acquire<P, T>,
        is_waiting: bool,
        // The pause before a retry, where the wait queue was full.
        #[pin]
        pause: Option<T::Sleep>,
    }
}

impl<P: Deref<Target: Awaitable>, T: Timer> Pacer<P, T> {
    pub(super) const fn new(limiter: P, timer: T) -> Self {
        Self {
            wait: Acquire::new(limiter, timer, 0, Duration::MAX),
            is_waiting: false,
            pause: None,
        }
    }

    /// Leaves the wait queue.
    pub(super) fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.wait.restart(0);
        *this.is_waiting = false;
        this.pause.set(None);
    }

    /// Takes `n` permits, or the limiter's capacity if that is less. Takes none until it is ready,
    /// and must be polled with the same `n` until then.
    pub(super) fn poll_permits(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        n: u64,
    ) -> Poll<()> {
        let mut this = self.project();
        loop {
            ready!(awake(this.pause.as_mut(), context));
            if !*this.is_waiting {
                let n = n.min(this.wait.limiter().capacity());
                this.wait.as_mut().restart(n);
                *this.is_waiting = true;
            }
            let outcome = ready!(this.wait.as_mut().poll(context));
            *this.is_waiting = false;
            match outcome.map_err(|denied| denied.retry_after()) {
                Err(Some(time)) => this.pause.set(Some(this.wait.timer().sleep(time))),
                // Never `Denied::Never`, because `n` is at most the capacity.
                Ok(()) | Err(None) => return Poll::Ready(()),
            }
        }
    }
}
