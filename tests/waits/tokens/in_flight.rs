//! Calls in flight: who waits for one to end.

use tidegate::DefaultClock;

use super::*;

/// However it ends. Time alone wakes nobody, and nobody spins.
#[test]
fn who_waits_for_a_permit_is_woken_by_its_end() {
    let settled: fn(TokenPermit<'_, ManualClock>) = |permit| permit.settle(10);
    let cancelled: fn(TokenPermit<'_, ManualClock>) = |permit| _ = permit.cancel();
    let committed: fn(TokenPermit<'_, ManualClock>) = |mut permit| permit.commit();
    let dropped: fn(TokenPermit<'_, ManualClock>) = |_permit| ();
    for ends in [settled, cancelled, committed, dropped] {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let permit = limiter.reserve_tokens(10).expect("the first");
        let first = Waiting::at(&limiter, &timer, 10).asleep();
        let second = Waiting::at(&limiter, &timer, 10).asleep();
        timer.advance(3_600 * SECOND);
        assert_eq!(timer.made(), 0);
        assert!(!first.flag.take() && !second.flag.take());
        thread::scope(|scope| _ = scope.spawn(|| ends(permit)));
        let permit = first.admitted();
        // Its turn, and no permit.
        let second = {
            assert!(second.flag.take());
            second.asleep()
        };
        assert_eq!(limiter.stats().in_flight, 1);
        drop(permit);
        drop(second.admitted());
        assert_eq!((limiter.stats().in_flight, timer.made()), (0, 0));
    }
}

#[test]
fn a_deadline_ends_the_wait_for_a_permit() {
    let clock = ManualClock::new();
    let limiter = narrow(1, &clock);
    let timer = ManualTimer::on(&clock);
    let permit = limiter.reserve_tokens(10).expect("the first");
    let in_flight = |status: RateLimitStatus| {
        assert_eq!(status.limited_by, Some(LimitKind::InFlight));
        assert!(!status.is_permanent && status.retry_after.is_zero());
    };
    in_flight(Waiting::timed(&limiter, &timer, 10, Duration::ZERO).refusal());
    let mut first = Waiting::timed(&limiter, &timer, 10, SECOND).asleep();
    let mut second = Waiting::timed(&limiter, &timer, 10, SECOND).asleep();
    timer.advance(999 * MILLI);
    assert!(!first.flag.take() && !second.flag.take());
    timer.advance(MILLI);
    for late in [&mut second, &mut first] {
        assert!(late.flag.take());
        let Poll::Ready(Err(status)) = late.poll() else {
            panic!("its time is over");
        };
        in_flight(status);
    }
    // In time, and told of both.
    let mut in_time = Waiting::timed(&limiter, &timer, 10, SECOND);
    drop((first, second));
    assert!(in_time.poll().is_pending());
    timer.advance(SECOND);
    drop(permit);
    drop(in_time.admitted());
}

/// Requests that take no permit wait for none.
#[test]
fn plain_requests_do_not_wait_for_permits() {
    let clock = ManualClock::new();
    let limiter = narrow(1, &clock);
    let timer = ManualTimer::on(&clock);
    let _permit = limiter.reserve_tokens(10).expect("the first");
    let mut plain = Box::pin(limiter.acquire_with(timer.clone()));
    let status = poll(&mut plain, &Arc::default());
    assert!(matches!(status, Poll::Ready(status) if !status.is_limited));
}

/// How far the first is when somebody is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// It sleeps until its tokens are there.
    Asleep,
    /// They are, and it was not polled.
    Due,
    /// It is through, and the next was not polled.
    HandedOver,
    WaitsForPermit,
    ToldOfPermit,
    /// It was told of a permit, and found the tokens gone.
    TurnedAway,
}

const POINTS: [Point; 6] = [
    Point::Asleep,
    Point::Due,
    Point::HandedOver,
    Point::WaitsForPermit,
    Point::ToldOfPermit,
    Point::TurnedAway,
];

/// All others are served, in order, and nothing was charged for it.
#[test]
fn each_can_be_dropped_at_each_point() {
    for (point, dropped) in POINTS
        .into_iter()
        .flat_map(|point| (1..=4).map(move |n| (point, n)))
    {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let waits_for_tokens = matches!(point, Point::Asleep | Point::Due | Point::HandedOver);
        let mut held = None;
        if waits_for_tokens {
            limiter.record_tokens(1_000);
        } else {
            held = Some(limiter.reserve_tokens(1).expect("the first"));
        }
        let come = |n| Waiting::at(&limiter, &timer, n).asleep();
        let mut waiting: Vec<_> = (1..=4).map(come).collect();
        let mut used = limiter.stats().total_tokens_used;
        let mut requests = 0;
        match point {
            Point::Asleep | Point::WaitsForPermit => {}
            Point::Due => timer.advance(MILLI),
            Point::HandedOver => {
                timer.advance(MILLI);
                let Some(Poll::Ready((1, Ok(permit)))) = poll_woken(&mut waiting) else {
                    panic!("it is due");
                };
                permit.settle(1);
                (requests, used) = (1, used + 1);
            }
            Point::ToldOfPermit => drop(held.take()),
            Point::TurnedAway => {
                drop(held.take());
                limiter.record_tokens(1_000);
                used += 1_000;
                assert!(matches!(poll_woken(&mut waiting), Some(Poll::Pending)));
            }
        }
        waiting.retain(|waiting| waiting.estimate != dropped);
        drop(held);
        requests += waiting.len() as u64;
        used += waiting.iter().map(|waiting| waiting.estimate).sum::<u64>();
        let through = finish(&mut waiting, &timer);
        assert!(through.is_sorted(), "{point:?}, {dropped}: {through:?}");
        let stats = limiter.stats();
        let counted = (
            stats.total_requests,
            stats.total_tokens_used,
            stats.in_flight,
        );
        assert_eq!(counted, (requests, used, 0), "{point:?}, {dropped}");
    }
}

/// A future that was told of a permit and cannot use it passes it on to a thread.
#[test]
fn what_a_future_cannot_use_a_thread_gets() {
    let yield_often = || (0..20_000).for_each(|_| thread::yield_now());
    for is_dropped in [true, false] {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let permit = limiter.reserve_tokens(10).expect("the first");
        let mut large = Waiting::at(&limiter, &timer, 900).asleep();
        thread::scope(|scope| {
            let small = scope.spawn(|| limiter.reserve_tokens_blocking(10).map(drop));
            yield_often();
            limiter.record_tokens(500);
            permit.settle(10);
            assert!(large.flag.take(), "the first that listens");
            if is_dropped {
                drop(large);
            } else {
                assert!(large.poll().is_pending(), "the tokens are gone");
            }
            let patience = DefaultClock.now() + 20 * SECOND;
            while !small.is_finished() && DefaultClock.now() < patience {
                yield_often();
            }
            let was_told = small.is_finished();
            // Or a test that fails would not end.
            drop(limiter.reserve_tokens(0));
            assert_eq!(small.join().expect("no panic"), Ok(()));
            assert!(was_told, "it waited for a call that was not made");
        });
    }
}

/// Threads and futures, and few permits.
#[test]
fn threads_and_futures_hand_permits_to_each_other() {
    let clock = ManualClock::new();
    let limiter = narrow(2, &clock);
    let timer = ManualTimer::on(&clock);
    in_parallel(4, |number| {
        for _ in 0..2_000 {
            let permit = if number % 2 == 0 {
                limiter.reserve_tokens_blocking(1).expect("not permanent")
            } else {
                let mut call = core::pin::pin!(limiter.acquire_tokens_with(timer.clone(), 1));
                let waker = parked();
                let mut context = core::task::Context::from_waker(&waker);
                loop {
                    match call.as_mut().poll(&mut context) {
                        Poll::Ready(outcome) => break outcome.expect("not permanent"),
                        Poll::Pending => thread::park(),
                    }
                }
            };
            assert!(limiter.stats().in_flight <= 2);
            permit.settle(0);
        }
    });
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.in_flight), (8_000, 0));
}
