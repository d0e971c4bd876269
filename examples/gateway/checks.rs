//! What must be true after a demo, at any speed of the machine.

use std::fmt;
use std::time::Duration;

use crate::limits::Stats;
use crate::report::Row;

/// A claim, and what speaks against it.
pub(crate) struct Check {
    claim: &'static str,
    objections: Vec<String>,
}

impl Check {
    pub(crate) fn passed(&self) -> bool {
        self.objections.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        writeln!(f, "{verdict:<8}{}", self.claim)?;
        for objection in &self.objections {
            writeln!(f, "{:8}- {objection}", "")?;
        }
        Ok(())
    }
}

pub(crate) fn all(rows: &[Row], elapsed: Duration, malformed: u64, stats: &Stats) -> Vec<Check> {
    let check = |claim, objection: &dyn Fn(&Row) -> Option<String>| Check {
        claim,
        objections: rows.iter().filter_map(objection).collect(),
    };
    let mut hints = check(
        "every 429 had a Retry-After in whole seconds, at least 1",
        &|row| too_long(row, elapsed),
    );
    if malformed > 0 {
        let objection = format!("{malformed} had none, or did not say which limit refused");
        hints.objections.push(objection);
    }
    vec![
        check("no limit gave more than it allows in that time", &too_many),
        check(
            "no limit refused anything before its burst was used up",
            &too_early,
        ),
        check("/stats agrees with what the clients counted", &|row| {
            disagreement(row, stats)
        }),
        hints,
    ]
}

fn too_many(row: &Row) -> Option<String> {
    let Row { name, allowed, .. } = row;
    // What was forfeited is gone as if it had been used.
    let taken = row.admitted + row.forfeited;
    (taken > *allowed).then(|| format!("{name}: {taken} taken, {allowed} allowed"))
}

fn too_early(row: &Row) -> Option<String> {
    let Row { name, burst, .. } = row;
    // What was returned was missing for a while.
    let taken = row.admitted + row.forfeited + row.returned;
    (row.refused.count > 0 && taken < *burst)
        .then(|| format!("{name}: refused when {taken} of {burst} had been taken"))
}

fn disagreement(row: &Row, stats: &Stats) -> Option<String> {
    let counted = (row.admitted, row.refused.count);
    let limit = stats.limits.iter().find(|limit| limit.limit == row.name);
    let reported = limit.map(|limit| (limit.admitted, limit.refused));
    (reported != Some(counted)).then(|| {
        let name = row.name;
        format!("{name}: {counted:?} admitted and refused, but {reported:?} in /stats")
    })
}

fn too_long(row: &Row, elapsed: Duration) -> Option<String> {
    let Row { name, refused, .. } = row;
    // A request may have been held up after it read the clock, and others charged meanwhile; and seconds are rounded up.
    let most = row.longest_wait.saturating_add(elapsed).as_secs() + 1;
    let longest = refused.longest_retry_after;
    (longest > most).then(|| format!("{name}: Retry-After {longest} s, but at most {most} s"))
}
