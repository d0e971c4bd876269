//! The smallest quotas that refuse at most a share of a log's requests.
//!
//! For a period and a burst of `f` times the number, the quotas are `n per period burst ⌈f·n⌉`, and the **smallest** is that of
//! the smallest `n` with which no more than the target is refused: with `n − 1` more would be.
//!
//! It is found by bisection, since a larger `n` never refuses more. (A bucket that admits whatever fits admits the most
//! requests of one token that can be admitted at all: to refuse one that fits gains at most one later. And what conforms to a
//! quota conforms to one with a higher rate and a larger burst.) Each step asks the crate's own bucket about all requests, as a
//! replay would, so `replay` with a suggested quota refuses exactly what was said.

pub mod events;
pub mod grid;
pub mod search;
pub mod share;

use serde::Serialize;

use crate::failure::Failure;
use crate::log::read::{Options, Read, read};
use crate::picture::numbers::ratio;
use events::Events;
use grid::{Factor, Per};
use search::{Trial, search};
use share::Share;

/// What is suggested. Its JSON is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestions {
    /// What each key is.
    pub by: String,
    /// Requests.
    pub requests: u64,
    /// Lines that could not be read, or have no key.
    pub skipped: u64,
    /// Lines that were late.
    pub late: u64,
    /// How many different keys there are.
    pub keys: u64,
    /// The share that may be refused, as it was given.
    pub refuse_at_most: String,
    /// How many requests that is, rounded down.
    pub target: u64,
    /// A quota for each period and burst; absent where none can be represented.
    pub suggestions: Vec<Suggestion>,
}

/// A quota that meets the target.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    /// The quota.
    pub quota: String,
    /// Its period.
    pub per: &'static str,
    /// Its number per period.
    pub number: u64,
    /// Its burst.
    pub burst: u64,
    /// How many requests it refuses.
    pub refused: u64,
    /// Their share of all requests.
    pub share: f64,
    /// How many keys are refused something.
    pub keys_refused: u64,
    /// Whom it costs most: the key that is refused most.
    pub worst: Option<Worst>,
    /// The burst with which the same rate would refuse nobody.
    pub burst_needed: u64,
}

/// The key that is refused most.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// The key.
    pub key: String,
    /// Its requests.
    pub requests: u64,
    /// How many of them are refused.
    pub refused: u64,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How much may be refused.
    pub share: Share,
    /// For which periods.
    pub periods: Vec<Per>,
    /// With which bursts.
    pub bursts: Vec<Factor>,
}

/// Reads logs and finds quotas.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` a line.
pub fn suggest(options: &Options, wish: &Wish) -> Result<(Suggestions, Read), Failure> {
    let mut events = events::Collected::default();
    let read = read(options, |event| events.push(event))?;
    let events = Events::new(events);
    let target = wish.share.of(events.requests());
    let mut suggestions = Vec::new();
    for per in &wish.periods {
        for factor in &wish.bursts {
            let found = search(&events, *per, *factor, target);
            suggestions.extend(found.map(|trial| describe(&events, &read, *per, &trial)));
        }
    }
    let found = Suggestions {
        by: options.by.to_string(),
        requests: events.requests(),
        skipped: read.unreadable + read.without_key,
        late: read.late,
        keys: read.keys.len() as u64,
        refuse_at_most: wish.share.to_string(),
        target,
        suggestions,
    };
    Ok((found, read))
}

fn describe(events: &Events, read: &Read, per: Per, trial: &Trial) -> Suggestion {
    let refusals = events.refusals(trial.quota);
    Suggestion {
        quota: trial.quota.to_string(),
        per: per.name(),
        number: trial.quota.rate(),
        burst: trial.quota.capacity(),
        refused: refusals.refused,
        share: ratio(refusals.refused, events.requests()),
        keys_refused: refusals.keys,
        worst: refusals.worst.map(|(key, refused)| Worst {
            key: read.keys.text(key),
            requests: events.of(key),
            refused,
        }),
        burst_needed: events.burst_needed(trial.quota),
    }
}
