//! A million operations of several threads, who come, leave, are polled and let time pass at random.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Poll};
use core::time::Duration;
use std::thread;

use tidegate::{
    Clock, Combined, Limiter, ManualClock, MonotonicClock, Quota, SlidingWindow, TokenBucket,
};

use crate::crowd::{ManualTimer, Waiter, Waits, parked};
use crate::parallel::in_parallel;
use crate::random::Random;

const THREADS: usize = 4;
/// Of each thread, in each of the storms.
const STEPS: u32 = 65_000;

/// What was admitted, and what those who left had asked for.
#[derive(Debug, Default)]
struct Sums {
    admitted: AtomicU64,
    left: AtomicU64,
}

struct Storm<'a, L> {
    limiter: &'a L,
    timer: ManualTimer,
    sums: Sums,
}

impl<'a, L: Waits + Limiter> Storm<'a, L> {
    /// In the end all who are left are polled *when they are woken and at no other time*, while time passes: nobody may be left
    /// asleep.
    fn over(limiter: &'a L, clock: &ManualClock) -> Sums {
        let storm = Self {
            limiter,
            timer: ManualTimer::on(clock),
            sums: Sums::default(),
        };
        let left = in_parallel(THREADS, |thread| {
            let mut random = Random(thread as u64);
            let mut mine = Vec::new();
            for _ in 0..STEPS {
                storm.step(&mut random, &mut mine);
            }
            mine
        });
        let mut left: Vec<Waiter<'_>> = left.into_iter().flatten().collect();
        while !left.is_empty() {
            match Waiter::poll_woken(&mut left) {
                Some(Poll::Ready((waiter, outcome))) => storm.count(waiter.n, outcome.is_ok()),
                Some(Poll::Pending) => {}
                None => {
                    let goes_on = storm.timer.advance_to_next();
                    assert!(goes_on, "{} sleep for ever", left.len());
                }
            }
        }
        storm.sums
    }

    fn count(&self, n: u64, is_admitted: bool) {
        if is_admitted {
            self.sums.admitted.fetch_add(n, Relaxed);
        }
    }

    fn step(&self, random: &mut Random, mine: &mut Vec<Waiter<'a>>) {
        let n = 1 + random.below(5);
        match random.below(32) {
            // Somebody comes, with a timeout or without.
            0..12 if mine.len() < 16 => {
                let timeout = match random.below(3) {
                    0 => Duration::from_millis(random.below(100)),
                    _ => Duration::MAX,
                };
                let future = self.limiter.wait(self.timer.clone(), n, timeout);
                let mut waiter = Waiter::new(0, n, future);
                match waiter.poll() {
                    Poll::Ready(outcome) => self.count(n, outcome.is_ok()),
                    Poll::Pending => mine.push(waiter),
                }
            }
            12..14 if !mine.is_empty() => {
                let waiter = mine.swap_remove(random.index(mine.len()));
                self.sums.left.fetch_add(waiter.n, Relaxed);
            }
            // Somebody is polled, woken or not.
            14..18 if !mine.is_empty() => {
                let index = random.index(mine.len());
                if let Poll::Ready(outcome) = mine[index].poll() {
                    self.count(mine.swap_remove(index).n, outcome.is_ok());
                }
            }
            18..20 => {
                let outcome = self.limiter.try_acquire_at(n, self.limiter.now());
                self.count(n, outcome.is_ok());
            }
            20..22 => {
                let time = random.below(3_000);
                self.timer.advance(Duration::from_micros(time));
            }
            _ => {
                if let Some(Poll::Ready((waiter, outcome))) = Waiter::poll_woken(mine) {
                    self.count(waiter.n, outcome.is_ok());
                }
            }
        }
    }
}

/// 5 000 per second, of which none flows over: all of them were admitted, but for those of cancelled places.
#[test]
fn on_a_bucket() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(5_000).burst(1_000_000);
    let bucket = TokenBucket::with_clock(quota, clock.clone()).with_initial(0);
    let sums = Storm::over(&bucket, &clock);
    let (admitted, left) = (sums.admitted.into_inner(), sums.left.into_inner());
    let flowed = clock.now().as_nanos() / 200_000;
    let charged = flowed + bucket.debt() - bucket.available();
    assert!(admitted <= charged + 1, "{admitted} of {charged}");
    assert!(
        admitted + left + 1 >= charged,
        "{admitted} of {charged}, {left} left"
    );
    assert!(admitted > 10_000 && left > 10_000, "{admitted}, {left}");
}

/// A line loses nothing: what was admitted is what the window counts, and the line is empty.
#[test]
fn on_a_window() {
    let clock = ManualClock::new();
    // Of a length after which nothing comes back.
    let long = Duration::from_secs(1 << 20);
    let window = SlidingWindow::with_clock(1 << 20, long, clock.clone()).unwrap();
    let sums = Storm::over(&window, &clock);
    let admitted = sums.admitted.into_inner();
    assert_eq!((window.current_count(), window.waiting()), (admitted, 0));

    let clock = ManualClock::new();
    let length = Duration::from_millis(20);
    let window = SlidingWindow::with_clock(100, length, clock.clone()).unwrap();
    let sums = Storm::over(&window, &clock);
    let admitted = sums.admitted.into_inner();
    let windows = clock.now().as_nanos() / 20_000_000 + 1;
    assert!(admitted <= 100 * windows, "{admitted} in {windows}");
    assert!(admitted > 10_000, "{admitted}");
    assert_eq!(window.waiting(), 0);
    clock.advance(2 * length);
    assert_eq!(window.available(), 100);
}

#[test]
fn on_a_combination() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(5_000).burst(100);
    let bucket = TokenBucket::with_clock(quota, clock.clone());
    let length = Duration::from_millis(20);
    let window = SlidingWindow::with_clock(100, length, clock.clone()).unwrap();
    let both = Combined::builder()
        .limit("bucket", bucket)
        .limit("window", window)
        .build();
    let sums = Storm::over(&both, &clock);
    let admitted = sums.admitted.into_inner();
    let flowed = clock.now().as_nanos() / 200_000 + 100;
    assert!(admitted <= flowed, "{admitted} of {flowed}");
    assert!(admitted > 10_000, "{admitted}");
    assert_eq!(both.waiting(), 0);
}

/// The turn is handed from thread to thread, and never lost: or this does not end. The clock is a real one, as nobody is there to
/// turn it.
#[test]
fn a_turn_is_never_lost_between_threads() {
    let length = Duration::from_micros(100);
    let window = SlidingWindow::with_clock(50, length, MonotonicClock).unwrap();
    let window = window.slots(1);
    let admitted = AtomicU64::new(0);
    let yielding = |wait: Duration| {
        let end = MonotonicClock.now() + wait;
        poll_fn(move |context| {
            if MonotonicClock.now() >= end {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    in_parallel(THREADS, |_| {
        let waker = parked();
        let mut context = Context::from_waker(&waker);
        for _ in 0..5_000 {
            let mut wait = pin!(window.acquire_with(yielding, 7));
            while wait.as_mut().poll(&mut context).is_pending() {
                thread::park();
            }
            admitted.fetch_add(1, Relaxed);
        }
    });
    assert_eq!((admitted.into_inner(), window.waiting()), (20_000, 0));
}
