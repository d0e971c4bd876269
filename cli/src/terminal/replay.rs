//! A replay over time in a few lines.

use anstyle::{AnsiColor, Style};

use super::{Charset, chart};
use crate::picture::numbers::{grouped, percent, short, span};
use crate::picture::{Step, put, steps, time::instant};
use crate::report::Report;

const BLUE: Style = AnsiColor::Blue.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Admitted and refused over time in at most `width` columns, with the characters that the locale has. Its colours are for a stream
/// that takes them away where nobody wants them.
pub fn timeline(report: &Report, width: usize) -> String {
    timeline_in(report, width, Charset::of_environment())
}

/// The same with these characters. Empty without requests.
pub fn timeline_in(report: &Report, width: usize, charset: Charset) -> String {
    let Some(first) = report
        .first
        .filter(|_| !report.timeline.admitted.is_empty())
    else {
        return String::new();
    };
    let label = 8;
    let room = width.saturating_sub(label + 1).clamp(8, 240);
    let steps = steps(&report.timeline, first, room);
    // Few steps are as wide as there is room.
    let wide = (room / steps.len().max(1)).max(1);
    let all = |of: fn(&Step) -> u64| -> Vec<u64> {
        steps
            .iter()
            .flat_map(|step| std::iter::repeat_n(of(step), wide))
            .collect()
    };
    let (admitted, refused) = (all(|step| step.admitted), all(|step| step.refused));
    let columns = admitted.len();
    let mut text = String::new();
    for (name, style, counts, lines) in [
        ("admitted", BLUE, &admitted, 3),
        ("refused", RED, &refused, 2),
    ] {
        let most = counts.iter().copied().max().unwrap_or(0);
        if most == 0 {
            continue;
        }
        let sum = if name == "refused" {
            report.refused
        } else {
            report.admitted
        };
        let share = if name == "refused" {
            format!(" ({})", percent(sum, report.requests))
        } else {
            String::new()
        };
        put(
            &mut text,
            format_args!(
                "{:label$}{style}{} {name}{share}{style:#}\n",
                "",
                grouped(sum)
            ),
        );
        for (line, drawn) in chart::columns(counts, most, lines, charset)
            .into_iter()
            .enumerate()
        {
            let scale = if line == 0 {
                short(most)
            } else {
                String::new()
            };
            let drawn = drawn.trim_end();
            put(
                &mut text,
                format_args!("{scale:>w$} {style}{drawn}{style:#}\n", w = label - 1),
            );
        }
    }
    let (from, to) = (
        instant(first),
        steps
            .last()
            .map(|step| instant(step.to))
            .unwrap_or_default(),
    );
    // Where two dates do not fit, they are without their years and seconds.
    let cut = |date: &str| {
        let fits = columns > from.len() + to.len();
        if fits {
            date.to_owned()
        } else {
            date.get(5..16).unwrap_or(date).to_owned()
        }
    };
    for line in chart::ground(columns, &cut(&from), &cut(&to), charset) {
        put(&mut text, format_args!("{:label$}{line}\n", ""));
    }
    let each = steps.first().map_or(0.0, |step| step.to - step.from);
    put(
        &mut text,
        format_args!("{:label$}UTC; each step {}\n", "", span(each)),
    );
    text
}
