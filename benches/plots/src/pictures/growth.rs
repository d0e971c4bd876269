//! Draws how the cost of a call grows, in four panels.

use std::path::Path;

use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::{LogScale, columns, labels, note, rows, series};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const HEIGHT: f64 = 666.0;
const WIDTH: f64 = 182.0;
/// The left and the upper edges of the panels.
const LEFT: [f64; 2] = [46.0, 428.0];
const TOP: [f64; 2] = [96.0, 376.0];
const DEPTH: f64 = 200.0;
/// Between the ticks of the lower axis and the first and last points.
const ROOM: f64 = 12.0;

/// Curves of `growth.csv`, with the titles and the lower axes of their panels.
const CURVES: [(&str, &str, &str); 4] = [
    ("keys", "A known key, in random order", "keys in the table"),
    ("slots", "A sliding window", "slots of the window"),
    ("limits", "A combination of buckets", "limits"),
    (
        "waiters",
        "A queue of waiters, per waiter",
        "waiters in the queue",
    ),
];

struct Point<'a> {
    curve: &'a str,
    /// The limiter if there are several, otherwise the calls.
    name: &'a str,
    x: f64,
    nanos: f64,
}

/// Draws `growth.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["curve", "limiter", "calls", "x", "lower_quartile_ns"];
    let Some(table) = Table::read(folder, "growth.csv", &header)? else {
        return Ok(None);
    };
    let mut points = Vec::new();
    for row in table.rows() {
        let curve = row.text("curve");
        let name = if curve == "keys" { "limiter" } else { "calls" };
        points.push(Point {
            curve,
            name: row.text(name),
            x: row.positive("x")?,
            nanos: row.positive("lower_quartile_ns")?,
        });
    }

    let mut svg = Svg::new(
        "How the cost of a call grows",
        "Four line charts of nanoseconds per call: against the keys of a table, the slots of a \
         window, the limits of a combination, and the waiters in a queue.",
    );
    svg.heading("Nanoseconds per call on one thread. Lower is better; both axes are logarithmic.");
    for (at, (curve, title, axis)) in CURVES.into_iter().enumerate() {
        let here: Vec<&Point<'_>> = points.iter().filter(|point| point.curve == curve).collect();
        if here.is_empty() {
            return Err(table.wrong(format!("no rows of the curve \"{curve}\"")));
        }
        let corner = [LEFT[at % 2], TOP[at / 2]];
        panel(&mut svg, corner, title, axis, &here);
    }
    note(
        &mut svg,
        HEIGHT - 28.0,
        "Rows of a panel were timed in turns: lower quartiles of the slices; medians: growth.csv.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}

fn panel(svg: &mut Svg, [left, top]: [f64; 2], title: &str, axis: &str, points: &[&Point<'_>]) {
    let (right, bottom) = (left + WIDTH, top + DEPTH);
    svg.text([left - 30.0, top - 16.0], Anchor::Start, "head", title);
    let height = LogScale::around(points.iter().map(|point| point.nanos), [bottom, top]);
    rows(svg, [left, right], height.ticks());
    let ends = points
        .iter()
        .fold([f64::INFINITY, 0.0_f64], |[least, most], point| {
            [least.min(point.x), most.max(point.x)]
        });
    let places = [left + ROOM, right - ROOM];
    let place = LogScale::new([ends[0], ends[1].max(ends[0] * 2.0)], places);
    let ticks = place.ticks();
    // Leaves out every other power of ten where they would touch.
    let step = if ticks.len() > 5 { 2 } else { 1 };
    columns(svg, [top, bottom], ticks.into_iter().step_by(step));
    let middle = [f64::midpoint(left, right), bottom + 33.0];
    svg.text(middle, Anchor::Middle, "quiet small", axis);

    let mut names = Vec::new();
    points
        .iter()
        .for_each(|point| add_new(&mut names, point.name));
    // Draws tidegate's thick lines first, so that an equal thin line is visible on top.
    names.sort_by_key(|name| !look::is_ours(name));
    let names = names.into_iter().filter_map(|name| {
        let line = points.iter().filter(|point| point.name == name);
        let line = line.map(|point| [place.at(point.x), height.at(point.nanos)]);
        series(svg, name, &line.collect::<Vec<_>>())
    });
    let names = names.collect();
    labels(svg, names, right + 16.0, [top, bottom]);
}
