//! The same traffic through limiters of different kinds.

use std::path::Path;

use crate::look::{self, Look};
use crate::panel::{Label, Scale, columns, labels, rows};
use crate::svg::{Anchor, Svg};
use crate::table::{Error, Machine, Table};

const HEIGHT: f64 = 640.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 590.0;
const LABELS: f64 = 618.0;
/// Of those who ask, of all that was admitted, and of what was admitted within a second.
const OFFERED: [f64; 2] = [84.0, 132.0];
const TOTAL: [f64; 2] = [168.0, 372.0];
const SECOND: [f64; 2] = [414.0, 550.0];
/// As the suite simulates: no more than so many per second.
const LIMIT: u32 = 10;

/// `shaping.svg`, of `shaping.csv`.
pub fn draw(folder: &Path, machine: &Machine) -> Result<Option<String>, Error> {
    let Some(table) = Table::read(folder, "shaping.csv", &["time_ms", "offered"])? else {
        return Ok(None);
    };
    let limiters = table
        .columns()
        .into_iter()
        .filter(|name| !["time_ms", "offered"].contains(name));
    let mut limiters: Vec<&str> = limiters.collect();
    // Ours are thick and below, so that whoever does the same is seen on top of it.
    limiters.sort_by_key(|limiter| !look::is_ours(limiter));
    let mut times = Vec::new();
    let mut offered = Vec::new();
    for row in table.rows() {
        let time = row.count("time_ms")?;
        if times.last().is_some_and(|&last| time <= last) {
            return Err(table.wrong(format!("time_ms does not grow at {time}")));
        }
        times.push(time);
        offered.push(row.count("offered")?);
    }
    let (first, last) = (times[0], times[times.len() - 1]);
    if first == last {
        return Err(table.wrong("one instant is no traffic"));
    }

    let mut svg = Svg::new(
        HEIGHT,
        "The same traffic, shaped",
        "Limits of 10 per second, buckets with 10 at once; a simulation. Two crowds around a second's end, a modest caller, a flood.",
        "Three charts over time: how many ask; how many each limiter has admitted; how many it has admitted within the last second.",
    );
    let time = Scale::linear([f64::from(first), f64::from(last)], [LEFT, RIGHT]);
    let seconds = (0..=last.div_ceil(1_000))
        .map(|second| second * 1_000)
        .filter(|at| *at <= last);
    let seconds = || {
        seconds
            .clone()
            .map(|at| (time.at(f64::from(at)), (at / 1_000).to_string()))
    };
    let blank = || seconds().map(|(x, _)| (x, String::new()));

    svg.text(
        LEFT,
        OFFERED[0] - 8.0,
        Anchor::Start,
        "head",
        "Asked, every 20 ms",
    );
    let most = offered.iter().copied().max().unwrap_or(0).max(1);
    let scale = Scale::linear([0.0, f64::from(most)], [OFFERED[1], OFFERED[0]]);
    columns(&mut svg, OFFERED, blank());
    rows(
        &mut svg,
        [LEFT, RIGHT],
        [0, most]
            .map(|tick| (scale.at(f64::from(tick)), tick.to_string()))
            .into_iter(),
    );
    for (at, count) in times.iter().zip(&offered).filter(|(_, count)| **count > 0) {
        let top = scale.at(f64::from(*count));
        svg.bar(
            "fill gray",
            [time.at(f64::from(*at)), top],
            1.6,
            OFFERED[1] - top,
        );
    }

    let mut totals = Vec::new();
    let mut recents = Vec::new();
    for limiter in &limiters {
        let counts = table
            .rows()
            .map(|row| row.count(limiter))
            .collect::<Result<Vec<u32>, _>>()?;
        let (mut total, mut recent) = (0_u32, 0_u32);
        let mut oldest = 0;
        let mut sums = (Vec::new(), Vec::new());
        for (at, count) in counts.iter().enumerate() {
            total = total.saturating_add(*count);
            recent = recent.saturating_add(*count);
            while times[at] - times[oldest] >= 1_000 {
                recent = recent.saturating_sub(counts[oldest]);
                oldest += 1;
            }
            sums.0.push(total);
            sums.1.push(recent);
        }
        totals.push(sums.0);
        recents.push(sums.1);
    }

    let panels = [
        (TOTAL, "Admitted so far", totals, 10),
        (SECOND, "Admitted within the last second", recents, 5),
    ];
    for ([top, bottom], title, sums, step) in panels {
        svg.text(LEFT, top - 12.0, Anchor::Start, "head", title);
        let most = sums.iter().flatten().copied().max().unwrap_or(0).max(1);
        let scale = Scale::linear([0.0, f64::from(most)], [bottom, top]);
        let ticks = (0..=most / step).map(|tick| tick * step);
        if top < SECOND[0] {
            columns(&mut svg, [top, bottom], blank());
        } else {
            columns(&mut svg, [top, bottom], seconds());
        }
        rows(
            &mut svg,
            [LEFT, RIGHT],
            ticks.map(|tick| (scale.at(f64::from(tick)), tick.to_string())),
        );
        let mut names = Vec::new();
        for (limiter, sums) in limiters.iter().zip(&sums) {
            let points = times.iter().zip(sums);
            let points =
                points.map(|(at, sum)| [time.at(f64::from(*at)), scale.at(f64::from(*sum))]);
            let points: Vec<[f64; 2]> = points.collect();
            svg.steps(look::of(limiter), &points);
            if let Some(&end) = points.last() {
                names.push(Label {
                    name: (*limiter).to_owned(),
                    end,
                });
            }
        }
        if top < SECOND[0] {
            labels(&mut svg, names, LABELS, [top, bottom]);
        } else {
            let look = Look {
                ours: false,
                ..look::of("")
            };
            let y = scale.at(f64::from(LIMIT));
            svg.path(look, &[[LEFT, y], [RIGHT, y]]);
            svg.text(LEFT + 6.0, y - 5.0, Anchor::Start, "small", "the limit");
            for (line, (limiter, sums)) in (0..).zip(limiters.iter().zip(&sums)) {
                let most = sums.iter().copied().max().unwrap_or(0);
                let y = top + 22.0 + 15.0 * f64::from(line);
                let class = if look::is_ours(limiter) { "ours" } else { "" };
                svg.text(RIGHT + 28.0, y, Anchor::End, class, &most.to_string());
                svg.text(RIGHT + 36.0, y, Anchor::Start, class, limiter);
            }
        }
    }
    svg.text(
        RIGHT + 8.0,
        SECOND[0] + 4.0,
        Anchor::Start,
        "quiet small",
        "most in any second",
    );
    let below = SECOND[1] + 33.0;
    svg.text(
        f64::midpoint(LEFT, RIGHT),
        below,
        Anchor::Middle,
        "quiet small",
        "seconds",
    );
    svg.text(
        16.0,
        HEIGHT - 28.0,
        Anchor::Start,
        "quiet small",
        "Fixed window: a count that starts anew each second. Leaky bucket: a line of at most 10, one served every 100 ms, counted when served.",
    );
    Ok(Some(svg.finish(&machine.caption())))
}
