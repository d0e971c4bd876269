//! Prints what the rules of a file would have done.

use super::diagnostics::diagnostics;
use super::table::Table;
use super::wrap::{indented, wrapped};
use crate::picture::key::shown;
use crate::picture::noun::noun;
use crate::picture::numbers::{counted, grouped, percent};
use crate::replay::rules::RulesReport;

/// The outcome, in at most `width` columns where possible.
pub fn text(report: &RulesReport, width: usize) -> String {
    let mut text = wrapped(&report.noticed().sentence(), width);
    text += &format!(
        "\n{} of {}{}\n",
        counted(report.requests, "request"),
        counted(report.keys, noun(&report.by)),
        diagnostics(report.skipped, report.late, report.left_out)
    );
    if report.without_key > 0 {
        let rejected = format!(
            "{} rejected because a limit needs a key that the log does not have: see --rule-header",
            counted(report.without_key, "request")
        );
        text += &wrapped(&rejected, width);
    }
    let mut limits = Table::new(&["limit", "refused", "share", "keys"], 0);
    let mut has_shadows = false;
    for limit in &report.limits {
        let is_shadow = limit.shadow_refused > 0;
        has_shadows |= is_shadow;
        let refused = limit.refused.max(limit.shadow_refused);
        limits.row(vec![
            format!(
                "{}{}",
                shown(&limit.name, 40),
                if is_shadow { " *" } else { "" }
            ),
            grouped(refused),
            percent(refused, report.requests),
            grouped(limit.keys),
        ]);
    }
    text += &format!("\n{}", limits.text(width));
    if has_shadows {
        text += &indented("* a shadow, which would have refused so many", width);
    }
    if report.worst.is_empty() {
        return text;
    }
    let mut worst = Table::new(&[noun(&report.by), "requests", "refused", "share"], 0);
    for client in &report.worst {
        worst.row(vec![
            shown(&client.key, usize::MAX),
            grouped(client.requests),
            grouped(client.refused),
            percent(client.refused, client.requests),
        ]);
    }
    text + &format!("\n{}", worst.text(width))
}
