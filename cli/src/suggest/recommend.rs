//! Recommends a round limit, and shows it beside its neighbors and other kinds.

use super::kind::Kind;
use super::requests::{KeyGroup, Refusals};
use super::round::{fine, rounds};
use super::search::smallest_rate;
use super::suggestions::{Choice, Curve, Point};
use crate::picture::numbers::ratio;
use crate::replay::limits::Limits;

const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;
/// Neighbors of the recommended limit on each side.
const NEIGHBORS: usize = 2;
/// Limits of other kinds.
const OTHERS: usize = 4;
/// A curve begins at this part of the recommended rate.
const CURVE_START: u64 = 50;
/// The most points of a curve above the recommended rate: six powers of ten.
const CURVE_END: usize = 60;

/// A round limit that meets the targets.
#[derive(Clone, Debug)]
struct Candidate {
    kind: Kind,
    rate: u64,
    limits: Limits,
}

/// Of all round limits that meet the targets, those to choose from.
#[derive(Debug)]
pub struct Recommendation {
    kind: Kind,
    rate: u64,
    /// The recommended limit.
    pub limits: Limits,
    /// What it refuses.
    pub recommended: Choice,
    /// The recommended limit and its neighbors, in ascending order.
    pub ladder: Vec<Choice>,
    /// The smallest of each other kind.
    pub others: Vec<Choice>,
}

/// Describes what limits refuse of a group.
pub fn choice(group: &KeyGroup<'_>, limits: &Limits, target: Refusals) -> Choice {
    let refusals = group.refusals(limits);
    Choice {
        limit: limits.text(),
        quota: limits.quota.map(|quota| quota.to_string()),
        window: limits
            .windows
            .first()
            .map(|window| window.quota.to_string()),
        refused: refusals.requests,
        share: ratio(refusals.requests, group.requests()),
        keys_refused: refusals.keys,
        keys_share: ratio(refusals.keys, group.keys()),
        max_per_minute: limits.most_within(MINUTE),
        meets: refusals.requests <= target.requests && refusals.keys <= target.keys,
    }
}

/// Recommends a limit, of those of the given kinds. `None` without requests, or if all would be out
/// of range.
///
/// Of the smallest round limits that meet the targets, it is the one that lets through the least in
/// any minute, then in any hour, then the first.
pub fn recommend(group: &KeyGroup<'_>, kinds: &[Kind], target: Refusals) -> Option<Recommendation> {
    if group.requests() == 0 {
        return None;
    }
    let candidates = kinds
        .iter()
        .filter_map(|kind| smallest_round(group, *kind, target));
    let mut candidates: Vec<Candidate> = candidates.collect();
    // The sort is stable.
    candidates
        .sort_by_key(|candidate| [MINUTE, HOUR].map(|span| candidate.limits.most_within(span)));
    let best = candidates.first()?;
    let others = candidates.iter().skip(1).take(OTHERS);
    let others = others.map(|other| choice(group, &other.limits, target));
    Some(Recommendation {
        kind: best.kind,
        rate: best.rate,
        limits: best.limits.clone(),
        recommended: choice(group, &best.limits, target),
        ladder: ladder(group, best, target),
        others: others.collect(),
    })
}

fn smallest_round(group: &KeyGroup<'_>, kind: Kind, target: Refusals) -> Option<Candidate> {
    let smallest = smallest_rate(group, kind, target)?;
    for rate in rounds().skip_while(|rate| *rate < smallest) {
        let limits = kind.limits(rate)?;
        if group.refuses_at_most(&limits, target) {
            return Some(Candidate { kind, rate, limits });
        }
    }
    None
}

/// The limit between its neighbors. Those beyond one that refuses nothing are left out.
fn ladder(group: &KeyGroup<'_>, best: &Candidate, target: Refusals) -> Vec<Choice> {
    let below: Vec<u64> = rounds().take_while(|rate| *rate < best.rate).collect();
    let below = &below[below.len().saturating_sub(NEIGHBORS)..];
    let from = rounds().skip_while(|rate| *rate < best.rate);
    let rates = below.iter().copied().chain(from.take(1 + NEIGHBORS));
    let mut ladder: Vec<Choice> = Vec::new();
    for rate in rates {
        let refuses_nothing = |choice: &Choice| choice.refused == 0;
        let is_end = rate > best.rate && ladder.last().is_some_and(refuses_nothing);
        let limits = best.kind.limits(rate).filter(|_| !is_end);
        ladder.extend(limits.map(|limits| choice(group, &limits, target)));
    }
    ladder
}

impl Recommendation {
    /// What limits of the recommended kind refuse.
    pub fn curve(&self, group: &KeyGroup<'_>) -> Curve {
        let first = (self.rate / CURVE_START).max(1);
        let below = fine().skip_while(|rate| *rate < first);
        let below = below.take_while(|rate| *rate < self.rate);
        let above = fine().skip_while(|rate| *rate <= self.rate).take(CURVE_END);
        let mut points = Vec::new();
        for rate in below.chain([self.rate]).chain(above) {
            let Some(limits) = self.kind.limits(rate) else {
                break;
            };
            let Refusals { requests, keys } = group.refusals(&limits);
            points.push(Point {
                rate,
                limit: limits.text(),
                refused: requests,
                keys_refused: keys,
            });
            if requests == 0 && rate >= self.rate {
                break;
            }
        }
        let kind = self.kind.to_string();
        Curve { kind, points }
    }
}
