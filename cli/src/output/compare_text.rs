//! Prints several quotas side by side.

use super::diagnostics::{diagnostics, earlier_refusals};
use super::table::Table;
use super::wrap::{indented, wrapped};
use crate::picture::key::shown;
use crate::picture::noun::{noun, nouns};
use crate::picture::numbers::{counted, grouped, percent};
use crate::picture::time::instant;
use crate::report::Report;

/// The reports of one log, in at most `width` columns where possible.
pub fn text(reports: &[Report], width: usize) -> String {
    let Some(first) = reports.first() else {
        return String::new();
    };
    let mut text = String::new();
    for report in reports {
        let limits = report.limits.join(" and ");
        text += &wrapped(&format!("{limits}: {}", report.noticed().sentence()), width);
    }
    text += &format!(
        "\n{} of {} by {}{}\n",
        counted(first.requests, "request"),
        counted(first.keys, noun(&first.by)),
        shown(&first.by, usize::MAX),
        diagnostics(first.skipped, first.late, first.left_out)
    );
    if let Some(earlier) = earlier_refusals(first.answered_429) {
        text += &wrapped(&earlier, width);
    }
    if let (Some(from), Some(to)) = (first.first, first.last) {
        text += &format!("{} to {} UTC\n", instant(from), instant(to));
    }
    let has_keys = first.by != "none";
    let hit = format!("{} hit", nouns(&first.by));
    let mut header = vec!["limit", "refused", "share"];
    if has_keys {
        header.extend([hit.as_str(), "share"]);
    }
    header.extend(["streak", "per minute"]);
    let mut table = Table::new(&header, 0);
    for report in reports {
        let streak = report
            .longest_streak
            .as_ref()
            .map_or(0, |streak| streak.refusals);
        let mut row = vec![
            report.limits.join(" and "),
            grouped(report.refused),
            percent(report.refused, report.requests),
        ];
        if has_keys {
            row.push(grouped(report.keys_refused));
            row.push(percent(report.keys_refused, report.keys));
        }
        row.push(grouped(streak));
        row.push(grouped(report.max_per_minute));
        table.row(row);
    }
    text += &format!("\n{}", table.text(width));
    let note = format!(
        "streak: the longest streak of refusals of one {0}; per minute: the most that a limit \
         lets through of one {0}",
        noun(&first.by)
    );
    text + &indented(&note, width)
}
