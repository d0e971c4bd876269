//! Permits one after the other, for a stream or a sink.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::timer::{Timer, awake};
use crate::wait::Awaitable;

pin_project! {
    pub(super) struct Pace<'a, L: Awaitable, T: Timer> {
        limiter: &'a L,
        timer: T,
        #[pin]
        wait: Option<L::Wait<'a, T>>,
        // Until it can be tried again, where a line had no room.
        #[pin]
        pause: Option<T::Sleep>,
    }
}

impl<L: Awaitable, T: Timer> Pace<'_, L, T> {
    /// Leaves the line.
    pub(super) fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.wait.set(None);
        this.pause.set(None);
    }
}

impl<'a, L: Awaitable, T: Timer + Clone> Pace<'a, L, T> {
    pub(super) const fn new(limiter: &'a L, timer: T) -> Self {
        Self {
            limiter,
            timer,
            wait: None,
            pause: None,
        }
    }

    /// Takes `n` permits, or as many as the limiter ever gives at once. Until it is ready it has taken none, and must be asked for as
    /// many again.
    pub(super) fn poll_permits(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        n: u64,
    ) -> Poll<()> {
        let mut this = self.project();
        loop {
            if this.pause.is_some() {
                ready!(awake(this.pause.as_mut(), context));
            }
            let Some(wait) = this.wait.as_mut().as_pin_mut() else {
                let n = n.min(this.limiter.capacity());
                let wait = this.limiter.wait_for(this.timer.clone(), n, Duration::MAX);
                this.wait.set(Some(wait));
                continue;
            };
            let outcome = ready!(wait.poll(context));
            this.wait.set(None);
            match outcome.map_err(|denied| denied.retry_after()) {
                Err(Some(time)) => this.pause.set(Some(this.timer.sleep(time))),
                // It is not never, as it is no more than the capacity.
                Ok(()) | Err(None) => return Poll::Ready(()),
            }
        }
    }
}
