//! Prints the results of `replay` and `suggest` as text.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};

use super::table::Table;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped, percent};
use crate::picture::time::instant;
use crate::report::Report;
use crate::suggest::search::Suggestions;
use crate::terminal;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// The numbers of skipped and late lines, without those that are zero.
fn diagnostics(skipped: u64, late: u64) -> String {
    let counts = [(skipped, "skipped"), (late, "late")].into_iter();
    let counts = counts.filter(|(count, _)| *count > 0);
    counts
        .map(|(count, name)| format!(", {} {name}", grouped(count)))
        .collect()
}

/// The outcome of a replay, in at most `width` columns where possible.
pub fn replay(report: &Report, width: usize) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_replay(&mut text, report, width);
    text
}

fn write_replay(text: &mut String, report: &Report, width: usize) -> fmt::Result {
    let limits = report.limits.join(" and ");
    let by = shown(&report.by, usize::MAX);
    writeln!(text, "{BOLD}{limits}{BOLD:#} by {by}")?;
    if let (Some(first), Some(last)) = (report.first, report.last) {
        writeln!(text, "{} to {} UTC", instant(first), instant(last))?;
    }
    let requests = report.requests;
    writeln!(
        text,
        "\nrequests  {}{}",
        grouped(requests),
        diagnostics(report.skipped, report.late)
    )?;
    writeln!(
        text,
        "admitted  {GREEN}{}{GREEN:#} ({})",
        grouped(report.admitted),
        percent(report.admitted, requests)
    )?;
    writeln!(
        text,
        "refused   {RED}{}{RED:#} ({}), from {} of {}",
        grouped(report.refused),
        percent(report.refused, requests),
        grouped(report.keys_refused),
        counted(report.keys, "key")
    )?;
    if let Some(streak) = &report.longest_streak {
        writeln!(
            text,
            "longest streak of refusals: {} of {}, {} to {}",
            grouped(streak.refusals),
            shown(&streak.key, usize::MAX),
            instant(streak.from),
            instant(streak.to)
        )?;
    }
    if let Some(quota) = &report.sufficient_quota {
        writeln!(
            text,
            "smallest burst without refusals: {BOLD}{quota}{BOLD:#}"
        )?;
    }
    write!(text, "\n{}", terminal::timeline(report, width))?;
    if report.worst.is_empty() {
        return Ok(());
    }
    let has_burst = report.worst.iter().any(|key| key.required_burst.is_some());
    let header = [
        "key",
        "requests",
        "refused",
        "share",
        "longest streak",
        "required burst",
    ];
    let columns = header.len() - usize::from(!has_burst);
    let mut table = Table::new(&header[..columns], 0);
    for key in &report.worst {
        let mut row = vec![
            shown(&key.key, usize::MAX),
            grouped(key.requests),
            grouped(key.refused),
            percent(key.refused, key.requests),
            grouped(key.longest_streak),
        ];
        if has_burst {
            row.push(key.required_burst.map_or_else(String::new, grouped));
        }
        table.row(row);
    }
    write!(text, "\n{}", table.text(width))?;
    let more = report
        .keys_refused
        .saturating_sub(report.worst.len() as u64);
    if more > 0 {
        writeln!(text, "  and {} more", counted(more, "key"))?;
    }
    Ok(())
}

/// The suggested quotas, in at most `width` columns where possible.
pub fn suggest(found: &Suggestions, width: usize) -> String {
    let header = [
        "quota",
        "refused",
        "share",
        "keys refused",
        "required burst",
        "worst key",
        "its refusals",
    ];
    let mut table = Table::new(&header, 5);
    for suggestion in &found.suggestions {
        let (worst, refusals) = match &suggestion.worst {
            Some(worst) => (
                shown(&worst.key, usize::MAX),
                format!("{} of {}", grouped(worst.refused), grouped(worst.requests)),
            ),
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row(vec![
            suggestion.quota.clone(),
            grouped(suggestion.refused),
            percent(suggestion.refused, found.requests),
            grouped(suggestion.keys_refused),
            grouped(suggestion.required_burst),
            worst,
            refusals,
        ]);
    }
    format!(
        "{} of {} by {}{}; at most {} may be refused ({})\n\n{}",
        counted(found.requests, "request"),
        counted(found.keys, "key"),
        shown(&found.by, usize::MAX),
        diagnostics(found.skipped, found.late),
        grouped(found.target),
        found.refuse_at_most,
        table.text(width)
    )
}
