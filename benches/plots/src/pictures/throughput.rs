//! Calls per second of all threads, admitted and refused.

use std::path::Path;

use super::remember;
use crate::look;
use crate::panel::{Label, Scale, columns, labels, rows, short};
use crate::svg::{Anchor, Svg};
use crate::table::{Error, Machine, Table};

const HEIGHT: f64 = 496.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 408.0;

/// How fast one limiter is with so many threads.
struct Point<'a> {
    limiter: &'a str,
    calls: &'a str,
    threads: u32,
    millions: f64,
}

/// `throughput.svg`, of `throughput.csv`.
pub fn draw(folder: &Path, machine: &Machine) -> Result<Option<String>, Error> {
    let head = ["limiter", "calls", "threads", "median_ns"];
    let Some(table) = Table::read(folder, "throughput.csv", &head)? else {
        return Ok(None);
    };
    let mut points = Vec::new();
    let mut counts = Vec::new();
    for row in table.rows() {
        let (limiter, calls) = (row.text("limiter"), row.text("calls"));
        if look::has_own_clock(limiter) || !["admit", "refuse"].contains(&calls) {
            continue;
        }
        let threads = row.count("threads")?;
        remember(&mut counts, threads);
        let millions = f64::from(threads) * 1e3 / row.positive("median_ns")?;
        points.push(Point {
            limiter,
            calls,
            threads,
            millions,
        });
    }
    if points.is_empty() {
        return Err(table.wrong("no rows of calls to admit or refuse"));
    }
    counts.sort_unstable();

    let mut svg = Svg::new(
        HEIGHT,
        "How many calls one limiter decides",
        "Millions of calls per second by all threads together, which ask the same limiter. Higher is better; logarithmic.",
        "Two line charts: calls per second against threads, of calls that are admitted and of calls that are refused, one line per limiter.",
    );
    let scale = Scale::logarithmic(points.iter().map(|point| point.millions), [BOTTOM, TOP]);
    for (left, calls, title) in [
        (42.0, "admit", "All admitted, million calls/s"),
        (438.0, "refuse", "All refused, million calls/s"),
    ] {
        let right = left + 140.0;
        svg.text(left - 26.0, TOP - 16.0, Anchor::Start, "head", title);
        let ticks = scale.ticks();
        rows(
            &mut svg,
            [left, right],
            ticks.iter().map(|&tick| (scale.at(tick), short(tick))),
        );
        let last = counts.len().saturating_sub(1).max(1) as f64;
        let place = |threads: u32| {
            let at = counts
                .iter()
                .position(|&count| count == threads)
                .unwrap_or(0);
            left + 14.0 + at as f64 / last * (right - left - 28.0)
        };
        let ticks = counts
            .iter()
            .map(|&threads| (place(threads), threads.to_string()));
        columns(&mut svg, [TOP, BOTTOM], ticks);
        svg.text(
            f64::midpoint(left, right),
            BOTTOM + 33.0,
            Anchor::Middle,
            "quiet small",
            "threads",
        );

        let mut limiters = Vec::new();
        let here = || points.iter().filter(|point| point.calls == calls);
        here().for_each(|point| remember(&mut limiters, point.limiter));
        // Ours above the others.
        limiters.sort_by_key(|limiter| look::is_ours(limiter));
        let mut names = Vec::new();
        for limiter in limiters {
            let look = look::of(limiter);
            let line = here().filter(|point| point.limiter == limiter);
            let line: Vec<[f64; 2]> = line
                .map(|point| [place(point.threads), scale.at(point.millions)])
                .collect();
            svg.path(look, &line);
            for point in &line {
                svg.mark(
                    "mark",
                    look.color,
                    look.mark,
                    if look.ours { 5.0 } else { 4.0 },
                    *point,
                );
            }
            if let Some(&end) = line.last() {
                names.push(Label {
                    name: limiter.to_owned(),
                    end,
                });
            }
        }
        labels(&mut svg, names, right + 20.0, [TOP, BOTTOM + 20.0]);
    }
    svg.text(
        16.0,
        HEIGHT - 28.0,
        Anchor::Start,
        "quiet small",
        "One clock for all, which ShardedTokenBucket seldom reads; leaky-bucket and pingora-limits bring theirs. Medians; range: throughput.csv.",
    );
    Ok(Some(svg.finish(&machine.caption())))
}
