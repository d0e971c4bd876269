//! From a line to an event, in whatever format the file turns out to be.

use tidegate::Ipv6Prefix;

use super::Event;
use super::clf;
use super::intern::Keys;
use super::json::Wanted;
use super::key::{By, Form};
use super::time::Times;

/// The names under which JSON logs keep their time, the most usual first.
const TIME_FIELDS: [&str; 5] = ["time", "timestamp", "ts", "@timestamp", "time_local"];

/// The format of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// What the first line that can be read is: JSON if it begins with a brace
    Auto,
    /// `host ident user [time] "request" status bytes`
    Common,
    /// The same with `"referer" "agent"`
    Combined,
    /// One JSON object in each line
    Json,
}

/// What a line can be besides a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It cannot be read.
    Unreadable(&'static str),
    /// It has no key: its user is `-`, its field is missing.
    NoKey,
}

/// Reads lines.
#[derive(Debug)]
pub struct Lines {
    by: By,
    wanted: Wanted,
    form: Form,
    times: Times,
    given: Format,
    /// Of the current file; `Auto` until a line was read.
    format: Format,
}

impl Lines {
    /// Lines of that format, with keys of that kind. `time_field` is the only name of the time in JSON logs, if given.
    pub fn new(format: Format, by: By, prefix: Ipv6Prefix, time_field: Option<&str>) -> Self {
        let wanted = match time_field {
            Some(field) => Wanted::new(&[field], &by.fields()),
            None => Wanted::new(&TIME_FIELDS, &by.fields()),
        };
        Self {
            wanted,
            form: Form::new(&by, prefix),
            times: Times::default(),
            by,
            given: format,
            format,
        }
    }

    /// Begins another file, which may be of another format.
    pub const fn next_file(&mut self) {
        self.format = self.given;
    }

    /// The event in a line; its key gets a number.
    ///
    /// # Errors
    ///
    /// Why there is none.
    #[inline]
    pub fn read(&mut self, line: &[u8], keys: &mut Keys) -> Result<Event, Unusable> {
        let json = match self.format {
            Format::Json => true,
            Format::Auto => line.trim_ascii_start().starts_with(b"{"),
            Format::Common | Format::Combined => false,
        };
        let event = if json {
            self.json(line, keys)
        } else {
            self.clf(line, keys)
        };
        if self.format == Format::Auto && !matches!(event, Err(Unusable::Unreadable(_))) {
            self.format = if json { Format::Json } else { Format::Combined };
        }
        event
    }

    fn clf(&mut self, line: &[u8], keys: &mut Keys) -> Result<Event, Unusable> {
        let head = clf::head(line).map_err(Unusable::Unreadable)?;
        let time = self.times.read(head.time);
        let time = time.ok_or(Unusable::Unreadable("no time that can be read"))?;
        let raw = self.by.of_head(&head).map_err(Unusable::Unreadable)?;
        number(&mut self.form, raw, keys).map(|key| Event { time, key })
    }

    fn json(&mut self, line: &[u8], keys: &mut Keys) -> Result<Event, Unusable> {
        let found = self.wanted.find(line).map_err(Unusable::Unreadable)?;
        let time = found.time.ok_or(Unusable::Unreadable("no field of time"))?;
        let time = self.times.read(time.as_bytes());
        let time = time.ok_or(Unusable::Unreadable("no time that can be read"))?;
        let raw = match &found.key {
            _ if self.by == By::None => "all",
            Some(key) => key,
            None => return Err(Unusable::NoKey),
        };
        number(&mut self.form, raw.as_bytes(), keys).map(|key| Event { time, key })
    }
}

fn number(form: &mut Form, raw: &[u8], keys: &mut Keys) -> Result<u32, Unusable> {
    let key = form.key(raw).ok_or(Unusable::NoKey)?;
    keys.number(key)
        .ok_or(Unusable::Unreadable("more than 2^32 keys"))
}
