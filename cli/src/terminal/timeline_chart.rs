//! Draws the timeline of a replay in a few lines.

use super::chart::{self, Charset};
use super::stacked::{ADMITTED, REFUSED, glyphs, stacked};
use crate::picture::numbers::{grouped, percent, short, span};
use crate::picture::{Step, steps, time::instant};
use crate::report::Report;

/// The width of the scale on the left.
const LABEL: usize = 7;
/// The height of the chart.
const LINES: usize = 8;

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
    let counts = steps.iter().flat_map(|step| {
        let Step {
            admitted, refused, ..
        } = *step;
        std::iter::repeat_n([admitted, refused], repeat)
    });
    let counts: Vec<[u64; 2]> = counts.collect();
    let total = |[admitted, refused]: &[u64; 2]| admitted.saturating_add(*refused);
    let max = counts.iter().map(total).max().unwrap_or(0);
    let mut text = legend(report, room, charset);
    let lines = stacked(&counts, max, LINES, charset);
    for (number, line) in lines.iter().enumerate() {
        let label = if number == 0 {
            short(max)
        } else {
            String::new()
        };
        text += format!("{label:>LABEL$} {line}").trim_end();
        text.push('\n');
    }
    let columns = counts.len();
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

/// Explains the characters, with the sums.
fn legend(report: &Report, room: usize, charset: Charset) -> String {
    let [admitted_glyph, refused_glyph] = glyphs(charset);
    let share = percent(report.refused, report.requests);
    let admitted = format!("{} admitted", grouped(report.admitted));
    let refused = format!("{} refused ({share})", grouped(report.refused));
    let fits = admitted.len() + refused.len() + 6 <= room;
    let between = if fits {
        "  ".to_owned()
    } else {
        format!("\n{:LABEL$} ", "")
    };
    format!(
        "{:LABEL$} {ADMITTED}{admitted_glyph}{ADMITTED:#} {admitted}{between}\
         {REFUSED}{refused_glyph}{REFUSED:#} {refused}\n",
        ""
    )
}
