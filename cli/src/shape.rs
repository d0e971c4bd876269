//! `shape`: the same traffic through a token bucket, a sliding window, and both together.

mod limits;
mod outcome;
mod picture;
mod text;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use tidegate::Quota;

pub use limits::Window;
pub use outcome::{Series, Shape};
pub use picture::svg;
pub use text::drawn;
pub use traffic::{Pattern, Traffic};

use crate::caret;
use crate::failure::Failure;
use crate::output::{file, stdout};
use crate::terminal::Charset;

/// More requests than these are for load tests.
const MOST_REQUESTS: u128 = 1_000_000;

/// Arguments of `shape`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A token bucket, such as `10/s burst 5`
    #[arg(long, value_name = "QUOTA", value_parser = caret::quota)]
    pub quota: Quota,
    /// A sliding window, such as `20/s`; as many per period as the quota has if there is none. At most 8
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<Window>,
    /// How requests come
    #[arg(long, value_enum, default_value = "burst")]
    pub pattern: Pattern,
    /// How many come on average, such as `30/s` [default: three times what the quota allows]
    #[arg(long, value_name = "RATE", value_parser = caret::quota)]
    pub rate: Option<Quota>,
    /// For how long, such as `10s` [default: five times the longest of period, window and refill]
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    pub length: Option<Duration>,
    /// Of what is random: the same seed gives the same requests
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// Write a picture; `-` is standard output, instead of the text
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Draws it.
///
/// # Errors
///
/// If there would be too many requests or none, or something cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let to_stdout = |path: &PathBuf| path.as_os_str() == "-";
    if args.json && args.svg.as_ref().is_some_and(to_stdout) {
        let text = "only one of --json and the picture can be on standard output";
        return Err(Failure::Usage(text.to_owned()));
    }
    let shape = shape(args)?;
    match &args.svg {
        Some(path) if to_stdout(path) => return stdout::write(svg(&shape).as_bytes()),
        Some(path) => file::write(path, svg(&shape).as_bytes())?,
        None => {}
    }
    if args.json {
        let text =
            serde_json::to_string_pretty(&shape).map_err(|error| Failure::at("JSON", error))?;
        return stdout::write(format!("{text}\n").as_bytes());
    }
    stdout::print(&drawn(&shape, stdout::width(), Charset::of_environment()))
}

/// What would become of the traffic.
///
/// # Errors
///
/// If there would be too many requests or none, or too many windows.
pub fn shape(args: &Args) -> Result<Shape, Failure> {
    let windows = if args.window.is_empty() {
        vec![Window::of(args.quota)?]
    } else {
        args.window.clone()
    };
    let longest = windows
        .iter()
        .map(Window::length)
        .chain([args.quota.period(), args.quota.refill_time()])
        .max();
    let length = args
        .length
        .unwrap_or_else(|| longest.unwrap_or_default().saturating_mul(5));
    let nanos = u64::try_from(length.as_nanos())
        .ok()
        .filter(|nanos| *nanos < 1 << 62);
    let nanos = nanos.ok_or_else(|| Failure::Usage("--for is longer than 146 years".to_owned()))?;
    let (rate, period) = match args.rate {
        Some(rate) => (u128::from(rate.rate()), rate.period()),
        None => (u128::from(args.quota.rate()) * 3, args.quota.period()),
    };
    let count = rate * u128::from(nanos) / period.as_nanos().max(1);
    if count > MOST_REQUESTS {
        return Err(Failure::Usage(format!(
            "that would be {count} requests: at most {MOST_REQUESTS}, so take a shorter time or a lower rate"
        )));
    }
    let count = u32::try_from(count).ok().filter(|count| *count > 0);
    let count = count
        .ok_or_else(|| Failure::Usage("not one request would come in that time".to_owned()))?;
    let traffic = Traffic {
        pattern: args.pattern,
        count,
        nanos,
        seed: args.seed,
    };
    Shape::of(args.quota, &windows, traffic)
}

/// `10s`, `1 min`: the words are those of quotas.
fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as `10s` or `2 min`".to_owned();
    let quota: Quota = format!("1/{text}").parse().map_err(|_| wrong())?;
    if text.contains("urst") || text.contains("URST") {
        Err(wrong())
    } else {
        Ok(quota.period())
    }
}
