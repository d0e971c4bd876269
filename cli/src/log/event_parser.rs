//! Parses a line of any supported format into an event.
//!
//! A line goes through a stack: prefixes of containers and log daemons are removed, the form is
//! recognized, the fields that the key needs are found by their names, and the client is resolved
//! by one rule for all forms. Each line is recognized by itself, because files mix formats.

use tidegate::Ipv6Prefix;

use super::Event;
use super::address::{is_missing, parse_with_port};
use super::clf::{self, Head};
use super::client::{Client, ClientRule, Doubt, Resolved};
use super::fields::{Found, WantedFields};
use super::group_by::{GroupBy, KeyNormalizer};
use super::guess::{ClientJudge, Example, json_fields};
use super::interner::KeyInterner;
use super::json::JsonFinder;
use super::known::KnownReader;
use super::layout::{Layout, LayoutReader};
use super::prefix::peel;
use super::timestamps::{TimestampParser, is_time_of_day};
use super::w3c::Columns;

/// How many prefixes a line may have.
const MAX_PREFIXES: u32 = 4;
/// How many brackets are tried for the time.
const MAX_BRACKETS: u32 = 3;
/// How many lines of the common format are searched for forwarded addresses, which few logs have.
const SEARCHED_LINES: u32 = 1_000;

/// More private clients than this are no load balancers.
const MAX_PROXIES: usize = 8;

/// The format of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Each line by its own form
    Auto,
    /// `host ident user [time] "request" status bytes`
    Common,
    /// The common format with `"referer" "agent"`
    Combined,
    /// JSON objects
    Json,
}

/// Why a line is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The line cannot be parsed.
    Unreadable(&'static str),
    /// The line has no key: its user is `-`, or its field is missing.
    NoKey,
    /// The line is no request by its form: a comment, or the rest of a line that was cut.
    NoRequest,
}

use SkipReason::{NoKey, NoRequest, Unreadable};

/// What a parser needs to know.
#[derive(Clone, Debug)]
pub struct ParserOptions {
    /// The format.
    pub format: LogFormat,
    /// A layout, which replaces the format.
    pub layout: Option<Layout>,
    /// The wanted fields.
    pub wanted: WantedFields,
    /// The length of IPv6 networks.
    pub prefix: Ipv6Prefix,
    /// How clients are found.
    pub rule: ClientRule,
}

/// The form that a line was read in.
#[derive(Clone, Copy)]
enum Form<'f> {
    Json,
    Columns(&'f Columns),
    Known(usize),
    Layout,
}

/// What a parser remembers of one file.
#[derive(Debug, Default)]
pub struct FileState {
    columns: Columns,
    /// Whether the next piece of standard output or standard error continues a line.
    continues: [bool; 2],
}

impl FileState {
    /// Forgets that the next piece may continue a line.
    pub const fn begin_line(&mut self) {
        self.continues = [false; 2];
    }
}

/// Parses lines into events.
#[derive(Debug)]
pub struct EventParser {
    format: LogFormat,
    wanted: WantedFields,
    normalizer: KeyNormalizer,
    layout: Option<LayoutReader>,
    json: JsonFinder,
    known: KnownReader,
    times: TimestampParser,
    rule: ClientRule,
    judge: ClientJudge,
    /// Whether the address with this number is a trusted proxy.
    is_trusted: Vec<bool>,
    /// Whether lines are grouped by address, in a format and a field that were not given.
    is_plain: bool,
    /// The number of lines that are still searched for forwarded addresses.
    searched: u32,
}

impl EventParser {
    /// Parses lines with these options.
    pub fn new(options: &ParserOptions, times: TimestampParser) -> Self {
        let wanted = options.wanted.clone();
        let layout = options.layout.clone();
        Self {
            format: options.format,
            normalizer: KeyNormalizer::new(wanted.by().clone(), options.prefix),
            is_plain: *wanted.by() == GroupBy::Ip
                && wanted.client().is_none()
                && layout.is_none()
                && options.format == LogFormat::Auto,
            layout: layout.map(|layout| LayoutReader::new(layout, &wanted)),
            json: JsonFinder::new(wanted.clone()),
            known: KnownReader::new(&wanted),
            wanted,
            times,
            rule: options.rule.clone(),
            judge: ClientJudge::default(),
            is_trusted: Vec::new(),
            searched: SEARCHED_LINES,
        }
    }

    /// How the clients were found so far.
    pub const fn judge(&self) -> &ClientJudge {
        &self.judge
    }

    /// Whether the clients are a few private addresses, as behind load balancers.
    pub fn hides_clients(&self, keys: &KeyInterner) -> bool {
        (1..=MAX_PROXIES).contains(&keys.len())
            && self.is_trusted.len() == keys.len()
            && !self.is_trusted.contains(&false)
    }

