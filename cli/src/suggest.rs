//! `suggest`: the smallest quotas that refuse at most a share of a log's requests.

pub mod fraction;
pub mod requests;
pub mod search;

use clap::Args;

use crate::failure::Failure;
use crate::log::read::LogArgs;
use crate::output::{report_text, stdio};
use fraction::{BurstFactor, Share};
use search::{Period, suggest};

/// Arguments of `suggest`.
#[derive(Args, Clone, Debug)]
pub struct SuggestArgs {
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// The share of requests that may be refused, such as `0.1%` or `0.001`
    #[arg(long, default_value = "0.1%", value_name = "SHARE")]
    pub refuse_at_most: Share,
    /// Periods of the quotas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "second,minute,hour",
        value_name = "PERIODS"
    )]
    pub per: Vec<Period>,
    /// Bursts of the quotas, as multiples of the rate, rounded up
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,1,2",
        value_name = "FACTORS"
    )]
    pub bursts: Vec<BurstFactor>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `suggest`.
///
/// # Errors
///
/// If reading or writing fails.
pub fn run(args: &SuggestArgs) -> Result<(), Failure> {
    let (found, log) = suggest(&args.log, &args.refuse_at_most, &args.per, &args.bursts)?;
    let missing = args.per.len() * args.bursts.len() - found.suggestions.len();
    if missing > 0 {
        stdio::warn(&format!("{missing} of the quotas would be out of range"));
    }
    if args.json {
        stdio::print_json(&found)?;
    } else {
        stdio::print(&report_text::suggest(&found, stdio::width()))?;
    }
    log.check()
}
