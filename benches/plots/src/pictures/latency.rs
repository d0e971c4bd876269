//! Percentiles of single calls.

use std::path::Path;

use crate::look::{self, Mark};
use crate::panel::{Scale, columns, short};
use crate::svg::{Anchor, Svg};
use crate::table::{Error, Machine, Row, Table};

/// With larger marks for what is rarer, so that both are seen where they are equal.
const PERCENTILES: [(&str, Mark, &str, f64); 4] = [
    ("p50", Mark::Circle, "mark", 3.6),
    ("p90", Mark::Diamond, "mark", 3.9),
    ("p99", Mark::Triangle, "mark", 5.0),
    ("p99.9", Mark::Square, "open", 6.2),
];

const TOP: f64 = 100.0;
const STEP: f64 = 21.0;
const NAMES: f64 = 204.0;

/// One limiter, asked so that it admits or so that it refuses.
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

/// `latency.svg`, of `latency.csv`.
pub fn draw(folder: &Path, machine: &Machine) -> Result<Option<String>, Error> {
    let head = ["calls", "limiter", "p50", "p90", "p99", "p99.9"];
    let Some(table) = Table::read(folder, "latency.csv", &head)? else {
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
    // The timer above all, for it is in every row; then the best tail first.
    admit.sort_by(|a, b| {
        let key = |calls: &Calls<'_>| calls.limiter != "timer alone";
        let tails = a.nanos[2].total_cmp(&b.nanos[2]);
        key(a)
            .cmp(&key(b))
            .then(tails)
            .then(a.nanos[3].total_cmp(&b.nanos[3]))
    });

    let bottom = TOP + STEP * admit.len() as f64;
    let mut svg = Svg::new(
        bottom + 84.0,
        "How long a call takes while every thread asks",
        "Nanoseconds per call, percentiles of all calls to one limiter. To the left is better; logarithmic.",
        "Two dot charts: 50th, 90th, 99th and 99.9th percentile of the time of a call per limiter, of calls that are admitted and refused.",
    );
    let mut x = 784.0;
    for (name, mark, class, size) in PERCENTILES.iter().rev() {
        svg.text(x, 76.0, Anchor::End, "small", name);
        x -= if *name == "p99.9" { 40.0 } else { 30.0 };
        svg.mark(class, "gray", *mark, *size, [x, 72.0]);
        x -= 16.0;
    }
    let numbers = || all.iter().flat_map(|calls| calls.nanos);
    for (left, calls, title) in [
        (NAMES, "admit", "All admitted"),
        (508.0, "refuse", "All refused"),
    ] {
        let right = left + 276.0;
        let scale = Scale::logarithmic(numbers(), [left, right]);
        svg.text(left, 76.0, Anchor::Start, "head", title);
        let ticks = scale.ticks();
        columns(
            &mut svg,
            [TOP - 12.0, bottom],
            ticks.iter().map(|&tick| (scale.at(tick), short(tick))),
        );
        let middle = f64::midpoint(left, right);
        svg.text(
            middle,
            bottom + 33.0,
            Anchor::Middle,
            "quiet small",
            "ns per call",
        );
        for (row, name) in (0..).zip(admit.iter().map(|calls| calls.limiter)) {
            let y = TOP + STEP * f64::from(row);
            let look = look::of(name);
            if calls == "admit" {
                let class = if look.ours { "ours" } else { "" };
                svg.text(NAMES - 12.0, y + 4.0, Anchor::End, class, name);
            }
            let found = all
                .iter()
                .find(|one| one.limiter == name && one.calls == calls);
            let Some(Calls { nanos, .. }) = found else {
                continue;
            };
            svg.path(look, &[[scale.at(nanos[0]), y], [scale.at(nanos[3]), y]]);
            // The rarer below, for the most common is what most see.
            for (nanos, (_, mark, class, size)) in nanos.iter().zip(PERCENTILES).rev() {
                svg.mark(class, look.color, mark, size, [scale.at(*nanos), y]);
            }
        }
    }
    svg.text(
        16.0,
        bottom + 56.0,
        Anchor::Start,
        "quiet small",
        "\"timer alone\" is in every row. The longest calls are interruptions by the machine; they are in latency.csv. Best 99th percentile first.",
    );
    Ok(Some(svg.finish(&machine.caption())))
}
