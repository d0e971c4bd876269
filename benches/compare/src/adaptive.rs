//! Simulates clients that share a quota which none of them knows, on a manual clock.
//!
//! `adaptive.sh` runs it, and describes the files that it writes.

use std::io;
use std::iter;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tidegate::{ApiRateLimiter, Clock, ManualClock, Quota, RateLimitConfig, TokenBucket};

use crate::suite::facts;
use crate::suite::report::{Report, number};

/// How long the simulation is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
    /// For how many seconds the provider has each of its [`LIMITS`].
    phase: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        phase: 40,
    };

    pub const QUICK: Self = Self {
        quick: true,
        phase: 2,
    };
}

/// Requests per second that the provider answers: a limit, half of it, and the first one again.
const LIMITS: [u64; 3] = [100, 50, 100];

/// The numbers of tests/responses/adaptive.rs, so that the picture belongs to its table.
const CLIENTS: u64 = 8;
const CALLS_AT_ONCE: usize = 10;
const CALL_MILLIS: u64 = 20;
const SHORT_WAITS: RateLimitConfig = RateLimitConfig {
    backoff_base: Duration::from_millis(100),
    backoff_max: Duration::from_secs(10),
    ..RateLimitConfig::UNLIMITED
};

const ADAPTIVE: RateLimitConfig = RateLimitConfig {
    adaptive: true,
    ..SHORT_WAITS
};

type Client = ApiRateLimiter<ManualClock>;

/// What the provider did in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Second {
    answered: u64,
    refused: u64,
}

/// Simulates both modes, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    let report = Report::new(folder, "adaptive.md")?;
    facts::write(&report, "Adaptive mode", effort.quick, command)?;
    let limits = LIMITS.map(|limit| vec![limit; effort.phase]).concat();
    let adaptive = simulate(&limits, ADAPTIVE);
    let backoff = simulate(&limits, SHORT_WAITS);
    let patient = simulate(&limits, RateLimitConfig::UNLIMITED);

    let rows = limits.iter().enumerate().map(|(second, &limit)| {
        let counts = [&adaptive, &backoff].map(|seconds| {
            let Second { answered, refused } = seconds[second];
            [answered, refused]
        });
        let numbers = [second as u64, limit].into_iter().chain(counts.concat());
        numbers.map(|number| number.to_string()).collect()
    });
    report.csv(
        "adaptive",
        "second,limit,adaptive answered,adaptive refused,backoff alone answered,\
         backoff alone refused",
        &rows.collect::<Vec<_>>(),
    )?;

    let phases = (0..LIMITS.len()).map(|phase| phase * effort.phase..(phase + 1) * effort.phase);
    let rows = phases.chain(iter::once(0..limits.len())).map(|seconds| {
        let quota: u64 = limits[seconds.clone()].iter().sum();
        let per_second = quota as f64 / seconds.len() as f64;
        let mut row = vec![
            format!("{} to {}", seconds.start, seconds.end),
            number(per_second, 0),
        ];
        for mode in [&adaptive, &backoff, &patient] {
            row.extend(percents(&mode[seconds.clone()], quota));
        }
        row
    });
    report.markdown(
        "Use of a quota that no client knows",
        &format!(
            "{CLIENTS} clients send as fast as they may to a provider whose limit halves and comes \
             back, on a manual clock. A call takes {CALL_MILLIS} ms, and a client makes up to \
             {CALLS_AT_ONCE} at once. The provider answers a tenth of a second's requests at once, \
             and refuses the others with status 429 and no field. *backoff*: without the adaptive \
             mode, with waits from 100 ms to 10 s. *default backoff*: the same with waits from 1 s \
             to 60 s. All in percent of the quota; the last row is the whole time."
        ),
        &[
            "seconds",
            "requests per second",
            "adaptive: answered",
            "refused",
            "backoff: answered",
            "refused",
            "default backoff: answered",
            "refused",
        ],
        &rows.collect::<Vec<_>>(),
    );
    report.finish()
}

