//! Prints the results of `replay` and `suggest` as text.

use anstyle::{AnsiColor, Style};

use super::table::Table;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped, percent};
use crate::picture::time::instant;
use crate::report::Report;
use crate::suggest::search::Suggestions;
use crate::terminal::{Charset, timeline};

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
    let by = shown(&report.by, usize::MAX);
    let mut text = format!("{BOLD}{}{BOLD:#} by {by}\n", report.limits.join(" and "));
    if let (Some(first), Some(last)) = (report.first, report.last) {
        text += &format!("{} to {} UTC\n", instant(first), instant(last));
    }
    let requests = report.requests;
    let share = |part: u64| format!("({})", percent(part, requests));
    text += &format!(
        "\nrequests  {}{}\n\
         admitted  {GREEN}{}{GREEN:#} {}\n\
         refused   {RED}{}{RED:#} {}, from {} of {}\n",
        grouped(requests),
        diagnostics(report.skipped, report.late),
        grouped(report.admitted),
        share(report.admitted),
        grouped(report.refused),
        share(report.refused),
        grouped(report.keys_refused),
        counted(report.keys, "key")
    );
    if let Some(streak) = &report.longest_streak {
        text += &format!(
            "longest streak of refusals: {} of {}, {} to {}\n",
            grouped(streak.refusals),
            shown(&streak.key, usize::MAX),
            instant(streak.from),
            instant(streak.to)
        );
    }
    if let Some(quota) = &report.sufficient_quota {
        text += &format!("smallest burst without refusals: {BOLD}{quota}{BOLD:#}\n");
    }
    text += &format!("\n{}", timeline(report, width, Charset::from_env()));
    if report.worst.is_empty() {
        return text;
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
    text += &format!("\n{}", table.text(width));
    let more = report
        .keys_refused
        .saturating_sub(report.worst.len() as u64);
    if more > 0 {
        text += &format!("  and {} more\n", counted(more, "key"));
    }
    text
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
