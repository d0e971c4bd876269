//! Admitted and refused over time: one upon the other, and what was refused on a scale of its own, for it is often little.

use super::numbers::{counted, grouped, percent, span, ticks};
use super::steps::{Step, steps};
use super::svg::{Anchor, Scale, Svg, WIDTH};
use super::time::{self, instant};
use crate::report::Report;

const LEFT: f64 = 60.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Two of the 716 points of the picture for each step at the least.
const MOST_STEPS: usize = 358;
/// Of the two charts.
const TALL: f64 = 200.0;
const LOW: f64 = 64.0;

/// Draws it from `top` on, and returns where it ends.
pub(super) fn draw(svg: &mut Svg, report: &Report, top: f64) -> f64 {
    let first = report.first.unwrap_or(0.0);
    let steps = steps(&report.timeline, first, MOST_STEPS);
    legend(svg, report, top);
    let plot = [top + 22.0, top + 22.0 + TALL];
    let Some(end) = steps.last().map(|step| step.to).filter(|end| *end > first) else {
        svg.text(
            [LEFT, plot[0] + 14.0],
            Anchor::Start,
            "quiet",
            "There was no request.",
        );
        return plot[0] + 24.0;
    };
    let length = steps.first().map_or(0.0, |step| step.to - step.from);
    let scale = Scale {
        numbers: [first, end],
        places: [LEFT, RIGHT],
    };

    let most = |of: fn(&Step) -> u64| steps.iter().map(of).max().unwrap_or(0);
    let total = |step: &Step| step.admitted.saturating_add(step.refused);
    let height = Scale::up_to(most(total), plot);
    grid(svg, &height, most(total), 4, plot);
    let columns = |lower: fn(&Step) -> u64, upper: fn(&Step) -> u64, height: Scale| {
        let column = |step: &Step| {
            (
                scale.at(step.from),
                [height.of(lower(step)), height.of(upper(step))],
            )
        };
        steps.iter().map(column).collect::<Vec<_>>()
    };
    svg.area(
        "fill blue",
        &columns(|_| 0, |step| step.admitted, height),
        RIGHT,
    );
    svg.area(
        "fill red",
        &columns(|step| step.admitted, total, height),
        RIGHT,
    );
    let mut bottom = plot[1];
    dates(svg, &scale, [first, end], plot, report.refused == 0);

    if report.refused > 0 {
        let low = [bottom + 40.0, bottom + 40.0 + LOW];
        svg.text(
            [LEFT, low[0] - 9.0],
            Anchor::Start,
            "head small",
            "Refused alone, on its own scale",
        );
        let height = Scale::up_to(most(|step| step.refused), low);
        grid(svg, &height, most(|step| step.refused), 3, low);
        svg.area(
            "fill red",
            &columns(|_| 0, |step| step.refused, height),
            RIGHT,
        );
        dates(svg, &scale, [first, end], low, true);
        bottom = low[1];
    }
    // Invisible, above all: a pointer that rests on a step is told its numbers, without a script.
    for step in &steps {
        let [left, right] = [scale.at(step.from), scale.at(step.to)];
        svg.bar(
            "hover",
            [left, plot[0]],
            [right - left, bottom - plot[0]],
            &hint(step),
        );
    }
    let note = format!("time (UTC); requests per step of {}", span(length));
    svg.text(
        [f64::midpoint(LEFT, RIGHT), bottom + 46.0],
        Anchor::Middle,
        "quiet small",
        &note,
    );
    bottom + 50.0
}

/// What is told about a step.
fn hint(step: &Step) -> String {
    let Step {
        from,
        to,
        admitted,
        refused,
    } = *step;
    format!(
        "{} to {} UTC: {} admitted, {} refused",
        instant(from),
        instant(to),
        grouped(admitted),
        grouped(refused)
    )
}

/// What the colours are, with the sums.
fn legend(svg: &mut Svg, report: &Report, top: f64) {
    let Report {
        requests,
        admitted,
        refused,
        ..
    } = *report;
    let admitted_text = format!("{} admitted", grouped(admitted));
    let refused_text = format!(
        "{} refused ({})",
        grouped(refused),
        percent(refused, requests)
    );
    svg.bar("fill blue", [LEFT, top - 3.0], [11.0, 11.0], "");
    svg.text(
        [LEFT + 17.0, top + 7.0],
        Anchor::Start,
        "head",
        &admitted_text,
    );
    // Wide enough for the figures of the font.
    let second =
        LEFT + 17.0 + 7.4 * f64::from(u32::try_from(admitted_text.len()).unwrap_or(0)) + 20.0;
    svg.bar("fill red", [second, top - 3.0], [11.0, 11.0], "");
    svg.text(
        [second + 17.0, top + 7.0],
        Anchor::Start,
        "head",
        &refused_text,
    );
    svg.text(
        [RIGHT, top + 7.0],
        Anchor::End,
        "quiet",
        &counted(requests, "request"),
    );
}

/// Lines across with their labels.
fn grid(svg: &mut Svg, height: &Scale, most: u64, wanted: u64, [_, bottom]: [f64; 2]) {
    svg.levels(height, &ticks(most, wanted), [LEFT, RIGHT]);
    // So that there is a ground even where nothing happens.
    svg.line("grid", [LEFT, bottom], [RIGHT, bottom]);
}

/// Marks at round times, and their labels where the chart is the last one.
fn dates(
    svg: &mut Svg,
    scale: &Scale,
    [first, end]: [f64; 2],
    [_, bottom]: [f64; 2],
    labelled: bool,
) {
    for tick in time::ticks(first, end, 8) {
        let x = scale.at(tick.at);
        svg.line("grid", [x, bottom], [x, bottom + 5.0]);
        if !labelled {
            continue;
        }
        // Labels at the ends would leave the picture.
        let x = x.clamp(LEFT, RIGHT - 16.0);
        svg.text(
            [x, bottom + 18.0],
            Anchor::Middle,
            "quiet small",
            &tick.label,
        );
        if let Some(date) = tick.date {
            svg.text([x, bottom + 31.0], Anchor::Middle, "quiet small", &date);
        }
    }
}
