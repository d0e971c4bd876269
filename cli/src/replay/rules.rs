//! `replay --rules`: the rules of a file, as the layers of `tidegate` read it.
//!
//! The layer itself decides about each request, on a clock with the log's times. A request has the
//! method, the path and the client of its line, and the response its status. So conditions on
//! routes, methods and tiers hold, and limits on failures count them. The requests are kept in
//! memory, because what belongs to a line is known when the log was read.

mod needs;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde::Serialize;
use tidegate::layer::{RequestHead, Rules, RulesConfig};
use tidegate::{ManualClock, Timestamp};

use crate::failure::{Failure, describe};
use crate::log::Event;
use crate::log::group_by::GroupBy;
use crate::log::read::{LogArgs, read_logs};
use crate::picture::noticed::Noticed;
use crate::picture::numbers::counted;
use needs::Needs;

/// Separates the parts of a key. Logs escape it.
const SEPARATOR: char = '\u{1f}';
const DAY: u64 = 86_400_000_000_000;

/// A header field of requests, and the field of the log that has its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHeader {
    name: HeaderName,
    field: String,
}

/// Parses `x-api-key=account`.
impl FromStr for RuleHeader {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let expected =
            "expected a header field and a field of the log, such as `x-api-key=account`";
        let (name, field) = text.split_once('=').ok_or(expected)?;
        let name = name.trim().parse().map_err(|_| expected)?;
        if field.is_empty() || field.contains(',') {
            return Err(expected);
        }
        let field = field.to_owned();
        Ok(Self { name, field })
    }
}

/// What the rules would have done. Serialized, it is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct RulesReport {
    /// The kind of the clients.
    pub by: String,
    /// Replayed requests.
    pub requests: u64,
    /// Requests that a limit refused.
    pub refused: u64,
    /// Requests that were rejected because they have no key that a limit needs.
    pub without_key: u64,
    /// Lines that were unreadable or had no client.
    pub skipped: u64,
    /// Late lines.
    pub late: u64,
    /// Requests that were not to count, or lack a field.
    pub left_out: u64,
    /// The number of clients.
    pub keys: u64,
    /// The number of clients with a request that was refused or rejected.
    pub keys_refused: u64,
    /// The limits, rates first, in the order of the file.
    pub limits: Vec<LimitReport>,
    /// The clients with the most refusals, in descending order.
    pub worst: Vec<ClientReport>,
}

/// What one limit would have done.
#[derive(Clone, Debug, Serialize)]
pub struct LimitReport {
    /// Its name.
    pub name: String,
    /// Requests that it refused. Where several limits refuse a request, each counts it.
    pub refused: u64,
    /// Requests that it would have refused if it were no shadow.
    pub shadow_refused: u64,
    /// How many keys it knows at the end.
    pub keys: u64,
}

/// The counts of one client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientReport {
    /// The client.
    pub key: String,
    /// Its requests.
    pub requests: u64,
    /// Its refused and rejected requests.
    pub refused: u64,
}

impl RulesReport {
    /// How many clients would have noticed.
    pub fn noticed(&self) -> Noticed<'_> {
        Noticed {
            by: &self.by,
            requests: self.requests,
            refused: self.refused + self.without_key,
            keys: self.keys,
            keys_refused: self.keys_refused,
        }
    }
}

/// The client of a request.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

/// Reads rules, in TOML or by its ending in JSON, and finds out what they need to know.
fn read_rules(path: &Path) -> Result<(RulesConfig, Needs), Failure> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::at(name, describe(&error)))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let read = if is_json {
        let both = serde_json::from_str(&text)
            .and_then(|config| Ok((config, serde_json::from_str(&text)?)));
        both.map_err(|error| error.to_string())
    } else {
        let both = toml::from_str(&text).and_then(|config| Ok((config, toml::from_str(&text)?)));
        both.map_err(|error| error.to_string())
    };
    let read = read.map(|(config, value)| (config, Needs::of(&value)));
    read.map_err(|error| Failure::at(path.display(), error.trim_end()))
}

