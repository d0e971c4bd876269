//! Reads logs and chooses limits.

use std::time::Duration;

use tidegate::Quota;

use super::classes::ClassRule;
use super::fraction::BurstFactor;
use super::kind::{Kind, Period};
use super::recommend::{choice, recommend};
use super::requests::{KeyGroup, RequestList, RequestsByKey};
use super::search::smallest_rate;
use super::suggestions::{Class, Suggestion, Suggestions, WorstKey};
use super::target::Targets;
use crate::failure::Failure;
use crate::log::read::{LogArgs, LogSummary, read_logs};
use crate::picture::numbers::ratio;
use crate::replay::limits::Limits;

/// What to choose from, and how much may be refused.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How much may be refused.
    pub targets: Targets,
    /// The periods of the limits.
    pub periods: Vec<Period>,
    /// The bursts of buckets.
    pub bursts: Vec<BurstFactor>,
    /// Limits to show beside.
    pub given: Vec<Limits>,
    /// Classes of keys.
    pub classes: Vec<ClassRule>,
}

impl Wanted {
    /// Buckets and then windows, by period.
    fn kinds(&self) -> Vec<Kind> {
        let buckets = self.periods.iter().flat_map(|period| {
            let bursts = self.bursts.iter();
            bursts.map(|factor| Kind::Bucket(*period, *factor))
        });
        let windows = self.periods.iter().map(|period| Kind::Window(*period));
        buckets.chain(windows).collect()
    }
}

/// Reads logs and chooses limits for their keys.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` if a line cannot be parsed.
pub fn choose(args: &LogArgs, wanted: &Wanted) -> Result<(Suggestions, LogSummary), Failure> {
    let mut requests = RequestList::default();
    let mut times: Option<(u64, u64)> = None;
    let log = read_logs(args, |event| {
        // Events come in the order of time.
        times.get_or_insert((event.time, event.time)).1 = event.time;
        requests.push(event);
    })?;
    let span = times.map_or(0, |(first, last)| last - first);
    let requests = requests.group_by_key();
    let all = requests.group(|_| true);
    let target = wanted.targets.of(&all);
    let kinds = wanted.kinds();
    let best = recommend(&all, &kinds, target);
    let given = wanted
        .given
        .iter()
        .map(|limits| choice(&all, limits, target));
    let limits = best.as_ref().map(|best| best.limits.clone());
    let suggestions = kinds.iter().filter_map(|kind| {
        let Kind::Bucket(period, _) = *kind else {
            return None;
        };
        let rate = smallest_rate(&all, *kind, target).filter(|_| all.requests() > 0)?;
        Some(describe(&requests, &all, &log, period, kind.quota(rate)?))
    });
    let found = Suggestions {
        by: args.by.to_string(),
        requests: all.requests(),
        skipped: log.skipped(),
        late: log.late,
        left_out: log.left_out,
        answered_429: log.answered_429,
        cost: args.slice.cost.clone(),
        keys: all.keys(),
        refuse_at_most: wanted.targets.requests.as_ref().map(ToString::to_string),
        target: wanted.targets.requests.as_ref().map(|_| target.requests),
        clients_at_most: wanted.targets.keys.as_ref().map(ToString::to_string),
        clients_target: wanted.targets.keys.as_ref().map(|_| target.keys),
        given: given.collect(),
        classes: classes(&requests, &log, wanted, &kinds, limits.as_ref()),
        curve: best.as_ref().map(|best| best.curve(&all)),
        suggestions: suggestions.collect(),
        recommended: best.as_ref().map(|best| best.recommended.clone()),
        span: Duration::from_nanos(span).as_secs_f64(),
        period: limits.as_ref().and_then(period),
        ladder: best
            .as_ref()
            .map_or_else(Vec::new, |best| best.ladder.clone()),
        others: best.map_or_else(Vec::new, |best| best.others),
    };
    Ok((found, log))
}

/// The longest period of limits in seconds.
fn period(limits: &Limits) -> Option<f64> {
    let windows = limits.windows.iter().map(|window| window.quota);
    let all = limits.quota.into_iter().chain(windows);
    let longest = all.map(Quota::period).max()?;
    Some(longest.as_secs_f64())
}

/// The classes, and all keys that are in none of them. A key is in the first class that fits.
fn classes(
    requests: &RequestsByKey,
    log: &LogSummary,
    wanted: &Wanted,
    kinds: &[Kind],
    recommended: Option<&Limits>,
) -> Vec<Class> {
    let rules = &wanted.classes;
    if rules.is_empty() {
        return Vec::new();
    }
    let keys = (0_u32..).take(log.keys.len());
    let class_of = |key: u32| {
        let text = log.keys.text(key);
        let class = rules.iter().position(|rule| rule.contains(&text));
        class.unwrap_or(rules.len())
    };
    let of: Vec<usize> = keys.map(class_of).collect();
    let names = rules.iter().map(|rule| rule.name.as_str());
    let classes = names.chain(["all others"]).enumerate();
    let classes = classes.map(|(number, name)| {
        let group = requests.group(|key| of.get(key as usize) == Some(&number));
        let target = wanted.targets.of(&group);
        let with_recommended = recommended.filter(|_| group.requests() > 0);
        Class {
            name: name.to_owned(),
            keys: group.keys(),
            requests: group.requests(),
            with_recommended: with_recommended.map(|limits| choice(&group, limits, target)),
            recommended: recommend(&group, kinds, target).map(|best| best.recommended),
        }
    });
    classes.collect()
}

fn describe(
    requests: &RequestsByKey,
    all: &KeyGroup<'_>,
    log: &LogSummary,
    per: Period,
    quota: Quota,
) -> Suggestion {
    let by_key: Vec<(u32, u64)> = all.refused_by_key(&quota.into()).collect();
    let refused = by_key.iter().map(|(_, refused)| refused).sum();
    // Of equal keys, the one with the most requests. `max_by_key` returns the last maximum.
    let worst = by_key.iter().rev().max_by_key(|(_, refused)| refused);
    Suggestion {
        quota: quota.to_string(),
        per,
        rate: quota.rate(),
        burst: quota.capacity(),
        refused,
        share: ratio(refused, all.requests()),
        keys_refused: by_key.len() as u64,
        worst: worst.map(|(key, refused)| WorstKey {
            key: log.keys.text(*key),
            requests: requests.of(*key),
            refused: *refused,
        }),
        required_burst: all.required_burst(quota),
    }
}
