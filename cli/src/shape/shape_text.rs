//! Draws the traffic and its outcome as text.

use anstyle::{AnsiColor, Style};

use super::outcome::Shape;
use crate::picture::numbers::{counted, grouped, percent, short, span};
use crate::terminal::Charset;
use crate::terminal::chart::{axis, columns, labelled, marks, refusal_marks};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const COLORS: [AnsiColor; 3] = [AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];
/// The width of the scale on the left.
const LABEL: usize = 7;

/// Returns the text, at most `width` columns wide.
pub fn text(shape: &Shape, width: usize, charset: Charset) -> String {
    let room = width.saturating_sub(LABEL + 1).clamp(10, 200);
    let requests = shape.counts(room, |_| true);
    // All charts have the same scale, so that they can be compared. Only the first shows it.
    let max = requests.iter().copied().max().unwrap_or(0);
    let chart = |counts: &[u64], style: Style, label: &str| {
        labelled(&columns(counts, max, 3, charset), style, label, LABEL)
    };
    let count = shape.arrivals.len() as u64;
    let length = span(shape.length.as_secs_f64());
    let mut text = format!("{BOLD}{}{BOLD:#} in {length}\n", counted(count, "request"));
    text += &chart(&requests, DIM, &short(max));
    for (number, series) in shape.series.iter().enumerate() {
        let is_last = number + 1 == shape.series.len();
        let color = COLORS[if is_last { 2 } else { number.min(1) }].on_default();
        let admitted = shape.counts(room, |index| series.decisions[index]);
        let refused = shape.counts(room, |index| !series.decisions[index]);
        let marks = marks(&admitted, &refused, charset);
        let facts = [
            format!("{} admitted", grouped(series.admitted)),
            format!(
                "{} refused ({})",
                grouped(series.refused),
                percent(series.refused, count)
            ),
            format!(
                "{} at most in any {}",
                grouped(series.max_in_interval),
                span(shape.compared.as_secs_f64())
            ),
        ];
        // The facts share a line if they fit.
        let line = facts.join(", ");
        let facts = if line.len() <= room {
            line
        } else {
            facts.join(&format!("\n{:LABEL$} ", ""))
        };
        text += &format!("\n{BOLD}{}{BOLD:#}\n", series.name);
        text += &chart(&admitted, color, "");
        text += &format!("{:>LABEL$} {RED}{}{RED:#}\n", "refused", marks.trim_end());
        text += &format!("{:LABEL$} {facts}\n", "");
    }
    text.push('\n');
    for line in axis(room, "0 s", &length, charset) {
        text += &format!("{:LABEL$} {line}\n", "");
    }
    let [some, all] = refusal_marks(charset);
    text + &format!("{DIM}{some} some refused, {all} all refused{DIM:#}\n")
}
