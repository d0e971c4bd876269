//! `replay`: what limits would have done to the requests of a log.
//!
//! Each key has its own limiters, those of the crate, which are called with the log's times: one
//! permit per request. They are stored in a vector, and not in a [`tidegate::Keyed`]: events carry
//! the number of their key already, and a limiter may be evicted only if that changes no decision.

pub mod emission_interval;
pub mod engine;
pub mod limiters;
pub mod limits;
pub mod live;
pub mod required_burst;
pub mod retries;
pub mod rules;
pub mod tally;
pub mod timeline;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::explain::Exactness;
use crate::failure::Failure;
use crate::log::follow::Stop;
use crate::log::input;
use crate::log::read::LogArgs;
use crate::output::{compare_text, csv, file, report_text, rules_text, stdio};
use crate::report::Report;
use crate::values::{self, GivenQuota};
use crate::{page, picture};
use limits::{Limits, WindowLimit};
use live::Live;
use rules::RuleHeader;

/// Lines of a log that is followed are sorted within this span: it is shown that late.
const FOLLOWED: Duration = Duration::from_secs(2);

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Token bucket, such as `100/min burst 20`, or nginx's `rate=5r/s burst=10`. If repeated, each
    /// quota is replayed by itself, and they are compared
    #[arg(
        long,
        value_name = "QUOTA",
        value_parser = values::given_quota,
        required_unless_present_any = ["window", "rules"]
    )]
    pub quota: Vec<GivenQuota>,
    /// Sliding window, such as `500/h`. May be repeated. A request is admitted by all limits, or it
    /// is charged to none
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<WindowLimit>,
    /// Slots per window. A request counts for the window's length and up to one slot longer. With
    /// one slot per second, windows are exact for a log of whole seconds [default: 64]
    #[arg(long, requires = "window")]
    pub slots: Option<usize>,
    /// Rules of `tidegate::layer` instead, in TOML, or in JSON if the name ends so. Their limits
    /// are on routes, methods, tiers and statuses
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["quota", "window", "retries", "follow", "csv", "svg", "html"]
    )]
    pub rules: Option<PathBuf>,
    /// A header field that the rules have as a key, and the field of the log that has its value,
    /// such as `x-api-key=account`. May be repeated
    #[arg(long, value_name = "HEADER=FIELD", requires = "rules", conflicts_with_all = ["quota", "window"])]
    pub rule_header: Vec<RuleHeader>,
    /// Send each refused request again after its wait, up to this many times
    #[arg(long, value_name = "TIMES")]
    pub retries: Option<u32>,
    /// Follow a log that is still being written, and show the counts on standard error. Ctrl-C ends
    /// it with the report. Lines are sorted within 2 s at most
    #[arg(long, short)]
    pub follow: bool,
    /// Number of most-refused clients to show
    #[arg(long, default_value = "10", value_name = "CLIENTS")]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write one CSV line per client; `-` replaces the text on standard output
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw admissions and refusals over time
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write an HTML page with all results
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl ReplayArgs {
    /// The limits to replay: one for each quota, with all windows.
    fn limits(&self) -> Result<Vec<Limits>, Failure> {
        let windows = self.window.iter().map(|window| match self.slots {
            Some(slots) => window.with_slots(slots).map_err(Failure::Usage),
            None => Ok(*window),
        });
        let windows: Vec<WindowLimit> = windows.collect::<Result<_, _>>()?;
        let limits = |quota| Limits {
            quota,
            windows: windows.clone(),
        };
        if self.quota.is_empty() {
            return Ok(vec![limits(None)]);
        }
        let quotas = self.quota.iter().map(|given| limits(Some(given.quota)));
        Ok(quotas.collect())
    }

    /// Says what may surprise about the quotas.
    fn warn(&self) {
        for GivenQuota { quota, note, .. } in &self.quota {
            if let Some(note) = note {
                stdio::warn(note);
            }
            let max_late_ns = Exactness::new(*quota).max_late_ns;
            if max_late_ns > 0 {
                stdio::warn(&format!(
                    "{quota}: tokens may come {max_late_ns} ns late, which matters if many \
                     requests share an instant"
                ));
            }
        }
    }
}

/// Runs `replay`.
///
/// # Errors
///
/// If the arguments do not fit together, or reading or writing fails.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    if let Some(path) = &args.rules {
        let report = rules::replay(&args.log, path, &args.rule_header, args.top)?;
        return if args.json {
            stdio::print_json(&report)
        } else {
            stdio::print(&rules_text::text(&report, stdio::width()))
        };
    }
    let limits = args.limits()?;
    let logs = input::expand(&args.log.logs)?;
    let uses_stdout = file::check(args.json, &[&args.csv, &args.svg, &args.html], &logs)?;
    let writes = args.csv.is_some() || args.svg.is_some() || args.html.is_some();
    if limits.len() > 1 && writes {
        let text = "--csv, --svg and --html show one quota: give one, or leave them out";
        return Err(Failure::Usage(text.to_owned()));
    }
    args.warn();
    let mut log = args.log.clone();
    let mut live = None;
    if args.follow {
        if log.logs.len() > 1 || log.logs.iter().any(|path| path.is_dir()) {
            return Err(Failure::Usage("--follow reads one log".to_owned()));
        }
        let stop = Stop::at_interrupt();
        log.follow = Some(stop.map_err(|error| Failure::at("Ctrl-C", error))?);
        log.reorder = log.reorder.min(FOLLOWED);
        live = Some(Live::new(&log.by.to_string()));
    }
    let replayed = engine::replay(&log, limits, args.retries, live)?;
    let checked = replayed.log.check();
    let per_key = args.csv.as_ref().map(|_| csv::keys(replayed.keys()));
    let per_key = per_key.transpose()?;
    let mut reports = replayed.into_reports(args.top);
    match (reports.pop(), reports.is_empty()) {
        (Some(report), true) => write(args, &report, per_key.as_deref(), uses_stdout)?,
        (last, _) => {
            reports.extend(last);
            if args.json {
                stdio::print_json(&reports)?;
            } else {
                stdio::print(&compare_text::text(&reports, stdio::width()))?;
            }
        }
    }
    checked
}

/// Writes the report of one limit.
fn write(
    args: &ReplayArgs,
    report: &Report,
    per_key: Option<&[u8]>,
    uses_stdout: bool,
) -> Result<(), Failure> {
    if let (Some(path), Some(per_key)) = (&args.csv, per_key) {
        file::write(path, per_key)?;
    }
    if let Some(path) = &args.svg {
        file::write(path, picture::timeline_svg(report).as_bytes())?;
    }
    if let Some(path) = &args.html {
        file::write(path, page::html(report).as_bytes())?;
    }
    if args.json {
        stdio::print_json(report)?;
    } else if !uses_stdout {
        stdio::print(&report_text::replay(report, stdio::width()))?;
    }
    Ok(())
}
