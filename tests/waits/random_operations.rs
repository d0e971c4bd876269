//! A million operations of several threads: futures that join, leave and are polled at random,
//! while the time advances.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::Poll;
use core::time::Duration;

use tidegate::{Clock, Limiter, ManualClock, Quota, SlidingWindow, TokenBucket};

use crate::limits;
use crate::manual_timer::ManualTimer;
use crate::parallel::in_parallel;
use crate::random::Random;
use crate::waiters::{Outcome, PermitWaiter, WaitFor, Waiter};

const THREADS: usize = 4;
/// Steps of each thread at each limiter.
const STEPS: u32 = 65_000;

/// Permits that were admitted, and permits that dropped futures had asked for.
#[derive(Debug, Default)]
struct Sums {
    admitted: AtomicU64,
    dropped: AtomicU64,
}

struct Run<'a, L> {
    limiter: &'a L,
    timer: ManualTimer,
    sums: Sums,
}

impl<'a, L: WaitFor + Limiter> Run<'a, L> {
    /// Runs all threads. Then polls the remaining waiters *only when they were woken*, while the
    /// time advances. Panics if one is never woken. Returns admitted and dropped permits.
    fn sums(limiter: &'a L, clock: &ManualClock) -> (u64, u64) {
        let run = Self {
            limiter,
            timer: ManualTimer::on(clock),
            sums: Sums::default(),
        };
        let rest = in_parallel(THREADS, |thread| {
            let mut random = Random(thread as u64);
            let mut own = Vec::new();
            for _ in 0..STEPS {
                run.step(&mut random, &mut own);
            }
            own
        });
        let mut rest: Vec<PermitWaiter<'_>> = rest.into_iter().flatten().collect();
        while !rest.is_empty() {
            match Waiter::poll_woken(&mut rest) {
                Some(Poll::Ready((waiter, outcome))) => run.count(waiter.n, outcome),
                Some(Poll::Pending) => {}
                None => {
                    let advanced = run.timer.advance_to_next();
                    assert!(advanced, "{} wait forever", rest.len());
                }
            }
        }
        let Sums { admitted, dropped } = run.sums;
        (admitted.into_inner(), dropped.into_inner())
    }

    fn count(&self, n: u64, outcome: Outcome) {
        if outcome.is_ok() {
            self.sums.admitted.fetch_add(n, Relaxed);
        }
    }

    fn step(&self, random: &mut Random, own: &mut Vec<PermitWaiter<'a>>) {
        let n = 1 + random.below(5);
        match random.below(32) {
            0..12 if own.len() < 16 => {
                let timeout = match random.below(3) {
                    0 => Duration::from_millis(random.below(100)),
                    _ => Duration::MAX,
                };
                let mut waiter = self.limiter.wait_for(self.timer.clone(), n, timeout);
                match waiter.poll() {
                    Poll::Ready(outcome) => self.count(n, outcome),
                    Poll::Pending => own.push(waiter),
                }
            }
            12..14 if !own.is_empty() => {
                let waiter = random.take(own);
                self.sums.dropped.fetch_add(waiter.n, Relaxed);
            }
            // Polls without a wake-up.
            14..18 if !own.is_empty() => {
                let mut waiter = random.take(own);
                match waiter.poll() {
                    Poll::Ready(outcome) => self.count(waiter.n, outcome),
                    Poll::Pending => own.push(waiter),
                }
            }
            18..20 => self.count(n, self.limiter.try_acquire_at(n, self.limiter.now())),
            20..22 => {
                let time = random.below(3_000);
                self.timer.advance(Duration::from_micros(time));
            }
            _ => {
                if let Some(Poll::Ready((waiter, outcome))) = Waiter::poll_woken(own) {
                    self.count(waiter.n, outcome);
                }
            }
        }
    }
}

/// The capacity is never reached, so every token that flows in is admitted or remains. Waiters that
/// were dropped have cost nothing.
#[test]
fn bucket_admits_what_it_refills() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(5_000).burst(1_000_000);
    let bucket = TokenBucket::with_clock(quota, clock.clone()).with_initial(0);
    let (admitted, dropped) = Run::sums(&bucket, &clock);
    let refilled = clock.now().as_nanos() / 200_000;
    assert_eq!(bucket.debt(), 0);
    let charged = refilled - bucket.available();
    assert!(admitted.abs_diff(charged) <= 1, "{admitted} of {charged}");
    assert!(
        admitted > 10_000 && dropped > 10_000,
        "{admitted}, {dropped}"
    );
}

/// A window so long that no permit comes back counts exactly what was admitted.
#[test]
fn window_counts_what_it_admits() {
    let clock = ManualClock::new();
    let length = Duration::from_secs(1 << 20);
    let window = SlidingWindow::with_clock(1 << 20, length, clock.clone()).unwrap();
    let (admitted, _) = Run::sums(&window, &clock);
    assert_eq!((window.current_count(), window.waiting()), (admitted, 0));
}

#[test]
fn window_admits_no_more_than_its_limit() {
    let clock = ManualClock::new();
    let length = Duration::from_millis(20);
    let window = SlidingWindow::with_clock(100, length, clock.clone()).unwrap();
    let (admitted, _) = Run::sums(&window, &clock);
    let windows = clock.now().as_nanos() / 20_000_000 + 1;
    assert!(admitted <= 100 * windows, "{admitted} in {windows}");
    assert!(admitted > 10_000, "{admitted}");
    assert_eq!(window.waiting(), 0);
    clock.advance(2 * length);
    assert_eq!(window.available(), 100);
}

#[test]
fn combination_admits_no_more_than_its_bucket() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(5_000).burst(100);
    let bucket = TokenBucket::with_clock(quota, clock.clone());
    let length = Duration::from_millis(20);
    let window = SlidingWindow::with_clock(100, length, clock.clone()).unwrap();
    let both = limits(window, bucket);
    let (admitted, _) = Run::sums(&both, &clock);
    let refilled = clock.now().as_nanos() / 200_000 + 100;
    assert!(admitted <= refilled, "{admitted} of {refilled}");
    assert!(admitted > 10_000, "{admitted}");
    assert_eq!(both.waiting(), 0);
}
