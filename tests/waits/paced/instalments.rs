//! Items that cost more than the capacity, and the rate that streams and sinks have in the end.

use alloc::sync::Arc;
use core::future::{Ready, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use futures_core::Stream;
use futures_util::{FutureExt, SinkExt, StreamExt, sink, stream};
use tidegate::{
    ApiRateLimiter, Awaitable, Clock, FixedKeyed, KeyView, Keyed, ManualClock, PacedSink,
    PacedStream, Quota, RateLimitConfig, Timestamp, TokenBucket,
};

use super::items;
use crate::manual_timer::ManualTimer;
use crate::waiters::WakeFlag;
use crate::{MILLISECOND, SECOND, bucket, combined, sharded, window};

fn bucket_of(rate: u64, burst: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(rate).burst(burst), clock.clone())
}

/// A timer that moves the clock, exactly or to the next whole millisecond, as tokio's does.
fn moving(clock: &ManualClock, is_late: bool) -> impl Fn(Duration) -> Ready<()> + Clone + 'static {
    let clock = clock.clone();
    move |wait| {
        let until = (clock.now() + wait).as_nanos();
        let until = if is_late {
            until.next_multiple_of(1_000_000)
        } else {
            until
        };
        clock.advance(Duration::from_nanos(until - clock.now().as_nanos()));
        ready(())
    }
}

fn elapsed(clock: &ManualClock) -> Duration {
    clock.now() - Timestamp::ZERO
}

/// Polls until it is ready, as an executor whose timers never leave it waiting.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// 256 KiB/s in chunks of 64 KiB, at a bucket of 16 KiB; and other sizes, up to the capacity and
/// far above it.
#[test]
fn rate_is_exact_whatever_the_sizes() {
    const KIB: u64 = 1024;
    for (rate, burst, size) in [
        (256 * KIB, 16 * KIB, 64 * KIB),
        (256 * KIB, 16 * KIB, 16 * KIB),
        (256 * KIB, 64 * KIB, 16 * KIB),
        (256 * KIB, 1_000, 64 * KIB),
        (100, 1, 50),
        (100, 7, 10_000),
    ] {
        // Five seconds and the burst, rounded up to whole items.
        let number = (5 * rate + burst).div_ceil(size);
        let nanos = u128::from(number * size - burst) * 1_000_000_000;
        let least = Duration::from_nanos(nanos.div_ceil(rate.into()).try_into().unwrap());
        // A wait ends at a whole nanosecond.
        let instalments = number * size.div_ceil(burst);
        let exact = least + Duration::from_nanos(instalments);
        for is_late in [false, true] {
            let most = if is_late { least * 102 / 100 } else { exact };
            let clock = ManualClock::new();
            let bucket = bucket_of(rate, burst, &clock);
            let paced = PacedStream::new(stream::iter(0..number), &bucket)
                .timer(moving(&clock, is_late))
                .cost(|_| size);
            let got: Vec<u64> = finish(paced.collect());
            assert!(got.into_iter().eq(0..number));
            let took = elapsed(&clock);
            assert!(
                took >= least && took <= most,
                "{rate} {burst} {size}: {took:?}"
            );

            let clock = ManualClock::new();
            let bucket = bucket_of(rate, burst, &clock);
            let mut paced = PacedSink::new(sink::drain(), &bucket)
                .timer(moving(&clock, is_late))
                .cost(size);
            for item in 0..number {
                finish(paced.send(item)).unwrap();
            }
            let took = elapsed(&clock);
            assert!(
                took >= least && took <= most,
                "{rate} {burst} {size}: {took:?}"
            );
        }
    }
}

/// One permit each, at a bucket that would be full long before a late timer wakes the stream.
#[test]
fn late_timers_cost_no_items() {
    let clock = ManualClock::new();
    let bucket = bucket_of(10_000, 1, &clock);
    let paced = PacedStream::new(stream::iter(0..10_000), &bucket).timer(moving(&clock, true));
    let got: Vec<u64> = finish(paced.collect());
    assert!(got.into_iter().eq(0..10_000));
    let took = elapsed(&clock);
    assert!(
        took >= SECOND * 9_999 / 10_000 && took <= SECOND * 102 / 100,
        "{took:?}"
    );
}

