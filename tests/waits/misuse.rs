//! Timers that are early or panic, clocks that step, wakers that change, polls without a wake-up.

use alloc::sync::Arc;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::panic::catch_unwind;

use tidegate::{Clock, Denied, Limiter, ManualClock, Timestamp};

use crate::manual_timer::ManualTimer;
use crate::waiters::{PermitWaiter, WaitFor, Waiters, WakeFlag};
use crate::{MILLISECOND, SECOND, early_timer, no_sleep, on_each_limiter, window};

/// Takes the only permit.
fn exhaust(limiter: &impl Limiter) {
    limiter.try_acquire_at(1, limiter.now()).expect("new");
}

#[test]
fn early_timers_are_set_again() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let due = limiter.wait_time_at(1, clock.now()).unwrap();
        let mut waiter = limiter.wait_for(early_timer(clock), 1, Duration::MAX);
        assert_eq!(waiter.ready(), Ok(()));
        let late = clock.now() - (Timestamp::ZERO + due);
        assert!(late < MILLISECOND, "{late:?}");
    }
    on_each_limiter!(check, 1);
}

#[test]
fn polls_without_a_wake_up_change_nothing() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let timer = ManualTimer::on(clock);
        let due = limiter.wait_time_at(1, clock.now()).unwrap();
        let mut waiter = limiter.wait_for(timer.clone(), 1, Duration::MAX);
        for _ in 0..100 {
            waiter = waiter.pending();
        }
        assert_eq!(timer.started(), 1);
        timer.advance(due);
        assert!(waiter.take_wake_up());
        assert_eq!(waiter.ready(), Ok(()));
        // Polled again, it returns the same result and charges nothing.
        timer.advance(10 * SECOND);
        assert_eq!(waiter.ready(), Ok(()));
        assert_eq!(limiter.available_at(clock.now()), 1);

        let mut refused = limiter.wait_for(timer, 2, Duration::MAX);
        let never = Err(Denied::Never { capacity: 1 });
        assert_eq!((refused.ready(), refused.ready()), (never, never));
        assert_eq!(limiter.available_at(clock.now()), 1);
    }
    on_each_limiter!(check, 1);
}

/// As `select!` polls in a loop. The head sleeps once and keeps its place. The waiters behind it
/// do not sleep at all.
#[test]
fn polls_without_a_wake_up_keep_all_places() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let timer = ManualTimer::on(clock);
        let join = || limiter.wait_for(timer.clone(), 1, Duration::MAX).pending();
        let mut waiters = [join(), join(), join()];
        for order in 0..100 {
            let due = limiter.wait_time_at(1, clock.now()).expect("not never");
            timer.advance(due.min(SECOND / 256));
            let number = order % 3;
            if clock.now() < Timestamp::ZERO + SECOND {
                assert!(waiters[number].poll().is_pending());
            }
        }
        assert_eq!((timer.started(), limiter.waiters()), (1, 3));
        clock.advance(SECOND);
        // The last two are polled first, and do not overtake.
        for number in [2, 1] {
            assert!(waiters[number].poll().is_pending());
        }
        assert_eq!(waiters[0].ready(), Ok(()));
        assert!(waiters[1].take_wake_up() && !waiters[2].take_wake_up());
    }
    on_each_limiter!(check, 1);
}

/// It can be shared by an executor that does not keep the first waker of a task.
#[test]
fn wakers_may_change_with_each_poll() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let timer = ManualTimer::on(clock);
        let head = limiter.wait_for(timer.clone(), 1, Duration::MAX).pending();
        let mut behind = limiter.wait_for(timer.clone(), 1, 100 * SECOND);
        let flags: Vec<Arc<WakeFlag>> = (0..10).map(|_| Arc::default()).collect();
        for flag in &flags {
            assert!(behind.poll_with(flag).is_pending());
        }
        assert_eq!(timer.started(), 2, "the head's and the deadline's");
        drop(head);
        let woken: Vec<bool> = flags.iter().map(|flag| flag.take()).collect();
        assert_eq!(woken.iter().position(|&woken| woken), Some(9));
        let last = Arc::<WakeFlag>::default();
        assert!(behind.poll_with(&last).is_pending());
        timer.advance_to_next();
        assert!(last.take() && flags.iter().all(|flag| !flag.take()));
        assert_eq!(behind.ready(), Ok(()));
    }
    on_each_limiter!(check, 1);
}

