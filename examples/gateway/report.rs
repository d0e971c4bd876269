//! The result of a demo: a table with a row for each limit, and the checks.

use std::fmt;
use std::time::Duration;

use tidegate::Quota;

use crate::checks::{self, Check};
use crate::limits::{GLOBAL, RULES, Rule, Stats};
use crate::tally::{Refusals, RouteTally, Tally};

/// What is printed after a demo.
pub(crate) struct Report {
    elapsed: Duration,
    tally: Tally,
    rows: Vec<Row>,
    checks: Vec<Check>,
}

/// A limit: what it allows, and what the clients counted.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) quota: String,
    /// The most that it can give at once.
    pub(crate) burst: u64,
    /// The most that it can give in the time that the requests took.
    pub(crate) allowed: u64,
    /// The longest that it lets one request wait, if the request is judged at once.
    pub(crate) longest_wait: Duration,
    pub(crate) offered: u64,
    pub(crate) admitted: u64,
    /// By this limit, not by another.
    pub(crate) refused: Refusals,
    /// Permits that were taken and came back, as the server counted them.
    pub(crate) returned: u64,
    /// Permits that were taken in vain and did not come back.
    pub(crate) forfeited: u64,
}

impl Row {
    fn of_bucket(quota: Quota, elapsed: Duration, tally: &Tally, stats: &Stats) -> Self {
        let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
        let refill = saturate(rate * elapsed.as_nanos() / period);
        Self {
            name: GLOBAL,
            quota: quota.to_string(),
            burst: quota.capacity(),
            allowed: quota.capacity().saturating_add(refill),
            longest_wait: Duration::from_nanos(saturate(period.div_ceil(rate))),
            offered: tally.offered,
            admitted: tally.routes.iter().map(|route| route.admitted).sum(),
            refused: tally.refused_by_global(),
            returned: stats.returned,
            forfeited: stats.forfeited,
        }
    }

    fn of_window(rule: &Rule, elapsed: Duration, tally: &RouteTally) -> Self {
        // So many windows, one after the other, cover the whole time.
        let windows = saturate(elapsed.as_nanos() / rule.window.as_nanos() + 1);
        Self {
            name: rule.name,
            quota: rule.to_string(),
            burst: rule.limit,
            allowed: rule.limit.saturating_mul(windows),
            // A window and one of its slots.
            longest_wait: 2 * rule.window,
            offered: tally.offered(),
            admitted: tally.admitted,
            refused: tally.refused_by_window,
            // The window is charged last, and so never in vain.
            returned: 0,
            forfeited: 0,
        }
    }
}

fn saturate(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Report {
    pub(crate) fn new(quota: Quota, elapsed: Duration, mut tally: Tally, stats: &Stats) -> Self {
        tally.latency_of_admitted.sort_unstable();
        tally.latency_of_refused.sort_unstable();
        let windows = RULES.iter().zip(&tally.routes);
        let mut rows = vec![Row::of_bucket(quota, elapsed, &tally, stats)];
        rows.extend(windows.map(|(rule, tally)| Row::of_window(rule, elapsed, tally)));
        let checks = checks::all(&rows, elapsed, tally.malformed, stats);
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

        writeln!(
            f,
            "{:<8} {:>9} {:>9} {:>9} {:>9} {:>10}  quota",
            "limit", "offered", "admitted", "allowed", "refused", "elsewhere",
        )?;
        for row in rows {
            let refused = row.refused.count;
            let elsewhere = row.offered - row.admitted - refused;
            writeln!(
                f,
                "{:<8} {:>9} {:>9} {:>9} {refused:>9} {elsewhere:>10}  {}",
                row.name, row.offered, row.admitted, row.allowed, row.quota,
            )?;
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