    /// Parses a line of a file and interns its key.
    ///
    /// # Errors
    ///
    /// If the line is to be skipped.
    #[inline]
    pub fn parse(
        &mut self,
        line: &[u8],
        file: &mut FileState,
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        if let Some(event) = self.parse_known_client(line, keys) {
            return Ok(event);
        }
        self.parse_slow(line, file, keys)
    }

    /// Parses a line of the common format that begins with the address of a known client, as most
    /// lines of most logs do.
    #[inline]
    fn parse_known_client(&mut self, line: &[u8], keys: &KeyInterner) -> Option<Event> {
        if !self.is_plain || self.searched > 0 {
            return None;
        }
        let head = clf::head(line).ok()?;
        let key = self.known_client(head.first_word(), keys)?;
        if head.has_only_client() {
            return None;
        }
        // A second address or a bracket may follow the first.
        let names = head.names.get(head.first_word().len()..)?;
        if !names.starts_with(b" - ") || names.contains(&b'[') || !head.is_before_request() {
            return None;
        }
        let time = self.times.parse(head.time)?;
        self.judge.count_address();
        Some(Event { time, key, cost: 1 })
    }

    /// The key of an address that is known and no trusted proxy, which may have forwarded the
    /// request of another.
    #[inline]
    fn known_client(&self, text: &[u8], keys: &KeyInterner) -> Option<u32> {
        // Only addresses are keys, so a text that is a key is an address in its normal form.
        let key = keys.find(text)?;
        let is_trusted = *self.is_trusted.get(key as usize)?;
        (!is_trusted).then_some(key)
    }

    #[inline(never)]
    fn parse_slow(
        &mut self,
        line: &[u8],
        file: &mut FileState,
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        if let Some(layout) = &self.layout {
            let found = layout.read(line);
            let found = found.ok_or(Unreadable("the line has another form than --log-format"))?;
            return self.event(&found, None, Form::Layout, line, keys);
        }
        match self.format {
            LogFormat::Auto => self.parse_any(line, None, file, keys, 0),
            LogFormat::Json => self.parse_json(line, None, file, keys, 0),
            LogFormat::Common | LogFormat::Combined => self.parse_clf(line, None, keys),
        }
    }

    /// Parses a line by its own form. `outer` is a time that was written before the line.
    fn parse_any(
        &mut self,
        line: &[u8],
        outer: Option<&[u8]>,
        file: &mut FileState,
        keys: &mut KeyInterner,
        prefixes: u32,
    ) -> Result<Event, SkipReason> {
        let trimmed = line.trim_ascii();
        match trimmed.first() {
            None => return Err(NoRequest),
            Some(b'{') => {
                // A line of an array ends with a comma.
                let object = trimmed.strip_suffix(b",").unwrap_or(trimmed);
                return self.parse_json(object, outer, file, keys, prefixes);
            }
            Some(b'#') => {
                file.columns.take_directive(line, &self.wanted);
                return Err(NoRequest);
            }
            Some(_) => {}
        }
        file.columns.pass_midnight(line);
        if file.columns.is_known()
            && let Ok(found) = file.columns.read(line)
        {
            let event = self.event(&found, outer, Form::Columns(&file.columns), line, keys);
            // A file may change its format without a word.
            if event != Err(Unreadable(NO_TIME)) {
                return event;
            }
        }
        if let Some(peeled) = peel(line).filter(|_| prefixes < MAX_PREFIXES) {
            if let Some(piece) = peeled.piece {
                let continues = &mut file.continues[usize::from(piece.is_stderr)];
                if std::mem::replace(continues, piece.is_partial) {
                    return Err(NoRequest);
                }
            }
            let outer = peeled.time.or(outer);
            return self.parse_any(peeled.rest, outer, file, keys, prefixes + 1);
        }
        self.parse_clf(line, outer, keys)
    }

    fn parse_json(
        &mut self,
        line: &[u8],
        outer: Option<&[u8]>,
        file: &mut FileState,
        keys: &mut KeyInterner,
        prefixes: u32,
    ) -> Result<Event, SkipReason> {
        let found = self.json.find(line).map_err(Unreadable)?;
        if let Some(message) = found.message.get()
            && prefixes < MAX_PREFIXES
            && !self.wanted.has_key(&found)
        {
            let outer = found.time.get().or(outer);
            let message = message.trim_ascii_end();
            let event = self.parse_any(message, outer, file, keys, prefixes + 1);
            // Containers and the journal write nothing but the message.
            if event.is_ok() || found.message.is_most_preferred() {
                return event;
            }
        }
        self.event(&found, outer, Form::Json, line, keys)
    }

