//! A sink whose items wait for permits.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::pacer::Pacer;
use super::timer::{SleepSlot, Timer};
use crate::wait::{Awaitable, DefaultTimer};

pin_project! {
    /// A sink that accepts an item only once it has taken the permits for it: one, or a fixed
    /// [number](Self::cost). The number is the same for all items, because readiness comes before
    /// the item.
    ///
    /// It waits when the inner sink is ready, so that a slow sink does not take permits in advance.
    /// If the limiter's wait queue is full, it retries after the limiter's hint. An item that costs
    /// more than the limiter's capacity is paid in instalments of at most the capacity.
    ///
    /// # Cancel safety
    ///
    /// Permits that were taken are kept for the next item, and none are taken twice, however often
    /// readiness is polled. A sink that is dropped then has used the permits of one item.
    ///
    /// A sink that waits and is not polled blocks the waiters behind it once it is first, as an
    /// [`Acquire`](crate::Acquire) does. So do not await another wait at the same limiter while
    /// `send` is set aside.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_util::{SinkExt, sink};
    /// use tidegate::{ManualClock, PacedSink, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    /// // A timer that moves the clock. A program uses `TokioTimer` or `tokio::time::sleep`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let mut paced = PacedSink::new(sink::drain(), &bucket).timer(timer);
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// runtime.block_on(async {
    ///     paced.send("ebb").await?; // at once
    ///     paced.send("flood").await // 100 ms later
    /// })?;
    /// assert_eq!(bucket.wait_time(1), Some(Duration::from_millis(100)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "sinks do nothing unless they are polled"]
    pub struct PacedSink<S, L, T = DefaultTimer>
    where
        L: Awaitable,
        T: SleepSlot,
    {
        #[pin]
        sink: S,
        cost: u64,
        // How much of the next item's cost is not paid.
        unpaid: u64,
        pace: Pacer<L, T>,
    }
}

impl<S, L: Awaitable> PacedSink<S, L> {
    /// Paces `sink` by `limiter`, a limiter or a pointer to one: one permit per item.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the sink owns its share of the limiter.
    pub const fn new(sink: S, limiter: L) -> Self {
        Self {
            sink,
            cost: 1,
            unpaid: 1,
            pace: Pacer::new(limiter),
        }
    }
}

impl<S, L: Awaitable, T: SleepSlot> PacedSink<S, L, T> {
    /// Sleeps on another timer than the [`DefaultTimer`].
    pub fn timer<U: Timer>(self, timer: U) -> PacedSink<S, L, U> {
        PacedSink {
            sink: self.sink,
            cost: self.cost,
            unpaid: self.unpaid,
            pace: self.pace.timer(timer),
        }
    }

    /// Sets the permits of each item. 0 does not wait.
    pub const fn cost(mut self, permits: u64) -> Self {
        self.cost = permits;
        self.unpaid = permits;
        self
    }

    /// Returns the inner sink.
    pub const fn get_ref(&self) -> &S {
        &self.sink
    }

    /// Returns the inner sink. Permits that were taken for the next item are lost.
    pub fn into_inner(self) -> S {
        self.sink
    }
}

impl<S, L, T, I> Sink<I> for PacedSink<S, L, T>
where
    S: Sink<I>,
    L: Awaitable,
    T: Timer,
{
    type Error = S::Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        ready!(this.sink.poll_ready(context))?;
        this.pace.poll_all(context, this.unpaid).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<(), S::Error> {
        let this = self.project();
        *this.unpaid = *this.cost;
        this.sink.start_send(item)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().sink.poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().sink.poll_close(context)
    }
}

impl<S: fmt::Debug, L: Awaitable, T: SleepSlot> fmt::Debug for PacedSink<S, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedSink")
            .field("sink", &self.sink)
            .field("is_paid", &(self.unpaid == 0))
            .finish_non_exhaustive()
    }
}
