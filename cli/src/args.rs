//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidegate::{Ipv6Prefix, Quota};

use crate::caret::quota;
use crate::failure::Failure;
use crate::log::detect::Format;
use crate::log::key::By;
use crate::log::read::Options;
use crate::replay::limits::{Limits, WindowLimit};
use crate::suggest::grid::{Factor, Per};
use crate::suggest::share::Share;
use crate::{explain, shape};

/// See what a rate limit would do.
///
/// Exit codes: 0 if all went well, 1 if there is a problem with what is read or written, 2 if the arguments are wrong.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay access logs through limits: who would have been refused, when and how often
    Replay(Replay),
    /// Find the smallest quotas that refuse at most a share of an access log's requests
    Suggest(Suggest),
    /// Draw how a limit shapes traffic
    Shape(shape::Args),
    /// Say in words what a limit allows
    Explain(explain::Args),
    /// Print completions for a shell
    Completions(crate::completions::Args),
    /// Print the manual page
    Man(crate::man::Args),
}

/// What is read, and how.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// Logs, read one after the other: common, combined, or JSON lines, plain or packed with gzip; `-` is standard input
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// What each limit is for: ip, ip-prefix (IPv6 by network), path (without its query), user, agent, the name of a JSON field
    /// (`http.host` is in `http`), or none for one limit of all requests. Lines that have none are skipped
    #[arg(long, default_value = "ip", value_name = "KEY")]
    pub by: By,
    /// How many leading bits of an IPv6 address are one client, with `--by ip-prefix`
    #[arg(long, default_value = "64", value_name = "BITS", value_parser = prefix)]
    pub ipv6_prefix: Ipv6Prefix,
    /// The format of the logs
    #[arg(long, default_value = "auto")]
    pub format: Format,
    /// The field with the time in JSON logs; without it, `time`, `timestamp`, `ts`, `@timestamp` or `time_local`
    #[arg(long, value_name = "FIELD")]
    pub time_field: Option<String>,
    /// Put lines in the order of time within so much time of the log; a line that is later counts as late, and as of the latest
    /// time before it. 0 keeps the order of the lines
    #[arg(long, default_value = "2m", value_name = "TIME", value_parser = duration)]
    pub reorder: Duration,
    /// Stop at the first line that cannot be read
    #[arg(long)]
    pub strict: bool,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// The log.
    #[command(flatten)]
    pub log: Log,
    /// A token bucket, such as `100/min burst 20`
    #[arg(long, value_name = "QUOTA", value_parser = quota, required_unless_present = "window")]
    pub quota: Option<Quota>,
    /// A sliding window, such as `500/h`: at most so many in any hour. All limits together admit a request, or none is charged
    #[arg(long, value_name = "LIMIT")]
    pub window: Vec<WindowLimit>,
    /// Into how many slots each window is cut: a request counts for the window's length and up to a slot longer. As many as
    /// seconds make windows exact for a log of whole seconds [default: 64]
    #[arg(long, requires = "window")]
    pub slots: Option<usize>,
    /// How many of the keys that were refused most are shown
    #[arg(long, default_value = "10", value_name = "KEYS")]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write a line of CSV for each key; `-` is standard output, instead of the text
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw admissions and refusals over time
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write a page with everything
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `suggest`.
#[derive(Args, Clone, Debug)]
pub struct Suggest {
    /// The log.
    #[command(flatten)]
    pub log: Log,
    /// The share of the requests that may be refused, such as `0.1%` or `0.001`
    #[arg(long, default_value = "0.1%", value_name = "SHARE")]
    pub refuse_at_most: Share,
    /// For which periods
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "second,minute,hour",
        value_name = "PERIODS"
    )]
    pub per: Vec<Per>,
    /// For which bursts, as multiples of the number per period, rounded up
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,1,2",
        value_name = "FACTORS"
    )]
    pub bursts: Vec<Factor>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Log {
    /// As it is read.
    pub fn options(&self) -> Options {
        Options {
            files: self.logs.clone(),
            format: self.format,
            by: self.by.clone(),
            prefix: self.ipv6_prefix,
            time_field: self.time_field.clone(),
            reorder: u64::try_from(self.reorder.as_nanos()).unwrap_or(u64::MAX),
            strict: self.strict,
            quiet: self.quiet,
        }
    }
}

impl Replay {
    /// The limits.
    ///
    /// # Errors
    ///
    /// If a window cannot have as many slots.
    pub fn limits(&self) -> Result<Limits, Failure> {
        let windows = self.window.iter().map(|window| match self.slots {
            Some(slots) => window.slots(slots).map_err(Failure::Usage),
            None => Ok(*window),
        });
        Ok(Limits {
            quota: self.quota,
            windows: windows.collect::<Result<_, _>>()?,
        })
    }
}

fn prefix(text: &str) -> Result<Ipv6Prefix, String> {
    let bits = text.parse::<u8>().map_err(|error| error.to_string())?;
    Ipv6Prefix::new(bits).map_err(|error| error.to_string())
}

/// `2m`, `90 s`, `0`. The words are those of quotas.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || "expected a time such as `2m`, `90s` or `0`".to_owned();
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(wrong());
    }
    let zero = text.trim_start_matches('0');
    if !zero.starts_with(|first: char| first.is_ascii_digit()) {
        return zero
            .chars()
            .all(char::is_alphabetic)
            .then_some(Duration::ZERO)
            .ok_or_else(wrong);
    }
    let quota: Quota = format!("1/{text}").parse().map_err(|_| wrong())?;
    // `2m burst 5` is a quota, and no time.
    if quota.capacity() != 1 || text.contains("burst") {
        return Err(wrong());
    }
    Ok(quota.period())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("2m", 120),
            ("90 s", 90),
            ("0", 0),
            ("0s", 0),
            ("1h", 3_600),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1_500)));
        for text in ["", "s", "2", "2m burst 1", "2x", "-1s", "1 s x", "0 %"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
