//! The same as SVG.

use super::outcome::{Series, Shape};
use crate::picture::numbers::{counted, grouped, percent, plain, span, ticks};
use crate::picture::svg::{Anchor, Scale, Svg};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 590.0;
const BESIDE: f64 = RIGHT + 16.0;
/// Of a chart with columns, and of the one with lines.
const LOW: f64 = 56.0;
const TALL: f64 = 150.0;
/// Three points wide.
const STEPS: usize = 178;

/// The picture, in the colours of the crate's records: blue is a bucket, red a window.
pub fn svg(shape: &Shape) -> String {
    let title = "The same traffic, shaped";
    let length = shape.length.as_secs_f64();
    let (asked, span_text) = (
        counted(shape.arrivals.len() as u64, "request"),
        span(length),
    );
    let description =
        format!("{asked} in {span_text}, and what each limiter admitted of them over time.");
    let mut svg = Svg::new(title, &description);
    svg.text([16.0, 26.0], Anchor::Start, "title", title);
    let windows = shape.windows.join(", ");
    let line = format!(
        "{asked} in {span_text}; bucket {}, window {windows}",
        shape.quota
    );
    svg.text([16.0, 45.0], Anchor::Start, "quiet", &line);

    let offered = shape.counts(STEPS, |_| true);
    let most = offered.iter().copied().max().unwrap_or(0);
    let mut top = 84.0;
    svg.text([LEFT, top - 9.0], Anchor::Start, "head", "Asked");
    columns(&mut svg, &offered, most, top, "gray");
    svg.text([BESIDE, top + 12.0], Anchor::Start, "quiet", &asked);
    let step = span(length / 178.0);
    svg.text(
        [BESIDE, top + 28.0],
        Anchor::Start,
        "quiet small",
        &format!("columns of {step}"),
    );
    for (number, series) in shape.series.iter().enumerate() {
        top += LOW + 46.0;
        row(
            &mut svg,
            shape,
            series,
            looks(shape, number).0,
            [top, f64::from(u32::try_from(most).unwrap_or(u32::MAX))],
        );
    }
    top += LOW + 52.0;
    let bottom = lines(&mut svg, shape, top);
    svg.finish(bottom + 46.0)
}

/// A colour and a dash; windows after the first are dotted, and told apart by what they allow.
const fn looks(shape: &Shape, number: usize) -> (&'static str, &'static str) {
    match number {
        0 => ("blue", "thick"),
        _ if number + 1 == shape.series.len() => ("green", "dash"),
        1 => ("red", ""),
        _ => ("red", "dots"),
    }
}

/// What one limiter admitted, with a mark for each request that it refused.
fn row(svg: &mut Svg, shape: &Shape, series: &Series, color: &str, [top, most]: [f64; 2]) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was a count"
    )]
    let most = most as u64;
    svg.text(
        [LEFT, top - 9.0],
        Anchor::Start,
        "head",
        &format!("Admitted by {}", series.name),
    );
    columns(
        svg,
        &shape.counts(STEPS, |at| series.decisions[at]),
        most,
        top,
        color,
    );
    let bottom = top + LOW;
    let scale = time_scale(shape);
    let refused = shape
        .arrivals
        .iter()
        .zip(&series.decisions)
        .filter(|(_, admitted)| !**admitted);
    let mut places: Vec<f64> = refused
        .map(|(time, _)| (scale.at(seconds(*time)) * 2.0).round() / 2.0)
        .collect();
    // Marks at one place are one.
    places.dedup();
    svg.marks(
        "line thin gray",
        places.into_iter(),
        [bottom + 7.0, bottom + 14.0],
    );
    if series.refused > 0 {
        svg.text(
            [LEFT - 7.0, bottom + 15.0],
            Anchor::End,
            "quiet small",
            "refused",
        );
    }
    let part = percent(series.refused, shape.arrivals.len() as u64);
    let facts = [
        ("head", format!("{} admitted", grouped(series.admitted))),
        (
            "quiet",
            format!("{} refused ({part})", grouped(series.refused)),
        ),
        (
            "quiet",
            format!(
                "{} at most in any {}",
                grouped(series.max_in_interval),
                span(shape.compared.as_secs_f64())
            ),
        ),
    ];
    let mut y = top + 12.0;
    for (class, fact) in facts {
        svg.text([BESIDE, y], Anchor::Start, class, &fact);
        y += 17.0;
    }
}

