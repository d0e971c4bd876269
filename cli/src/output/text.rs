//! Reports for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::table::Table;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped, ratio};
use crate::report::Report;
use crate::suggest::Suggestions;
use crate::terminal;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// A share in per cent.
fn percent(part: u64, of: u64) -> String {
    let share = ratio(part, of) * 100.0;
    if part > 0 && share < 0.01 {
        "<0.01%".to_owned()
    } else {
        format!("{share:.2}%")
    }
}

/// A time in UTC.
fn time(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the years of a `Timestamp`"
    )]
    let millis = (seconds * 1e3).round() as i64;
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{seconds}"),
    }
}

/// What was skipped or late, if anything.
fn mishaps(skipped: u64, late: u64) -> String {
    let mut text = String::new();
    if skipped > 0 {
        let _ = write!(text, ", {} skipped", grouped(skipped));
    }
    if late > 0 {
        let _ = write!(text, ", {} late", grouped(late));
    }
    text
}

/// What came of a replay.
pub fn replay(report: &Report, width: usize) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_replay(&mut text, report, width);
    text
}

fn write_replay(text: &mut String, report: &Report, width: usize) -> std::fmt::Result {
    let Report {
        requests,
        admitted,
        refused,
        ..
    } = *report;
    writeln!(
        text,
        "{BOLD}{}{BOLD:#} by {}",
        report.limits.join(" and "),
        shown(&report.by, usize::MAX)
    )?;
    if let (Some(first), Some(last)) = (report.first, report.last) {
        writeln!(text, "{} to {}", time(first), time(last))?;
    }
    writeln!(text)?;
    writeln!(
        text,
        "requests  {}{}",
        grouped(requests),
        mishaps(report.skipped, report.late)
    )?;
    writeln!(
        text,
        "admitted  {GREEN}{}{GREEN:#} ({})",
        grouped(admitted),
        percent(admitted, requests)
    )?;
    writeln!(
        text,
        "refused   {RED}{}{RED:#} ({}), of {} of {}",
        grouped(refused),
        percent(refused, requests),
        grouped(report.keys_refused),
        counted(report.keys, "key")
    )?;
    if let Some(streak) = &report.longest_streak {
        writeln!(
            text,
            "longest run of refusals: {} of {}, {} to {}",
            grouped(streak.refusals),
            shown(&streak.key, usize::MAX),
            time(streak.from),
            time(streak.to)
        )?;
    }
    if let Some(tightest) = &report.tightest {
        writeln!(
            text,
            "the smallest burst that refuses nobody: {BOLD}{tightest}{BOLD:#}"
        )?;
    }
    write!(text, "\n{}", terminal::timeline(report, width))?;
    if report.worst.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    let needed = report.worst.iter().any(|key| key.burst_needed.is_some());
    let mut head = vec!["key", "requests", "refused", "share", "longest run"];
    if needed {
        head.push("burst needed");
    }
    let mut table = Table::new(&head, 0);
    for key in &report.worst {
        let mut row = vec![
            shown(&key.key, usize::MAX),
            grouped(key.requests),
            grouped(key.refused),
            percent(key.refused, key.requests),
            grouped(key.longest_streak),
        ];
        if needed {
            row.push(key.burst_needed.map_or_else(String::new, grouped));
        }
        table.row(row);
    }
    text.push_str(&table.text(width));
    let shown = report.worst.len() as u64;
    if report.keys_refused > shown {
        writeln!(
            text,
            "  and {} more",
            counted(report.keys_refused - shown, "key")
        )?;
    }
    Ok(())
}

/// What is suggested.
pub fn suggest(found: &Suggestions, width: usize) -> String {
    let mut text = format!(
        "{} requests of {} by {}{}; at most {} may be refused ({})\n\n",
        grouped(found.requests),
        counted(found.keys, "key"),
        shown(&found.by, usize::MAX),
        mishaps(found.skipped, found.late),
        grouped(found.target),
        found.refuse_at_most,
    );
    let head = [
        "quota",
        "refused",
        "share",
        "keys hit",
        "burst for none",
        "hit most",
        "its refusals",
    ];
    let mut table = Table::new(&head, 5);
    for one in &found.suggestions {
        let (worst, its) = match &one.worst {
            Some(worst) => {
                let its = format!("{} of {}", grouped(worst.refused), grouped(worst.requests));
                (shown(&worst.key, usize::MAX), its)
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row(vec![
            one.quota.clone(),
            grouped(one.refused),
            percent(one.refused, found.requests),
            grouped(one.keys_refused),
            grouped(one.burst_needed),
            worst,
            its,
        ]);
    }
    text += &table.text(width);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(percent(0, 0), "0.00%");
        assert_eq!(percent(1, 1_000_000), "<0.01%");
        assert_eq!(percent(1, 8), "12.50%");
        assert_eq!(time(1_431_857_103.25), "2015-05-17T10:05:03.25Z");
    }
}
