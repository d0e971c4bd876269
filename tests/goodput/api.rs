//! API limiters under random loads: requests, and requests with tokens.

use proptest::prelude::*;
use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};

use crate::buckets::{any_burst, any_lateness};
use crate::load::{Call, Load, Patience, any_load};
use crate::oracle::{self, Stated};
use crate::random::Random;
use crate::record::{Record, Service};
use crate::simulation::{Simulation, before};
use crate::timer::{Lateness, SimulatedTimer};
use crate::windows::cycle;
use crate::{NANOS, SLACK};

const MINUTE: u64 = 60 * NANOS;
const HOUR: u64 = 60 * MINUTE;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 32,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    }
}

type Api = ApiRateLimiter<ManualClock>;

/// Requests per minute and hour, and how many at once.
fn api(per_minute: u64, per_hour: u64, burst: u64, clock: &ManualClock) -> Api {
    let config = RateLimitConfig {
        requests_per_minute: per_minute,
        requests_per_hour: per_hour,
        burst_size: burst,
        tokens_per_minute: 1_000_000_000,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
}

/// Runs calls whose size is ignored or is their estimate. Stops at the end, when some still wait.
fn run(api: &Api, clock: &ManualClock, calls: Vec<Call>, job: &Job) -> Record<'static> {
    let record = Record::new(clock, SLACK + job.lateness.most());
    let mut simulation = Simulation::new(clock, job.lateness, job.seed);
    let timer = simulation.timer.clone();
    for (number, call) in calls.into_iter().enumerate() {
        let (timer, record) = (timer.clone(), &record);
        let with_tokens = job.with_tokens;
        simulation.spawn(async move {
            timer.exact().until(call.at).await;
            let wait = record.watch(call, ask(api, call, with_tokens, timer.clone()));
            match call.patience {
                Patience::Dropped(patience) => {
                    let end = timer.until(call.at + patience);
                    let _ = before(end, wait, number % 2 == 0).await;
                }
                Patience::Endless | Patience::Timeout(_) => drop(wait.await),
            }
        });
    }
    simulation.run_until(job.end, |_| ());
    // While there is demand, there is a measure.
    assert!(record.head().is_some());
    drop(simulation);
    record
}

struct Job {
    lateness: Lateness,
    seed: u64,
    with_tokens: bool,
    end: u64,
}

async fn ask(api: &Api, call: Call, tokens: bool, timer: SimulatedTimer) -> Result<(), ()> {
    if tokens {
        let wait = api.acquire_tokens(call.n).timeout(call.timeout());
        let mut permit = wait.timer(timer).await.map_err(drop)?;
        permit.commit();
        return Ok(());
    }
    let status = api.acquire().timeout(call.timeout()).timer(timer).await;
    if status.is_limited { Err(()) } else { Ok(()) }
}

/// Requests count one each, whatever their tokens.
fn requests(record: &Record<'_>) -> Vec<Service> {
    let services = record.services.borrow();
    services
        .iter()
        .map(|&service| Service { n: 1, ..service })
        .collect()
}

/// Asserts the bounds of the requests per minute and hour, and of the burst.
fn check_requests(record: &Record<'_>, per_minute: u64, per_hour: u64, burst: u64) {
    let requests = requests(record);
    oracle::check_window(&requests, per_minute, MINUTE);
    oracle::check_window(&requests, per_hour, HOUR);
    oracle::check_bucket(&requests, per_minute_of(per_minute, burst), SLACK);
}

const fn per_minute_of(rate: u64, capacity: u64) -> Stated {
    Stated {
        rate,
        period: MINUTE,
        capacity,
    }
}

/// A load, and patient calls that keep the limiter busy.
fn busy(load: Load, (per_second, capacity): (u64, u64), patient: u64) -> Vec<Call> {
    let mut random = Random(load.seed);
    let mut calls = load.calls(per_second, capacity, 300);
    calls.extend((0..patient).map(|_| Call {
        at: 0,
        n: 1 + random.below(capacity),
        patience: Patience::Endless,
    }));
    calls
}

proptest! {
    #![proptest_config(config())]

    /// Requests per minute, through burst and window: the window lets through 64/65 of the limit,
    /// and nothing of that is lost.
    #[test]
    fn requests_use_the_limit_per_minute(
        per_minute in prop_oneof![1_u64..60, 60_u64..400],
        burst in any_burst(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let api = api(per_minute, 1_000_000, burst, &clock);
        let end = 4 * cycle(MINUTE);
        let job = Job { lateness, seed: load.seed, with_tokens: false, end };
        let rate = per_minute.div_ceil(60);
        let calls = busy(load.of_ones(), (rate, 1), 5 * per_minute);
        let record = run(&api, &clock, calls, &job);
        check_requests(&record, per_minute, 1_000_000, burst);
        let services = record.services.borrow();
        for cycles in 1..=4 {
            let end = cycles * cycle(MINUTE);
            let admitted = services.iter().filter(|service| service.at <= end).count() as u64;
            let quota = per_minute * end / MINUTE;
            prop_assert!(admitted * 100 >= quota * 98, "{} of {}", admitted, quota);
        }
    }

    /// Requests per hour, where that is the tightest limit.
    #[test]
    fn requests_use_the_limit_per_hour(
        per_hour in 100_u64..300,
        per_minute in 10_u64..100,
        burst in any_burst(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let api = api(per_minute, per_hour, burst, &clock);
        let end = 4 * cycle(HOUR);
        let job = Job { lateness, seed: load.seed, with_tokens: false, end };
        let calls = busy(load.of_ones(), (1, 1), 5 * per_hour);
        let record = run(&api, &clock, calls, &job);
        check_requests(&record, per_minute, per_hour, burst);
        let services = record.services.borrow();
        for cycles in 1..=4 {
            let end = cycles * cycle(HOUR);
            let admitted = services.iter().filter(|service| service.at <= end).count() as u64;
            let quota = per_hour * end / HOUR;
            prop_assert!(admitted * 100 >= quota * 98, "{} of {}", admitted, quota);
        }
    }

    /// Tokens, where requests are no limit.
    #[test]
    fn tokens_use_the_limit_per_minute(
        per_minute in 60_u64..1_000_000,
        burst in 1_u64..10_000,
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let config = RateLimitConfig {
            requests_per_minute: 100_000_000,
            requests_per_hour: 1_000_000_000,
            burst_size: 1_000_000,
            tokens_per_minute: per_minute,
            token_burst_size: Some(burst),
            ..RateLimitConfig::DEFAULT
        };
        let api = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
        let calls = busy(load, (per_minute.div_ceil(60), burst), 300);
        // Until about half of the patient ones are gone.
        let end = MINUTE * burst * 75 / per_minute;
        let job = Job { lateness, seed: load.seed, with_tokens: true, end };
        let record = run(&api, &clock, calls, &job);
        let services = record.services.borrow();
        oracle::check_bucket(&services, per_minute_of(per_minute, burst), SLACK);
        let left = api.stats().tokens_remaining_minute;
        let used = record.admitted.get() + left + 1 - burst;
        let quota = per_minute * end / MINUTE;
        prop_assert!(used * 100 >= quota * 98, "{} of {}", used, quota);
    }
}