fn columns(svg: &mut Svg, counts: &[u64], most: u64, top: f64, color: &str) {
    let plot = [top, top + LOW];
    let height = Scale::up_to(most, plot);
    svg.levels(&height, &ticks(most, 3), [LEFT, RIGHT]);
    let width = (RIGHT - LEFT) / 178.0;
    let mut x = LEFT;
    let mut drawn = Vec::with_capacity(counts.len());
    for count in counts {
        drawn.push((x, [height.of(0), height.of(*count)]));
        x += width;
    }
    svg.area(&format!("fill {color}"), &drawn, RIGHT);
}

/// Admissions within the last window, and the limit. Returns where it ends.
fn lines(svg: &mut Svg, shape: &Shape, top: f64) -> f64 {
    let interval = span(shape.compared.as_secs_f64());
    svg.text(
        [LEFT, top - 10.0],
        Anchor::Start,
        "head",
        &format!("Admitted within the last {interval}"),
    );
    let plot = [top, top + TALL];
    let most = shape
        .series
        .iter()
        .map(|series| series.max_in_interval)
        .max()
        .unwrap_or(0)
        .max(shape.limit.min(most_asked(shape)));
    // A little more, so that lines do not run along the edge.
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
        svg.steps(&format!("line {color} {dash}"), &thinned(&points), RIGHT);
        svg.line(
            &format!("line {color} {dash}"),
            [BESIDE, y - 4.0],
            [BESIDE + 22.0, y - 4.0],
        );
        svg.text([BESIDE + 29.0, y], Anchor::Start, "", &series.name);
        y += 18.0;
    }
    if shape.limit <= most {
        let at = height.of(shape.limit);
        svg.line("line gray dots", [LEFT, at], [RIGHT, at]);
        svg.line(
            "line gray dots",
            [BESIDE, y - 4.0],
            [BESIDE + 22.0, y - 4.0],
        );
        let limit = format!("{} per {interval}", grouped(shape.limit));
        svg.text([BESIDE + 29.0, y], Anchor::Start, "quiet", &limit);
    }
    time_axis(svg, shape, plot[1]);
    plot[1]
}

const fn most_asked(shape: &Shape) -> u64 {
    shape.arrivals.len() as u64
}

/// Of points that fall on one place, the lowest and the highest and the last are enough.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    let same = |a: f64, b: f64| (a * 2.0).floor().total_cmp(&(b * 2.0).floor()).is_eq();
    let mut rest = points;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take_while(|point| same(point[0], first[0]))
            .count();
        let (here, next) = rest.split_at(run);
        let by_height = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let found = [
            here.iter().max_by(by_height),
            here.iter().min_by(by_height),
            here.last(),
        ];
        kept.extend(
            found
                .into_iter()
                .flatten()
                .map(|point| [first[0], point[1]]),
        );
        rest = next;
    }
    kept
}

/// Of times on the axis.
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
    // The largest of which there are some.
    let (unit, name) = UNITS
        .into_iter()
        .find(|(unit, _)| length >= 2.0 * unit)
        .unwrap_or(UNITS[6]);
    let length = length / unit;
    let rough = length / 8.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(length);
    let mut number = 0.0;
    while number * step <= length * 1.000_001 {
        let x = scale.at(number * step * unit);
        svg.line("grid", [x, bottom], [x, bottom + 5.0]);
        svg.text(
            [x, bottom + 18.0],
            Anchor::Middle,
            "quiet small",
            &plain(number * step),
        );
        number += 1.0;
    }
    svg.text(
        [f64::midpoint(LEFT, RIGHT), bottom + 34.0],
        Anchor::Middle,
        "quiet small",
        name,
    );
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
