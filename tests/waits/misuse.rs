//! Timers that are early or late, clocks that step, wakers that change, polls that nobody asked for, panics.

use alloc::sync::Arc;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::panic::catch_unwind;

use tidegate::{Clock, Denied, Limiter, ManualClock, Timestamp};

use crate::crowd::{Crowd, Flag, ManualTimer, Waits, poll};
use crate::{SECOND, bucket, combined, window};

/// Runs a check on all three, full.
macro_rules! on_each {
    ($check:ident) => {
        let clock = ManualClock::new();
        let limiter = bucket(1, &clock);
        limiter.try_acquire(1).unwrap();
        $check(&limiter, &clock);
        let clock = ManualClock::new();
        let limiter = window(1, &clock);
        limiter.try_acquire(1).unwrap();
        $check(&limiter, &clock);
        let clock = ManualClock::new();
        let limiter = combined(1, &clock);
        limiter.try_acquire(1).unwrap();
        $check(&limiter, &clock);
    };
}

#[test]
fn a_timer_that_is_early_is_set_again() {
    fn check<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
        let due = limiter.wait_time_at(1, clock.now()).unwrap();
        // A third too early, each time, but never less than a millisecond.
        let early = |wait: Duration| {
            let least = Duration::from_millis(1).min(wait);
            clock.advance((wait * 2 / 3).max(least));
            core::future::ready(())
        };
        let mut future = limiter.wait(early, 1, Duration::MAX);
        assert!(poll(&mut future, &Arc::default()).is_ready());
        let late = clock.now() - (Timestamp::ZERO + due);
        assert!(late < Duration::from_millis(1), "{late:?}");
    }
    on_each!(check);
}

#[test]
fn polls_that_nobody_asked_for_change_nothing() {
    fn check<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
        let timer = ManualTimer::on(clock);
        let due = limiter.wait_time_at(1, clock.now()).unwrap();
        let mut future = limiter.wait(timer.clone(), 1, Duration::MAX);
        for _ in 0..100 {
            // With another waker each time; the last one counts.
            assert!(poll(&mut future, &Arc::default()).is_pending());
        }
        let flag = Arc::new(Flag::default());
        assert!(poll(&mut future, &flag).is_pending());
        assert_eq!(timer.made(), 1);
        timer.advance(due);
        assert!(flag.take());
        assert_eq!(poll(&mut future, &flag), Poll::Ready(Ok(())));
        // Completed, it says the same again, and charges nothing.
        timer.advance(10 * SECOND);
        assert_eq!(poll(&mut future, &flag), Poll::Ready(Ok(())));
        assert_eq!(limiter.available_at(clock.now()), 1);

        let mut refused = limiter.wait(timer, 2, Duration::MAX);
        let never = Poll::Ready(Err(Denied::Never { capacity: 1 }));
        assert_eq!(poll(&mut refused, &flag), never);
        assert_eq!(poll(&mut refused, &flag), never);
        assert_eq!(limiter.available_at(clock.now()), 1);
    }
    on_each!(check);
}

/// The turn comes to the waker of the last poll.
#[test]
fn those_behind_may_change_their_wakers() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let timer = ManualTimer::on(&clock);
    let mut head = window.wait(timer.clone(), 1, Duration::MAX);
    let mut behind = window.wait(timer, 1, Duration::MAX);
    let (old, new) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    assert!(poll(&mut head, &Arc::default()).is_pending());
    assert!(poll(&mut behind, &old).is_pending());
    assert!(poll(&mut behind, &new).is_pending());
    drop(head);
    assert_eq!((old.take(), new.take()), (false, true));
    // It was told, and is dropped without being polled; nobody waits for it.
    drop(behind);
    clock.advance(2 * SECOND);
    assert!(
        poll(
            &mut window.wait(|_| core::future::pending(), 1, SECOND),
            &old
        )
        .is_ready()
    );
}

/// Nothing takes no place, not even behind others.
#[test]
fn nothing_is_always_there() {
    fn check<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut crowd = Crowd::at(limiter, clock);
        let waiting = crowd.come(1);
        let nothing = crowd.come_for(0, Duration::ZERO);
        assert_eq!(
            (crowd.admitted(), crowd.waiting()),
            (vec![nothing], vec![waiting])
        );
    }
    on_each!(check);
}

/// Back in time is a wait that takes longer; forward one that is over when somebody looks.
#[test]
fn a_clock_that_steps_admits_nobody_early() {
    fn check<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
        let start = Timestamp::ZERO + 100 * SECOND;
        clock.set(start);
        limiter.try_acquire_at(1, start).unwrap();
        let due = limiter.wait_time_at(1, start).unwrap();
        let mut crowd = Crowd::at(limiter, clock);
        let waiting = crowd.come(1);
        clock.set(Timestamp::ZERO + 50 * SECOND);
        // The timer's own time goes on.
        crowd.advance(due);
        assert_eq!(crowd.waiting(), [waiting]);
        clock.set(start + due);
        crowd.advance(Duration::ZERO);
        crowd.finish();
        assert_eq!(crowd.admitted(), [waiting]);
    }
    on_each!(check);
}

/// A timer that panics, such as tokio's outside of its runtime, leaves no place behind.
#[test]
fn a_timer_that_panics_costs_nothing() {
    fn check<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
        struct Bomb;
        impl Future for Bomb {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                panic!("no runtime")
            }
        }
        let flag = Arc::default();
        let panics = |future: &mut crate::crowd::Waiting<'_>| {
            catch_unwind(AssertUnwindSafe(|| poll(future, &flag))).is_err()
        };
        let mut made = limiter.wait(|_| -> Bomb { panic!("no timer") }, 1, Duration::MAX);
        assert!(panics(&mut made));
        drop(made);
        let mut polled = limiter.wait(|_| Bomb, 1, Duration::MAX);
        assert!(panics(&mut polled));
        drop(polled);
        clock.advance(2 * SECOND);
        let mut crowd = Crowd::at(limiter, clock);
        assert_eq!((crowd.come(1), crowd.admitted()), (0, vec![0]));
    }
    on_each!(check);
}

/// Whoever is dropped with the turn just come passes it on: the third in line, as the second goes as well.
#[test]
fn a_turn_that_comes_to_somebody_who_leaves_is_passed_on() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&window, &clock);
    let (first, second, third) = (crowd.come(1), crowd.come(1), crowd.come(1));
    crowd.drop(first);
    crowd.drop(second);
    crowd.finish();
    assert_eq!(crowd.admitted(), [third]);
}

#[test]
fn futures_that_wait_can_be_shown() {
    let clock = ManualClock::new();
    let (bucket, window) = (bucket(1, &clock), window(1, &clock));
    window.try_acquire(1).unwrap();
    let timer = ManualTimer::on(&clock);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = pin!(bucket.acquire_with(timer.clone(), 1));
    assert_eq!(
        format!("{waiting:?}"),
        "Acquire { n: 1, waiting: Booking, .. }"
    );
    assert!(waiting.as_mut().poll(&mut context).is_ready());
    assert_eq!(
        format!("{waiting:?}"),
        "Acquire { n: 1, outcome: Ok(()), .. }"
    );
    let mut waiting = pin!(window.acquire_with(timer, 1));
    assert_eq!(
        format!("{waiting:?}"),
        "Acquire { n: 1, waiting: InLine { at_head: false }, .. }"
    );
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert_eq!(
        format!("{waiting:?}"),
        "Acquire { n: 1, waiting: InLine { at_head: true }, .. }"
    );
}
