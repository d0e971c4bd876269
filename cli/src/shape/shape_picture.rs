//! Draws the comparison as SVG.

use super::outcome::{Series, Shape};
use crate::picture::numbers::{counted, grouped, percent, plain, span, ticks};
use crate::picture::scale::Scale;
use crate::picture::svg::{Anchor, Svg};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 590.0;
const BESIDE: f64 = RIGHT + 16.0;
/// Heights of a chart with columns, and of the chart with lines.
const LOW: f64 = 56.0;
const TALL: f64 = 150.0;
/// Columns of a chart, three points wide.
const STEPS: u32 = 178;

/// Draws the traffic, the admissions of each limiter, and the admissions within one window.
///
/// The colors are those of the crate's records: a bucket is blue, a window is red.
pub fn svg(shape: &Shape) -> String {
    let length = shape.length.as_secs_f64();
    let asked = counted(shape.arrivals.len() as u64, "request");
    let span_text = span(length);
    let description =
        format!("{asked} in {span_text}, and what each limiter admitted of them over time.");
    let mut svg = Svg::new("The same traffic, shaped", &description);
    let (quota, windows) = (&shape.quota, shape.windows.join(", "));
    svg.heading(&format!(
        "{asked} in {span_text}; bucket {quota}, window {windows}"
    ));

    let offered = shape.counts(STEPS as usize, |_| true);
    let most = offered.iter().copied().max().unwrap_or(0);
    let mut top = 84.0;
    svg.text([LEFT, top - 9.0], Anchor::Start, "head", "Asked");
    columns(&mut svg, &offered, most, top, "gray");
    svg.text([BESIDE, top + 12.0], Anchor::Start, "quiet", &asked);
    let note = format!("columns of {}", span(length / f64::from(STEPS)));
    svg.text([BESIDE, top + 28.0], Anchor::Start, "quiet small", &note);
    for (number, series) in shape.series.iter().enumerate() {
        top += LOW + 46.0;
        row(&mut svg, shape, series, looks(shape, number).0, (top, most));
    }
    let bottom = lines(&mut svg, shape, top + LOW + 52.0);
    svg.finish(bottom + 46.0)
}

/// Returns a color and a dash. Windows after the first are dotted; their names tell their limits.
const fn looks(shape: &Shape, number: usize) -> (&'static str, &'static str) {
    match number {
        0 => ("blue", "thick"),
        _ if number + 1 == shape.series.len() => ("green", "dash"),
        1 => ("red", ""),
        _ => ("red", "dots"),
    }
}

/// Draws the admissions of one limiter, with a mark for each refusal.
fn row(svg: &mut Svg, shape: &Shape, series: &Series, color: &str, (top, most): (f64, u64)) {
    let title = format!("Admitted by {}", series.name);
    svg.text([LEFT, top - 9.0], Anchor::Start, "head", &title);
    let counts = shape.counts(STEPS as usize, |at| series.decisions[at]);
    columns(svg, &counts, most, top, color);
    let bottom = top + LOW;
    let scale = time_scale(shape);
    let decided = shape.arrivals.iter().zip(&series.decisions);
    let refused = decided.filter(|(_, admitted)| !**admitted);
    let places = refused.map(|(time, _)| (scale.at(seconds(*time)) * 2.0).round() / 2.0);
    let mut places: Vec<f64> = places.collect();
    // Marks at one place are one.
    places.dedup();
    let between = [bottom + 7.0, bottom + 14.0];
    svg.marks("line thin gray", places.into_iter(), between);
    if series.refused > 0 {
        let at = [LEFT - 7.0, bottom + 15.0];
        svg.text(at, Anchor::End, "quiet small", "refused");
    }
    let part = percent(series.refused, shape.arrivals.len() as u64);
    let (most, interval) = (
        grouped(series.max_in_interval),
        span(shape.compared.as_secs_f64()),
    );
    let facts = [
        format!("{} admitted", grouped(series.admitted)),
        format!("{} refused ({part})", grouped(series.refused)),
        format!("{most} at most in any {interval}"),
    ];
    for ((class, fact), y) in ["head", "quiet", "quiet"]
        .iter()
        .zip(facts)
        .zip([12.0, 29.0, 46.0])
    {
        svg.text([BESIDE, top + y], Anchor::Start, class, &fact);
    }
}

