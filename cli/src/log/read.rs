//! Reads logs from beginning to end.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use tidegate::Ipv6Prefix;

use super::Event;
use super::client::{ClientArgs, ClientRule};
use super::diagnostics::Diagnostics;
use super::event_parser::{EventParser, LogFormat, ParserOptions};
use super::fields::WantedFields;
use super::follow::Stop;
use super::group_by::{GroupBy, GroupByParser};
use super::input;
use super::interner::KeyInterner;
use super::merge::{read_in_turn, read_merged};
use super::notation::{Notation, time_format};
use super::reorder::Reorder;
use super::slice::{Slice, SliceArgs, parts_of};
use super::source::Shared;
use super::timestamps::TimestampParser;
use crate::failure::Failure;
use crate::output::stdio::{caution, is_stdio};
use crate::picture::numbers::counted;
use crate::values;

/// With fewer requests, a single client is no sign of a proxy.
const MANY_REQUESTS: u64 = 100;

/// Which logs are read, and how.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Logs and folders of logs, plain or compressed with gzip, bzip2, xz or zstd; `-` is standard
    /// input. They are merged by time
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// What each limit applies to: ip, ip-prefix (the network of an IPv6 address), path (without
    /// the query), user, agent, any field of the log (`http.host` is a path into nested JSON
    /// objects), or none for one limit of all requests. Several with commas, such as `ip,path`, are
    /// a key together. Lines without a key are skipped
    #[arg(long, default_value = "ip", value_name = "KEY", value_parser = GroupByParser)]
    pub by: GroupBy,
    /// Prefix length of IPv6 networks with `--by ip-prefix`
    #[arg(long, default_value = "64", value_name = "BITS", value_parser = values::ipv6_prefix)]
    pub ipv6_prefix: Ipv6Prefix,
    /// Where the client is.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Format of the logs. `auto` recognizes the logs of Apache, nginx, HAProxy, Envoy, Istio,
    /// Traefik, Caddy, IIS, AWS, Google Cloud, Cloudflare and others, also behind the prefixes of
    /// syslog, the journal, Docker and Kubernetes
    #[arg(long, default_value = "auto")]
    pub format: LogFormat,
    /// Format of the lines in the notation of nginx, such as `$remote_addr [$time_local]
    /// "$request"`, or of GoAccess, such as `%h %^[%d:%t %^] "%r"` or `COMBINED`
    #[arg(long, value_name = "FORMAT", conflicts_with = "format")]
    pub log_format: Option<Notation>,
    /// Format of dates in --log-format, as strptime has it, such as `%d/%b/%Y`. The usual formats
    /// are recognized
    #[arg(long, value_name = "FORMAT", requires = "log_format")]
    pub date_format: Option<String>,
    /// Format of times in --log-format, as strptime has it, such as `%H:%M:%S`
    #[arg(long, value_name = "FORMAT", requires = "log_format", value_parser = time_format)]
    pub time_format: Option<String>,
    /// Field with the time of JSON logs. By default, the usual names are tried
    #[arg(long, value_name = "FIELD")]
    pub time_field: Option<String>,
    /// Zone of times without an offset, such as `Europe/Berlin` or `+05:30`
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = values::time_zone,
        allow_hyphen_values = true)]
    pub timezone: TimeZone,
    /// Sort lines by time within this span of log time. A line that is still late is replayed at
    /// the latest time before it. 0 keeps the order of lines and logs
    #[arg(long, default_value = "2m", value_name = "TIME", value_parser = values::duration)]
    pub reorder: Duration,
    /// Which requests count.
    #[command(flatten)]
    pub slice: SliceArgs,
    /// Stop at the first unreadable line or damaged file, and fail if lines are late
    #[arg(long)]
    pub strict: bool,
    /// Hide the progress bar
    #[arg(long, short)]
    pub quiet: bool,
    /// Wait at the end of the log until asked to stop.
    #[arg(skip)]
    pub follow: Option<Stop>,
}

impl LogArgs {
    fn parser_options(&self, by: GroupBy) -> ParserOptions {
        let client = self.client.client.clone();
        ParserOptions {
            format: self.format,
            layout: match &self.log_format {
                Some(Notation::Layout(layout)) => Some(layout.clone()),
                Some(Notation::Known) | None => None,
            },
            wanted: WantedFields::new(by, client, self.time_field.clone()),
            prefix: self.ipv6_prefix,
            rule: ClientRule::new(&self.client),
        }
    }

    /// The counts of a log that is followed are shown elsewhere.
    fn diagnostics(&self, paths: &[PathBuf]) -> Diagnostics {
        match &self.follow {
            Some(stop) => Diagnostics::new(None, true, self.strict).following(stop.clone()),
            None => Diagnostics::new(input::size(paths), self.quiet, self.strict),
        }
    }

    fn times(&self) -> TimestampParser {
        let formats = [self.date_format.as_deref(), self.time_format.as_deref()];
        let format = match formats {
            [None, None] => None,
            [Some(date), None] => Some(format!("{date} %H:%M:%S")),
            [None, Some(time)] => Some(time.to_owned()),
            [Some(date), Some(time)] => Some(format!("{date} {time}")),
        };
        TimestampParser::new(self.timezone.clone(), format)
    }
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
    /// Requests that were not to count.
    pub left_out: u64,
    /// Requests that were answered 429, and count.
    pub answered_429: u64,
    /// What makes the counts doubtful: damaged files, late lines, a proxy that hides the clients.
    pub warnings: Vec<String>,
    /// Why the program fails although it has results.
    failure: Option<String>,
}

impl LogSummary {
    /// The number of skipped lines.
    pub const fn skipped(&self) -> u64 {
        self.unreadable + self.without_key
    }

