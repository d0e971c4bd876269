//! Prints the result of `replay` as text.

use anstyle::{AnsiColor, Style};

use super::diagnostics::{diagnostics, earlier_refusals};
use super::table::Table;
use super::wrap::wrapped;
use crate::picture::key::shown;
use crate::picture::noun::{asked, noun};
use crate::picture::numbers::{counted, grouped, percent};
use crate::picture::time::instant;
use crate::report::Report;
use crate::terminal::{Charset, timeline};

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// The outcome of a replay, in at most `width` columns where possible.
pub fn replay(report: &Report, width: usize) -> String {
    let by = shown(&report.by, usize::MAX);
    let one = noun(&report.by);
    let of_one = match report.by.as_str() {
        "none" => "in all".to_owned(),
        _ => format!("of one {one}"),
    };
    let mut text = wrapped(&report.noticed().sentence(), width);
    text += &wrapped(
        &format!(
            "{} by {by}: at most {} {of_one} in any minute",
            report.limits.join(" and "),
            asked(report.max_per_minute, report.cost.as_deref())
        ),
        width,
    );
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
        diagnostics(report.skipped, report.late, report.left_out),
        grouped(report.admitted),
        share(report.admitted),
        grouped(report.refused),
        share(report.refused),
        grouped(report.keys_refused),
        counted(report.keys, one)
    );
    if let Some(earlier) = earlier_refusals(report.answered_429) {
        text += &wrapped(&earlier, width);
    }
    if let Some(retries) = &report.retries {
        text += &wrapped(&retries.sentence(), width);
    }
    if let Some(streak) = &report.longest_streak {
        let streak = format!(
            "longest streak of refusals: {} of {}, {} to {}",
            grouped(streak.refusals),
            shown(&streak.key, usize::MAX),
            instant(streak.from),
            instant(streak.to)
        );
        text += &wrapped(&streak, width);
    }
    if let Some(quota) = &report.sufficient_quota {
        // At a rate that the crate rounds, a smaller burst may do.
        let smallest = if report.sufficient_is_smallest {
            "smallest burst"
        } else {
            "burst"
        };
        text += &format!("{smallest} without refusals: {BOLD}{quota}{BOLD:#}\n");
    }
    text += &format!("\n{}", timeline(report, width, Charset::from_env()));
    if report.worst.is_empty() {
        return text;
    }
    text += &format!("\n{}", worst(report, width));
    let more = report
        .keys_refused
        .saturating_sub(report.worst.len() as u64);
    if more > 0 {
        text += &format!("  and {} more\n", counted(more, one));
    }
    text
}

fn worst(report: &Report, width: usize) -> String {
    let has_burst = report.worst.iter().any(|key| key.required_burst.is_some());
    let header = [
        noun(&report.by),
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
    table.text(width)
}