/// Replays logs through the rules of a file, and reports the `top` clients.
///
/// # Errors
///
/// If a file cannot be read, the rules cannot be used, they need what the log or `headers` lack, or
/// with `strict` if a line cannot be parsed.
pub fn replay(
    args: &LogArgs,
    path: &Path,
    headers: &[RuleHeader],
    top: usize,
) -> Result<RulesReport, Failure> {
    if !matches!(args.by, GroupBy::Ip | GroupBy::IpPrefix) {
        let text = "with --rules, the file says what its limits apply to: leave out --by";
        return Err(Failure::Usage(text.to_owned()));
    }
    let (config, needs) = read_rules(path)?;
    let clock = ManualClock::new();
    let rules = Rules::builder()
        .clock(clock.clone())
        .peer(|request| request.extension::<Peer>().map(|peer| peer.0))
        .build(&config)
        .map_err(|error| Failure::at(path.display(), error))?;
    let layer = rules.layer().build();
    let is_given = |name: &str| headers.iter().any(|header| header.name == *name);
    if let Some(name) = needs.headers.iter().find(|name| !is_given(name)) {
        return Err(Failure::Usage(format!(
            "the rules need the header field `{name}`: say with `--rule-header {name}=FIELD` which \
             field of the log has it"
        )));
    }

    let mut by = format!("{},method,path,status", args.by);
    for header in headers {
        by += &format!(",{}", header.field);
    }
    let mut args = args.clone();
    let shown = args.by.to_string();
    args.by = GroupBy::Field(by);
    args.slice.separator = Some(SEPARATOR);
    let mut events: Vec<Event> = Vec::new();
    let log = read_logs(&args, |event| events.push(event))?;

    let origin = events
        .first()
        .map_or(0, |event| event.time - event.time % DAY);
    let mut clients: HashMap<String, [u64; 2]> = HashMap::new();
    let (mut refused, mut without_key, mut unusable) = (0, 0, 0);
    let mut missing = Missing::new(headers.len());
    for event in &events {
        let line = log.keys.text(event.key);
        let Some((client, request, status)) = request(&line, headers, &mut missing) else {
            unusable += 1;
            continue;
        };
        clock.set(Timestamp::from_nanos(event.time - origin));
        let head = RequestHead::new(&request);
        let [requests, refusals] = clients.entry(client).or_default();
        *requests += 1;
        match layer.decide::<()>(&head) {
            Ok(admission) => {
                let mut response = Response::new(());
                *response.status_mut() = status;
                drop(admission.respond(response));
            }
            Err(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                refused += 1;
                *refusals += 1;
            }
            Err(_) => {
                without_key += 1;
                *refusals += 1;
            }
        }
    }
    missing.check(&needs, headers, events.len() as u64 - unusable)?;
    let keys_refused = clients.values().filter(|[_, refused]| *refused > 0).count();
    let keys = clients.len();
    let mut worst: Vec<(String, [u64; 2])> = clients.into_iter().collect();
    worst.retain(|(_, [_, refused])| *refused > 0);
    worst.sort_by(|(one, a), (other, b)| (Reverse(a[1]), one).cmp(&(Reverse(b[1]), other)));
    worst.truncate(top);
    let limits = rules.stats().into_iter().map(|stats| LimitReport {
        name: stats.name.to_owned(),
        refused: stats.denied,
        shadow_refused: stats.shadow_denied,
        keys: stats.keys as u64,
    });
    let worst = worst
        .into_iter()
        .map(|(key, [requests, refused])| ClientReport {
            key,
            requests,
            refused,
        });
    Ok(RulesReport {
        by: shown,
        requests: events.len() as u64 - unusable,
        refused,
        without_key,
        skipped: log.skipped() + unusable,
        late: log.late,
        left_out: log.left_out,
        keys: keys as u64,
        keys_refused: keys_refused as u64,
        limits: limits.collect(),
        worst: worst.collect(),
    })
}

/// What lines lack.
#[derive(Debug)]
struct Missing {
    methods: u64,
    paths: u64,
    statuses: u64,
    /// How many lines have each header field.
    headers: Vec<u64>,
}

impl Missing {
    fn new(headers: usize) -> Self {
        Self {
            methods: 0,
            paths: 0,
            statuses: 0,
            headers: vec![0; headers],
        }
    }

    /// Fails if the rules could not decide without it.
    fn check(&self, needs: &Needs, headers: &[RuleHeader], requests: u64) -> Result<(), Failure> {
        for (lacking, is_needed, what, option) in [
            (self.methods, needs.methods, "method", "methods"),
            (self.paths, needs.routes, "path", "routes"),
            (self.statuses, needs.statuses, "status", "statuses"),
        ] {
            if lacking > 0 && is_needed {
                return Err(Failure::Problem(format!(
                    "the rules have `{option}`, but the log has no {what} for {}: leave \
                     `{option}` out of the rules, or name the fields of the lines with --log-format",
                    counted(lacking, "request")
                )));
            }
        }
        let mut headers = headers.iter().zip(&self.headers);
        match headers.find(|(_, found)| **found == 0 && requests > 0) {
            Some((RuleHeader { name, field }, _)) => Err(Failure::Problem(format!(
                "no line has the field `{field}` of `--rule-header {name}={field}`"
            ))),
            None => Ok(()),
        }
    }
}

/// The client, the request and the status of a line; `None` if one of them cannot be. A line
/// without a method is taken as a GET, without a path as `/`, and without a status as 200.
fn request(
    line: &str,
    headers: &[RuleHeader],
    missing: &mut Missing,
) -> Option<(String, Request<()>, StatusCode)> {
    let mut parts = line.split(SEPARATOR);
    let client = parts.next()?;
    // With `--by ip-prefix`, a client is a network.
    let address = client.split('/').next()?.parse::<IpAddr>().ok()?;
    // The field may hold the whole request line.
    let method = match parts.next()?.split(' ').next()? {
        "" => {
            missing.methods += 1;
            Method::GET
        }
        method => method.parse().ok()?,
    };
    let uri: Uri = match parts.next()? {
        "" => {
            missing.paths += 1;
            Uri::from_static("/")
        }
        path => path.parse().ok()?,
    };
    let status = match parts.next()? {
        "" => {
            missing.statuses += 1;
            StatusCode::OK
        }
        status => status.parse().ok()?,
    };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(Peer(address));
    for ((header, found), value) in headers.iter().zip(&mut missing.headers).zip(parts) {
        if value.is_empty() {
            continue;
        }
        *found += 1;
        let value = HeaderValue::from_str(value).ok()?;
        request.headers_mut().append(&header.name, value);
    }
    Some((client.to_owned(), request, status))
}
