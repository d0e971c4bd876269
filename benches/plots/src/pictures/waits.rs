//! Draws how much of a quota is used while callers give up.

use std::path::Path;

use tidegate_cli::picture::scale::Scale;
use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::{LogScale, columns, labels, note, rows, series};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 540.0;
const LABELS: f64 = 572.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 340.0;
const HEIGHT: f64 = BOTTOM + 90.0;
/// Between the ticks of the lower axis and the first and last points.
const ROOM: f64 = 14.0;

/// The use of a quota by callers of one patience.
struct Point<'a> {
    limiter: &'a str,
    patience: f64,
    percent: f64,
}

/// Draws `waits_goodput.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["limiter", "patience", "median"];
    let Some(table) = Table::read(folder, "waits_goodput.csv", &header)? else {
        return Ok(None);
    };
    let mut points = Vec::new();
    let mut limiters = Vec::new();
    for row in table.rows() {
        let limiter = row.text("limiter");
        add_new(&mut limiters, limiter);
        points.push(Point {
            limiter,
            patience: row.positive("patience")?,
            percent: row.number("median")?,
        });
    }
    // Draws tidegate's thick lines first, so that an equal thin line is visible on top.
    limiters.sort_by_key(|limiter| !look::is_ours(limiter));

    let mut svg = Svg::new(
        "How much of a quota is used while callers give up",
        "A line chart of the used percentage of the quota against the patience of the callers, \
         per limiter.",
    );
    svg.heading(
        "Percent of the quota that is used while twice as many callers come, and each drops its \
         wait when its patience is over.",
    );
    svg.text(
        [16.0, TOP - 16.0],
        Anchor::Start,
        "head",
        "Used, % of the quota",
    );
    let least = points
        .iter()
        .map(|point| point.percent)
        .fold(100.0, f64::min);
    let most = points
        .iter()
        .map(|point| point.percent)
        .fold(100.0, f64::max);
    let base = if least >= 75.0 { 70.0 } else { 0.0 };
    let height = Scale {
        numbers: [base, most],
        places: [BOTTOM, TOP],
    };
    let step = if base > 0.0 { 5 } else { 20 };
    let ticks = (0..=100).step_by(step).map(f64::from);
    let ticks = ticks.filter(|tick| *tick >= base);
    rows(
        &mut svg,
        [LEFT, RIGHT],
        ticks.map(|tick| (height.at(tick), format!("{tick}"))),
    );
    let patience = points.iter().map(|point| point.patience);
    let ends = patience.fold([f64::INFINITY, 0.0_f64], |[least, most], number| {
        [least.min(number), most.max(number)]
    });
    let place = LogScale::new(
        [ends[0], ends[1].max(ends[0] * 2.0)],
        [LEFT + ROOM, RIGHT - ROOM],
    );
    columns(&mut svg, [TOP, BOTTOM], place.ticks());
    let middle = [f64::midpoint(LEFT, RIGHT), BOTTOM + 33.0];
    let axis = "patience, in intervals between permits";
    svg.text(middle, Anchor::Middle, "quiet small", axis);

    let names = limiters.into_iter().filter_map(|limiter| {
        let line = points.iter().filter(|point| point.limiter == limiter);
        let line = line.map(|point| [place.at(point.patience), height.at(point.percent)]);
        series(&mut svg, limiter, &line.collect::<Vec<_>>())
    });
    let names = names.collect();
    labels(&mut svg, names, LABELS, [TOP, BOTTOM]);
    note(
        &mut svg,
        HEIGHT - 28.0,
        "200 per second with a burst of 1, a window with 20 per 100 ms. All but governor sleep on \
         tokio's timer. Medians; ranges: waits_goodput.csv.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}
