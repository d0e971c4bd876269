//! What responses tell, for the API limiter of a fleet. See [`fleet`](super::fleet).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::config::RateLimitConfig;
use super::provider::Flow;
use super::responses::{ToldResponse, bounded_pause, is_refusal_status, read_body};

/// What a response tells. Times count from when it was read.
#[derive(Debug)]
pub struct Told {
    /// The state of each limit.
    pub limits: Vec<ToldLimit>,
    /// The `Date` of the response, in seconds since 1970.
    pub date: Option<u64>,
    /// Whether the call was refused.
    pub is_refusal: bool,
    /// How long a refusal asks callers to wait; not zero.
    pub pause: Option<Duration>,
    /// How many values could not be read.
    pub unreadable: u64,
}

/// The state of a limit.
#[derive(Debug)]
pub struct ToldLimit {
    /// Which limit it is.
    pub name: Box<str>,
    /// What it counts: 0 requests, 1 tokens, 2 input tokens, 3 output tokens.
    pub unit: usize,
    /// What remains.
    pub remaining: u64,
    /// How long it counts.
    pub lasts: Duration,
    /// How what was used flows back. `None` if all of it comes back at the end.
    pub flow: Option<ToldFlow>,
}

/// So much flows back in each period.
#[derive(Clone, Copy, Debug)]
pub struct ToldFlow {
    /// The amount.
    pub amount: u64,
    /// The period.
    pub period: Duration,
}

/// Reads a response. `wall_clock` counts where it has no `Date`.
pub fn read_response(
    status: StatusCode,
    headers: &HeaderMap,
    config: &RateLimitConfig,
    wall_clock: SystemTime,
) -> Told {
    let told = ToldResponse::of(status, headers, config, wall_clock);
    let limits = told.limits.into_iter().map(|limit| ToldLimit {
        name: limit.name,
        unit: limit.unit as usize,
        remaining: limit.remaining,
        lasts: limit.lasts,
        flow: limit.flow.map(|Flow { amount, period }| ToldFlow {
            amount,
            period: Duration::from_nanos(period),
        }),
    });
    Told {
        limits: limits.collect(),
        date: told.date,
        is_refusal: told.is_refusal,
        pause: told.pause,
        unreadable: told.unreadable,
    }
}

/// Reads the body of a refusal: the pause that it asks for, and the header fields in it. `None` if
/// the status is none of a refusal.
pub fn read_refusal_body(status: StatusCode, body: &[u8]) -> Option<(Option<Duration>, HeaderMap)> {
    is_refusal_status(status).then(|| {
        let told = read_body(body);
        (bounded_pause(told.retry_delay), told.headers)
    })
}
