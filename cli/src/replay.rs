//! `replay`: what limits would have done to the requests of a log.
//!
//! Each key has its own limiters, those of the crate, which are called with the log's times: one
//! permit per request. They are stored in a vector, and not in a [`tidegate::Keyed`]: events carry
//! the number of their key already, and a limiter may be evicted only if that changes no decision.

pub mod engine;
pub mod limiters;
pub mod limits;
pub mod required_burst;
pub mod tally;
pub mod timeline;

use std::path::PathBuf;

use clap::Args;
use tidegate::Quota;

use crate::explain::Exactness;
use crate::failure::Failure;
use crate::log::read::LogArgs;
use crate::output::{csv, file, report_text, stdio};
use crate::{page, picture, values};
use limits::{Limits, WindowLimit};

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Token bucket, such as `100/min burst 20`
    #[arg(
        long,
        value_name = "QUOTA",
        value_parser = values::quota,
        required_unless_present = "window"
    )]
    pub quota: Option<Quota>,
    /// Sliding window, such as `500/h`. May be repeated. A request is admitted by all limits, or it
    /// is charged to none
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<WindowLimit>,
    /// Slots per window. A request counts for the window's length and up to one slot longer. With
    /// one slot per second, windows are exact for a log of whole seconds [default: 64]
    #[arg(long, requires = "window")]
    pub slots: Option<usize>,
    /// Number of most-refused keys to show
    #[arg(long, default_value = "10", value_name = "KEYS")]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write one CSV line per key; `-` replaces the text on standard output
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
    fn limits(&self) -> Result<Limits, Failure> {
        let windows = self.window.iter().map(|window| match self.slots {
            Some(slots) => window.with_slots(slots).map_err(Failure::Usage),
            None => Ok(*window),
        });
        Ok(Limits {
            quota: self.quota,
            windows: windows.collect::<Result<_, _>>()?,
        })
    }
}

/// Runs `replay`.
///
/// # Errors
///
/// If the arguments do not fit together, or reading or writing fails.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let limits = args.limits()?;
    let uses_stdout = file::check(args.json, &[&args.csv, &args.svg, &args.html])?;
    let max_late_ns = args
        .quota
        .map_or(0, |quota| Exactness::new(quota).max_late_ns);
    if max_late_ns > 0 {
        stdio::warn(&format!(
            "tokens may come {max_late_ns} ns late, which matters if many requests share an instant"
        ));
    }
    let replayed = engine::replay(&args.log, limits)?;
    let checked = replayed.log.check();
    let per_key = args.csv.as_ref().map(|_| csv::keys(replayed.keys()));
    let per_key = per_key.transpose()?;
    let report = replayed.into_report(args.top);
    if let (Some(path), Some(per_key)) = (&args.csv, per_key) {
        file::write(path, &per_key)?;
    }
    if let Some(path) = &args.svg {
        file::write(path, picture::timeline_svg(&report).as_bytes())?;
    }
    if let Some(path) = &args.html {
        file::write(path, page::html(&report).as_bytes())?;
    }
    if args.json {
        stdio::print_json(&report)?;
    } else if !uses_stdout {
        stdio::print(&report_text::replay(&report, stdio::width()))?;
    }
    checked
}
