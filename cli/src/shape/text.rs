//! Traffic and what became of it, in characters.

use anstyle::{AnsiColor, Style};

use super::outcome::Shape;
use crate::picture::numbers::{counted, grouped, percent, short, span};
use crate::picture::put;
use crate::terminal::Charset;
use crate::terminal::chart::{columns, ground, marks};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const COLORS: [AnsiColor; 3] = [AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];
/// Of the scale to the left.
const LABEL: usize = 7;

/// The picture, at most `width` columns wide.
pub fn drawn(shape: &Shape, width: usize, charset: Charset) -> String {
    let room = width.saturating_sub(LABEL + 1).clamp(10, 200);
    let offered = shape.counts(room, |_| true);
    // All on one scale, so that they can be compared.
    let most = offered.iter().copied().max().unwrap_or(0);
    let mut text = String::new();
    let asked = counted(shape.arrivals.len() as u64, "request");
    let length = span(shape.length.as_secs_f64());
    put(
        &mut text,
        format_args!("{BOLD}{asked}{BOLD:#} in {length}\n"),
    );
    chart(&mut text, &offered, most, 3, DIM, charset);
    for (number, series) in shape.series.iter().enumerate() {
        let last = number + 1 == shape.series.len();
        let color = COLORS[if last { 2 } else { number.min(1) }].on_default();
        let admitted = shape.counts(room, |at| series.decisions[at]);
        let refused = shape.counts(room, |at| !series.decisions[at]);
        put(&mut text, format_args!("\n{BOLD}{}{BOLD:#}\n", series.name));
        chart(&mut text, &admitted, most, 3, color, charset);
        let refusals = marks(&admitted, &refused, charset);
        put(
            &mut text,
            format_args!(
                "{:>LABEL$} {RED}{}{RED:#}\n",
                "refused",
                refusals.trim_end()
            ),
        );
        let part = percent(series.refused, shape.arrivals.len() as u64);
        let interval = span(shape.compared.as_secs_f64());
        let facts = [
            format!("{} admitted", grouped(series.admitted)),
            format!("{} refused ({part})", grouped(series.refused)),
            format!("{} at most in any {interval}", grouped(series.most)),
        ];
        // In one line if it is long enough.
        let line = facts.join(", ");
        let between = if line.len() <= room {
            ", ".to_owned()
        } else {
            format!("\n{:w$}", "", w = LABEL + 1)
        };
        put(
            &mut text,
            format_args!("{:LABEL$} {}\n", "", facts.join(&between)),
        );
    }
    text.push('\n');
    for line in ground(room, "0 s", &length, charset) {
        put(&mut text, format_args!("{:LABEL$} {line}\n", ""));
    }
    let [some, all] = if charset == Charset::Ascii {
        ["-", "x"]
    } else {
        ["·", "×"]
    };
    put(
        &mut text,
        format_args!("{DIM}{some} some were refused, {all} all were{DIM:#}\n"),
    );
    text
}

fn chart(
    text: &mut String,
    counts: &[u64],
    most: u64,
    lines: usize,
    style: Style,
    charset: Charset,
) {
    // The scale is that of all charts, and stands at the first.
    let lines = columns(counts, most, lines, charset);
    let is_first = style == DIM;
    for (number, line) in lines
        .iter()
        .map(|line| line.trim_end())
        .enumerate()
        .skip_while(|(_, line)| line.is_empty())
    {
        let scale = if number == 0 && is_first {
            short(most)
        } else {
            String::new()
        };
        put(
            text,
            format_args!("{scale:>LABEL$} {style}{line}{style:#}\n"),
        );
    }
}
