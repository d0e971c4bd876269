//! Clients against a simulated provider: never above what the server allows, and never blocked
//! beyond the resets that matter.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig, TokenPermit};

use super::{Limiter, headers, noon};

/// A server that allows so many requests and tokens in each period, in milliseconds.
struct Server {
    period: u64,
    /// Requests, and tokens.
    limits: [f64; 2],
    used: [f64; 2],
    began: u64,
    /// What was used flows back bit by bit, and not all at once at the end of a period.
    refills: bool,
}

impl Server {
    fn new(period: u64, limits: [u32; 2], refills: bool) -> Self {
        Self {
            period,
            limits: limits.map(f64::from),
            used: [0.0; 2],
            began: 0,
            refills,
        }
    }

    /// Answers a call: whether it is admitted, and what is told.
    fn answer(&mut self, now: u64, tokens: u32) -> (bool, [String; 4]) {
        let period = Duration::from_millis(self.period).as_secs_f64();
        let elapsed = Duration::from_millis(now - self.began).as_secs_f64();
        if self.refills || elapsed >= period {
            let flown = if self.refills { elapsed / period } else { 1.0 };
            for (used, limit) in self.used.iter_mut().zip(self.limits) {
                *used = (*used - limit * flown).max(0.0);
            }
            let part = if self.refills { 0 } else { now % self.period };
            self.began = now - part;
        }
        let cost = [1.0, f64::from(tokens)];
        let fits = (0..2).all(|unit| self.used[unit] + cost[unit] <= self.limits[unit]);
        if fits {
            self.used = [0, 1].map(|unit| self.used[unit] + cost[unit]);
        }
        let remaining = |unit: usize| (self.limits[unit] - self.used[unit]).floor().to_string();
        let reset = |unit: usize| {
            let part = if self.refills {
                self.used[unit] / self.limits[unit]
            } else {
                1.0 - elapsed % period / period
            };
            format!("{:.6}s", part * period)
        };
        (fits, [remaining(0), reset(0), remaining(1), reset(1)])
    }
}

/// Milliseconds from sending a call to its arrival at the server, and from there back.
type Latency = (u64, u64);

#[derive(Debug, Default)]
struct Outcome {
    admitted: u64,
    /// Calls that the server refused after the first response had come.
    refused: u64,
    /// The server's periods.
    periods: u64,
}

/// Sends calls of `tokens` tokens as fast as the limiter and `workers` workers allow.
fn run(server: &mut Server, workers: usize, tokens: u32, latencies: &[Latency]) -> Outcome {
    const DURATION: u64 = 8_000;
    let config = RateLimitConfig {
        requests_per_minute: 100_000,
        requests_per_hour: 1_000_000,
        burst_size: 100_000,
        tokens_per_minute: 1_000_000_000,
        backoff_base: Duration::from_millis(100),
        backoff_seed: Some(1),
        ..RateLimitConfig::DEFAULT
    };
    let limiter: Limiter = ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
    let (mut calls, mut outcome) = (0, Outcome::default());
    let mut permits: Vec<Option<TokenPermit<ManualClock>>> = Vec::new();
    let mut arrivals: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut answers: Vec<Option<(bool, u64, [String; 4])>> = Vec::new();
    let mut returns: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut has_answer = false;
    for now in 0..DURATION {
        // To the server, in the order of arrival.
        while let Some(&Reverse((at, number))) = arrivals.peek() {
            if at > now {
                break;
            }
            arrivals.pop();
            let (fits, told): (bool, _) = server.answer(now, tokens);
            outcome.admitted += u64::from(fits);
            outcome.refused += u64::from(!fits && has_answer);
            answers[number] = Some((fits, now, told));
            let (_, back): Latency = latencies[number % latencies.len()];
            returns.push(Reverse((now + back, number)));
        }
        while let Some(&Reverse((at, number))) = returns.peek() {
            if at > now {
                break;
            }
            returns.pop();
            has_answer = true;
            let (fits, answered, told) = answers[number].take().expect("answered");
            let date = httpdate::fmt_http_date(noon() + Duration::from_millis(answered));
            let fields = headers(&[
                ("date", &date),
                ("x-ratelimit-remaining-requests", &told[0]),
                ("x-ratelimit-reset-requests", &told[1]),
                ("x-ratelimit-remaining-tokens", &told[2]),
                ("x-ratelimit-reset-tokens", &told[3]),
            ]);
            let mut permit = permits[number].take().expect("in flight");
            let now = limiter.clock().now();
            let status = if fits { 200 } else { 429 };
            let status = StatusCode::from_u16(status).expect("a status");
            permit.observe_response_at(status, &fields, now, noon());
            permit.settle(if fits { u64::from(tokens) } else { 0 });
        }
        while arrivals.len() + returns.len() < workers {
            let Ok(mut permit) = limiter.reserve_tokens(u64::from(tokens)) else {
                break;
            };
            permit.commit();
            let (there, _) = latencies[calls % latencies.len()];
            permits.push(Some(permit));
            answers.push(None);
            arrivals.push(Reverse((now + there, calls)));
            calls += 1;
        }
        limiter.clock().advance(Duration::from_millis(1));
    }
    assert_eq!(limiter.stats().unreadable, 0);
    outcome.periods = DURATION / server.period;
    outcome
}

#[test]
fn quota_of_a_provider_is_used() {
    for refills in [false, true] {
        for limits in [[50, 1_000_000], [1_000_000, 50]] {
            let mut server = Server::new(1_000, limits, refills);
            let outcome = run(&mut server, 8, 1, &[(5, 5), (3, 9), (12, 2)]);
            // After each reset, the calls in flight find out what there is.
            assert!(outcome.refused <= 8 * outcome.periods, "{outcome:?}");
            let quota = 50 * outcome.periods;
            assert!(outcome.admitted >= quota * 9 / 10, "{outcome:?}");
        }
    }
}

proptest! {
    #[test]
    fn known_limits_are_kept_and_used(
        period in 500..4_000_u64,
        requests in 20..200_u32,
        refills: bool,
        workers in 1..16_usize,
        latencies in proptest::collection::vec((1..30_u64, 1..30_u64), 1..8),
    ) {
        let mut server = Server::new(period, [requests, 1_000_000], refills);
        let outcome = run(&mut server, workers, 1, &latencies);
        // Only calls that were sent before anything was known of a period can be refused: as many
        // as are in flight, once in each.
        prop_assert!(outcome.refused <= workers as u64 * outcome.periods, "{outcome:?}");
        // A worker makes a call in less than 60 ms.
        let possible = (period / 60 * workers as u64).min(requests.into());
        prop_assert!(
            outcome.admitted >= outcome.periods * possible * 8 / 10,
            "{outcome:?} of {possible} in each period"
        );
    }
}
