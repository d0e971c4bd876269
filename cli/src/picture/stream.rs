//! Draws admitted and refused requests over time, stacked.
//!
//! Refusals are often few, so a second chart shows them alone on its own scale.

use super::numbers::{counted, grouped, percent, span, ticks};
use super::scale::Scale;
use super::steps::{Step, steps};
use super::svg::{Anchor, Svg, WIDTH};
use super::time::{self, instant};
use crate::report::Report;

const LEFT: f64 = 60.0;
/// Each step is at least two points wide: of 716, and of the 276 of a narrow picture.
const MOST_STEPS: usize = 358;
const MOST_STEPS_NARROW: usize = 138;
/// Heights of the two charts.
const TALL: f64 = 200.0;
const LOW: f64 = 64.0;

/// Draws the charts from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, report: &Report, top: f64) -> f64 {
    let first = report.first.unwrap_or(0.0);
    let is_narrow = svg.width() < WIDTH;
    let right = right(svg);
    let most_steps = if is_narrow {
        MOST_STEPS_NARROW
    } else {
        MOST_STEPS
    };
    let steps = steps(&report.timeline, first, most_steps);
    let top = legend(svg, report, top);
    let plot = [top + 22.0, top + 22.0 + TALL];
    let Some(end) = steps.last().map(|step| step.to).filter(|end| *end > first) else {
        let at = [LEFT, plot[0] + 14.0];
        svg.text(at, Anchor::Start, "quiet", "There was no request.");
        return plot[0] + 24.0;
    };
    let scale = Scale {
        numbers: [first, end],
        places: [LEFT, right],
    };

    let total = |step: &Step| step.admitted.saturating_add(step.refused);
    let grid = |svg: &mut Svg, of: fn(&Step) -> u64, wanted: u64, plot: [f64; 2]| {
        let most = steps.iter().map(of).max().unwrap_or(0);
        let height = Scale::up_to(most, plot);
        svg.levels(&height, &ticks(most, wanted), [LEFT, right]);
        // A base line, even where there is no request.
        svg.line("grid", [LEFT, plot[1]], [right, plot[1]]);
        height
    };
    let fill =
        |svg: &mut Svg, color, lower: fn(&Step) -> u64, upper: fn(&Step) -> u64, height: Scale| {
            let levels = |step: &Step| [height.of(lower(step)), height.of(upper(step))];
            let columns = steps.iter().map(|step| (scale.at(step.from), levels(step)));
            svg.area(color, &columns.collect::<Vec<_>>(), right);
        };
    let height = grid(svg, total, 4, plot);
    fill(svg, "fill blue", |_| 0, |step| step.admitted, height);
    fill(svg, "fill red", |step| step.admitted, total, height);
    dates(svg, &scale, plot[1], report.refused == 0);

    let mut bottom = plot[1];
    if report.refused > 0 {
        let low = [bottom + 40.0, bottom + 40.0 + LOW];
        let title = "Refused alone, on its own scale";
        svg.text([LEFT, low[0] - 9.0], Anchor::Start, "head small", title);
        let height = grid(svg, |step| step.refused, 3, low);
        fill(svg, "fill red", |_| 0, |step| step.refused, height);
        dates(svg, &scale, low[1], true);
        bottom = low[1];
    }
    // Invisible, on top of everything: a pointer on a step shows its numbers without a script.
    for step in &steps {
        let [left, right] = [scale.at(step.from), scale.at(step.to)];
        let size = [right - left, bottom - plot[0]];
        svg.bar("hover", [left, plot[0]], size, &hint(step));
    }
    let length = steps.first().map_or(0.0, |step| step.length);
    let note = format!("time (UTC); requests per step of {}", span(length));
    let middle = [f64::midpoint(LEFT, right), bottom + 46.0];
    svg.text(middle, Anchor::Middle, "quiet small", &note);
    bottom + 50.0
}

/// Returns the text that a pointer on a step shows.
fn hint(step: &Step) -> String {
    format!(
        "{} to {} UTC: {} admitted, {} refused",
        instant(step.from),
        instant(step.to),
        grouped(step.admitted),
        grouped(step.refused)
    )
}

/// The right end of the charts.
const fn right(svg: &Svg) -> f64 {
    svg.width() - 24.0
}

/// Explains the colors, with the sums. Returns where its last line begins.
fn legend(svg: &mut Svg, report: &Report, top: f64) -> f64 {
    let admitted = format!("{} admitted", grouped(report.admitted));
    let share = percent(report.refused, report.requests);
    let refused = format!("{} refused ({share})", grouped(report.refused));
    // Wide enough for the digits of the font.
    let width = 7.4 * f64::from(u32::try_from(admitted.len()).unwrap_or(0));
    let is_narrow = svg.width() < WIDTH;
    // A narrow picture has a line for each.
    let (second, below) = if is_narrow {
        (LEFT, top + 18.0)
    } else {
        (LEFT + 17.0 + width + 20.0, top)
    };
    for (at, color, text) in [
        ([LEFT, top], "fill blue", admitted),
        ([second, below], "fill red", refused),
    ] {
        let [left, top] = at;
        svg.bar(color, [left, top - 3.0], [11.0, 11.0], "");
        svg.text([left + 17.0, top + 7.0], Anchor::Start, "head", &text);
    }
    if !is_narrow {
        let all = counted(report.requests, "request");
        let right = right(svg);
        svg.text([right, top + 7.0], Anchor::End, "quiet", &all);
    }
    below
}

/// Draws marks at round times, and their labels below the last chart.
fn dates(svg: &mut Svg, scale: &Scale, bottom: f64, labelled: bool) {
    let [first, end] = scale.numbers;
    let right = right(svg);
    let most = if svg.width() < WIDTH { 4 } else { 8 };
    for tick in time::ticks(first, end, most) {
        let x = scale.at(tick.at);
        svg.line("grid", [x, bottom], [x, bottom + 5.0]);
        if !labelled {
            continue;
        }
        // Labels at the ends would leave the picture.
        let x = x.clamp(LEFT, right - 16.0);
        let labels = [(18.0, Some(tick.label)), (31.0, tick.date)];
        for (below, label) in labels {
            if let Some(label) = label {
                svg.text([x, bottom + below], Anchor::Middle, "quiet small", &label);
            }
        }
    }
}
