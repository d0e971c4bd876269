//! Programs that lost most of their quota with earlier waits, on simulated time.

use alloc::rc::Rc;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{
    Acquire, ApiRateLimiter, Awaitable, Combined, ManualClock, Quota, RateLimitConfig,
    ShardedTokenBucket, TokenBucket,
};

use crate::load::{Call, Patience};
use crate::oracle::{self, Stated};
use crate::record::{Record, Service};
use crate::scenario::Scenario;
use crate::simulation::Simulation;
use crate::timer::{Lateness, SimulatedTimer};
use crate::{NANOS, SLACK, TICK};

fn bucket(rate: u64, burst: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(rate).burst(burst), clock.clone())
}

/// 10 per second, and 20 callers per second for 20 s, each of which gives up after a second.
fn served_of_leavers(patience: Patience, lateness: Lateness) -> Vec<Service> {
    let clock = ManualClock::new();
    let bucket = bucket(10, 1, &clock);
    let calls = (0..400).map(|number| Call {
        at: number * NANOS / 20,
        n: 1,
        patience,
    });
    let scenario = Scenario {
        calls: calls.collect(),
        lateness,
        slack: SLACK,
        seed: 1,
    };
    let record = scenario.run(&bucket, &clock, |_, _| ());
    let services = record.services.take();
    oracle::check_bucket(&services, Stated::per_second(10, 1), SLACK);
    services
}

/// Every token is used until the last caller has given up, and half of the callers are served, the
/// last as well as the first.
#[test]
fn callers_that_give_up_leave_all_tokens_to_others() {
    for lateness in [Lateness::Ticks, Lateness::Jitter] {
        for patience in [Patience::Dropped(NANOS), Patience::Timeout(NANOS)] {
            let services = served_of_leavers(patience, lateness);
            let served = services.len();
            // One at the start, and one for each tenth of a second up to 20.9 s.
            assert!((208..=211).contains(&served), "{served} with {patience:?}");
            let late = services
                .iter()
                .filter(|service| service.arrived >= 10 * NANOS);
            let late = late.count();
            assert!((95..=110).contains(&late), "{late} of the last 200");
        }
    }
}

/// A channel's receiver with a message every so often. Each is received once.
struct Messages {
    timer: SimulatedTimer,
    every: u64,
    next: Cell<u64>,
    end: u64,
}

impl Messages {
    async fn receive(&self) -> bool {
        let next = self.next.get();
        if next > self.end {
            return false;
        }
        self.timer.exact().until(next).await;
        self.next.set(next + self.every);
        true
    }
}

enum Event {
    Message(bool),
    Turn,
}

/// `select!` of both: polls the message first if `biased`, else the turn.
async fn either(
    message: Pin<&mut impl Future<Output = bool>>,
    turn: Pin<&mut impl Future<Output = Result<(), tidegate::Denied>>>,
    biased: bool,
) -> Event {
    let (mut message, mut turn) = (message, turn);
    poll_fn(|context| {
        for message_next in [biased, !biased] {
            if message_next {
                if let Poll::Ready(more) = message.as_mut().poll(context) {
                    return Poll::Ready(Event::Message(more));
                }
            } else if let Poll::Ready(turn) = turn.as_mut().poll(context) {
                turn.expect("patient");
                return Poll::Ready(Event::Turn);
            }
        }
        Poll::Pending
    })
    .await
}

/// 100 per second and a message every 210 us, for 3 s. Returns the number of turns.
fn turns(biased: bool, keep_the_future: bool) -> u64 {
    let clock = ManualClock::new();
    let bucket = bucket(100, 1, &clock);
    let mut simulation = Simulation::new(&clock, Lateness::Ticks, 1);
    let timer = simulation.timer.clone();
    let messages = Messages {
        timer: timer.clone(),
        every: 210_000,
        next: Cell::new(0),
        end: 3 * NANOS,
    };
    let turns = Rc::new(Cell::new(0));
    let counter = Rc::clone(&turns);
    simulation.spawn(async move {
        let mut kept = Box::pin(bucket.acquire(1).timer(timer.clone()));
        loop {
            let message = pin!(messages.receive());
            if !keep_the_future {
                kept = Box::pin(bucket.acquire(1).timer(timer.clone()));
            }
            match either(message, kept.as_mut(), biased).await {
                Event::Message(true) => {}
                Event::Message(false) => return,
                Event::Turn => {
                    counter.set(counter.get() + 1);
                    kept = Box::pin(bucket.acquire(1).timer(timer.clone()));
                }
            }
        }
    });
    simulation.run(|_| ());
    turns.get()
}