    fn parse_clf(
        &mut self,
        line: &[u8],
        outer: Option<&[u8]>,
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        let is_common = self.format != LogFormat::Auto;
        // A bracket at the beginning is that of a time, or of an address.
        if !is_common
            && line.starts_with(b"[")
            && let Some(event) = self.parse_known(line, outer, keys)
        {
            return event;
        }
        let timed = clf::head(line).and_then(|head| self.head_and_time(line, head));
        let (head, time) = match timed {
            Ok(timed) => timed,
            Err(reason) => {
                let known = if is_common {
                    None
                } else {
                    self.parse_known(line, outer, keys)
                };
                return known.unwrap_or_else(|| {
                    self.judge
                        .add_skipped(|| Example::new("unknown", Vec::new(), line));
                    Err(Unreadable(reason))
                });
            }
        };
        if matches!(self.wanted.by(), GroupBy::Field(_))
            && !is_common
            && !head.names().has_address
            && let Some(event) = self.parse_known(line, outer, keys)
        {
            return event;
        }
        if self.wanted.has_time_field() && outer.is_none() {
            self.judge.add_skipped(|| {
                Example::new("common log", clf::FIELDS.map(str::to_owned).to_vec(), line)
            });
            return Err(Unreadable(
                "--time-field names a field, and the common log format has no other time",
            ));
        }
        let raw = match self.wanted.by() {
            GroupBy::None => &b"all"[..],
            GroupBy::Ip | GroupBy::IpPrefix => {
                return self.clf_client(line, &head, time, outer, keys);
            }
            GroupBy::Path => head.path().map_err(Unreadable)?,
            GroupBy::User => head.names().user,
            GroupBy::Agent => head.agent().map_err(Unreadable)?,
            GroupBy::Field(name) => {
                if let Some(text) = head.field(name) {
                    text
                } else {
                    if let Some(event) = self.parse_known(line, outer, keys) {
                        return event;
                    }
                    self.judge.add_skipped(|| {
                        let fields = clf::FIELDS.map(str::to_owned);
                        Example::new("common log", fields.to_vec(), line)
                    });
                    return Err(Unreadable("the common log format has no such field"));
                }
            }
        };
        self.keyed(time, raw, keys)
    }

