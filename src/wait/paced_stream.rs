//! A stream whose items wait for permits.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::pacer::Pacer;
use super::timer::{SleepSlot, Timer};
use crate::wait::{Awaitable, DefaultTimer};

pin_project! {
    /// A stream whose items wait for permits of a limiter: one each, or what the item
    /// [costs](Self::cost).
    ///
    /// An item is taken from the inner stream, waits here, and is returned once its permits are
    /// taken. The inner stream is not polled meanwhile. If the limiter's wait queue is full, the
    /// stream retries after the limiter's hint.
    ///
    /// An item that costs more than the limiter's capacity is paid in instalments of at most the
    /// capacity. So the rate is that of the limiter, whatever the sizes.
    ///
    /// # Cancel safety
    ///
    /// The stream keeps the waiting item, its position in the queue and the instalments that were
    /// paid. A dropped `next()` loses none of them, and no permit is taken twice.
    /// [`take_waiting`](Self::take_waiting) and [`into_inner`](Self::into_inner) return the item.
    ///
    /// A stream that has a position and is not polled blocks the waiters behind it once it is
    /// first, as an [`Acquire`](crate::Acquire) does. So do not await another wait at the same
    /// limiter while `next()` is set aside, for example in the other branch of a `select!`. Call
    /// `take_waiting` first.
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
    /// let paced = PacedStream::new(words, &bucket).timer(timer).cost(|word| word.len() as u64);
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// assert_eq!(runtime.block_on(paced.collect::<Vec<_>>()), ["ebb", "tide", "flood"]);
    /// // 12 tokens: 5 were available, and the others took 0.7 s.
    /// assert_eq!(bucket.wait_time(1), Some(Duration::from_millis(100)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "streams do nothing unless they are polled"]
    pub struct PacedStream<S, L, T = DefaultTimer, F = fn(&<S as Stream>::Item) -> u64>
    where
        S: Stream,
        L: Awaitable,
        T: SleepSlot,
    {
        #[pin]
        stream: S,
        cost: F,
        // The waiting item, and how much of its cost is not paid.
        item: Option<(S::Item, u64)>,
        pace: Pacer<L, T>,
    }
}

impl<S: Stream, L: Awaitable> PacedStream<S, L> {
    /// Paces `stream` by `limiter`, a limiter or a pointer to one: one permit per item.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the stream owns its share of the limiter.
    pub fn new(stream: S, limiter: L) -> Self {
        Self {
            stream,
            cost: |_| 1,
            item: None,
            pace: Pacer::new(limiter),
        }
    }
}

impl<S: Stream, L: Awaitable, T: SleepSlot, F> PacedStream<S, L, T, F> {
    /// Sleeps on another timer than the [`DefaultTimer`].
    pub fn timer<U: Timer>(self, timer: U) -> PacedStream<S, L, U, F> {
        PacedStream {
            stream: self.stream,
            cost: self.cost,
            item: self.item,
            pace: self.pace.timer(timer),
        }
    }

    /// Sets the permits of each item. `cost` is called once per item, when the item is taken from
    /// the inner stream. 0 does not wait.
    pub fn cost<G: FnMut(&S::Item) -> u64>(self, cost: G) -> PacedStream<S, L, T, G> {
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

    /// Takes the waiting item, if any, and leaves the queue. Instalments that were paid for the
    /// item are lost.
    pub fn take_waiting(self: Pin<&mut Self>) -> Option<S::Item> {
        let this = self.project();
        this.pace.give_up();
        this.item.take().map(|(item, _)| item)
    }

    /// Returns the inner stream, and the waiting item if any. Instalments that were paid for the
    /// item are lost.
    pub fn into_inner(self) -> (S, Option<S::Item>) {
        (self.stream, self.item.map(|(item, _)| item))
    }
}

impl<S, L, T, F> Stream for PacedStream<S, L, T, F>
where
    S: Stream,
    L: Awaitable,
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
        if let Some((_, unpaid)) = this.item {
            ready!(this.pace.poll_all(context, unpaid));
        }
        Poll::Ready(this.item.take().map(|(item, _)| item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.item.is_some());
        let (least, most) = self.stream.size_hint();
        let most = most.and_then(|most| most.checked_add(waiting));
        (least.saturating_add(waiting), most)
    }
}

impl<S, L, T, F> fmt::Debug for PacedStream<S, L, T, F>
where
    S: Stream + fmt::Debug,
    L: Awaitable,
    T: SleepSlot,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedStream")
            .field("stream", &self.stream)
            .field("is_waiting", &self.item.is_some())
            .finish_non_exhaustive()
    }
}