/// A wait that is dropped whenever a message comes, and made anew, gets its turns all the same.
#[test]
fn select_loop_gets_its_turns() {
    for biased in [true, false] {
        for keep_the_future in [true, false] {
            let turns = turns(biased, keep_the_future);
            assert!(
                (294..=301).contains(&turns),
                "{turns}, {biased}, {keep_the_future}"
            );
        }
    }
}

#[test]
fn dropped_wait_leaves_its_token() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 1, &clock);
    bucket.try_acquire(1).expect("full");
    {
        let never = |_| core::future::pending::<()>();
        let mut second = pin!(bucket.acquire(1).timer(never));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        clock.advance(Duration::from_secs(1));
        assert_eq!(bucket.available(), 1);
    }
    assert_eq!(bucket.available(), 1);
    bucket.try_acquire(1).expect("left");
}

/// 64 tasks that wait in a loop, for a second. Returns what they got.
fn got_in_a_second<L: Awaitable>(limiter: &L, clock: &ManualClock, lateness: Lateness) -> u64 {
    let record = Record::new(clock, 0);
    let mut simulation = Simulation::new(clock, lateness, 1);
    let timer = simulation.timer.clone();
    for _ in 0..64 {
        let (record, timer) = (&record, timer.clone());
        simulation.spawn(async move {
            let call = Call {
                at: 0,
                n: 1,
                patience: Patience::Endless,
            };
            loop {
                let acquire = Acquire::new(limiter, 1).timer(timer.clone());
                let _ = record.watch(call, acquire).await;
            }
        });
    }
    simulation.run_until(NANOS + SLACK, |_| ());
    record.admitted.get()
}

#[test]
fn tasks_in_a_loop_get_the_rate() {
    for lateness in [Lateness::Ticks, Lateness::Jitter] {
        for (rate, burst) in [(1_000, 1), (10_000, 1), (10_000, 10)] {
            let clock = ManualClock::new();
            let combined = Combined::builder()
                .limit("bucket", bucket(rate, burst, &clock))
                .build();
            let at_combined = got_in_a_second(&combined, &clock, lateness);
            let clock = ManualClock::new();
            let quota = Quota::per_second(rate).burst(burst);
            let sharded = ShardedTokenBucket::with_clock(quota, clock.clone());
            let at_sharded = got_in_a_second(&sharded, &clock, lateness);
            let clock = ManualClock::new();
            let at_bucket = got_in_a_second(&bucket(rate, burst, &clock), &clock, lateness);
            let most = burst + rate * (NANOS + SLACK) / NANOS;
            for got in [at_combined, at_sharded, at_bucket] {
                assert!(
                    got * 100 >= rate * 98 && got <= most,
                    "{got} at {rate}/s, {lateness:?}"
                );
            }
        }
    }
}

/// Thirty calls wait out a pause. None goes before its end, and they do not go together.
#[test]
fn calls_that_wait_out_a_pause_are_spread_after_it() {
    const PAUSE: u64 = 600 * NANOS;
    // One per second.
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 60,
        ..RateLimitConfig::DEFAULT
    };
    let clock = ManualClock::new();
    let api = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    fastrand::seed(1);
    let record = Record::new(&clock, 0);
    let mut simulation = Simulation::new(&clock, Lateness::Ticks, 1);
    api.pause_for(Duration::from_nanos(PAUSE));
    for _ in 0..30 {
        let timer = simulation.timer.clone();
        let call = Call {
            at: 0,
            n: 1,
            patience: Patience::Endless,
        };
        let acquire = Acquire::new(&api, 1).timer(timer);
        let acquire = record.watch(call, acquire);
        simulation.spawn(async move { acquire.await.expect("patient") });
    }
    simulation.run(|_| ());
    drop(simulation);
    let times: Vec<u64> = record
        .services
        .take()
        .iter()
        .map(|service| service.at)
        .collect();
    assert!(times[0] >= PAUSE, "{} before the end", times[0]);
    // Gaps are uniform up to a second: 15 s on average, with a standard deviation of 1.6 s.
    let last = times[29] - PAUSE;
    assert!((7 * NANOS..=30 * NANOS + TICK).contains(&last), "{last}");
    // And all of them in any 3 s: hardly more than twice the rate.
    for time in &times {
        let close = times
            .iter()
            .filter(|other| (*time..time + 3 * NANOS).contains(other));
        let close = close.count();
        assert!(close <= 15, "{close} within 3 s");
    }
}
