//! The result of a demo: a row for each gateway, and the checks.

use std::fmt;
use std::time::Duration;

use crate::args::Quotas;
use crate::bound;
use crate::load::{Tally, USERS};
use crate::stats::{Counts, Stats};

/// What is printed after a demo.
pub(crate) struct Report {
    elapsed: Duration,
    rows: Vec<Row>,
    total: Row,
    checks: Vec<Check>,
    disagreements: Vec<String>,
}

/// One gateway, or all.
#[derive(Clone, Copy, Default)]
struct Row {
    counts: Counts,
    /// Calls that a gateway's share admitted.
    by_share: u64,
    /// Round trips for the limits of users.
    for_users: u64,
    /// Round trips for leases of the limit for all.
    for_leases: u64,
    waited: u64,
}

/// What was admitted, and what may be.
struct Check {
    what: String,
    admitted: u64,
    most: u64,
}

impl Report {
    pub(crate) fn new(quotas: Quotas, elapsed: Duration, tally: &Tally, stats: Vec<Stats>) -> Self {
        let mut total = Row::default();
        let mut disagreements = Vec::new();
        let mut rows = Vec::new();
        for (index, stats) in stats.into_iter().enumerate() {
            let counts = tally.gateway(index);
            if counts != stats.requests {
                let told = stats.requests;
                let number = index + 1;
                disagreements.push(format!("gateway {number}: {told:?}, but {counts:?}"));
            }
            let row = Row {
                counts,
                by_share: stats.users.admitted_by_share,
                // What timed out was sent as well.
                for_users: stats.users.admitted_by_server
                    + stats.users.refused_by_server
                    + stats.redis.timeouts
                    + stats.redis.released,
                for_leases: stats.global.calls,
                waited: stats.redis.timeouts + stats.redis.released,
            };
            total.add(row);
            rows.push(row);
        }
        let check = |what: &str, admitted, most| Check {
            what: what.to_owned(),
            admitted,
            most,
        };
        let of_user = bound::most(quotas.user, elapsed);
        let of_shares = bound::most_by_shares(quotas.user, elapsed);
        let checks = vec![
            check(
                &format!("most of {USERS} users, by the server"),
                tally.most_by_server(),
                of_user,
            ),
            check("most of them, by shares", tally.most_by_shares(), of_shares),
            check(
                "all requests",
                total.counts.admitted,
                bound::most(quotas.global, elapsed),
            ),
        ];
        Self {
            elapsed,
            rows,
            total,
            checks,
            disagreements,
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.disagreements.is_empty() && self.checks.iter().all(Check::passed)
    }
}

impl Row {
    const fn add(&mut self, other: Self) {
        self.counts.add(other.counts);
        self.by_share += other.by_share;
        self.for_users += other.for_users;
        self.for_leases += other.for_leases;
        self.waited += other.waited;
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let Self { counts, .. } = self;
        let per_thousand = |n: u64| {
            let admitted = u128::from(counts.admitted.max(1));
            u128::from(n) * 1_000 / admitted
        };
        writeln!(
            f,
            "{name:<8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>8}{:>8}",
            counts.offered(),
            counts.admitted,
            counts.refused,
            counts.unavailable,
            self.by_share,
            per_thousand(self.for_users),
            per_thousand(self.for_leases),
            self.waited,
        )
    }
}

impl Check {
    const fn passed(&self) -> bool {
        self.admitted <= self.most
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>8}{:>8}",
            "gateway",
            "offered",
            "admitted",
            "refused",
            "unavail.",
            "shares",
            "for users",
            "leases",
            "waited",
        )?;
        for (number, row) in (1..).zip(&self.rows) {
            row.write(f, &number.to_string())?;
        }
        self.total.write(f, "all")?;
        writeln!(
            f,
            "(refused: 429. unavail.: 503. shares: let pass by a gateway's share of a\n\
             user's quota. for users, leases: round trips per 1000 requests admitted.\n\
             waited: calls for which the server did not answer in time)\n"
        )?;
        for disagreement in &self.disagreements {
            writeln!(f, "/stats and the clients disagree: {disagreement}")?;
        }
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "In {seconds:.3} s of the server's clock:")?;
        for check in &self.checks {
            let verdict = if check.passed() {
                "within the bound"
            } else {
                "NOT WITHIN THE BOUND"
            };
            let Check {
                what,
                admitted,
                most,
            } = check;
            writeln!(
                f,
                "{what:<31} admitted {admitted} of at most {most}: {verdict}"
            )?;
        }
        Ok(())
    }
}
