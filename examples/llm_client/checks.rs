//! What must be true after the scenes, at any speed of the machine.

use crate::check::Check;
use crate::limits::{WORKERS, tokens_within};
use crate::provider;
use crate::scene::Outcome;
use crate::work::{self, PIECES};

pub(crate) fn all(outcomes: &[Outcome]) -> Vec<Check> {
    let check = |claim, objection: fn(&Outcome) -> Option<String>| Check {
        claim,
        objections: outcomes
            .iter()
            .filter_map(|outcome| Some(format!("{}: {}", outcome.scene.name, objection(outcome)?)))
            .collect(),
    };
    vec![
        check("every piece of paced work was done exactly once", not_done),
        check(
            "no more refusals than the limits lead to, and no fewer",
            refused,
        ),
        check("nobody was let through during a pause", let_through),
        check("nobody was served more tokens than time allows", served),
        check(
            "workers, limiter and provider counted the same",
            disagreement,
        ),
    ]
}

fn not_done(outcome: &Outcome) -> Option<String> {
    let answered = &outcome.counts.answered;
    let is_once = |number| answered.get(&number) == Some(&1);
    let wrong = (0..PIECES).filter(|&number| !is_once(number)).count();
    (outcome.scene.is_paced && wrong > 0).then(|| format!("{wrong} were not"))
}

/// The fewest and the most refusals that there can be: see `limits`.
pub(crate) fn bounds(outcome: &Outcome) -> (u64, u64) {
    if !outcome.scene.is_paced {
        // Pieces that were answered cannot have used more tokens than there were. So if it took long, that is no refusal.
        let usage = |number| provider::usage(&work::piece(number)).total();
        let wanted: u64 = (0..PIECES).map(usage).sum();
        let largest = (0..PIECES).map(usage).max().unwrap_or(1);
        let missing = wanted.saturating_sub(tokens_within(outcome.elapsed));
        return (missing.div_ceil(largest), u64::from(PIECES));
    }
    // The call that finds everything taken, and the one of every other worker that may be under way then.
    let visits = outcome.scene.tenant_before.len() as u64;
    let pauses = outcome.tally.pauses.iter();
    let late = pauses.filter(|pause| pause.is_late()).count() as u64;
    (visits, visits * WORKERS + late)
}

fn refused(outcome: &Outcome) -> Option<String> {
    let refused = outcome.counts.refused;
    let (fewest, most) = bounds(outcome);
    (!(fewest..=most).contains(&refused))
        .then(|| format!("{refused}, instead of {fewest} to {most}"))
}

fn let_through(outcome: &Outcome) -> Option<String> {
    let tally = &outcome.tally;
    let is_forbidden = |&&permitted: &&_| tally.pauses.iter().any(|pause| pause.forbids(permitted));
    let forbidden = tally.permits.iter().filter(is_forbidden).count();
    (forbidden > 0).then(|| format!("{forbidden} calls"))
}

/// Judges the judge, whose bookkeeping is not that of the check.
fn served(outcome: &Outcome) -> Option<String> {
    let (served, most) = (outcome.counts.tokens, tokens_within(outcome.elapsed));
    (served > most).then(|| format!("{served} tokens, but {most} at most"))
}

fn disagreement(outcome: &Outcome) -> Option<String> {
    let (tally, counts) = (&outcome.tally, &outcome.counts);
    let answers = counts.answered.values().sum();
    let provider = (counts.arrived, counts.refused, counts.tokens, answers);
    let workers = (
        tally.sent,
        tally.refused,
        tally.tokens,
        tally.done.len() as u64,
    );
    if provider != workers {
        return Some(format!(
            "(sent, refused, tokens, done): {workers:?}, but {provider:?}"
        ));
    }
    let stats = outcome.stats.as_ref()?;
    let limiter = (stats.total_requests, stats.total_tokens_used);
    let expected = (counts.arrived, counts.tokens);
    (limiter != expected).then(|| format!("(sent, tokens): {limiter:?}, but {expected:?}"))
}
