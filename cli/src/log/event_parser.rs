//! Parses a line of any supported format into an event.

use tidegate::Ipv6Prefix;

use super::Event;
use super::clf;
use super::group_by::{GroupBy, KeyNormalizer};
use super::interner::KeyInterner;
use super::json::FieldFinder;
use super::timestamps::TimestampParser;

/// The field names under which JSON logs store the time, the most common first.
const TIME_FIELDS: [&str; 5] = ["time", "timestamp", "ts", "@timestamp", "time_local"];

/// The format of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// The format of the first readable line: JSON if it begins with a brace
    Auto,
    /// `host ident user [time] "request" status bytes`
    Common,
    /// The common format with `"referer" "agent"`
    Combined,
    /// One JSON object per line
    Json,
}

/// Why a line is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The line cannot be parsed.
    Unreadable(&'static str),
    /// The line has no key: its user is `-`, or its field is missing.
    NoKey,
}

/// Parses lines into events.
#[derive(Debug)]
pub struct EventParser {
    normalizer: KeyNormalizer,
    fields: FieldFinder,
    times: TimestampParser,
    requested: LogFormat,
    /// The format of the current file; `Auto` until a line was parsed.
    format: LogFormat,
}

impl EventParser {
    /// Parses lines of this format, with keys of this kind. With `time_field`, the time of a JSON
    /// log is only looked up under that name.
    pub fn new(
        format: LogFormat,
        by: GroupBy,
        prefix: Ipv6Prefix,
        time_field: Option<&str>,
    ) -> Self {
        let fields = match time_field {
            Some(field) => FieldFinder::new(&[field], &by.json_fields()),
            None => FieldFinder::new(&TIME_FIELDS, &by.json_fields()),
        };
        Self {
            normalizer: KeyNormalizer::new(by, prefix),
            fields,
            times: TimestampParser::default(),
            requested: format,
            format,
        }
    }

    /// Begins another file, whose format may differ.
    pub const fn next_file(&mut self) {
        self.format = self.requested;
    }

    /// Parses a line and interns its key.
    ///
    /// # Errors
    ///
    /// If the line is to be skipped.
    #[inline]
    pub fn parse(&mut self, line: &[u8], keys: &mut KeyInterner) -> Result<Event, SkipReason> {
        let json = match self.format {
            LogFormat::Json => true,
            LogFormat::Auto => line.trim_ascii_start().starts_with(b"{"),
            LogFormat::Common | LogFormat::Combined => false,
        };
        let event = if json {
            self.parse_json(line, keys)
        } else {
            self.parse_clf(line, keys)
        };
        if self.format == LogFormat::Auto && !matches!(event, Err(SkipReason::Unreadable(_))) {
            self.format = if json {
                LogFormat::Json
            } else {
                LogFormat::Combined
            };
        }
        event
    }

    fn parse_clf(&mut self, line: &[u8], keys: &mut KeyInterner) -> Result<Event, SkipReason> {
        let head = clf::head(line).map_err(SkipReason::Unreadable)?;
        let raw = self.normalizer.by().clf_key(&head);
        self.event(head.time, raw.map_err(SkipReason::Unreadable)?, keys)
    }

    fn parse_json(&mut self, line: &[u8], keys: &mut KeyInterner) -> Result<Event, SkipReason> {
        let found = self.fields.find(line).map_err(SkipReason::Unreadable)?;
        let time = found.time.ok_or(SkipReason::Unreadable("no time field"))?;
        let raw = match &found.key {
            _ if *self.normalizer.by() == GroupBy::None => "all",
            Some(key) => key,
            None => "",
        };
        self.event(time.as_bytes(), raw.as_bytes(), keys)
    }

    fn event(
        &mut self,
        time: &[u8],
        raw_key: &[u8],
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        let time = self.times.parse(time);
        let time = time.ok_or(SkipReason::Unreadable("unreadable time"))?;
        let key = self
            .normalizer
            .normalize(raw_key)
            .ok_or(SkipReason::NoKey)?;
        let key = keys.intern(key);
        let key = key.ok_or(SkipReason::Unreadable("more than 2^32 keys"))?;
        Ok(Event { time, key })
    }
}
