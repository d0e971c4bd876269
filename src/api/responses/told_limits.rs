//! The limits that the header fields of a response tell of.
//!
//! | fields | of |
//! |---|---|
//! | `x-ratelimit-remaining-LIMIT`, `x-ratelimit-reset-LIMIT` | OpenAI and its followers |
//! | `anthropic-ratelimit-LIMIT-remaining`, `-reset` | Anthropic |
//! | `x-ratelimit-remaining`, `-reset`, `-reset-after` | GitHub, `OpenRouter`, Discord |
//! | `ratelimit-remaining`, `ratelimit-reset` | earlier drafts of the IETF |
//! | `RateLimit: "LIMIT";r=0;t=7` | the IETF's draft, and servers that use this crate |
//!
//! What a limit counts, and for how long, is in its name: `requests`, `tokens-minute`,
//! `req-day`, `input-tokens`. So a provider's new limit is read without a change here.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use http::HeaderMap;
use sfv::{BareItem, Dictionary, List, ListEntry, Parser};

use super::values::{ServerTime, texts, whole_number};
use crate::api::provider::Unit;

/// More than any provider tells of. The rest of a hostile response is ignored.
const MOST_LIMITS: usize = 32;

/// What a response tells of a limit.
#[derive(Debug)]
pub(super) struct ToldLimit<'h> {
    family: Family,
    pub(super) name: Cow<'h, str>,
    /// `None` for a limit on something else.
    pub(super) unit: Option<Unit>,
    /// The limit's period.
    pub(super) period: Duration,
    pub(super) remaining: Option<u64>,
    /// What the limit allows in its period.
    pub(super) allowed: Option<u64>,
    pub(super) until_reset: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    XRateLimit,
    Anthropic,
    Draft,
}

enum Part {
    Limit,
    Remaining,
    Reset,
    /// A reset that is more exact than the other one.
    ResetAfter,
}

