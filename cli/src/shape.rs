//! `shape`: the same traffic through a token bucket, sliding windows, and all of them together.

mod outcome;
mod shape_picture;
mod shape_text;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use tidegate::Quota;

pub use outcome::{Series, Shape};
pub use shape_picture::svg;
pub use shape_text::text;
pub use traffic::{Pattern, Traffic};

use crate::failure::Failure;
use crate::output::{file, stdio};
use crate::replay::limits::WindowLimit;
use crate::terminal::Charset;
use crate::values;

/// The maximum number of requests.
const MAX_REQUESTS: u128 = 1_000_000;

/// Arguments of `shape`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShapeArgs {
    /// Token bucket, such as `10/s burst 5`
    #[arg(long, value_name = "QUOTA", value_parser = values::quota)]
    pub quota: Quota,
    /// Sliding window, such as `20/s`. May be repeated up to 8 times [default: the rate of the
    /// quota]
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<WindowLimit>,
    /// How requests arrive
    #[arg(long, value_enum, default_value = "burst")]
    pub pattern: Pattern,
    /// Average rate of requests, such as `30/s` [default: three times the rate of the quota]
    #[arg(long, value_name = "RATE", value_parser = values::quota)]
    pub rate: Option<Quota>,
    /// Length of the traffic, such as `10s` [default: five times the longest period, window or
    /// refill, but at most a million requests]
    #[arg(long = "for", value_name = "TIME", value_parser = values::duration)]
    pub length: Option<Duration>,
    /// Seed of random patterns: the same seed gives the same requests
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// Write a picture; `-` replaces the text on standard output
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `shape`.
///
/// # Errors
///
/// As [`shape`], and if writing fails.
pub fn run(args: &ShapeArgs) -> Result<(), Failure> {
    let uses_stdout = file::check(args.json, &[&args.svg], &[])?;
    let shape = shape(args)?;
    if let Some(path) = &args.svg {
        file::write(path, svg(&shape).as_bytes())?;
    }
    if args.json {
        stdio::print_json(&shape)
    } else if uses_stdout {
        Ok(())
    } else {
        stdio::print(&text(&shape, stdio::width(), Charset::from_env()))
    }
}

/// Sends the traffic through the limiters.
///
/// # Errors
///
/// If there would be no requests, too many requests, or too many windows.
pub fn shape(args: &ShapeArgs) -> Result<Shape, Failure> {
    let usage = |text: &str| Failure::Usage(text.to_owned());
    let mut windows = args.window.clone();
    if windows.is_empty() {
        let window = WindowLimit::new(args.quota);
        let window =
            window.map_err(|error| usage(&format!("no window like the quota: {error}")))?;
        windows.push(window);
    }
    let (rate, period) = match args.rate {
        Some(rate) => (u128::from(rate.rate()), rate.period()),
        None => (u128::from(args.quota.rate()) * 3, args.quota.period()),
    };
    let length = args.length.unwrap_or_else(|| {
        let windows = windows.iter().map(|window| window.quota.period());
        let longest = windows.fold(args.quota.refill_time(), Duration::max);
        let length = longest.max(args.quota.period()).saturating_mul(5);
        // At a high rate, a shorter time has enough requests to show.
        let most = MAX_REQUESTS * period.as_nanos() / rate.max(1);
        u64::try_from(most).map_or(length, |most| length.min(Duration::from_nanos(most)))
    });
    let nanos = u64::try_from(length.as_nanos()).ok();
    let nanos = nanos.filter(|nanos| *nanos < 1 << 62);
    let nanos = nanos.ok_or_else(|| usage("--for is longer than 146 years"))?;
    let count = rate * u128::from(nanos) / period.as_nanos().max(1);
    if count == 0 {
        return Err(usage("this rate gives no request in this time"));
    }
    let fits = u32::try_from(count).ok().filter(|_| count <= MAX_REQUESTS);
    let count = fits.ok_or_else(|| {
        usage(&format!(
            "{count} requests are more than {MAX_REQUESTS}; choose a shorter time or a lower rate"
        ))
    })?;
    let traffic = Traffic {
        pattern: args.pattern,
        count,
        nanos,
        seed: args.seed,
    };
    Shape::new(args.quota, &windows, traffic)
}
