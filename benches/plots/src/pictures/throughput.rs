//! Draws calls per second of all threads, admitted and refused.

use std::path::Path;

use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::{LogScale, columns, labels, note, rows, series};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const HEIGHT: f64 = 496.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 408.0;

/// The speed of one limiter with a number of threads.
struct Point<'a> {
    limiter: &'a str,
    calls: &'a str,
    threads: u32,
    millions: f64,
}

/// Draws `throughput.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["limiter", "calls", "threads", "median_ns"];
    let Some(table) = Table::read(folder, "throughput.csv", &header)? else {
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
        add_new(&mut counts, threads);
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
        "How many calls one limiter decides",
        "Two line charts of calls per second against threads, with one line per limiter: \
         admitted calls, and refused calls.",
    );
    svg.heading(
        "Millions of calls per second to one limiter, by all threads together. Higher is better; \
         logarithmic.",
    );
    let scale = LogScale::around(points.iter().map(|point| point.millions), [BOTTOM, TOP]);
    for (left, calls, title) in [
        (42.0, "admit", "All admitted, million calls/s"),
        (438.0, "refuse", "All refused, million calls/s"),
    ] {
        let right = left + 140.0;
        svg.text([left - 26.0, TOP - 16.0], Anchor::Start, "head", title);
        rows(&mut svg, [left, right], scale.ticks());
        let last = counts.len().saturating_sub(1).max(1) as f64;
        let place = |threads: u32| {
            let at = counts.iter().take_while(|&&count| count < threads).count();
            left + 14.0 + at as f64 / last * (right - left - 28.0)
        };
        let ticks = counts
            .iter()
            .map(|&count| (place(count), count.to_string()));
        columns(&mut svg, [TOP, BOTTOM], ticks);
        let middle = [f64::midpoint(left, right), BOTTOM + 33.0];
        svg.text(middle, Anchor::Middle, "quiet small", "threads");

        let mut limiters = Vec::new();
        let here = || points.iter().filter(|point| point.calls == calls);
        here().for_each(|point| add_new(&mut limiters, point.limiter));
        // Draws tidegate's lines last, above the others.
        limiters.sort_by_key(|limiter| look::is_ours(limiter));
        let names = limiters.into_iter().filter_map(|limiter| {
            let line = here().filter(|point| point.limiter == limiter);
            let line = line.map(|point| [place(point.threads), scale.at(point.millions)]);
            series(&mut svg, limiter, &line.collect::<Vec<_>>())
        });
        let names = names.collect();
        labels(&mut svg, names, right + 20.0, [TOP, BOTTOM + 20.0]);
    }
    note(
        &mut svg,
        HEIGHT - 28.0,
        "All read one clock, ShardedTokenBucket seldom; leaky-bucket and pingora-limits read their \
         own. Medians; ranges: throughput.csv.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}
