//! A hundred thousand operations of several threads.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::random::Random;

const THREADS: usize = 4;
const STEPS: u32 = 25_000;
const MOST: u64 = 5;

/// What the limiter must have counted.
#[derive(Default)]
struct Sums {
    requests: AtomicU64,
    tokens: AtomicU64,
}

type Permit<'a> = TokenPermit<'a, ManualClock>;

#[derive(Default)]
struct Mine<'a> {
    waiting: Vec<Waiting<'a>>,
    permits: Vec<(u64, Permit<'a>)>,
}

struct Storm<'a> {
    limiter: &'a Limiter,
    timer: ManualTimer,
    sums: Sums,
}

impl<'a> Storm<'a> {
    /// Whoever came in time.
    fn take(&self, mine: &mut Mine<'a>, estimate: u64, outcome: Outcome<'a>) {
        assert!(self.limiter.stats().in_flight <= MOST);
        match outcome {
            Ok(permit) => mine.permits.push((estimate, permit)),
            Err(status) => assert_eq!(status.is_permanent, estimate > 1_000),
        }
    }

    fn end(&self, random: &mut Random, (estimate, mut permit): (u64, Permit<'a>)) {
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
        self.sums.requests.fetch_add(1, Relaxed);
        self.sums.tokens.fetch_add(used, Relaxed);
        if way == 2 {
            permit.commit();
            assert!(!permit.cancel());
        } else {
            permit.settle(used);
        }
    }

    fn step(&self, random: &mut Random, mine: &mut Mine<'a>) {
        let estimate = match random.below(64) {
            0 => 1_001,
            other => 1 + other,
        };
        match random.below(32) {
            0..10 if mine.waiting.len() < 16 => {
                let timeout = match random.below(3) {
                    0 => Duration::from_millis(random.below(300)),
                    _ => Duration::MAX,
                };
                let mut waiting = Waiting::timed(self.limiter, &self.timer, estimate, timeout);
                match waiting.poll() {
                    Poll::Ready(outcome) => self.take(mine, estimate, outcome),
                    Poll::Pending => mine.waiting.push(waiting),
                }
            }
            10..13 if !mine.waiting.is_empty() => drop(random.of(&mut mine.waiting)),
            // Woken or not.
            13..17 if !mine.waiting.is_empty() => {
                let mut waiting = random.of(&mut mine.waiting);
                match waiting.poll() {
                    Poll::Ready(outcome) => self.take(mine, waiting.estimate, outcome),
                    Poll::Pending => mine.waiting.push(waiting),
                }
            }
            17 => self.take(mine, estimate, self.limiter.reserve_tokens(estimate)),
            18..21 => self.timer.advance(Duration::from_millis(random.below(30))),
            21..26 if !mine.permits.is_empty() => {
                let permit = random.of(&mut mine.permits);
                self.end(random, permit);
            }
            26 if random.below(8) == 0 => self.limiter.resume(),
            26 if random.below(8) == 0 => self.limiter.pause_for(20 * MILLI),
            _ => {
                if let Some(Poll::Ready((estimate, outcome))) = poll_woken(&mut mine.waiting) {
                    self.take(mine, estimate, outcome);
                }
            }
        }
    }
}

/// In the end all who are left are polled *when they are woken and at no other time*: nobody may be left asleep.
#[test]
fn counts_exactly_and_leaves_nobody_asleep() {
    let clock = ManualClock::new();
    let limiter = narrow(MOST, &clock);
    let storm = Storm {
        limiter: &limiter,
        timer: ManualTimer::on(&clock),
        sums: Sums::default(),
    };
    let left = in_parallel(THREADS, |thread| {
        let mut random = Random(thread as u64);
        let mut mine = Mine::default();
        for _ in 0..STEPS {
            storm.step(&mut random, &mut mine);
        }
        mine
    });
    let mut rest = Mine::default();
    for mine in left {
        rest.waiting.extend(mine.waiting);
        rest.permits.extend(mine.permits);
    }
    let mut random = Random(7);
    while !rest.waiting.is_empty() || !rest.permits.is_empty() {
        if let Some(outcome) = poll_woken(&mut rest.waiting) {
            if let Poll::Ready((estimate, outcome)) = outcome {
                storm.take(&mut rest, estimate, outcome);
            }
        } else if let Some(permit) = rest.permits.pop() {
            storm.end(&mut random, permit);
        } else {
            let goes_on = storm.timer.advance_to_next();
            assert!(goes_on, "{} sleep for ever", rest.waiting.len());
        }
    }
    let stats = limiter.stats();
    let (requests, tokens) = (storm.sums.requests, storm.sums.tokens);
    assert_eq!(stats.total_requests, requests.into_inner());
    assert_eq!(stats.total_tokens_used, tokens.into_inner());
    assert_eq!(stats.in_flight, 0);
    assert!(stats.total_requests > 1_000, "{stats:?}");
    // Nobody is in line any more, and everything comes back.
    clock.advance(86_400 * SECOND);
    assert_eq!(limiter.stats().tokens_remaining_minute, 1_000);
    let first = Waiting::at(&limiter, &storm.timer, 1_000).poll();
    assert!(matches!(first, Poll::Ready(Ok(_))));
}