    /// Fails if the results lack a part of the logs.
    ///
    /// # Errors
    ///
    /// If a file was damaged, or with `strict` if lines were late.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(Failure::Problem(failure.clone())),
        }
    }
}

/// Reads all files and hands out their events in the order of time.
///
/// # Errors
///
/// If a file cannot be opened, if lines were read but no request, if the clients are not clear, or
/// with `strict` if a line cannot be parsed or a file is damaged.
pub fn read_logs(args: &LogArgs, mut emit: impl FnMut(Event)) -> Result<LogSummary, Failure> {
    if args.logs.iter().filter(|path| is_stdio(path)).count() > 1 {
        let text = "standard input can be read only once";
        return Err(Failure::Usage(text.to_owned()));
    }
    let paths = input::expand(&args.logs)?;
    input::check_once(&paths)?;
    let parser = |by: GroupBy| EventParser::new(&args.parser_options(by), args.times());
    let parts = parts_of(&args.by).map_err(|error| Failure::Usage(error.to_owned()))?;
    let new_parser = || parser(parts.first().unwrap_or(&args.by).clone());
    let mut times = args.times();
    let time = |text: &str| {
        let day = format!("{text}T00:00:00");
        times
            .parse(text.as_bytes())
            .or_else(|| times.parse(day.as_bytes()))
    };
    let mut shared = Shared {
        parser: new_parser(),
        keys: KeyInterner::default(),
        slice: Slice::new(&args.slice, &args.by, parser, time)?,
        diagnostics: args.diagnostics(&paths),
        without_key: 0,
        damaged: Vec::new(),
        header: Vec::new(),
        reversed: Vec::new(),
    };
    let span = u64::try_from(args.reorder.as_nanos()).unwrap_or(u64::MAX);
    let mut reorder = Reorder::new(span);
    let mut requests = 0;
    let mut emit = |event: Event| {
        requests += 1;
        emit(event);
    };
    let push = |event| reorder.push(event, &mut emit);
    if span == 0 || paths.len() == 1 {
        read_in_turn(&paths, &mut shared, push)?;
    } else {
        read_merged(&paths, span, new_parser, &mut shared, push)?;
    }
    reorder.finish(&mut emit);
    let unreadable = shared.diagnostics.finish();
    let judge = shared.parser.judge();
    if let Some(objection) = judge.objection() {
        return Err(Failure::Problem(objection));
    }
    if requests == 0 && unreadable + shared.without_key > 0 {
        return Err(Failure::Problem(format!(
            "no requests found: {unreadable} unreadable lines, {} lines without a key{}",
            shared.without_key,
            judge.skipped_advice()
        )));
    }
    if requests + shared.slice.left_out > 0
        && let (Some(name), Some(problem)) = (&args.slice.cost, shared.slice.no_cost())
    {
        return Err(Failure::Problem(format!(
            "the field `{name}` of --cost {problem}{}",
            shared.slice.cost_advice()
        )));
    }
    if let Some(file) = shared.reversed.first()
        && reorder.late() > 0
    {
        return Err(Failure::Problem(format!(
            "{file}: the log is reversed: its newest lines come first. Reverse it, as `tac` does, \
             or give --reorder a longer time than the log covers"
        )));
    }
    if let Some(objection) = shared.slice.objection() {
        return Err(Failure::Problem(objection));
    }
    let final_keys = shared.slice.take_keys();
    let hides_clients = shared.parser.hides_clients(&shared.keys) && requests >= MANY_REQUESTS;
    let doubts: Vec<String> = judge
        .warning()
        .into_iter()
        .chain(shared.slice.warnings())
        .collect();
    let mut summary = LogSummary {
        keys: final_keys.unwrap_or(shared.keys),
        left_out: shared.slice.left_out,
        answered_429: shared.slice.answered_429,
        unreadable,
        without_key: shared.without_key,
        late: reorder.late(),
        warnings: Vec::new(),
        failure: None,
    };
    summary.describe(args, shared.damaged, hides_clients, doubts);
    Ok(summary)
}

impl LogSummary {
    /// Writes the warnings, and prints those that were not printed while reading.
    fn describe(
        &mut self,
        args: &LogArgs,
        damaged: Vec<String>,
        hides_clients: bool,
        doubts: Vec<String>,
    ) {
        if !damaged.is_empty() {
            let files = counted(damaged.len() as u64, "log");
            self.failure = Some(format!("{files} could not be read to the end"));
        }
        let mut warnings = Vec::new();
        if self.late > 0 {
            let order = format!(
                "{} more than {:#} late: limits decided about them at a later time than that of \
                 the log, so the counts may be wrong. Sort the log by time, or raise --reorder",
                match self.late {
                    1 => "1 line is".to_owned(),
                    late => format!("{} are", counted(late, "line")),
                },
                jiff::SignedDuration::try_from(args.reorder).unwrap_or(jiff::SignedDuration::MAX)
            );
            if args.strict && self.failure.is_none() {
                self.failure = Some(format!("{} out of order", counted(self.late, "line")));
            }
            warnings.push(order);
        }
        if hides_clients {
            warnings.push(format!(
                "all requests come from {}: {} that hides the clients",
                match self.keys.len() {
                    1 => format!("{}, a private address", self.keys.text(0)),
                    count => format!("{count} private addresses such as {}", self.keys.text(0)),
                },
                match self.keys.len() {
                    1 => "this may be a proxy",
                    _ => "they may be those of a proxy",
                }
            ));
        }
        warnings.extend(doubts);
        for warning in &warnings {
            caution(warning);
        }
        self.warnings = damaged;
        self.warnings.append(&mut warnings);
    }
}