impl Part {
    fn of(name: &str) -> Option<Self> {
        match name {
            "limit" => Some(Self::Limit),
            "remaining" => Some(Self::Remaining),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}

impl ToldLimit<'_> {
    /// A name that no limit of another family has.
    pub(super) fn full_name(&self) -> String {
        let family = match self.family {
            Family::XRateLimit => "x-ratelimit",
            Family::Anthropic => "anthropic-ratelimit",
            Family::Draft => "ratelimit",
        };
        format!("{family}-{}", self.name)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Adds what another value tells: of several the smallest remainder and the latest reset.
    fn add(&mut self, remaining: Option<u64>, until_reset: Option<Duration>) {
        self.remaining = self.remaining.into_iter().chain(remaining).min();
        self.until_reset = self.until_reset.into_iter().chain(until_reset).max();
    }
}

/// The limit that a field tells of.
fn field(name: &str) -> Option<(Family, Part, &str)> {
    if let Some(rest) = name.strip_prefix("x-ratelimit-") {
        if rest == "reset-after" {
            return Some((Family::XRateLimit, Part::ResetAfter, ""));
        }
        let (part, limit) = rest.split_once('-').unwrap_or((rest, ""));
        return Some((Family::XRateLimit, Part::of(part)?, limit));
    }
    if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        // These have a status in place of a number: see `unified_reset`.
        let (limit, part) = rest
            .rsplit_once('-')
            .filter(|(limit, _)| !limit.starts_with("unified"))?;
        return Some((Family::Anthropic, Part::of(part)?, limit));
    }
    match name {
        "ratelimit-remaining" => Some((Family::Draft, Part::Remaining, "")),
        "ratelimit-reset" => Some((Family::Draft, Part::Reset, "")),
        _ => None,
    }
}

/// What a limit of this name counts. A limit without a name is on requests.
fn unit(name: &str) -> Option<Unit> {
    let has = |word| name.contains(word);
    match name {
        "" => Some(Unit::Requests),
        _ if has("token") && (has("input") || has("prompt")) => Some(Unit::InputTokens),
        _ if has("token") && (has("output") || has("generated") || has("completion")) => {
            Some(Unit::OutputTokens)
        }
        _ if has("token") => Some(Unit::Tokens),
        _ if has("req") => Some(Unit::Requests),
        _ => None,
    }
}

/// The period of a limit of this name: a minute unless it says another.
fn period(name: &str) -> Duration {
    const PERIODS: [(&[&str], u64); 4] = [
        (&["second", "1s"], 1),
        (&["hour", "1h"], 3_600),
        (&["day", "1d"], 86_400),
        // Longer than anything that is told counts.
        (&["month"], 30 * 86_400),
    ];
    let is_in_name = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    let period = PERIODS.into_iter().find(|(words, _)| is_in_name(words));
    Duration::from_secs(period.map_or(60, |(_, seconds)| seconds))
}

/// The limits that header fields tell of, and how many of their values could not be read.
pub(super) fn told_limits(headers: &HeaderMap, server: ServerTime) -> (Vec<ToldLimit<'_>>, u64) {
    let mut told = Vec::new();
    let mut unreadable = 0;
    let mut more_exact: Vec<(Family, &str)> = Vec::new();
    for name in headers.keys() {
        let Some((family, part, limit)) = field(name.as_str()) else {
            continue;
        };
        let Some(told) = entry(&mut told, family, limit.into()) else {
            break;
        };
        let values = headers.get_all(name).iter().count();
        let texts = texts(headers, name.as_str());
        let read = match part {
            Part::Limit => {
                // Seldom needed, and often more than a number: it is not counted as unreadable.
                told.allowed = texts.filter_map(whole_number).min();
                values
            }
            Part::Remaining => {
                let numbers: Vec<u64> = texts.filter_map(whole_number).collect();
                // Of several the smallest.
                told.remaining = numbers.iter().min().copied();
                numbers.len()
            }
            Part::Reset | Part::ResetAfter => {
                let waits: Vec<Duration> =
                    texts.filter_map(|text| server.until_reset(text)).collect();
                let longest = waits.iter().max().copied();
                let is_more_exact = matches!(part, Part::ResetAfter);
                if is_more_exact || !more_exact.contains(&(family, limit)) {
                    told.until_reset = longest.or(told.until_reset);
                }
                if is_more_exact && longest.is_some() {
                    more_exact.push((family, limit));
                }
                waits.len()
            }
        };
        unreadable += values.saturating_sub(read) as u64;
    }
    unreadable += structured(headers, &mut told);
    (told, unreadable)
}

/// The entry of a limit, added if need be and if there is room.
fn entry<'t, 'h>(
    told: &'t mut Vec<ToldLimit<'h>>,
    family: Family,
    name: Cow<'h, str>,
) -> Option<&'t mut ToldLimit<'h>> {
    let known = told
        .iter()
        .position(|limit| limit.family == family && limit.name == name);
    let index = known.unwrap_or(told.len());
    if index == MOST_LIMITS {
        return None;
    }
    if known.is_none() {
        told.push(ToldLimit {
            family,
            unit: unit(&name),
            period: period(&name),
            name,
            remaining: None,
            allowed: None,
            until_reset: None,
        });
    }
    told.get_mut(index)
}

/// Reads `RateLimit`, a list of limits that each have a name, what remains (`r`) and the seconds
/// until it resets (`t`). Returns how many of its values could not be read.
fn structured(headers: &HeaderMap, told: &mut Vec<ToldLimit<'_>>) -> u64 {
    let mut unreadable = 0;
    for value in headers.get_all("ratelimit") {
        if let Some((remaining, reset)) = value.to_str().ok().and_then(dictionary) {
            let Some(told) = entry(told, Family::Draft, "".into()) else {
                return unreadable;
            };
            told.add(Some(remaining), reset);
            continue;
        }
        let list = value.to_str().ok().map(|text| Parser::new(text).parse());
        let Some(Ok(list)) = list else {
            unreadable += 1;
            continue;
        };
        let list: List = list;
        for limit in list {
            let ListEntry::Item(limit) = limit else {
                unreadable += 1;
                continue;
            };
            let name = match &limit.bare_item {
                BareItem::String(name) => name.as_str().to_owned(),
                BareItem::Token(name) => name.as_str().to_owned(),
                _ => String::new(),
            };
            let number = |key: &str| {
                let value = limit.params.get(key)?.as_integer()?;
                u64::try_from(value).ok()
            };
            let (remaining, reset) = (number("r"), number("t"));
            unreadable += u64::from(remaining.is_none());
            let Some(told) = entry(told, Family::Draft, name.into()) else {
                return unreadable;
            };
            // A limit on requests, unless its name says otherwise.
            told.unit = told.unit.or(Some(Unit::Requests));
            told.add(remaining, reset.map(Duration::from_secs));
        }
    }
    unreadable
}

/// What remains and the time until the reset in the form of revision 7: `limit=100, remaining=50,
/// reset=5`.
fn dictionary(text: &str) -> Option<(u64, Option<Duration>)> {
    let fields: Dictionary = Parser::new(text).parse().ok()?;
    let number = |name: &str| match fields.get(name)? {
        ListEntry::Item(item) => u64::try_from(item.bare_item.as_integer()?).ok(),
        ListEntry::InnerList(_) => None,
    };
    let remaining = number("remaining")?;
    Some((remaining, number("reset").map(Duration::from_secs)))
}

/// The time until the limits on all uses of a subscription reset that have rejected the call.
pub(super) fn unified_reset(headers: &HeaderMap, server: ServerTime) -> Option<Duration> {
    const UNIFIED: &str = "anthropic-ratelimit-unified";
    let rejected = headers.keys().filter_map(|name| {
        let limit = name.as_str().strip_prefix(UNIFIED)?;
        // Whether more may be bought is not what the call was refused for.
        let limit = limit
            .strip_suffix("-status")
            .filter(|limit| !limit.contains("overage"))?;
        let is_rejected = texts(headers, name.as_str()).any(|status| status == "rejected");
        is_rejected.then_some(limit)
    });
    let resets = rejected.filter_map(|limit| {
        let name = format!("{UNIFIED}{limit}-reset");
        let resets = texts(headers, &name).filter_map(|text| server.until_reset(text));
        resets.max()
    });
    resets.max()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Unit, period, unit};

    #[test]
    fn names_tell_unit_and_period() {
        for (name, counts, seconds) in [
            ("", Some(Unit::Requests), 60),
            ("requests", Some(Unit::Requests), 60),
            ("tokens", Some(Unit::Tokens), 60),
            ("project-tokens", Some(Unit::Tokens), 60),
            ("input-tokens", Some(Unit::InputTokens), 60),
            ("output-tokens", Some(Unit::OutputTokens), 60),
            // Mistral.
            ("req-minute", Some(Unit::Requests), 60),
            ("tokens-month", Some(Unit::Tokens), 2_592_000),
            // Cerebras.
            ("requests-day", Some(Unit::Requests), 86_400),
            // Fireworks.
            ("tokens-prompt", Some(Unit::InputTokens), 60),
            ("tokens-generated", Some(Unit::OutputTokens), 60),
            // Nous.
            ("requests-1h", Some(Unit::Requests), 3_600),
            ("images", None, 60),
        ] {
            assert_eq!(unit(name), counts, "{name}");
            assert_eq!(period(name), Duration::from_secs(seconds), "{name}");
        }
    }
}
