//! What comes too early, and what does not come, at rates that are awkward.

use std::path::Path;

use super::remember;
use crate::look;
use crate::panel::{Label, Scale, columns, grouped, labels, rows, short};
use crate::svg::{Anchor, Svg};
use crate::table::{Error, Machine, Table};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 564.0;
const LABELS: f64 = 590.0;
const TOP: f64 = 92.0;
/// From one chart to the next.
const STEP: f64 = 290.0;
/// From the top of a chart to the smallest error that is shown, and to the line of those who make none.
const DEPTH: f64 = 198.0;
const NONE: f64 = 222.0;
const HEIGHT: f64 = TOP + STEP + NONE + 96.0;
const LEAST: f64 = 0.1;

/// The worse of the ways to ask, of one limiter at one rate.
struct Point<'a> {
    limiter: &'a str,
    rate: &'a str,
    over: f64,
    under: f64,
}

/// `accuracy.svg`, of `accuracy_buckets.csv`.
pub fn draw(folder: &Path, machine: &Machine) -> Result<Option<String>, Error> {
    let head = ["rate", "limiter", "over_ppm", "under_ppm", "left_out"];
    let Some(table) = Table::read(folder, "accuracy_buckets.csv", &head)? else {
        return Ok(None);
    };
    let mut points: Vec<Point<'_>> = Vec::new();
    let mut rates = Vec::new();
    for row in table.rows() {
        let (limiter, rate) = (row.text("limiter"), row.text("rate"));
        remember(&mut rates, rate);
        if !row.text("left_out").is_empty() {
            continue;
        }
        let (over, under) = (row.number("over_ppm")?, row.number("under_ppm")?);
        let same = |point: &&mut Point<'_>| point.limiter == limiter && point.rate == rate;
        match points.iter_mut().find(same) {
            Some(point) => {
                point.over = point.over.max(over);
                point.under = point.under.max(under);
            }
            None => points.push(Point {
                limiter,
                rate,
                over,
                under,
            }),
        }
    }
    if points.is_empty() {
        return Err(table.wrong("every row is left out"));
    }
    // The slowest is the last in the file.
    rates.sort_by_key(|rate| !rate.contains(" per "));

    let mut svg = Svg::new(
        HEIGHT,
        "How exact a rate is",
        "Parts per million of what is due, on a manual clock, the worse of two ways to ask. Lower is better; logarithmic above 0.",
        "Two line charts: error in parts per million against rate, of tokens that come too early and of tokens that do not come.",
    );
    let most = points
        .iter()
        .map(|point| point.over.max(point.under))
        .fold(1e6, f64::max);
    let mut limiters = Vec::new();
    points
        .iter()
        .for_each(|point| remember(&mut limiters, point.limiter));
    limiters.sort_by_key(|limiter| !look::is_ours(limiter));
    let sides = [
        (TOP, "Admitted too early, ppm", true),
        (TOP + STEP, "Due, and not admitted, ppm", false),
    ];
    for (top, title, early) in sides {
        let error = |point: &Point<'_>| if early { point.over } else { point.under };
        let chart = top + 18.0;
        let scale = Scale::decades([LEAST, most * 1.3], [top + DEPTH, chart]);
        let none = top + NONE;
        let height = |ppm: f64| if ppm < LEAST { none } else { scale.at(ppm) };
        svg.text(16.0, top - 16.0, Anchor::Start, "head", title);
        let ticks = scale
            .ticks()
            .into_iter()
            .map(|tick| (scale.at(tick), short(tick)));
        rows(
            &mut svg,
            [LEFT, RIGHT],
            ticks.chain([(none, "0".to_owned())]),
        );
        let last = rates.len().saturating_sub(1).max(1) as f64;
        let place = |rate: &str| {
            let at = rates.iter().position(|one| *one == rate).unwrap_or(0);
            LEFT + 36.0 + at as f64 / last * (RIGHT - LEFT - 60.0)
        };
        columns(
            &mut svg,
            [chart, none + 4.0],
            rates.iter().map(|rate| (place(rate), spaced(rate))),
        );

        // Those without any error are a line of text, but ours are drawn, too.
        let is_exact = |limiter: &str| {
            let mut errors = points
                .iter()
                .filter(|point| point.limiter == limiter)
                .map(error);
            errors.all(|ppm| ppm < LEAST)
        };
        let exact = limiters.iter().filter(|limiter| is_exact(limiter));
        let exact: Vec<String> = exact
            .map(|limiter| {
                let at = points
                    .iter()
                    .filter(|point| point.limiter == *limiter)
                    .count();
                let name = limiter.trim_start_matches("tidegate ");
                if at < rates.len() {
                    format!("{name} ({at} of {})", rates.len())
                } else {
                    name.to_owned()
                }
            })
            .collect();
        if !exact.is_empty() {
            let text = format!("0 at every rate: {}", exact.join(", "));
            svg.text(16.0, top, Anchor::Start, "quiet small", &text);
        }
        let drawn = limiters
            .iter()
            .filter(|limiter| look::is_ours(limiter) || !is_exact(limiter));
        let mut drawn: Vec<&str> = drawn.copied().collect();
        // Ours above the others.
        drawn.sort_by_key(|limiter| look::is_ours(limiter));
        let mut names = Vec::new();
        for (number, limiter) in drawn.iter().copied().enumerate() {
            let look = look::of(limiter);
            // Beside each other, for some make the same error.
            let aside = 5.0 * (number as f64 - (drawn.len() - 1) as f64 / 2.0);
            let line = rates.iter().filter_map(|rate| {
                let here = |point: &&Point<'_>| point.limiter == limiter && point.rate == *rate;
                let point = points.iter().find(here)?;
                Some([place(rate) + aside, height(error(point))])
            });
            let line: Vec<[f64; 2]> = line.collect();
            svg.path(look, &line);
            for point in &line {
                let size = if look.ours { 5.0 } else { 4.0 };
                svg.mark("mark", look.color, look.mark, size, *point);
            }
            if let Some(&end) = line.last() {
                let name = limiter.to_owned();
                names.push(Label { name, end });
            }
        }
        labels(&mut svg, names, LABELS, [chart, none + 16.0]);
    }
    svg.text(
        16.0,
        HEIGHT - 44.0,
        Anchor::Start,
        "quiet small",
        "Asked when a token is due, and every 1333 ns. Points of a limiter are connected to be found; between two rates nothing was measured.",
    );
    svg.text(
        16.0,
        HEIGHT - 28.0,
        Anchor::Start,
        "quiet small",
        "At two million and more it was stopped: it admitted whatever it was asked. Numbers: accuracy_buckets.csv.",
    );
    Ok(Some(svg.finish(&machine.caption())))
}

/// `1 000 001/s`, `600 M/s`: a number in full, unless it is long and round.
fn spaced(rate: &str) -> String {
    match rate
        .split_once('/')
        .map(|(number, period)| (number.parse::<u32>(), period))
    {
        Some((Ok(number @ ..10_000_000), period)) => format!("{}/{period}", grouped(number)),
        Some((Ok(number), period)) => format!("{}/{period}", short(f64::from(number))),
        _ => rate.to_owned(),
    }
}
