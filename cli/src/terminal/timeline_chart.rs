//! Draws the timeline of a replay in a few lines.

use anstyle::AnsiColor;

use super::chart::{self, Charset};
use crate::picture::numbers::{grouped, percent, short, span};
use crate::picture::{Step, steps, time::instant};
use crate::report::Report;

/// The width of the scale on the left.
const LABEL: usize = 7;

/// Draws admissions and refusals over time in at most `width` columns. Empty without requests.
pub fn timeline(report: &Report, width: usize, charset: Charset) -> String {
    let Some(first) = report.first else {
        return String::new();
    };
    let room = width.saturating_sub(LABEL + 2).clamp(8, 240);
    let steps = steps(&report.timeline, first, room);
    let Some(last) = steps.last() else {
        return String::new();
    };
    // A few steps are widened to fill the room.
    let repeat = (room / steps.len()).max(1);
    let counts = |count: fn(&Step) -> u64| -> Vec<u64> {
        let repeated = steps
            .iter()
            .map(|step| std::iter::repeat_n(count(step), repeat));
        repeated.flatten().collect()
    };
    let (admitted, refused) = (counts(|step| step.admitted), counts(|step| step.refused));
    let share = percent(report.refused, report.requests);
    let (blue, red) = (AnsiColor::Blue.on_default(), AnsiColor::Red.on_default());
    let admitted_title = format!("{} admitted", grouped(report.admitted));
    let refused_title = format!("{} refused ({share})", grouped(report.refused));
    let mut text = String::new();
    for (title, style, counts, lines) in [
        (admitted_title, blue, &admitted, 3),
        (refused_title, red, &refused, 2),
    ] {
        let max = counts.iter().copied().max().unwrap_or(0);
        if max > 0 {
            text += &format!("{:LABEL$} {style}{title}{style:#}\n", "");
            let lines = chart::columns(counts, max, lines, charset);
            text += &chart::labelled(&lines, style, &short(max), LABEL);
        }
    }
    let columns = admitted.len();
    let (from, to) = (instant(first), instant(last.to));
    // The year and the seconds are dropped if both dates do not fit.
    let fits = columns > from.len() + to.len();
    let [from, to] = [&from, &to].map(|date| {
        if fits {
            date
        } else {
            date.get(5..16).unwrap_or(date)
        }
    });
    for line in chart::axis(columns, from, to, charset) {
        text += &format!("{:LABEL$} {line}\n", "");
    }
    text += &format!("{:LABEL$} UTC; each step {}\n", "", span(steps[0].length));
    text
}