#[test]
fn last_waker_counts_for_the_head() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let timer = ManualTimer::on(clock);
        let mut waiter = limiter.wait_for(timer.clone(), 1, Duration::MAX);
        let (old, new) = <(Arc<WakeFlag>, Arc<WakeFlag>)>::default();
        assert!(waiter.poll_with(&old).is_pending());
        assert!(waiter.poll_with(&new).is_pending());
        assert!(timer.advance_to_next());
        assert_eq!((old.take(), new.take()), (false, true));
    }
    on_each_limiter!(check, 1);
}

#[test]
fn last_waker_counts_behind_the_head() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    exhaust(&window);
    let timer = ManualTimer::on(&clock);
    let head = window.wait_for(timer.clone(), 1, Duration::MAX).pending();
    let mut behind = window.wait_for(timer, 1, Duration::MAX);
    let (old, new) = <(Arc<WakeFlag>, Arc<WakeFlag>)>::default();
    assert!(behind.poll_with(&old).is_pending());
    assert!(behind.poll_with(&new).is_pending());
    drop(head);
    assert_eq!((old.take(), new.take()), (false, true));
    // Dropped with the turn and without another poll, it leaves the queue empty.
    drop(behind);
    clock.advance(2 * SECOND);
    assert_eq!(window.wait_for(no_sleep, 1, SECOND).ready(), Ok(()));
}

#[test]
fn zero_permits_never_wait() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let mut waiters = Waiters::at(limiter, clock);
        let waiting = waiters.join(1);
        let zero = waiters.join_for(0, Duration::ZERO);
        assert_eq!(waiters.admitted(), [zero]);
        assert_eq!(waiters.waiting(), [waiting]);
    }
    on_each_limiter!(check, 1);
}

/// A step back makes the wait longer, and a step forward ends it at the next poll.
#[test]
fn clock_steps_admit_no_waiter_early() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let start = Timestamp::ZERO + 100 * SECOND;
        clock.set(start);
        limiter.try_acquire_at(1, start).unwrap();
        let due = limiter.wait_time_at(1, start).unwrap();
        let mut waiters = Waiters::at(limiter, clock);
        let waiting = waiters.join(1);
        clock.set(Timestamp::ZERO + 50 * SECOND);
        waiters.advance(due);
        assert_eq!(waiters.waiting(), [waiting]);
        clock.set(start + due);
        waiters.advance(Duration::ZERO);
        waiters.finish();
        assert_eq!(waiters.admitted(), [waiting]);
    }
    on_each_limiter!(check, 1);
}

/// As tokio's timer does outside of a runtime. No ticket or reservation is left behind.
#[test]
fn panicking_timers_leave_nothing_behind() {
    struct PanickingSleep;
    impl Future for PanickingSleep {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("no runtime")
        }
    }
    fn assert_panics(mut waiter: PermitWaiter<'_>) {
        assert!(catch_unwind(AssertUnwindSafe(|| waiter.poll())).is_err());
    }
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        exhaust(limiter);
        let no_timer = |_| -> PanickingSleep { panic!("no timer") };
        assert_panics(limiter.wait_for(no_timer, 1, Duration::MAX));
        assert_panics(limiter.wait_for(|_| PanickingSleep, 1, Duration::MAX));
        clock.advance(2 * SECOND);
        let mut waiters = Waiters::at(limiter, clock);
        assert_eq!((waiters.join(1), waiters.admitted()), (0, vec![0]));
    }
    on_each_limiter!(check, 1);
}

#[test]
fn waits_show_their_progress() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    exhaust(&window);
    let mut context = Context::from_waker(Waker::noop());
    let mut wait = pin!(
        window
            .acquire(1)
            .timeout(2 * SECOND)
            .timer(ManualTimer::on(&clock))
    );
    let shown = |progress, outcome| {
        let waiter = format!("Waiter {{ timeout: 2s, progress: {progress}, .. }}");
        format!("Acquire {{ n: 1, waiter: {waiter}, outcome: {outcome}, .. }}")
    };
    assert_eq!(format!("{wait:?}"), shown("not started", "None"));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert_eq!(format!("{wait:?}"), shown("waiting", "None"));
    clock.advance(2 * SECOND);
    assert!(wait.as_mut().poll(&mut context).is_ready());
    assert_eq!(format!("{wait:?}"), shown("done", "Some(Ok(()))"));
}
