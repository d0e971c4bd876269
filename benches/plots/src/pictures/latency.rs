//! Draws percentiles of single calls.

use std::path::Path;

use tidegate_cli::picture::svg::{Anchor, Svg};

use crate::Drawn;
use crate::look::{self, Mark};
use crate::panel::{LogScale, columns, note};
use crate::table::{Error, Machine, Row, Table};

/// Rarer percentiles have larger marks, so that equal ones stay visible.
const PERCENTILES: [(&str, Mark, &str, f64); 4] = [
    ("p50", Mark::Circle, "mark", 3.6),
    ("p90", Mark::Diamond, "mark", 3.9),
    ("p99", Mark::Triangle, "mark", 5.0),
    ("p99.9", Mark::Square, "open", 6.2),
];

const TOP: f64 = 100.0;
const STEP: f64 = 21.0;
const NAMES: f64 = 204.0;

/// The times of one limiter's calls, which are all admitted or all refused.
struct Calls<'a> {
    limiter: &'a str,
    calls: &'a str,
    nanos: [f64; 4],
}

impl<'a> Calls<'a> {
    fn read(row: Row<'a>) -> Result<Self, Error> {
        let mut nanos = [0.0; 4];
        for (nanos, (column, ..)) in nanos.iter_mut().zip(PERCENTILES) {
            // The timer's step may be longer than a call.
            *nanos = row.number(column)?.max(1.0);
        }
        Ok(Self {
            limiter: row.text("limiter"),
            calls: row.text("calls"),
            nanos,
        })
    }
}

/// Draws `latency.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["calls", "limiter", "p50", "p90", "p99", "p99.9"];
    let Some(table) = Table::read(folder, "latency.csv", &header)? else {
        return Ok(None);
    };
    let mut all = Vec::new();
    for row in table.rows() {
        let calls = Calls::read(row)?;
        if !look::has_own_clock(calls.limiter) && ["admit", "refuse"].contains(&calls.calls) {
            all.push(calls);
        }
    }
    let mut admit: Vec<&Calls<'_>> = all.iter().filter(|calls| calls.calls == "admit").collect();
    if admit.is_empty() {
        return Err(table.wrong("no rows of calls to admit"));
    }
    // The timer comes first, because every row includes it. The shortest tail follows.
    admit.sort_by(|a, b| {
        let is_limiter = |calls: &Calls<'_>| calls.limiter != "timer alone";
        let tails = |at: usize| a.nanos[at].total_cmp(&b.nanos[at]);
        let kinds = is_limiter(a).cmp(&is_limiter(b));
        kinds.then(tails(2)).then(tails(3))
    });

    let bottom = TOP + STEP * admit.len() as f64;
    let mut svg = Svg::new(
        "How long a call takes while every thread asks",
        "Two dot charts of the 50th, 90th, 99th and 99.9th percentile of the time of a call, \
         per limiter: admitted calls, and refused calls.",
    );
    svg.heading(
        "Nanoseconds per call, percentiles of all calls to one limiter. Further left is better; \
         logarithmic.",
    );
    let mut x = 784.0;
    for (name, mark, class, size) in PERCENTILES.iter().rev() {
        svg.text([x, 76.0], Anchor::End, "small", name);
        x -= if *name == "p99.9" { 40.0 } else { 30.0 };
        mark.draw(&mut svg, &format!("{class} gray"), *size, [x, 72.0]);
        x -= 16.0;
    }
    for (left, calls, title) in [
        (NAMES, "admit", "All admitted"),
        (508.0, "refuse", "All refused"),
    ] {
        let right = left + 276.0;
        let scale = LogScale::around(all.iter().flat_map(|calls| calls.nanos), [left, right]);
        svg.text([left, 76.0], Anchor::Start, "head", title);
        columns(&mut svg, [TOP - 12.0, bottom], scale.ticks());
        let middle = [f64::midpoint(left, right), bottom + 33.0];
        svg.text(middle, Anchor::Middle, "quiet small", "ns per call");
        for (row, name) in (0..).zip(admit.iter().map(|calls| calls.limiter)) {
            let y = TOP + STEP * f64::from(row);
            let look = look::of(name);
            if calls == "admit" {
                svg.text([NAMES - 12.0, y + 4.0], Anchor::End, look.name(), name);
            }
            let found = all
                .iter()
                .find(|one| one.limiter == name && one.calls == calls);
            let Some(Calls { nanos, .. }) = found else {
                continue;
            };
            svg.line(
                &look.line(),
                [scale.at(nanos[0]), y],
                [scale.at(nanos[3]), y],
            );
            // Draws the rarest first, so that the most common call stays visible.
            for (nanos, (_, mark, class, size)) in nanos.iter().zip(PERCENTILES).rev() {
                let class = format!("{class} {}", look.color);
                mark.draw(&mut svg, &class, size, [scale.at(*nanos), y]);
            }
        }
    }
    note(
        &mut svg,
        bottom + 56.0,
        "Every row includes \"timer alone\". The longest calls, in latency.csv, are interruptions \
         by the machine. Best 99th percentile first.",
    );
    note(&mut svg, bottom + 72.0, &machine.caption());
    Ok(Some(svg.finish(bottom + 84.0)))
}