/// A stream that has paused is not paid for the time of its pause.
#[test]
fn pauses_earn_no_more_than_the_burst_and_the_slack() {
    let clock = ManualClock::new();
    let bucket = bucket_of(1_000, 10, &clock);
    let timer = ManualTimer::on(&clock);
    let mut paced = pin!(PacedStream::new(items(0..1_000), &bucket).timer(timer.clone()));
    let mut context = Context::from_waker(Waker::noop());
    // Run it dry, and let a late timer admit one.
    while paced.as_mut().poll_next(&mut context).is_ready() {}
    timer.advance(MILLISECOND * 3 / 2);
    assert!(paced.as_mut().poll_next(&mut context).is_ready());
    timer.advance(100 * SECOND);
    let mut burst = 0;
    while paced.as_mut().poll_next(&mut context).is_ready() {
        burst += 1;
    }
    assert!((10..=12).contains(&burst), "{burst}");
}

/// `next()` is dropped after each poll. The time shows that nothing was paid twice.
#[test]
fn dropped_polls_between_instalments_pay_nothing_twice() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    let timer = ManualTimer::on(&clock);
    let costs = [10, 1, 7, 0, 3];
    let paced = PacedStream::new(items(costs), &bucket)
        .timer(timer.clone())
        .cost(|cost| *cost);
    let mut paced = pin!(paced);
    let mut got = Vec::new();
    while got.len() < costs.len() {
        match paced.next().now_or_never() {
            Some(item) => got.extend(item),
            None => timer.advance(SECOND / 10),
        }
        assert!(bucket.waiting() <= 1);
    }
    assert_eq!(got, costs);
    // 21 permits, 3 of them at once.
    assert_eq!(elapsed(&clock), 18 * SECOND);
    assert_eq!((bucket.available(), bucket.waiting()), (0, 0));
}

/// What was paid for an item that is taken back is lost, and no more.
#[test]
fn taken_items_leave_their_instalments() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    let timer = ManualTimer::on(&clock);
    let paced = PacedStream::new(items([8, 2]), &bucket)
        .timer(timer.clone())
        .cost(|cost| *cost);
    let mut paced = pin!(paced);
    let mut context = Context::from_waker(Waker::noop());
    assert!(paced.as_mut().poll_next(&mut context).is_pending());
    // The first instalment is paid, and the second waits.
    assert_eq!((bucket.available(), bucket.waiting()), (0, 1));
    timer.advance(2 * SECOND);
    assert_eq!(paced.as_mut().take_waiting(), Some(8));
    assert_eq!((bucket.available(), bucket.waiting()), (2, 0));
    // The next item starts anew.
    let next = paced.as_mut().poll_next(&mut context);
    assert_eq!((next, bucket.available()), (Poll::Ready(Some(2)), 0));
    assert_eq!(paced.as_mut().take_waiting(), None);

    // The same after an instalment that was admitted late, with the next one not yet asked for.
    let clock = ManualClock::new();
    let bucket = bucket_of(1, 1, &clock);
    let timer = ManualTimer::on(&clock);
    let paced = PacedStream::new(items([1, 1, 1]), &bucket).timer(timer.clone());
    let mut paced = pin!(paced);
    assert!(paced.as_mut().poll_next(&mut context).is_ready());
    assert!(paced.as_mut().poll_next(&mut context).is_pending());
    timer.advance(SECOND + MILLISECOND);
    assert!(paced.as_mut().poll_next(&mut context).is_ready());
    assert_eq!(paced.as_mut().take_waiting(), None);
    assert_eq!(bucket.waiting(), 0);
}

/// The pause of a full queue comes between instalments, too.
#[test]
fn instalments_wait_for_a_full_queue() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock).max_waiters(0);
    let paced = PacedStream::new(items([10, 2]), &bucket)
        .timer(moving(&clock, false))
        .cost(|cost| *cost);
    assert_eq!(finish(paced.collect::<Vec<_>>()), [10, 2]);
    assert_eq!(elapsed(&clock), 9 * SECOND);
}

