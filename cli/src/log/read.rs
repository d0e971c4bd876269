//! Reads logs from beginning to end.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidegate::Ipv6Prefix;

use super::Event;
use super::diagnostics::Diagnostics;
use super::event_parser::{EventParser, LogFormat, SkipReason};
use super::group_by::GroupBy;
use super::input;
use super::interner::KeyInterner;
use super::line_reader::{Line, LineReader};
use super::reorder::Reorder;
use crate::failure::{Failure, describe};
use crate::output::stdio::is_stdio;
use crate::values;

/// Which logs are read, and how.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Logs to read one after the other: common, combined or JSON lines, plain or gzip; `-` is
    /// standard input
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// What each limit applies to: ip, ip-prefix (the network of an IPv6 address), path (without
    /// the query), user, agent, the name of a JSON field (`http.host` is a path into nested
    /// objects), or none for one limit of all requests. Lines without a key are skipped
    #[arg(long, default_value = "ip", value_name = "KEY")]
    pub by: GroupBy,
    /// Prefix length of IPv6 networks with `--by ip-prefix`
    #[arg(long, default_value = "64", value_name = "BITS", value_parser = values::ipv6_prefix)]
    pub ipv6_prefix: Ipv6Prefix,
    /// Format of the logs
    #[arg(long, default_value = "auto")]
    pub format: LogFormat,
    /// Time field of JSON logs. By default one of `time`, `timestamp`, `ts`, `@timestamp` and
    /// `time_local`
    #[arg(long, value_name = "FIELD")]
    pub time_field: Option<String>,
    /// Sort lines by time within this span of log time. A line that is still late is replayed at
    /// the latest time before it. 0 keeps the order of lines
    #[arg(long, default_value = "2m", value_name = "TIME", value_parser = values::duration)]
    pub reorder: Duration,
    /// Stop at the first unreadable line
    #[arg(long)]
    pub strict: bool,
    /// Hide the progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub struct LogSummary {
    /// The keys.
    pub keys: KeyInterner,
    /// Lines that could not be parsed.
    pub unreadable: u64,
    /// Lines without a key.
    pub without_key: u64,
    /// Late lines: see [`Reorder`].
    pub late: u64,
}

impl LogSummary {
    /// The number of skipped lines.
    pub const fn skipped(&self) -> u64 {
        self.unreadable + self.without_key
    }

    /// Refuses a log that has lines but no requests, which is probably a mistake. An empty log is
    /// fine.
    ///
    /// # Errors
    ///
    /// If all lines were skipped.
    pub fn check(&self) -> Result<(), Failure> {
        if !self.keys.is_empty() || self.skipped() == 0 {
            return Ok(());
        }
        Err(Failure::Problem(format!(
            "no requests found: {} unreadable lines, {} lines without a key",
            self.unreadable, self.without_key
        )))
    }
}

/// Reads all files and hands out their events in the order of time.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` if a line cannot be parsed.
pub fn read_logs(args: &LogArgs, mut emit: impl FnMut(Event)) -> Result<LogSummary, Failure> {
    if args.logs.iter().filter(|path| is_stdio(path)).count() > 1 {
        let text = "standard input can be read only once";
        return Err(Failure::Usage(text.to_owned()));
    }
    let size = input::size(&args.logs);
    let mut diagnostics = Diagnostics::new(size, args.quiet, args.strict);
    let time_field = args.time_field.as_deref();
    let mut parser = EventParser::new(args.format, args.by.clone(), args.ipv6_prefix, time_field);
    let span = u64::try_from(args.reorder.as_nanos()).unwrap_or(u64::MAX);
    let mut reorder = Reorder::new(span);
    let mut summary = LogSummary::default();
    for path in &args.logs {
        let name = input::name(path);
        let mut reader = LineReader::new(input::open(path, &diagnostics)?);
        parser.next_file();
        let mut number = 0;
        while let Some(line) = reader.next_line().map_err(|error| {
            Failure::at(&name, format_args!("cannot be read: {}", describe(&error)))
        })? {
            number += 1;
            diagnostics.count_line();
            let event = match line {
                Line::Text(text) if text.trim_ascii_start().is_empty() => continue,
                // Some editors begin a UTF-8 file with a byte order mark.
                Line::Text(text) if number == 1 => {
                    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
                    parser.parse(text, &mut summary.keys)
                }
                Line::Text(text) => parser.parse(text, &mut summary.keys),
                Line::TooLong => Err(SkipReason::Unreadable("longer than 1 MiB")),
            };
            match event {
                Ok(event) => reorder.push(event, &mut emit),
                Err(SkipReason::NoKey) => summary.without_key += 1,
                Err(SkipReason::Unreadable(reason)) => {
                    diagnostics.add_unreadable(&name, number, reason)?;
                }
            }
        }
    }
    reorder.finish(&mut emit);
    summary.unreadable = diagnostics.finish();
    summary.late = reorder.late();
    Ok(summary)
}