    /// Finds the time among the brackets of a line, before its request. ingress-nginx wrote the
    /// client in brackets, and a name may have some, even with another time: the last counts.
    fn head_and_time<'a>(
        &mut self,
        line: &'a [u8],
        mut head: Head<'a>,
    ) -> Result<(Head<'a>, u64), &'static str> {
        let mut timed = None;
        for _ in 0..MAX_BRACKETS {
            if let Some(time) = self.times.parse(head.time) {
                timed = Some((head, time));
                if head.is_before_request() {
                    break;
                }
            }
            let Ok(next) = clf::next_head(line, &head) else {
                break;
            };
            let between = &head.rest[..head.rest.len() - next.rest.len()];
            if between.contains(&b'"') {
                break;
            }
            head = next;
        }
        timed.ok_or(NO_TIME)
    }

    /// Completes a line of the common format with its client.
    fn clf_client(
        &mut self,
        line: &[u8],
        head: &Head<'_>,
        time: u64,
        outer: Option<&[u8]>,
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        let example =
            |text: &[u8]| Example::new("common log", clf::FIELDS.map(str::to_owned).to_vec(), text);
        if let Some(name) = self.wanted.client() {
            let client = head
                .field(name)
                .ok_or(Unreadable("the common log format has no such field"))?;
            let resolved = self.rule.resolve(b"", client);
            self.judge.count(resolved, || example(client));
            return self.interned(resolved, time, keys);
        }
        let names = head.names();
        if !names.has_address
            && self.format == LogFormat::Auto
            && let Some(event) = self.parse_known(line, outer, keys)
        {
            return event;
        }
        if !names.has_address && !is_missing(names.client) && !head.rest.contains(&b'"') {
            // A message of a program with a time in brackets says nothing about clients.
            self.judge.add_skipped(|| example(line));
            return Err(Unreadable(
                "no address before the time, and no request after it",
            ));
        }
        if head.has_only_client() {
            let client =
                parse_with_port(names.client).map_or(Client::NotAnAddress, Client::Address);
            let resolved = client.into();
            self.judge.count(resolved, || example(names.client));
            return self.interned(resolved, time, keys);
        }
        let mut forwarded = names.in_brackets;
        let is_searched = self.searched > 0;
        self.searched -= u32::from(is_searched);
        if forwarded.is_empty() {
            forwarded = head.forwarded();
            if is_searched && !forwarded.is_empty() {
                // This log has forwarded addresses, so the search goes on.
                self.searched = SEARCHED_LINES;
            }
        }
        let resolved = self.rule.resolve(forwarded, names.client);
        let text = chain_in_doubt(resolved, forwarded, names.client);
        self.judge.count(resolved, || example(text));
        self.interned(resolved, time, keys)
    }

    /// Parses a line of a known format with fixed places.
    fn parse_known(
        &mut self,
        line: &[u8],
        outer: Option<&[u8]>,
        keys: &mut KeyInterner,
    ) -> Option<Result<Event, SkipReason>> {
        let (found, format) = self.known.read(line)?;
        Some(self.event(&found, outer, Form::Known(format), line, keys))
    }

    /// Makes an event of the fields of a line.
    fn event(
        &mut self,
        found: &Found<'_>,
        outer: Option<&[u8]>,
        form: Form<'_>,
        line: &[u8],
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        let (layout, known) = (self.layout.as_ref(), &self.known);
        let example = |text: &[u8]| {
            let (format, fields): (_, Vec<&str>) = match form {
                Form::Json => return Example::new("JSON", json_fields(line), text),
                Form::Columns(columns) => ("W3C", columns.names().collect()),
                Form::Known(index) => (KnownReader::name(index), known.fields(index).collect()),
                Form::Layout => {
                    let names = layout.map(|layout| layout.names().collect());
                    ("that of --log-format", names.unwrap_or_default())
                }
            };
            let fields = fields.into_iter().map(str::to_owned);
            Example::new(format, fields.collect(), text)
        };
        let times = &mut self.times;
        let Some(time) = time_of(times, found, outer) else {
            let has_none = found.time.get().is_none();
            let text = if has_none { line } else { found.time.text() };
            self.judge.add_skipped(|| example(text));
            return Err(Unreadable(if has_none { "no time field" } else { NO_TIME }));
        };
        if self.wanted.by_address() {
            let (forwarded, peer) = (found.forwarded.text(), found.peer.text());
            if forwarded.is_empty()
                && self.is_plain
                && let Some(key) = self.known_client(peer, keys)
            {
                self.judge.count_address();
                return Ok(Event { time, key, cost: 1 });
            }
            let resolved = self.rule.resolve(forwarded, peer);
            let peer = if is_missing(peer) { line } else { peer };
            let text = chain_in_doubt(resolved, forwarded, peer);
            self.judge.count(resolved, || example(text));
            return self.interned(resolved, time, keys);
        }
        let raw = match self.wanted.by() {
            GroupBy::None => b"all",
            _ => found.key.text(),
        };
        if raw.is_empty() {
            self.judge.add_skipped(|| example(line));
        }
        self.keyed(time, raw, keys)
    }

    /// Interns the client's address.
    fn interned(
        &mut self,
        resolved: Resolved,
        time: u64,
        keys: &mut KeyInterner,
    ) -> Result<Event, SkipReason> {
        let ip = match resolved.client {
            Client::Address(ip) => ip,
            Client::Missing => return Err(NoKey),
            Client::NotAnAddress => return Err(Unreadable("the client is not an address")),
        };
        let key = keys.intern(self.normalizer.address(ip));
        let key = key.ok_or(Unreadable("more than 2^32 keys"))?;
        if key as usize == self.is_trusted.len() {
            self.is_trusted.push(self.rule.is_trusted(ip));
        }
        Ok(Event { time, key, cost: 1 })
    }

    /// Interns any other key.
    fn keyed(&self, time: u64, raw: &[u8], keys: &mut KeyInterner) -> Result<Event, SkipReason> {
        let key = self.normalizer.text(raw).ok_or(NoKey)?;
        let key = keys.intern(key).ok_or(Unreadable("more than 2^32 keys"))?;
        Ok(Event { time, key, cost: 1 })
    }
}

/// What shows how the client of a line was found: the list, if that is in doubt.
const fn chain_in_doubt<'a>(resolved: Resolved, forwarded: &'a [u8], peer: &'a [u8]) -> &'a [u8] {
    match resolved.doubt {
        Some(Doubt::List) if !forwarded.is_empty() => forwarded,
        _ => peer,
    }
}

const NO_TIME: &str = "unreadable time";

/// The time of a line: its own, or the one before it.
fn time_of(times: &mut TimestampParser, found: &Found<'_>, outer: Option<&[u8]>) -> Option<u64> {
    let text = found.time.text();
    let own = match found.date.get() {
        Some(date) if is_time_of_day(text) || times.has_format() => {
            times.parse_parts(date, text, found.zone.text())
        }
        _ => times.parse(text),
    };
    own.or_else(|| times.parse(outer?))
}
