//! Draws what limits refuse: the limit to the right, shares upward, both on logarithmic scales.

use super::decades::Decades;
use super::noun::nouns;
use super::numbers::{grouped, percent, ratio, short};
use super::scale::Scale;
use super::svg::{Anchor, Svg, WIDTH};
use crate::suggest::suggestions::{Curve, Point, Suggestions};

const LEFT: f64 = 60.0;
const TALL: f64 = 220.0;
/// From the lowest power of ten down to the line for zero.
const TO_ZERO: f64 = 22.0;

/// Draws the curves from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, found: &Suggestions, top: f64) -> f64 {
    let shares = |point: &Point| {
        [
            ratio(point.refused, found.requests),
            ratio(point.keys_refused, found.keys),
        ]
    };
    let curve = found.curve.as_ref().filter(|curve| curve.points.len() > 1);
    let all = curve
        .iter()
        .flat_map(|curve| curve.points.iter().flat_map(shares));
    let (Some(curve), Some(decades)) = (curve, Decades::new(all)) else {
        let text = "Even the smallest limit would refuse nothing.";
        svg.text([LEFT, top + 14.0], Anchor::Start, "quiet", text);
        return top + 24.0;
    };
    let has_keys = found.by != "none";
    let top = legend(svg, found, has_keys, top) + 24.0;
    let right = svg.width() - 24.0;
    let bottom = top + TALL;
    let zero = bottom + TO_ZERO;
    let height = |share: f64| {
        if share > 0.0 {
            bottom - decades.position(share) * TALL
        } else {
            zero
        }
    };
    for line in 0..=decades.count() {
        let part = f64::from(u32::try_from(line).unwrap_or(0))
            / f64::from(u32::try_from(decades.count()).unwrap_or(1));
        let y = top + part * TALL;
        svg.line("grid", [LEFT, y], [right, y]);
        let label = decades.label(line);
        svg.text([LEFT - 7.0, y + 4.0], Anchor::End, "quiet small", &label);
    }
    svg.line("grid", [LEFT, zero], [right, zero]);
    svg.text([LEFT - 7.0, zero + 4.0], Anchor::End, "quiet small", "0");
    let scale = rates(curve, right);
    mark_recommended(svg, found, curve, &scale, [top, zero]);
    let keys = has_keys.then_some(("line blue", 1_usize));
    for (class, which) in keys.into_iter().chain([("line thick red", 0)]) {
        let places = curve.points.iter().map(|point| {
            let x = scale.at(log(point.rate));
            [x, height(shares(point)[which])]
        });
        svg.lines(class, &places.collect::<Vec<_>>());
    }
    axis(svg, curve, &scale, zero);
    hints(svg, found, curve, &scale, [top, zero]);
    zero + 50.0
}

#[expect(clippy::cast_precision_loss, reason = "for pictures")]
fn log(rate: u64) -> f64 {
    (rate.max(1) as f64).log10()
}

fn rates(curve: &Curve, right: f64) -> Scale {
    let rate = |point: Option<&Point>| log(point.map_or(1, |point| point.rate));
    Scale {
        numbers: [rate(curve.points.first()), rate(curve.points.last())],
        places: [LEFT, right],
    }
}

/// Explains the lines. Returns where its last line begins.
fn legend(svg: &mut Svg, found: &Suggestions, has_keys: bool, top: f64) -> f64 {
    let is_narrow = svg.width() < WIDTH;
    let keys = format!("share of {} hit", nouns(&found.by));
    let keys = has_keys.then_some(("line blue", keys));
    let requests = Some(("line thick red", "share of requests refused".to_owned()));
    let (mut x, mut y) = (LEFT, top);
    for (class, text) in [requests, keys].into_iter().flatten() {
        svg.line(class, [x, y + 3.0], [x + 22.0, y + 3.0]);
        svg.text([x + 29.0, y + 7.0], Anchor::Start, "head", &text);
        if is_narrow {
            y += 18.0;
        } else {
            x += 240.0;
        }
    }
    if is_narrow { y - 18.0 } else { y }
}

/// Draws a line at the recommended limit.
fn mark_recommended(
    svg: &mut Svg,
    found: &Suggestions,
    curve: &Curve,
    scale: &Scale,
    [top, bottom]: [f64; 2],
) {
    let limit = found
        .recommended
        .as_ref()
        .map(|choice| choice.limit.as_str());
    let point = curve
        .points
        .iter()
        .find(|point| Some(point.limit.as_str()) == limit);
    let Some(point) = point else {
        return;
    };
    let x = scale.at(log(point.rate));
    svg.line("line green dash", [x, top - 6.0], [x, bottom]);
    // Beside the line, on the side with more room.
    let is_right = x > f64::midpoint(LEFT, svg.width());
    let (anchor, x) = if is_right {
        (Anchor::End, x - 6.0)
    } else {
        (Anchor::Start, x + 6.0)
    };
    svg.text([x, top + 12.0], anchor, "head", &point.limit);
}

/// Draws marks at powers of ten and at the ends.
fn axis(svg: &mut Svg, curve: &Curve, scale: &Scale, bottom: f64) {
    let ends = [curve.points.first(), curve.points.last()];
    let ends = ends.into_iter().flatten().map(|point| point.rate);
    let ends: Vec<u64> = ends.collect();
    let powers = (0..19).map(|power| 10_u64.pow(power));
    let powers = powers.flat_map(|power| [1, 2, 5].map(|digit| digit * power));
    let powers = powers.filter(|rate| *rate > ends[0] && *rate < ends[ends.len() - 1]);
    let mut last = f64::NEG_INFINITY;
    let right = scale.places[1];
    for rate in ends
        .iter()
        .copied()
        .take(1)
        .chain(powers)
        .chain(ends.iter().copied().skip(1))
    {
        let x = scale.at(log(rate));
        svg.line("grid", [x, bottom], [x, bottom + 5.0]);
        let is_end = Some(&rate) == ends.last();
        // Labels keep apart, also from that of the end.
        if x - last < 40.0 || (!is_end && right - x < 40.0) {
            continue;
        }
        last = x;
        svg.text(
            [x, bottom + 18.0],
            Anchor::Middle,
            "quiet small",
            &short(rate),
        );
    }
    let note = format!("N of {}", curve.kind);
    let middle = [f64::midpoint(LEFT, right), bottom + 38.0];
    svg.text(middle, Anchor::Middle, "quiet small", &note);
}

/// Invisible, on top of everything: a pointer on a limit shows its numbers without a script.
fn hints(
    svg: &mut Svg,
    found: &Suggestions,
    curve: &Curve,
    scale: &Scale,
    [top, bottom]: [f64; 2],
) {
    let x = |at: usize| {
        let point = curve.points.get(at);
        scale.at(log(point.map_or(1, |point| point.rate)))
    };
    for (at, point) in curve.points.iter().enumerate() {
        // Up to the middle between two limits.
        let left = f64::midpoint(x(at.saturating_sub(1)), x(at));
        let right = f64::midpoint(x(at), x((at + 1).min(curve.points.len() - 1)));
        let hint = format!(
            "{}: {} requests refused ({}), {} {} hit ({})",
            point.limit,
            grouped(point.refused),
            percent(point.refused, found.requests),
            grouped(point.keys_refused),
            nouns(&found.by),
            percent(point.keys_refused, found.keys)
        );
        svg.bar("hover", [left, top], [right - left, bottom - top], &hint);
    }
}
