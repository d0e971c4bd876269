//! What the clients counted, from nothing but the answers they got.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;

use crate::cast::KEYS;
use crate::limits::{ADDRESS, GLOBAL, KEY};
use crate::rules::RULES;
use crate::server::REFUSED_BY;

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
    /// That this limit told, in seconds.
    pub(crate) longest_retry_after: u64,
}

impl Tally {
    /// A request that had to pass these limits was admitted.
    pub(crate) fn admitted(&mut self, limits: &[Limit], latency: Duration) {
        self.offered(limits);
        for limit in limits {
            self.answers(*limit).admitted += 1;
        }
        self.latency_of_admitted.push(latency);
    }

    /// A request that had to pass these limits was refused.
    pub(crate) fn refused(&mut self, limits: &[Limit], headers: &HeaderMap, latency: Duration) {
        self.offered(limits);
        self.latency_of_refused.push(latency);

        let text = |name: &str| headers.get(name)?.to_str().ok();
        let by = text(REFUSED_BY);
        let Some(limit) = limits.iter().find(|limit| Some(limit.kind()) == by) else {
            self.malformed += 1;
            return;
        };
        let answers = self.answers(*limit);
        answers.refused += 1;
        match text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok()) {
            None | Some(0) => self.malformed += 1,
            Some(seconds) => {
                answers.longest_retry_after = answers.longest_retry_after.max(seconds);
            }
        }
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
        self.latency_of_admitted.extend(other.latency_of_admitted);
        self.latency_of_refused.extend(other.latency_of_refused);
    }
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.admitted += other.admitted;
        self.refused += other.refused;
        self.longest_retry_after = self.longest_retry_after.max(other.longest_retry_after);
    }
}
