//! Draws a replay, and formats the numbers, times and keys of every output.

pub mod escape;
pub mod key;
pub mod numbers;
pub mod scale;
pub mod svg;
pub mod time;

mod bars;
mod steps;
mod stream;

pub use steps::{Step, steps};

use crate::report::Report;
use numbers::{counted, grouped, percent};
use svg::Svg;

/// The most characters of the limits that fit in the line below the title.
const LIMITS: usize = 110;

/// Draws admissions and refusals over time, and the keys with the most refusals, as one file.
pub fn timeline_svg(report: &Report) -> String {
    let mut svg = Svg::new("What the limit would have done", &description(report));
    let limits = key::shown(&report.limits.join(" and "), LIMITS);
    svg.heading(&format!("{limits}, by {}", key::shown(&report.by, 20)));
    let bottom = stream::draw(&mut svg, report, 72.0);
    let bottom = bars::draw(&mut svg, report, bottom + 34.0);
    svg.finish(bottom + 16.0)
}

/// Draws only admissions and refusals over time, for a page.
pub fn stream_within(report: &Report) -> String {
    let mut svg = Svg::new("Admitted and refused over time", &description(report)).within();
    let bottom = stream::draw(&mut svg, report, 24.0);
    svg.finish(bottom + 8.0)
}

/// Describes the report for readers who cannot see the picture.
fn description(report: &Report) -> String {
    let mut text = format!(
        "{} over time: {} admitted, {} refused ({}).",
        counted(report.requests, "request"),
        grouped(report.admitted),
        grouped(report.refused),
        percent(report.refused, report.requests)
    );
    if let (Some(first), Some(last)) = (report.first, report.last) {
        let (first, last) = (time::instant(first), time::instant(last));
        text += &format!(" From {first} to {last} UTC.");
    }
    text
}
