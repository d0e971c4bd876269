//! Clients against a simulated provider: never above what the server allows, and never blocked
//! beyond the resets that matter.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use http::StatusCode;
use proptest::prelude::*;
use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig, TokenPermit};

use super::{Limiter, headers, noon};

/// A server that allows so many requests and tokens in each period.
struct Server {
    period: u64,
    requests: u64,
    tokens: u64,
    began: u64,
    used: (u64, u64),
}

impl Server {
    /// Answers a call: whether it is admitted, and what is told.
    fn answer(&mut self, now: u64, tokens: u64) -> (bool, [String; 4]) {
        if now - self.began >= self.period {
            self.began = now - now % self.period;
            self.used = (0, 0);
        }
        let fits = self.used.0 < self.requests && self.used.1 + tokens <= self.tokens;
        if fits {
            self.used = (self.used.0 + 1, self.used.1 + tokens);
        }
        let reset = format!("{}ms", self.began + self.period - now);
        let told = [
            (self.requests - self.used.0).to_string(),
            reset.clone(),
            (self.tokens - self.used.1).to_string(),
            reset,
        ];
        (fits, told)
    }
}

struct InFlight {
    arrives_back: u64,
    number: usize,
}

impl InFlight {
    const fn key(&self) -> (u64, usize) {
        (self.arrives_back, self.number)
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
fn run(server: &mut Server, workers: usize, tokens: u64, latencies: &[Latency]) -> Outcome {
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
    let mut arrivals = BinaryHeap::new();
    let mut answers: Vec<Option<(bool, u64, [String; 4])>> = Vec::new();
    let mut returns = BinaryHeap::new();
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
            let call = InFlight {
                arrives_back: now + back,
                number,
            };
            returns.push(Reverse(call.key()));
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
            permit.settle(if fits { tokens } else { 0 });
        }
        while arrivals.len() + returns.len() < workers {
            let Ok(mut permit) = limiter.reserve_tokens(tokens) else {
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

fn server(period: u64, requests: u64, tokens: u64) -> Server {
    Server {
        period,
        requests,
        tokens,
        began: 0,
        used: (0, 0),
    }
}

#[test]
fn quota_of_a_provider_is_used_without_refusals() {
    for (requests, tokens) in [(50, 1_000_000), (1_000_000, 50)] {
        let mut server = server(1_000, requests, tokens);
        let outcome = run(&mut server, 8, 1, &[(5, 5), (3, 9), (12, 2)]);
        // After each reset, the calls in flight find out what there is.
        assert!(outcome.refused <= 2 * outcome.periods, "{outcome:?}");
        assert!(
            outcome.admitted >= 50 * outcome.periods * 98 / 100,
            "{outcome:?}"
        );
    }
}

proptest! {
    #[test]
    fn known_limits_are_kept_and_used(
        period in 500..4_000_u64,
        requests in 20..200_u64,
        workers in 1..16_usize,
        latencies in proptest::collection::vec((1..30_u64, 1..30_u64), 1..8),
    ) {
        let mut server = server(period, requests, 1_000_000);
        let outcome = run(&mut server, workers, 1, &latencies);
        // Only calls that were sent before anything was known of a period can be refused: as many
        // as are in flight, once in each.
        prop_assert!(outcome.refused <= workers as u64 * outcome.periods, "{:?}", outcome);
        // A worker makes a call in less than 60 ms.
        let possible = (period / 60 * workers as u64).min(requests);
        prop_assert!(
            outcome.admitted >= outcome.periods * possible * 9 / 10,
            "{:?} of {} in each period", outcome, possible
        );
    }
}