/// Returns the answered and the refused requests in percent of a quota.
fn percents(seconds: &[Second], quota: u64) -> [String; 2] {
    let answered: u64 = seconds.iter().map(|second| second.answered).sum();
    let refused: u64 = seconds.iter().map(|second| second.refused).sum();
    [answered, refused].map(|count| number(100.0 * count as f64 / quota as f64, 1))
}

/// Runs the clients against a provider with these limits, each for one second.
fn simulate(limits: &[u64], config: RateLimitConfig) -> Vec<Second> {
    let clock = ManualClock::new();
    let provider = TokenBucket::with_clock(quota(limits[0]), clock.clone());
    let client = |seed| {
        let config = RateLimitConfig {
            backoff_seed: Some(seed),
            ..config
        };
        ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
    };
    let clients: Vec<Client> = (0..CLIENTS).map(client).collect();
    // Of each client: the milliseconds at which its calls return, and whether they are answered.
    let mut calls: Vec<Vec<(u64, bool)>> = vec![Vec::new(); clients.len()];
    let simulate_second = |(second, limit): (u64, &u64)| {
        provider.set_quota(quota(*limit));
        let mut counts = Second::default();
        for now in second * 1_000..(second + 1) * 1_000 {
            for (client, calls) in clients.iter().zip(&mut calls) {
                calls.retain(|&(returns, is_answered)| {
                    if returns == now {
                        observe(client, is_answered);
                    }
                    returns > now
                });
                while calls.len() < CALLS_AT_ONCE && !client.try_acquire().is_limited {
                    let is_answered = provider.try_acquire(1).is_ok();
                    calls.push((now + CALL_MILLIS, is_answered));
                    counts.answered += u64::from(is_answered);
                    counts.refused += u64::from(!is_answered);
                }
            }
            clock.advance(Duration::from_millis(1));
        }
        counts
    };
    (0..).zip(limits).map(simulate_second).collect()
}

/// Returns the provider's quota, with a tenth of a second's requests at once.
fn quota(limit: u64) -> Quota {
    Quota::per_second(limit).burst(limit / 10)
}

/// Takes a response that has no fields.
fn observe(client: &Client, is_answered: bool) {
    let status = if is_answered {
        StatusCode::OK
    } else {
        StatusCode::TOO_MANY_REQUESTS
    };
    // Without a field, nothing depends on the wall clock.
    let (now, wall_clock) = (client.clock().now(), SystemTime::UNIX_EPOCH);
    client.observe_response_at(status, &HeaderMap::new(), now, wall_clock);
}

#[cfg(test)]
mod tests {
    use super::{ADAPTIVE, SHORT_WAITS, Second, percents, simulate};

    fn sums(seconds: &[Second]) -> [u64; 2] {
        let answered = seconds.iter().map(|second| second.answered).sum();
        let refused = seconds.iter().map(|second| second.refused).sum();
        [answered, refused]
    }

    /// Ten seconds after each change, at least nine tenths are used and few are refused.
    #[test]
    fn adaptive_mode_follows_the_limit() {
        let limits = [[100; 20], [50; 20], [100; 20]].concat();
        let adaptive = simulate(&limits, ADAPTIVE);
        for (phase, limits) in adaptive.chunks(20).zip(limits.chunks(20)) {
            let [answered, refused] = sums(&phase[10..]);
            let quota: u64 = limits[10..].iter().sum();
            assert!(answered * 10 >= quota * 9, "{answered} of {quota}");
            assert!(refused * 5 <= quota, "{refused} of {quota}");
        }
        assert_eq!(adaptive, simulate(&limits, ADAPTIVE), "equal seeds");
        let [answered, refused] = sums(&simulate(&limits, SHORT_WAITS));
        assert!(refused > answered, "{refused} and {answered}");
    }

    #[test]
    fn percents_are_of_the_quota() {
        let second = |answered, refused| Second { answered, refused };
        let seconds = [second(40, 10), second(50, 2)];
        assert_eq!(percents(&seconds, 100), ["90.0", "12.0"]);
    }
}