fn columns(svg: &mut Svg, counts: &[u64], most: u64, top: f64, color: &str) {
    let plot = [top, top + LOW];
    let height = Scale::up_to(most, plot);
    svg.levels(&height, &ticks(most, 3), [LEFT, RIGHT]);
    let width = (RIGHT - LEFT) / f64::from(STEPS);
    let mut x = LEFT;
    let mut drawn = Vec::with_capacity(counts.len());
    for count in counts {
        drawn.push((x, [height.of(0), height.of(*count)]));
        x += width;
    }
    svg.area(&format!("fill {color}"), &drawn, RIGHT);
}

/// Draws admissions within the last window, and the limit. Returns where the chart ends.
fn lines(svg: &mut Svg, shape: &Shape, top: f64) -> f64 {
    let interval = span(shape.compared.as_secs_f64());
    let title = format!("Admitted within the last {interval}");
    svg.text([LEFT, top - 10.0], Anchor::Start, "head", &title);
    let plot = [top, top + TALL];
    let most = shape
        .series
        .iter()
        .map(|series| series.max_in_interval)
        .max();
    let limit = shape.limit.min(shape.arrivals.len() as u64);
    let most = most.unwrap_or(0).max(limit);
    // Slightly more, so that lines do not run along the edge.
    let height = Scale::up_to(most + most / 10, plot);
    svg.levels(&height, &ticks(most, 5), [LEFT, RIGHT]);
    let scale = time_scale(shape);
    let mut y = top + 12.0;
    for (number, series) in shape.series.iter().enumerate() {
        let (color, dash) = looks(shape, number);
        let end = shape.length.as_secs_f64();
        let changes = series
            .recent(shape)
            .into_iter()
            .filter(|(time, _)| seconds(*time) <= end);
        let mut points = vec![[LEFT, height.of(0)]];
        points.extend(changes.map(|(time, count)| [scale.at(seconds(time)), height.of(count)]));
        let class = format!("line {color} {dash}");
        svg.steps(&class, &thinned(&points), RIGHT);
        svg.line(&class, [BESIDE, y - 4.0], [BESIDE + 22.0, y - 4.0]);
        svg.text([BESIDE + 29.0, y], Anchor::Start, "", &series.name);
        y += 18.0;
    }
    if shape.limit <= most {
        let at = height.of(shape.limit);
        let class = "line gray dots";
        svg.line(class, [LEFT, at], [RIGHT, at]);
        svg.line(class, [BESIDE, y - 4.0], [BESIDE + 22.0, y - 4.0]);
        let limit = format!("{} per {interval}", grouped(shape.limit));
        svg.text([BESIDE + 29.0, y], Anchor::Start, "quiet", &limit);
    }
    time_axis(svg, shape, plot[1]);
    plot[1]
}

/// Keeps the lowest, the highest and the last of the points that share a place.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let place = |point: &[f64; 2]| (point[0] * 2.0).floor();
    let by_height = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
    let runs = points.chunk_by(|a, b| place(a).total_cmp(&place(b)).is_eq());
    let kept = runs.flat_map(|run| {
        let found = [
            run.iter().max_by(by_height),
            run.iter().min_by(by_height),
            run.last(),
        ];
        let heights = found.into_iter().flatten();
        heights.map(|point| [run[0][0], point[1]])
    });
    kept.collect()
}

/// Units of the time axis.
const UNITS: [(f64, &str); 7] = [
    (86_400.0, "days"),
    (3_600.0, "hours"),
    (60.0, "minutes"),
    (1.0, "seconds"),
    (1e-3, "milliseconds"),
    (1e-6, "microseconds"),
    (1e-9, "nanoseconds"),
];

fn time_axis(svg: &mut Svg, shape: &Shape, bottom: f64) {
    let scale = time_scale(shape);
    let length = shape.length.as_secs_f64();
    // The largest unit that the axis shows at least twice.
    let (unit, name) = UNITS
        .into_iter()
        .find(|(unit, _)| length >= 2.0 * unit)
        .unwrap_or(UNITS[6]);
    let length = length / unit;
    let rough = length / 8.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = steps.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(length);
    let mut number = 0.0;
    while number * step <= length * 1.000_001 {
        let x = scale.at(number * step * unit);
        svg.line("grid", [x, bottom], [x, bottom + 5.0]);
        let label = plain(number * step);
        svg.text([x, bottom + 18.0], Anchor::Middle, "quiet small", &label);
        number += 1.0;
    }
    let middle = [f64::midpoint(LEFT, RIGHT), bottom + 34.0];
    svg.text(middle, Anchor::Middle, "quiet small", name);
}

const fn time_scale(shape: &Shape) -> Scale {
    Scale {
        numbers: [0.0, shape.length.as_secs_f64()],
        places: [LEFT, RIGHT],
    }
}

#[expect(clippy::cast_precision_loss, reason = "for pictures")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
