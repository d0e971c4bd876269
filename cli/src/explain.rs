//! `explain`: what a quota allows, in words and numbers.

mod exactness;
mod most;
mod text;
mod warnings;

use std::mem::size_of;

use serde::Serialize;
use tidegate::{Quota, SlidingWindow, TokenBucket};

pub use exactness::Exactness;
pub use most::{INTERVALS, most_in};
pub use text::words;

use crate::failure::Failure;
use crate::output::stdout;

/// Arguments of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A quota, such as `100/min burst 20`
    #[arg(value_name = "QUOTA", value_parser = crate::caret::quota)]
    pub quota: Quota,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What there is to say about a quota. Its JSON is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// As it is written shortest.
    pub quota: String,
    /// Requests per period.
    pub rate: u64,
    /// Seconds of a period.
    pub period: f64,
    /// Requests at once after a pause.
    pub burst: u64,
    /// Seconds between requests once the burst is used up.
    pub spacing: f64,
    /// Seconds from an empty bucket to a full one.
    pub time_to_full: f64,
    /// The rate in usual units: per second, minute, hour and day.
    pub sustained: [f64; 4],
    /// The most that any second, minute, hour and day admits, both ends included.
    pub most: [u64; 4],
    /// The same of the quota's own period: a bucket, a fixed window with the rate as its limit, a sliding window.
    pub in_a_period: Compared,
    /// How the crate rounds the rate.
    pub exactness: Exactness,
    /// Bytes.
    pub memory: Memory,
    /// What is often not meant so.
    pub warnings: Vec<String>,
}

/// The most that three kinds of limiters admit in an interval of the quota's period.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Compared {
    /// The burst and a period's refill.
    pub bucket: u64,
    /// Its limit before, and once more after an edge.
    pub fixed_window: u64,
    /// Its limit.
    pub sliding_window: u64,
}

/// What limiters occupy, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// One bucket, as the type has it here.
    pub bucket: usize,
    /// One sliding window without its slots, as the type has it here.
    pub window: usize,
    /// Each of its slots; there are at least 64.
    pub slot: usize,
    /// A key of a `FixedKeyed`, by the record of 2026-11-24.
    pub fixed_key: usize,
    /// A key of a `Keyed`, at the least and the most in that record, with addresses as keys.
    pub key: [usize; 2],
}

/// Says it.
///
/// # Errors
///
/// If it cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let explanation = explain(args.quota);
    if args.json {
        let text = serde_json::to_string_pretty(&explanation);
        let text = text.map_err(|error| Failure::at("JSON", error))?;
        return stdout::write(format!("{text}\n").as_bytes());
    }
    stdout::print(&words(&explanation, stdout::width()))
}

/// What there is to say.
#[expect(
    clippy::cast_precision_loss,
    reason = "the rate for people; what is exact is counted in whole numbers"
)]
pub fn explain(quota: Quota) -> Explanation {
    let period = quota.period().as_secs_f64();
    let rate = quota.rate() as f64;
    let in_period = |seconds: u64| rate * (seconds as f64) / period;
    Explanation {
        quota: quota.to_string(),
        rate: quota.rate(),
        period,
        burst: quota.capacity(),
        spacing: period / rate,
        time_to_full: quota.refill_time().as_secs_f64(),
        sustained: INTERVALS.map(|(_, seconds)| in_period(seconds)),
        most: INTERVALS.map(|(_, seconds)| most_in(quota, seconds.saturating_mul(1_000_000_000))),
        in_a_period: Compared {
            bucket: quota.capacity().saturating_add(quota.rate()),
            fixed_window: quota.rate().saturating_mul(2),
            sliding_window: quota.rate(),
        },
        exactness: Exactness::of(quota),
        memory: Memory {
            bucket: size_of::<TokenBucket>(),
            window: size_of::<SlidingWindow>(),
            slot: 16,
            fixed_key: 32,
            key: [33, 53],
        },
        warnings: warnings::of(quota),
    }
}
