//! `suggest`: recommends limits for the clients of a log.

pub mod choose;
pub mod classes;
pub mod fraction;
pub mod kind;
pub mod reason;
pub mod recommend;
pub mod requests;
pub mod round;
pub mod search;
pub mod suggestions;
pub mod target;

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::log::input;
use crate::log::read::LogArgs;
use crate::output::{file, stdio, suggest_text};
use crate::page::suggest_page;
use crate::picture;
use crate::replay::limits::{Limits, WindowLimit};
use crate::terminal::Charset;
use crate::values::{self, GivenQuota};
use choose::{Wanted, choose};
use classes::ClassRule;
use fraction::{BurstFactor, Share};
use kind::Period;
use target::Targets;

/// Arguments of `suggest`.
#[derive(Args, Clone, Debug)]
pub struct SuggestArgs {
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// The share of requests that may be refused, such as `0.1%` or `0.001` [default: 0.1%, unless
    /// `--clients-at-most` is given]
    #[arg(long, value_name = "SHARE")]
    pub refuse_at_most: Option<Share>,
    /// The share of clients that may have a request refused, such as `1%`. With `--by`, of whatever
    /// requests are grouped by
    #[arg(long, value_name = "SHARE")]
    pub clients_at_most: Option<Share>,
    /// Periods of the limits
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
    /// Show this quota beside the recommended one, such as `100/min burst 20` or nginx's `rate=5r/s
    /// burst=10`. May be repeated
    #[arg(long, value_name = "QUOTA", value_parser = values::given_quota)]
    pub quota: Vec<GivenQuota>,
    /// Show this sliding window beside the recommended limit, such as `500/h`. May be repeated
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<WindowLimit>,
    /// Show these clients apart, such as `office=10.0.0.0/8`, `crawlers=*bot*` (with `--by agent`)
    /// or a list with commas. May be repeated; a client is in the first class that fits
    #[arg(long, value_name = "NAME=PATTERN")]
    pub class: Vec<ClassRule>,
    /// Also print the smallest quota per period and burst, round or not
    #[arg(long)]
    pub exact: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw what limits refuse; `-` replaces the text on standard output
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write an HTML page with all results
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Runs `suggest`.
///
/// # Errors
///
/// If reading or writing fails.
pub fn run(args: &SuggestArgs) -> Result<(), Failure> {
    let logs = input::expand(&args.log.logs)?;
    let uses_stdout = file::check(args.json, &[&args.svg, &args.html], &logs)?;
    for note in args.quota.iter().filter_map(|given| given.note.as_ref()) {
        stdio::warn(note);
    }
    let quotas = args.quota.iter().map(|given| Limits::from(given.quota));
    let windows = args.window.iter().map(|window| Limits::from(*window));
    let wanted = Wanted {
        targets: Targets::new(args.refuse_at_most.clone(), args.clients_at_most.clone()),
        periods: args.per.clone(),
        bursts: args.bursts.clone(),
        given: quotas.chain(windows).collect(),
        classes: args.class.clone(),
    };
    let (found, log) = choose(&args.log, &wanted)?;
    let missing = args.per.len() * args.bursts.len() - found.suggestions.len();
    if missing > 0 && found.requests > 0 {
        stdio::warn(&format!("{missing} of the quotas would be out of range"));
    }
    if let Some(path) = &args.svg {
        file::write(path, picture::curve_svg(&found).as_bytes())?;
    }
    if let Some(path) = &args.html {
        file::write(path, suggest_page::html(&found).as_bytes())?;
    }
    if args.json {
        stdio::print_json(&found)?;
    } else if !uses_stdout {
        let charset = Charset::from_env();
        stdio::print(&suggest_text::text(
            &found,
            stdio::width(),
            charset,
            args.exact,
        ))?;
    }
    log.check()
}
