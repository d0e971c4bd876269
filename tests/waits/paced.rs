//! Streams and sinks whose items wait. No item is lost, and no permit is taken twice.

mod instalments;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate::{Clock, ManualClock, PacedSink, PacedStream, Timestamp};

use crate::manual_timer::ManualTimer;
use crate::waiters::WakeFlag;
use crate::{SECOND, assert_spawnable, bucket, combined, window};

/// A stream of numbers that are all available.
#[derive(Debug)]
struct Items(VecDeque<u64>);

impl Stream for Items {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u64>> {
        Poll::Ready(self.0.pop_front())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

/// A sink that stores its items, and is ready unless it is full.
#[derive(Debug, Default)]
struct StoringSink {
    items: Vec<u64>,
    is_full: bool,
}

impl Sink<u64> for StoringSink {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_full {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn start_send(mut self: Pin<&mut Self>, item: u64) -> Result<(), Infallible> {
        self.items.push(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

fn items(items: impl IntoIterator<Item = u64>) -> Items {
    Items(items.into_iter().collect())
}

#[test]
fn items_wait_for_their_cost() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    let timer = ManualTimer::on(&clock);
    // 9 is above the capacity, and is paid in three instalments. 0 costs nothing.
    let stream = PacedStream::new(items([1, 2, 3, 0, 9, 1]), &bucket)
        .timer(timer.clone())
        .cost(|n| *n);
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    let mut out = Vec::new();
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(item)) => out.push((item, clock.now().as_nanos() / 1_000_000_000)),
            Poll::Ready(None) => break,
            Poll::Pending => assert!(timer.advance_to_next()),
        }
    }
    assert_eq!(out, [(1, 0), (2, 0), (3, 3), (0, 3), (9, 12), (1, 13)]);
}

/// Polled often, with another waker each time and without a wake-up, the stream joins the queue
/// once per item.
#[test]
fn repeated_polls_lose_no_item() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let timer = ManualTimer::on(&clock);
    let mut stream = pin!(PacedStream::new(items(0..10), &window).timer(timer.clone()));
    let mut out = Vec::new();
    for _ in 0..1_000 {
        let flag = Waker::from(Arc::new(WakeFlag::default()));
        let mut context = Context::from_waker(&flag);
        if let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
            out.push(item);
        }
        assert!(window.waiting() <= 1);
        assert_eq!(out.len() + stream.size_hint().0, 10);
        assert_eq!(Some(stream.size_hint().0), stream.size_hint().1);
        timer.advance(SECOND / 64);
    }
    assert!(out.into_iter().eq(0..10));
}

#[test]
fn waiting_items_can_be_taken_back() {
    let clock = ManualClock::new();
    let both = combined(1, &clock);
    let paced = PacedStream::new(items(0..4), &both).timer(ManualTimer::on(&clock));
    let mut stream = Box::pin(paced);
    let mut context = Context::from_waker(Waker::noop());
    let first = stream.as_mut().poll_next(&mut context);
    assert_eq!(first, Poll::Ready(Some(0)));
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    let shown = "PacedStream { stream: Items([2, 3]), is_waiting: true, .. }";
    assert_eq!(format!("{stream:?}"), shown);
    assert_eq!(stream.as_mut().take_waiting(), Some(1));
    assert_eq!((stream.as_mut().take_waiting(), both.waiting()), (None, 0));
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    assert_eq!(both.waiting(), 1);
    let (rest, waiting) = Pin::into_inner(stream).into_inner();
    assert_eq!((rest.0, waiting), (VecDeque::from([3]), Some(2)));
    assert_eq!(both.waiting(), 0);
}

/// The stream retries after the limiter's hint.
#[test]
fn streams_wait_for_a_full_queue() {
    let clock = ManualClock::new();
    let window = window(1, &clock).max_waiters(0);
    let timer = ManualTimer::on(&clock);
    let mut stream = pin!(PacedStream::new(items(0..3), &window).timer(timer.clone()));
    let mut context = Context::from_waker(Waker::noop());
    let mut out = Vec::new();
    while out.len() < 3 {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(item) => out.extend(item),
            Poll::Pending => assert!(timer.advance_to_next()),
        }
    }
    assert_eq!(out, [0, 1, 2]);
}

#[test]
fn sinks_are_ready_once_their_permits_are_taken() {
    let clock = ManualClock::new();
    let bucket = bucket(2, &clock);
    let timer = ManualTimer::on(&clock);
    let mut sink = pin!(
        PacedSink::new(StoringSink::default(), &bucket)
            .timer(timer.clone())
            .cost(2)
    );
    let mut context = Context::from_waker(Waker::noop());
    let ready = Poll::Ready(Ok(()));
    // Repeated polls take the permits once.
    for _ in 0..3 {
        assert_eq!(sink.as_mut().poll_ready(&mut context), ready);
    }
    assert_eq!(bucket.available(), 0);
    sink.as_mut().start_send(1).unwrap();
    for _ in 0..3 {
        assert!(sink.as_mut().poll_ready(&mut context).is_pending());
    }
    // Nothing is charged in advance.
    assert_eq!((bucket.debt(), bucket.waiting()), (0, 1));
    assert!(timer.advance_to_next());
    assert_eq!(clock.now(), Timestamp::ZERO + 2 * SECOND);
    assert_eq!(sink.as_mut().poll_ready(&mut context), ready);
    sink.as_mut().start_send(2).unwrap();
    assert_eq!(sink.as_mut().poll_flush(&mut context), ready);
    assert_eq!(sink.as_mut().poll_close(&mut context), ready);
    assert_eq!(sink.get_ref().items, [1, 2]);
    let shown =
        "PacedSink { sink: StoringSink { items: [1, 2], is_full: false }, is_paid: false, .. }";
    assert_eq!(format!("{sink:?}"), shown);
}

#[test]
fn full_sinks_take_no_permit() {
    let clock = ManualClock::new();
    let bucket = bucket(2, &clock);
    let sink = StoringSink {
        is_full: true,
        ..StoringSink::default()
    };
    let mut sink = Box::pin(PacedSink::new(sink, &bucket).timer(ManualTimer::on(&clock)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(Sink::<u64>::poll_ready(sink.as_mut(), &mut context).is_pending());
    assert_eq!(bucket.available(), 2);
}

/// They can then be spawned. The timer need not be `Clone`.
#[test]
fn streams_and_sinks_can_own_the_limiter() {
    struct NotClone(ManualTimer);
    impl tidegate::Timer for NotClone {
        type Sleep = <ManualTimer as tidegate::Timer>::Sleep;
        fn sleep(&self, duration: core::time::Duration) -> Self::Sleep {
            self.0.sleep(duration)
        }
    }
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let window = Arc::new(window(1, &clock));
    let share = Arc::downgrade(&window);
    let sink = PacedSink::new(StoringSink::default(), Arc::clone(&window)).timer(timer.clone());
    assert_spawnable(&sink);
    drop(sink);
    let stream = PacedStream::new(items(0..3), window).timer(NotClone(timer.clone()));
    assert_spawnable(&stream);
    let mut stream = Box::pin(stream);
    let mut context = Context::from_waker(Waker::noop());
    for item in 0..3 {
        while stream.as_mut().poll_next(&mut context) != Poll::Ready(Some(item)) {
            assert!(timer.advance_to_next());
        }
    }
    drop(stream);
    assert!(share.upgrade().is_none());
}
