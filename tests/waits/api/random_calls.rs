//! A hundred thousand operations of several threads at an API limiter.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::Poll;
use core::time::Duration;

use tidegate::{ManualClock, TokenPermit};

use super::{ApiLimiter, TokenOutcome, TokenWaiter, limiter, max_in_flight, tokens, tokens_for};
use crate::manual_timer::ManualTimer;
use crate::parallel::in_parallel;
use crate::random::Random;
use crate::waiters::Waiter;
use crate::{MILLISECOND, SECOND};

const THREADS: usize = 4;
const STEPS: u32 = 25_000;
const MAX_IN_FLIGHT: u64 = 5;

/// What the limiter must have counted.
#[derive(Default)]
struct Totals {
    requests: AtomicU64,
    tokens: AtomicU64,
}

type EstimatedPermit = (u64, TokenPermit<ManualClock>);

/// The calls of one thread.
#[derive(Default)]
struct Calls {
    waiting: Vec<TokenWaiter>,
    permits: Vec<EstimatedPermit>,
}

struct ApiRun<'a> {
    limiter: &'a ApiLimiter,
    timer: ManualTimer,
    totals: Totals,
}

impl ApiRun<'_> {
    /// Only impossible estimates are refused for good.
    fn store(&self, calls: &mut Calls, estimate: u64, outcome: TokenOutcome) {
        assert!(self.limiter.stats().in_flight <= MAX_IN_FLIGHT);
        match outcome {
            Ok(permit) => calls.permits.push((estimate, permit)),
            Err(status) => assert_eq!(status.is_permanent, estimate > 1_000),
        }
    }

    fn poll(&self, calls: &mut Calls, mut waiter: TokenWaiter) {
        match waiter.poll() {
            Poll::Ready(outcome) => self.store(calls, waiter.n, outcome),
            Poll::Pending => calls.waiting.push(waiter),
        }
    }

    /// Ends a call in one of four ways.
    fn end(&self, random: &mut Random, (estimate, mut permit): EstimatedPermit) {
        let way = random.below(4);
        let used = match way {
            0 => random.below(2 * estimate + 1),
            1 => 0,
            2 => estimate,
            _ => {
                drop(permit);
                return;
            }
        };
        self.totals.requests.fetch_add(1, Relaxed);
        self.totals.tokens.fetch_add(used, Relaxed);
        if way == 2 {
            permit.commit();
            assert!(!permit.cancel());
        } else {
            permit.settle(used);
        }
    }

    fn step(&self, random: &mut Random, calls: &mut Calls) {
        let estimate = match random.below(64) {
            0 => 1_001,
            other => 1 + other,
        };
        match random.below(32) {
            0..10 if calls.waiting.len() < 16 => {
                let timeout = match random.below(3) {
                    0 => Duration::from_millis(random.below(300)),
                    _ => Duration::MAX,
                };
                let waiter = tokens_for(self.limiter, &self.timer, estimate, timeout);
                self.poll(calls, waiter);
            }
            10..13 if !calls.waiting.is_empty() => drop(random.take(&mut calls.waiting)),
            // Polls without a wake-up.
            13..17 if !calls.waiting.is_empty() => {
                let waiter = random.take(&mut calls.waiting);
                self.poll(calls, waiter);
            }
            17 => self.store(calls, estimate, self.limiter.reserve_tokens(estimate)),
            18..21 => self.timer.advance(Duration::from_millis(random.below(30))),
            21..26 if !calls.permits.is_empty() => {
                let permit = random.take(&mut calls.permits);
                self.end(random, permit);
            }
            26 if random.below(8) == 0 => self.limiter.resume(),
            26 if random.below(8) == 0 => self.limiter.pause_for(20 * MILLISECOND),
            _ => {
                if let Some(Poll::Ready((waiter, outcome))) = Waiter::poll_woken(&mut calls.waiting)
                {
                    self.store(calls, waiter.n, outcome);
                }
            }
        }
    }
}

/// In the end the remaining calls are polled *only when they were woken*. The test fails if one is
/// never woken.
#[test]
fn random_calls_are_counted_exactly_and_all_end() {
    let (limiter, clock, timer) = limiter(max_in_flight(MAX_IN_FLIGHT));
    let run = ApiRun {
        limiter: &limiter,
        timer,
        totals: Totals::default(),
    };
    let rest = in_parallel(THREADS, |thread| {
        let mut random = Random(thread as u64);
        let mut calls = Calls::default();
        for _ in 0..STEPS {
            run.step(&mut random, &mut calls);
        }
        calls
    });
    let mut calls = Calls::default();
    for thread in rest {
        calls.waiting.extend(thread.waiting);
        calls.permits.extend(thread.permits);
    }
    let mut random = Random(7);
    while !calls.waiting.is_empty() || !calls.permits.is_empty() {
        match Waiter::poll_woken(&mut calls.waiting) {
            Some(Poll::Ready((waiter, outcome))) => run.store(&mut calls, waiter.n, outcome),
            Some(Poll::Pending) => {}
            None => {
                if let Some(permit) = calls.permits.pop() {
                    run.end(&mut random, permit);
                } else {
                    let advanced = run.timer.advance_to_next();
                    assert!(advanced, "{} wait forever", calls.waiting.len());
                }
            }
        }
    }
    let stats = limiter.stats();
    let Totals {
        requests,
        tokens: used,
    } = run.totals;
    assert_eq!(stats.total_requests, requests.into_inner());
    assert_eq!(stats.total_tokens_used, used.into_inner());
    assert_eq!(stats.in_flight, 0);
    assert!(stats.total_requests > 1_000, "{stats:?}");
    // The queue is empty, and all tokens come back.
    clock.advance(86_400 * SECOND);
    assert_eq!(limiter.stats().tokens_remaining_minute, 1_000);
    assert!(tokens(&limiter, &run.timer, 1_000).ready().is_ok());
}
