//! Draws how much comes too early, and how much is missing, at awkward rates.

use std::path::Path;

use tidegate_cli::picture::numbers::grouped;
use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::{LogScale, columns, labels, note, rows, series, short};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 564.0;
const LABELS: f64 = 590.0;
const TOP: f64 = 92.0;
/// From one chart to the next.
const STEP: f64 = 290.0;
/// From the top of a chart to the smallest visible error, and to the line without any error.
const DEPTH: f64 = 198.0;
const NONE: f64 = 222.0;
const HEIGHT: f64 = TOP + STEP + NONE + 96.0;
const LEAST: f64 = 0.1;

/// The worse error of the two ways to ask, of one limiter at one rate.
struct Point<'a> {
    limiter: &'a str,
    rate: &'a str,
    over: f64,
    under: f64,
}

/// Returns the points of one limiter.
fn of<'a>(points: &'a [Point<'_>], limiter: &'a str) -> impl Iterator<Item = &'a Point<'a>> {
    let of_limiter = move |point: &&Point<'_>| point.limiter == limiter;
    points.iter().filter(of_limiter)
}

/// Draws `accuracy_buckets.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["rate", "limiter", "over_ppm", "under_ppm", "left_out"];
    let Some(table) = Table::read(folder, "accuracy_buckets.csv", &header)? else {
        return Ok(None);
    };
    let mut points: Vec<Point<'_>> = Vec::new();
    let (mut rates, mut limiters) = (Vec::new(), Vec::new());
    for row in table.rows() {
        let (limiter, rate) = (row.text("limiter"), row.text("rate"));
        add_new(&mut rates, rate);
        if !row.text("left_out").is_empty() {
            continue;
        }
        add_new(&mut limiters, limiter);
        let (over, under) = (row.number("over_ppm")?, row.number("under_ppm")?);
        let same = |point: &&mut Point<'_>| point.limiter == limiter && point.rate == rate;
        if let Some(point) = points.iter_mut().find(same) {
            point.over = point.over.max(over);
            point.under = point.under.max(under);
        } else {
            points.push(Point {
                limiter,
                rate,
                over,
                under,
            });
        }
    }
    if points.is_empty() {
        return Err(table.wrong("every row is left out"));
    }
    // The slowest rate is the last in the file.
    rates.sort_by_key(|rate| !rate.contains(" per "));
    // Draws tidegate's lines last, above the others.
    limiters.sort_by_key(|limiter| look::is_ours(limiter));

    let mut svg = Svg::new(
        "How exact a rate is",
        "Two line charts of the error in parts per million against the rate: tokens that come too \
         early, and tokens that do not come.",
    );
    svg.heading(
        "Parts per million of what is due, on a manual clock, the worse of two ways to ask. Lower \
         is better; logarithmic above 0.",
    );
    let errors = points.iter().map(|point| point.over.max(point.under));
    let most = errors.fold(1e6, f64::max);
    let sides = [
        (TOP, "Admitted too early, ppm", true),
        (TOP + STEP, "Due, and not admitted, ppm", false),
    ];
    for (top, title, early) in sides {
        let error = |point: &Point<'_>| if early { point.over } else { point.under };
        let chart = top + 18.0;
        let scale = LogScale::new([LEAST, most * 1.3], [top + DEPTH, chart]);
        let none = top + NONE;
        let height = |ppm: f64| if ppm < LEAST { none } else { scale.at(ppm) };
        svg.text([16.0, top - 16.0], Anchor::Start, "head", title);
        let ticks = scale.ticks().into_iter().chain([(none, "0".to_owned())]);
        rows(&mut svg, [LEFT, RIGHT], ticks);
        let last = rates.len().saturating_sub(1).max(1) as f64;
        let place = |rate: &str| {
            let at = rates.iter().position(|one| *one == rate).unwrap_or(0);
            LEFT + 36.0 + at as f64 / last * (RIGHT - LEFT - 60.0)
        };
        let ticks = rates.iter().map(|rate| (place(rate), spaced(rate)));
        columns(&mut svg, [chart, none + 4.0], ticks);

        // A line of text names the limiters without any error. tidegate's are drawn as well.
        let is_exact = |limiter: &str| of(&points, limiter).map(error).all(|ppm| ppm < LEAST);
        let mut exact: Vec<&str> = limiters
            .iter()
            .copied()
            .filter(|one| is_exact(one))
            .collect();
        exact.sort_by_key(|limiter| !look::is_ours(limiter));
        let exact = exact.iter().map(|limiter| {
            let name = limiter.trim_start_matches("tidegate ");
            match of(&points, limiter).count() {
                at if at < rates.len() => format!("{name} ({at} of {})", rates.len()),
                _ => name.to_owned(),
            }
        });
        let exact = exact.collect::<Vec<_>>().join(", ");
        if !exact.is_empty() {
            note(&mut svg, top, &format!("0 at every rate: {exact}"));
        }
        let drawn = limiters.iter().copied();
        let drawn = drawn.filter(|limiter| look::is_ours(limiter) || !is_exact(limiter));
        let drawn: Vec<&str> = drawn.collect();
        let mut names = Vec::new();
        for (number, limiter) in drawn.iter().enumerate() {
            // Side by side, because some limiters have equal errors.
            let aside = 5.0 * (number as f64 - (drawn.len() - 1) as f64 / 2.0);
            let line = rates.iter().filter_map(|rate| {
                let point = of(&points, limiter).find(|point| point.rate == *rate)?;
                Some([place(rate) + aside, height(error(point))])
            });
            names.extend(series(&mut svg, limiter, &line.collect::<Vec<_>>()));
        }
        labels(&mut svg, names, LABELS, [chart, none + 16.0]);
    }
    note(
        &mut svg,
        HEIGHT - 44.0,
        "Asked when a token is due, and every 1333 ns. Lines only guide the eye: between two rates \
         nothing was measured.",
    );
    note(
        &mut svg,
        HEIGHT - 28.0,
        "A limiter that admitted every call was stopped at two million ppm. Numbers: \
         accuracy_buckets.csv.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}

/// Formats a rate: `1,000,001/s` in full, and `600 M/s` if it is long and round.
fn spaced(rate: &str) -> String {
    let parts = rate.split_once('/');
    match parts.map(|(number, period)| (number.parse::<u32>(), period)) {
        Some((Ok(number @ ..10_000_000), period)) => {
            format!("{}/{period}", grouped(number.into()))
        }
        Some((Ok(number), period)) => format!("{}/{period}", short(number.into())),
        _ => rate.to_owned(),
    }
}
