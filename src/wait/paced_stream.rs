//! A stream whose items wait for permits.

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::pacer::Pacer;
use super::timer::Timer;
use crate::wait::Awaitable;

pin_project! {
    /// A stream whose items wait for permits of a limiter: one each, or what the item
    /// [costs](Self::cost).
    ///
    /// An item is taken from the inner stream, waits here, and is returned once its permits are
    /// taken. The inner stream is not polled meanwhile. If the limiter's wait queue is full, the
    /// stream retries after the limiter's hint.
    ///
    /// # Cancel safety
    ///
    /// The stream keeps the waiting item and its position in the queue. A dropped `next()` loses
    /// neither, and no permit is taken twice. [`take_waiting`](Self::take_waiting) and
    /// [`into_inner`](Self::into_inner) return the item.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_util::{StreamExt, stream};
    /// use tidegate::{ManualClock, PacedStream, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(5), clock.clone());
    /// // A timer that moves the clock. A program uses `TokioTimer` or `tokio::time::sleep`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let words = stream::iter(["ebb", "tide", "flood"]);
    /// let paced = PacedStream::new(words, &bucket, timer).cost(|word| word.len() as u64);
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// assert_eq!(runtime.block_on(paced.collect::<Vec<_>>()), ["ebb", "tide", "flood"]);
    /// // 12 tokens: 5 were available, and the others took 0.7 s.
    /// assert_eq!(bucket.wait_time(1), Some(Duration::from_millis(100)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "streams do nothing unless they are polled"]
    pub struct PacedStream<S, P, T, F = fn(&<S as Stream>::Item) -> u64>
    where
        S: Stream,
        P: Deref,
        P::Target: Awaitable,
        T: Timer,
    {
        #[pin]
        stream: S,
        cost: F,
        // The waiting item and its cost.
        item: Option<(S::Item, u64)>,
        #[pin]
        pace: Pacer<P, T>,
    }
}

impl<S: Stream, P: Deref<Target: Awaitable>, T: Timer> PacedStream<S, P, T> {
    /// Paces `stream` by the limiter behind `limiter`, one permit per item, asleep on `timer`.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the stream owns its share of the limiter. The pointer must
    /// behave as for [`Acquire::new`](crate::Acquire::new).
    pub fn new(stream: S, limiter: P, timer: T) -> Self {
        Self {
            stream,
            cost: |_| 1,
            item: None,
            pace: Pacer::new(limiter, timer),
        }
    }
}

impl<S: Stream, P: Deref<Target: Awaitable>, T: Timer, F> PacedStream<S, P, T, F> {
    /// Sets the permits of each item. `cost` is called once per item, when the item is taken from
    /// the inner stream. 0 does not wait, and more than the limiter's capacity counts as the
    /// capacity.
    pub fn cost<G: FnMut(&S::Item) -> u64>(self, cost: G) -> PacedStream<S, P, T, G> {
        PacedStream {
            stream: self.stream,
            cost,
            item: self.item,
            pace: self.pace,
        }
    }

    /// Returns the inner stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Takes the waiting item, if any, and leaves the queue.
    pub fn take_waiting(self: Pin<&mut Self>) -> Option<S::Item> {
        let this = self.project();
        this.pace.give_up();
        this.item.take().map(|(item, _)| item)
    }

    /// Returns the inner stream, and the waiting item if any.
    pub fn into_inner(self) -> (S, Option<S::Item>) {
        (self.stream, self.item.map(|(item, _)| item))
    }
}

impl<S, P, T, F> Stream for PacedStream<S, P, T, F>
where
    S: Stream,
    P: Deref<Target: Awaitable>,
    T: Timer,
    F: FnMut(&S::Item) -> u64,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if this.item.is_none() {
            let Some(item) = ready!(this.stream.poll_next(context)) else {
                return Poll::Ready(None);
            };
            let cost = (this.cost)(&item);
            *this.item = Some((item, cost));
        }
        let cost = this.item.as_ref().map_or(0, |(_, cost)| *cost);
        ready!(this.pace.poll_permits(context, cost));
        Poll::Ready(this.item.take().map(|(item, _)| item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.item.is_some());
        let (least, most) = self.stream.size_hint();
        let most = most.and_then(|most| most.checked_add(waiting));
        (least.saturating_add(waiting), most)
    }
}

impl<S, P, T, F> fmt::Debug for PacedStream<S, P, T, F>
where
    S: Stream + fmt::Debug,
    P: Deref<Target: Awaitable>,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedStream")
            .field("stream", &self.stream)
            .field("is_waiting", &self.item.is_some())
            .finish_non_exhaustive()
    }
}
