//! What must be true after a demo, at any speed of the machine.

use std::time::Duration;

use crate::check::Check;
use crate::row::Row;
use crate::stats::Stats;
use crate::tally::{Limit, Tally};

pub(crate) fn all(rows: &[Row], elapsed: Duration, tally: &Tally, stats: &Stats) -> Vec<Check> {
    let check = |claim, objection: &dyn Fn(&Row) -> Option<String>| Check {
        claim,
        objections: rows.iter().filter_map(objection).collect(),
    };
    let mut hints = check(
        "every 429 had a Retry-After in whole seconds, at least 1",
        &|row| too_long(row, elapsed),
    );
    let (malformed, untold) = (tally.malformed, tally.untold);
    if malformed > 0 {
        let objection = format!("{malformed} had none, or did not say which limit refused");
        hints.objections.push(objection);
    }
    let mut told = check(
        "every answer had a RateLimit with no more left than there can be",
        &too_much,
    );
    if untold > 0 {
        let objection = format!("{untold} had none of its limits, or contradicted the refusal");
        told.objections.push(objection);
    }
    let kinds = rows.chunk_by(|one, next| one.limit.kind() == next.limit.kind());
    vec![
        check(
            "no limit, no address and no key got more than that time allows",
            &too_many,
        ),
        check(
            "none was refused anything before its burst was used up",
            &too_early,
        ),
        Check {
            claim: "every address and every key had a limit of its own",
            objections: shared(rows, stats),
        },
        Check {
            claim: "/stats agrees with what the clients counted",
            objections: kinds.filter_map(|kind| disagreement(kind, stats)).collect(),
        },
        hints,
        told,
    ]
}

/// Permits that were forfeited are gone as if they had been used. They are not counted here, because layers count those of
/// addresses, keys and routes together; the bucket for all requests forfeits none, as it is charged last.
fn too_many(row: &Row) -> Option<String> {
    let (name, allowed, admitted) = (row.limit.name(), row.allows.most, row.answers.admitted);
    (admitted > allowed).then(|| format!("{name}: {admitted} admitted, {allowed} allowed"))
}

fn too_early(row: &Row) -> Option<String> {
    let (name, burst) = (row.limit.name(), row.allows.burst);
    let taken = row.answers.admitted + row.missing;
    (row.answers.refused > 0 && taken < burst)
        .then(|| format!("{name}: refused when {taken} of {burst} had been taken"))
}

/// Addresses and keys for which there was no room, or more of them than there are.
fn shared(rows: &[Row], stats: &Stats) -> Vec<String> {
    let count = |wanted: fn(Limit) -> bool| rows.iter().filter(|row| wanted(row.limit)).count();
    let addresses = count(|limit| matches!(limit, Limit::Address(_)));
    let keys = count(|limit| matches!(limit, Limit::Key(_)));
    let tables = [
        (
            "address",
            addresses,
            stats.addresses.active,
            stats.addresses.overflowed,
        ),
        ("key", keys, stats.keys.keys, stats.keys.overflowed),
    ];
    let objections = tables.map(|(table, sent, there, overflowed)| {
        (there > sent as u64 || overflowed > 0).then(|| {
            format!("{table}: {there} of {sent} in /stats, {overflowed} requests without room")
        })
    });
    objections.into_iter().flatten().collect()
}

/// Of the rows of one limit, or of all addresses, or of all keys.
///
/// Layers do not count for addresses and keys what they admit. Nothing is lost by that: every request has an address, and a key
/// that the server did not see would get more than its limit allows, which another check finds.
fn disagreement(rows: &[Row], stats: &Stats) -> Option<String> {
    let kind = rows.first()?.limit.kind();
    let sum = |number: fn(&Row) -> u64| rows.iter().map(number).sum::<u64>();
    let (admitted, refused) = (
        sum(|row| row.answers.admitted),
        sum(|row| row.answers.refused),
    );
    let reported = stats.limit(kind).map(|limit| limit.admitted);
    if reported.is_some_and(|reported| reported != admitted) {
        return Some(format!(
            "{kind}: {admitted} admitted, but {reported:?} in /stats"
        ));
    }
    let reported = stats.refused(kind);
    (reported != Some(refused))
        .then(|| format!("{kind}: {refused} refused, but {reported:?} in /stats"))
}

fn too_long(row: &Row, elapsed: Duration) -> Option<String> {
    let (name, longest_wait) = (row.limit.name(), row.allows.longest_wait);
    // A request may have been held up after it read the clock, and others charged meanwhile; and seconds are rounded up.
    let most = longest_wait.saturating_add(elapsed).as_secs() + 1;
    let longest = row.answers.longest_wait;
    (longest > most).then(|| format!("{name}: told to wait {longest} s, but at most {most} s"))
}

fn too_much(row: &Row) -> Option<String> {
    let (name, capacity, left) = (row.limit.name(), row.allows.burst, row.answers.most_left);
    (left > capacity).then(|| format!("{name}: {left} left of {capacity}"))
}
