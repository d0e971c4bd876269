//! What is printed: a row for each scene, and the checks.

use std::fmt;

use crate::check::Check;
use crate::checks;
use crate::limits::{CONFIG, QUOTAS, WORKERS};
use crate::scene::Outcome;
use crate::work::PIECES;

pub(crate) fn introduction() -> String {
    let windows = QUOTAS.windows.iter();
    let windows =
        windows.map(|window| format!("{} requests in {:?}", window.requests, window.length));
    let windows: Vec<_> = windows.collect();
    let header = format!(
        "{:<14}{:>6}{:>6}{:>9}{:>9}{:>9}{:>8}{:>8}",
        "", "sent", "done", "refused", "at least", "at most", "tokens", "time",
    );
    format!(
        "{WORKERS} workers, {PIECES} pieces of work.\n\
         Provider: {}; {} tokens/min,\n          {} of them at once.\n\
         Client:   the same, less what {WORKERS} calls under way can be:\n          \
         bursts of {} requests and {} tokens.\n\n{header}\n",
        windows.join(", "),
        QUOTAS.tokens_per_minute,
        QUOTAS.tokens_at_once,
        CONFIG.burst_size,
        CONFIG.token_burst_size.unwrap_or(CONFIG.tokens_per_minute),
    )
}

pub(crate) fn row(outcome: &Outcome) -> String {
    let counts = &outcome.counts;
    let (fewest, most) = checks::bounds(outcome);
    format!(
        "{:<14}{:>6}{:>6}{:>9}{fewest:>9}{most:>9}{:>8}{:>7.1}s\n",
        outcome.scene.name,
        counts.arrived,
        counts.answered.len(),
        counts.refused,
        counts.tokens,
        outcome.elapsed.as_secs_f64(),
    )
}

/// What is printed after the scenes.
pub(crate) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(crate) fn new(outcomes: &[Outcome]) -> Self {
        let checks = checks::all(outcomes);
        Self { checks }
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(shared: another tenant takes all tokens that are left, twice)\n\n")?;
        self.checks.iter().try_for_each(|check| check.fmt(f))
    }
}
