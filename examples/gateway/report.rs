//! The result of a demo: tables with a row for each limit, and the checks.

use std::fmt;
use std::time::Duration;

use crate::check::Check;
use crate::checks;
use crate::row::{Row, saturate};
use crate::server::Quotas;
use crate::stats::Stats;
use crate::tally::{Limit, Tally};

/// What is printed after a demo.
pub(crate) struct Report {
    elapsed: Duration,
    tally: Tally,
    rows: Vec<Row>,
    checks: Vec<Check>,
}

impl Report {
    pub(crate) fn new(quotas: Quotas, elapsed: Duration, mut tally: Tally, stats: &Stats) -> Self {
        tally.latency_of_admitted.sort_unstable();
        tally.latency_of_refused.sort_unstable();
        let rows: Vec<_> = tally
            .limits
            .iter()
            .map(|(limit, answers)| Row::new(*limit, *answers, &quotas, elapsed, stats))
            .collect();
        let checks = checks::all(&rows, elapsed, &tally, stats);
        Self {
            elapsed,
            tally,
            rows,
            checks,
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            elapsed,
            tally,
            rows,
            checks,
        } = self;
        let offered = tally.offered;
        let per_second = saturate(u128::from(offered) * 1_000_000_000 / elapsed.as_nanos());
        writeln!(
            f,
            "They sent {offered} requests in {elapsed:.3?}: {per_second} per second.\n"
        )?;

        for table in rows.chunk_by(|one, next| heading(one.limit) == heading(next.limit)) {
            write_table(f, table)?;
        }
        writeln!(f, "(elsewhere: refused by another limit)")?;

        writeln!(
            f,
            "\n{:<8}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "latency", "p50", "p90", "p99", "p99.9", "maximum",
        )?;
        write_latencies(f, "admitted", &tally.latency_of_admitted)?;
        write_latencies(f, "refused", &tally.latency_of_refused)?;

        writeln!(f)?;
        for check in checks {
            write!(f, "{check}")?;
        }
        Ok(())
    }
}

const fn heading(limit: Limit) -> &'static str {
    match limit {
        Limit::Global | Limit::Route(_) => "limit",
        Limit::Address(_) => "address",
        Limit::Key(_) => "API key",
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    for (index, row) in rows.iter().enumerate() {
        if index == 0 {
            writeln!(
                f,
                "{:<9} {:>8} {:>9} {:>9} {:>9} {:>10}  quota",
                heading(row.limit),
                "offered",
                "admitted",
                "allowed",
                "refused",
                "elsewhere",
            )?;
        }
        let answers = row.answers;
        writeln!(
            f,
            "{:<9} {:>8} {:>9} {:>9} {:>9} {:>10}  {}",
            row.limit.name(),
            answers.offered,
            answers.admitted,
            row.allows.most,
            answers.refused,
            answers.offered - answers.admitted - answers.refused,
            row.allows.quota,
        )?;
    }
    writeln!(f)
}

fn write_latencies(f: &mut fmt::Formatter<'_>, name: &str, sorted: &[Duration]) -> fmt::Result {
    write!(f, "{name:<8}")?;
    for per_mille in [500, 900, 990, 999, 1000] {
        match percentile(sorted, per_mille) {
            Some(latency) => write!(f, "{latency:>10.2?}")?,
            None => write!(f, "{:>10}", "-")?,
        }
    }
    writeln!(f)
}

/// The smallest latency that at least `per_mille` of a thousand do not exceed.
fn percentile(sorted: &[Duration], per_mille: usize) -> Option<Duration> {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.checked_sub(1)?).copied()
}
