//! What the clients counted, from nothing but the answers they got.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;

use crate::cast::KEYS;
use crate::rules::RULES;
use crate::server::{ADDRESS, GLOBAL, KEY, REFUSED_BY};

/// A limit that requests must pass, in the order of the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    Global,
    /// An index into [`RULES`].
    Route(usize),
    Address(IpAddr),
    /// An index into [`KEYS`].
    Key(usize),
}

impl Limit {
    /// What the server calls it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Global => GLOBAL,
            Self::Route(route) => RULES[route].name,
            Self::Address(_) => ADDRESS,
            Self::Key(_) => KEY,
        }
    }

    /// What tells it from all others.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Key(key) => KEYS[key].name.to_owned(),
            Self::Global | Self::Route(_) => self.kind().to_owned(),
        }
    }
}

/// The answers to some requests.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    /// Every limit that a request had to pass.
    pub(crate) limits: BTreeMap<Limit, Answers>,
    /// Refusals that did not say by which of the limits, or for how long in whole seconds from 1.
    pub(crate) malformed: u64,
    /// Answers without a `RateLimit` of one of the limits, and refusals in which it contradicts the other headers.
    pub(crate) untold: u64,
    pub(crate) latency_of_admitted: Vec<Duration>,
    pub(crate) latency_of_refused: Vec<Duration>,
}

/// The answers to requests that had to pass a limit.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answers {
    pub(crate) offered: u64,
    /// By all limits.
    pub(crate) admitted: u64,
    /// By this limit.
    pub(crate) refused: u64,
    /// That was told of this limit, in seconds.
    pub(crate) longest_wait: u64,
    /// That was told to be left of this limit.
    pub(crate) most_left: u64,
}

/// What an answer's `RateLimit` says.
struct Told<'a> {
    limit: &'a str,
    left: u64,
    /// How many seconds until there is more.
    next_permit_in: Option<u64>,
}

impl<'a> Told<'a> {
    /// A list of one, as there is one layer: `"/search";r=12;t=1`. Whatever else it says is ignored.
    fn parse(headers: &'a HeaderMap) -> Option<Self> {
        let (name, parameters) = text(headers, "ratelimit")?.split_once(';')?;
        let number = |key: &str| {
            let mut parameters = parameters.split(';');
            parameters.find_map(|parameter| parameter.trim().strip_prefix(key)?.parse().ok())
        };
        Some(Self {
            limit: name.trim_matches('"'),
            left: number("r=")?,
            next_permit_in: number("t="),
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Tally {
    /// A request that had to pass these limits was admitted.
    pub(crate) fn admitted(&mut self, limits: &[Limit], headers: &HeaderMap, latency: Duration) {
        self.offered(limits);
        for limit in limits {
            self.answers(*limit).admitted += 1;
        }
        self.latency_of_admitted.push(latency);

        let told = Told::parse(headers);
        if let Some(answers) = self.told(limits, told.as_ref()) {
            let next_permit_in = told.and_then(|told| told.next_permit_in);
            answers.longest_wait = answers.longest_wait.max(next_permit_in.unwrap_or(0));
        }
    }

    /// A request that had to pass these limits was refused.
    pub(crate) fn refused(&mut self, limits: &[Limit], headers: &HeaderMap, latency: Duration) {
        self.offered(limits);
        self.latency_of_refused.push(latency);

        let seconds = text(headers, RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
        let by = text(headers, REFUSED_BY);
        let told = Told::parse(headers);
        let told = told.filter(|told| told.next_permit_in == seconds && Some(told.limit) == by);
        self.told(limits, told.as_ref());
        let Some(limit) = limits.iter().find(|limit| Some(limit.kind()) == by) else {
            self.malformed += 1;
            return;
        };
        let answers = self.answers(*limit);
        answers.refused += 1;
        match seconds {
            None | Some(0) => self.malformed += 1,
            Some(seconds) => answers.longest_wait = answers.longest_wait.max(seconds),
        }
    }

    /// Of what is left of one of these limits an answer told something, or should have.
    fn told(&mut self, limits: &[Limit], told: Option<&Told<'_>>) -> Option<&mut Answers> {
        let limit = told.and_then(|told| limits.iter().find(|limit| limit.kind() == told.limit));
        let (Some(limit), Some(told)) = (limit, told) else {
            self.untold += 1;
            return None;
        };
        let answers = self.answers(*limit);
        answers.most_left = answers.most_left.max(told.left);
        Some(answers)
    }

    fn offered(&mut self, limits: &[Limit]) {
        self.offered += 1;
        for limit in limits {
            self.answers(*limit).offered += 1;
        }
    }

    fn answers(&mut self, limit: Limit) -> &mut Answers {
        self.limits.entry(limit).or_default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.offered += other.offered;
        for (limit, other) in other.limits {
            self.answers(limit).add(other);
        }
        self.malformed += other.malformed;
        self.untold += other.untold;
        self.latency_of_admitted.extend(other.latency_of_admitted);
        self.latency_of_refused.extend(other.latency_of_refused);
    }
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.admitted += other.admitted;
        self.refused += other.refused;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.most_left = self.most_left.max(other.most_left);
    }
}
