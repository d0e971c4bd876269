//! Draws a replay, and formats the numbers, times and keys of every output.

pub mod decades;
pub mod escape;
pub mod key;
pub mod noticed;
pub mod noun;
pub mod numbers;
pub mod scale;
pub mod svg;
pub mod time;

mod bars;
mod curve;
mod steps;
mod stream;

pub use steps::{Step, steps};

use crate::report::Report;
use crate::suggest::suggestions::Suggestions;
use noun::nouns;
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

/// Draws only admissions and refusals over time, for a page: wide, or narrow for phones.
pub fn stream_within(report: &Report, is_narrow: bool) -> String {
    let mut svg = Svg::new("Admitted and refused over time", &description(report)).within();
    if is_narrow {
        svg = svg.narrow();
    }
    let bottom = stream::draw(&mut svg, report, 24.0);
    svg.finish(bottom + 8.0)
}

/// Draws what limits would refuse, as one file.
pub fn curve_svg(found: &Suggestions) -> String {
    let mut svg = Svg::new("What each limit would refuse", &curve_description(found));
    let recommended = found
        .recommended
        .as_ref()
        .map(|choice| choice.limit.as_str());
    let recommended = recommended.unwrap_or("nothing");
    let by = key::shown(&found.by, 20);
    svg.heading(&format!("{recommended} is recommended, by {by}"));
    let bottom = curve::draw(&mut svg, found, 72.0);
    svg.finish(bottom + 16.0)
}

/// Draws what limits would refuse, for a page: wide, or narrow for phones.
pub fn curve_within(found: &Suggestions, is_narrow: bool) -> String {
    let title = "What each limit would refuse";
    let mut svg = Svg::new(title, &curve_description(found)).within();
    if is_narrow {
        svg = svg.narrow();
    }
    let bottom = curve::draw(&mut svg, found, 24.0);
    svg.finish(bottom + 8.0)
}

/// Describes the curve for readers who cannot see the picture.
fn curve_description(found: &Suggestions) -> String {
    let points = found.curve.iter().flat_map(|curve| &curve.points);
    let points: Vec<String> = points
        .map(|point| {
            format!(
                "{}: {} refused, {} {} hit.",
                point.limit,
                percent(point.refused, found.requests),
                percent(point.keys_refused, found.keys),
                nouns(&found.by)
            )
        })
        .collect();
    points.join(" ")
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
