//! Draws the keys with the most refusals as bars.

use super::key::shown;
use super::noun::{capitalized, noun, nouns};
use super::numbers::{grouped, percent};
use super::scale::Scale;
use super::svg::{Anchor, Svg, WIDTH};
use crate::report::{Key, Report};

/// A table suits more keys than these better.
const MOST: usize = 12;
const ROW: f64 = 20.0;
const HEIGHT: f64 = 12.0;
const LEFT: f64 = 268.0;
const RIGHT: f64 = WIDTH - 176.0;
/// The columns beside the bars, in a font of equal widths.
const COLUMNS: usize = 36;

/// Draws the bars from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, report: &Report, top: f64) -> f64 {
    let keys = &report.worst[..MOST.min(report.worst.len())];
    if keys.is_empty() {
        return top - 20.0;
    }
    let nouns = nouns(&report.by);
    let title = format!("{} with the most refusals", capitalized(nouns));
    svg.text([16.0, top], Anchor::Start, "head", &title);
    let of_all = format!(
        "{} of {} {nouns} had a refusal",
        grouped(report.keys_refused),
        grouped(report.keys)
    );
    svg.text([WIDTH - 24.0, top], Anchor::End, "quiet", &of_all);
    let most = keys.iter().map(|key| key.requests).max().unwrap_or(0);
    let scale = Scale {
        places: [LEFT, RIGHT],
        ..Scale::up_to(most, [0.0, 1.0])
    };
    let mut y = top + 14.0;
    for key in keys {
        row(svg, key, &scale, y);
        y += ROW;
    }
    let noun = noun(&report.by);
    let note = format!("Bars: requests of the {noun}. Red: refused; pale blue: admitted.");
    svg.text([16.0, y + 14.0], Anchor::Start, "quiet small", &note);
    y + 18.0
}

fn row(svg: &mut Svg, key: &Key, scale: &Scale, y: f64) {
    let name = shown(&key.key, COLUMNS);
    svg.text([LEFT - 8.0, y + 10.0], Anchor::End, "key", &name);
    // A count above 0 is always visible.
    let wide = |count: u64| {
        if count == 0 {
            0.0
        } else {
            (scale.of(count) - LEFT).max(1.0)
        }
    };
    let refused = wide(key.refused);
    let all = wide(key.requests).max(refused);
    let share = percent(key.refused, key.requests);
    let text = format!(
        "{} of {} ({share})",
        grouped(key.refused),
        grouped(key.requests)
    );
    svg.bar("fill red", [LEFT, y], [refused, HEIGHT], "");
    if all > refused {
        let (from, size) = ([LEFT + refused, y], [all - refused, HEIGHT]);
        svg.bar("fill blue pale", from, size, "");
    }
    svg.text([LEFT + all + 7.0, y + 10.0], Anchor::Start, "small", &text);
}