/// Each instalment is there at once, because the timer moves the clock. One poll takes a bounded
/// number of them, and asks to be polled again.
#[test]
fn enormous_costs_do_not_block_the_thread() {
    let clock = ManualClock::new();
    let bucket = bucket_of(1_000_000_000, 1, &clock);
    let paced = PacedStream::new(items([u64::MAX]), &bucket)
        .timer(moving(&clock, false))
        .cost(|cost| *cost);
    let mut paced = pin!(paced);
    let flag = Arc::new(WakeFlag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    let mut before = clock.now();
    for _ in 0..100 {
        assert!(paced.as_mut().poll_next(&mut context).is_pending());
        assert!(flag.take());
        let paid = (clock.now() - before).as_nanos();
        assert!((1..=1_000).contains(&paid), "{paid} permits in one poll");
        before = clock.now();
    }
    assert_eq!(bucket.waiting(), 0);
    assert_eq!(paced.as_mut().take_waiting(), Some(u64::MAX));
    assert_eq!(paced.as_mut().poll_next(&mut context), Poll::Ready(None));
}

/// How long three items of five permits take.
fn time_of<L: Awaitable>(limiter: L, clock: &ManualClock) -> Duration {
    let start = clock.now();
    let paced = PacedStream::new(items(0..3), limiter)
        .timer(moving(clock, false))
        .cost(|_| 5);
    assert_eq!(finish(paced.collect::<Vec<_>>()), [0, 1, 2]);
    clock.now() - start
}

/// At every limiter of capacity 2 and one permit per second, a window of two in one second, and an
/// API limiter, by reference, by pointer and by value.
#[test]
fn instalments_are_paid_at_every_limiter() {
    let clock = ManualClock::new();
    let borrowed = bucket(2, &clock);
    assert_eq!(time_of(&borrowed, &clock), 13 * SECOND);
    assert_eq!(time_of(Arc::new(bucket(2, &clock)), &clock), 13 * SECOND);
    assert_eq!(time_of(bucket(2, &clock), &clock), 13 * SECOND);
    assert_eq!(time_of(sharded(2, &clock), &clock), 13 * SECOND);
    // With a window that has room for two in a second and a slot.
    let took = time_of(combined(2, &clock), &clock);
    assert!(
        took >= 13 * SECOND && took <= 13 * (SECOND + SECOND / 64),
        "{took:?}"
    );
    // Instalments of 2, 2 and 1 per item, each in a window and slot of its own.
    let took = time_of(window(2, &clock), &clock);
    assert!(
        took >= 8 * SECOND && took <= 8 * (SECOND + SECOND / 64),
        "{took:?}"
    );
    // A key of a table, borrowed or owned.
    let fixed = FixedKeyed::with_clock(Quota::per_second(1).burst(2), 100, clock.clone());
    assert_eq!(time_of(fixed.at("tide"), &clock), 13 * SECOND);
    assert_eq!((fixed.available("tide"), fixed.available("ebb")), (0, 2));
    let time = clock.clone();
    let keyed = Keyed::new(move |_: &String| bucket(2, &time));
    assert_eq!(time_of(keyed.at("tide"), &clock), 13 * SECOND);
    let owned = KeyView::owned(Arc::new(keyed), String::from("ebb"));
    assert_eq!(time_of(owned, &clock), 13 * SECOND);
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 2,
        ..RateLimitConfig::DEFAULT
    };
    let api = ApiRateLimiter::with_clock(config, clock.clone()).unwrap();
    assert_eq!(time_of(api.clone(), &clock), 13 * SECOND);
    assert_eq!(api.stats().total_requests, 15);
}

/// A paced stream of an `Unpin` stream can be polled without being pinned.
#[test]
fn paced_streams_and_sinks_are_unpin() {
    const fn assert_unpin<T: Unpin>(_: &T) {}
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    let timer = ManualTimer::on(&clock);
    let mut paced = PacedStream::new(items(0..2), &bucket).timer(timer.clone());
    assert_unpin(&paced);
    assert_eq!(Pin::new(&mut paced).next().now_or_never(), Some(Some(0)));
    assert_unpin(&PacedSink::new(sink::drain::<u64>(), &bucket).timer(timer));
}
