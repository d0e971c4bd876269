//! Pictures of a replay.

pub mod escape;
pub mod key;
pub mod numbers;
pub mod svg;
pub mod time;

mod bars;
mod steps;
mod stream;

pub use steps::{Step, steps};

use std::fmt::{self, Write as _};

use crate::report::Report;
use numbers::{counted, grouped, percent};
use svg::{Anchor, Svg};

/// The most characters of the limits that fit the line below the title.
const LIMITS: usize = 110;

/// Admissions and refusals over time, and the keys that were refused most: a file of its own.
pub fn timeline_svg(report: &Report) -> String {
    let title = "What the limit would have done";
    let mut svg = Svg::new(title, &description(report));
    svg.text([16.0, 26.0], Anchor::Start, "title", title);
    let limits = key::shown(&report.limits.join(" and "), LIMITS);
    svg.text(
        [16.0, 45.0],
        Anchor::Start,
        "quiet",
        &format!("{limits}, by {}", key::shown(&report.by, 20)),
    );
    let bottom = stream::draw(&mut svg, report, 72.0);
    let bottom = bars::draw(&mut svg, report, bottom + 34.0);
    svg.finish(bottom + 16.0)
}

/// The part over time alone, for a page.
pub fn stream_within(report: &Report) -> String {
    let mut svg = Svg::new("Admitted and refused over time", &description(report)).within();
    let bottom = stream::draw(&mut svg, report, 24.0);
    svg.finish(bottom + 8.0)
}

/// For those who do not see it.
fn description(report: &Report) -> String {
    let Report {
        requests,
        admitted,
        refused,
        ..
    } = *report;
    let mut text = format!(
        "{} over time: {} admitted, {} refused ({}).",
        counted(requests, "request"),
        grouped(admitted),
        grouped(refused),
        percent(refused, requests)
    );
    if let (Some(first), Some(last)) = (report.first, report.last) {
        put(
            &mut text,
            format_args!(
                " From {} to {} UTC.",
                time::instant(first),
                time::instant(last)
            ),
        );
    }
    text
}

/// Adds to a text. Writing to a string does not fail.
pub fn put(text: &mut String, more: fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}
