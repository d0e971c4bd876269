//! Draws the same traffic through limiters of different kinds.

use std::path::Path;

use tidegate_cli::picture::scale::Scale;
use tidegate_cli::picture::svg::{Anchor, Svg};

use crate::panel::{Label, columns, labels, note, rows};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const HEIGHT: f64 = 640.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 590.0;
const LABELS: f64 = 618.0;
/// Top and bottom of the charts: calls, admissions so far, admissions within a second.
const OFFERED: [f64; 2] = [84.0, 132.0];
const TOTAL: [f64; 2] = [168.0, 372.0];
const SECOND: [f64; 2] = [414.0, 550.0];
/// The limit per second that the suite simulates.
const LIMIT: u32 = 10;

/// Draws `shaping.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let Some(table) = Table::read(folder, "shaping.csv", &["time_ms", "offered"])? else {
        return Ok(None);
    };
    let limiters = table.columns();
    let limiters = limiters.filter(|name| !["time_ms", "offered"].contains(name));
    let mut limiters: Vec<&str> = limiters.collect();
    // Draws tidegate's thick lines first, so that an equal thin line is visible on top.
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
        "The same traffic, shaped",
        "Three charts over time: calls; admissions of each limiter so far; its admissions within \
         the last second.",
    );
    svg.heading(
        "Limits of 10 per second, buckets with 10 at once; a simulation. Two bursts around a \
         second's end, a modest caller, a flood.",
    );
    let time = Scale {
        numbers: [first.into(), last.into()],
        places: [LEFT, RIGHT],
    };
    let place = |at: u32| time.at(at.into());
    let seconds: Vec<u32> = (0..=last / 1_000).collect();
    let grid = |svg: &mut Svg, bounds, labelled: bool| {
        let label = |second: u32| {
            if labelled {
                second.to_string()
            } else {
                String::new()
            }
        };
        let ticks = seconds.iter().map(|&at| (place(at * 1_000), label(at)));
        columns(svg, bounds, ticks);
    };
    let levels = |svg: &mut Svg, scale: &Scale, most: u32, step: u32| {
        let ticks = (0..=most / step).map(|tick| tick * step);
        let ticks = ticks.map(|tick| (scale.of(tick.into()), tick.to_string()));
        rows(svg, [LEFT, RIGHT], ticks);
    };

    let title = "Calls, every 20 ms";
    svg.text([LEFT, OFFERED[0] - 8.0], Anchor::Start, "head", title);
    let most = offered.iter().copied().max().unwrap_or(0).max(1);
    let scale = Scale::up_to(most.into(), OFFERED);
    grid(&mut svg, OFFERED, false);
    levels(&mut svg, &scale, most, most);
    for (at, count) in times.iter().zip(&offered).filter(|(_, count)| **count > 0) {
        let top = scale.of(u64::from(*count));
        svg.bar("fill gray", [place(*at), top], [1.6, OFFERED[1] - top], "");
    }

    let (mut totals, mut recents) = (Vec::new(), Vec::new());
    for limiter in &limiters {
        let counts = table.rows().map(|row| row.count(limiter));
        let counts = counts.collect::<Result<Vec<u32>, _>>()?;
        let (mut total, mut recent, mut oldest) = (0_u32, 0_u32, 0);
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
    let charts = [
        (TOTAL, "Admitted so far", &totals, 10),
        (SECOND, "Admitted within the last second", &recents, 5),
    ];
    let mut ends = Vec::new();
    for (bounds, title, sums, step) in charts {
        svg.text([LEFT, bounds[0] - 12.0], Anchor::Start, "head", title);
        let most = sums.iter().flatten().copied().max().unwrap_or(0).max(1);
        let scale = Scale::up_to(most.into(), bounds);
        grid(&mut svg, bounds, bounds == SECOND);
        levels(&mut svg, &scale, most, step);
        for (limiter, sums) in limiters.iter().zip(sums) {
            let points = times.iter().zip(sums);
            let points = points.map(|(at, sum)| [place(*at), scale.of(u64::from(*sum))]);
            let points: Vec<[f64; 2]> = points.collect();
            let end = points[points.len() - 1];
            svg.steps(&look::of(limiter).line(), &points, end[0]);
            ends.push(Label {
                name: (*limiter).to_owned(),
                end,
            });
        }
        if bounds == TOTAL {
            labels(&mut svg, std::mem::take(&mut ends), LABELS, bounds);
        } else {
            let y = scale.of(LIMIT.into());
            svg.line(&look::of("").line(), [LEFT, y], [RIGHT, y]);
            svg.text([LEFT + 6.0, y - 5.0], Anchor::Start, "small", "the limit");
        }
    }
    let at = [RIGHT + 8.0, SECOND[0] + 4.0];
    svg.text(at, Anchor::Start, "quiet small", "most in any second");
    for (line, (limiter, sums)) in (0..).zip(limiters.iter().zip(&recents)) {
        let most = sums.iter().copied().max().unwrap_or(0);
        let y = SECOND[0] + 22.0 + 15.0 * f64::from(line);
        let class = look::of(limiter).name();
        svg.text([RIGHT + 28.0, y], Anchor::End, class, &most.to_string());
        svg.text([RIGHT + 36.0, y], Anchor::Start, class, limiter);
    }
    let middle = [f64::midpoint(LEFT, RIGHT), SECOND[1] + 33.0];
    svg.text(middle, Anchor::Middle, "quiet small", "seconds");
    note(
        &mut svg,
        HEIGHT - 28.0,
        "Fixed window: a count that restarts each second. Leaky bucket: a queue of at most 10 that \
         serves one every 100 ms, counted when served.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}
