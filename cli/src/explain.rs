//! `explain`: what a quota allows, in words and numbers.

mod exactness;
mod explain_text;
mod explanation;
mod warnings;

pub use exactness::Exactness;
pub use explain_text::text;
pub use explanation::{Explanation, LimiterComparison, MemoryUse, explain, max_admitted};

use crate::failure::Failure;
use crate::output::stdio;
use crate::values::{self, GivenQuota};

/// Arguments of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// A quota, such as `100/min burst 20`, or nginx's `rate=5r/s burst=10`
    #[arg(value_name = "QUOTA", value_parser = values::given_quota)]
    pub quota: GivenQuota,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `explain`.
///
/// # Errors
///
/// If writing fails.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    if let Some(note) = &args.quota.note {
        stdio::warn(note);
    }
    let explanation = explain(args.quota.quota);
    if args.json {
        stdio::print_json(&explanation)
    } else {
        stdio::print(&text(&explanation, stdio::width()))
    }
}
