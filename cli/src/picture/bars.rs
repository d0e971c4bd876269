//! The keys that were refused most, as bars.

use super::key::shown;
use super::numbers::{grouped, percent};
use super::svg::{Anchor, Scale, Svg, WIDTH};
use crate::report::{Key, Report};

/// More keys than these are for tables.
const MOST: usize = 12;
const ROW: f64 = 20.0;
const HEIGHT: f64 = 12.0;
const LEFT: f64 = 268.0;
const RIGHT: f64 = WIDTH - 176.0;
/// What fits beside the bars in a font of equal widths.
const COLUMNS: usize = 36;

/// Draws them from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, report: &Report, top: f64) -> f64 {
    let keys = report
        .worst
        .get(..MOST.min(report.worst.len()))
        .unwrap_or_default();
    if keys.is_empty() {
        return top - 20.0;
    }
    svg.text(
        [16.0, top],
        Anchor::Start,
        "head",
        "Keys that were refused most",
    );
    let of_all = format!(
        "{} of {} keys were refused something",
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
    let note = "Bars: the key's requests. Full: refused; pale: admitted.";
    svg.text([16.0, y + 14.0], Anchor::Start, "quiet small", note);
    y + 18.0
}

fn row(svg: &mut Svg, key: &Key, scale: &Scale, y: f64) {
    let name = shown(&key.key, COLUMNS);
    svg.text([LEFT - 8.0, y + 10.0], Anchor::End, "key", &name);
    // What is not nothing is seen.
    let wide = |count: u64| {
        if count == 0 {
            0.0
        } else {
            (scale.of(count) - LEFT).max(1.0)
        }
    };
    let refused = wide(key.refused);
    let all = wide(key.requests).max(refused);
    let (refused_text, requests) = (grouped(key.refused), grouped(key.requests));
    let text = format!(
        "{refused_text} of {requests} ({})",
        percent(key.refused, key.requests)
    );
    svg.bar("fill red", [LEFT, y], [refused, HEIGHT], "");
    if all > refused {
        svg.bar(
            "fill blue pale",
            [LEFT + refused, y],
            [all - refused, HEIGHT],
            "",
        );
    }
    svg.text([LEFT + all + 7.0, y + 10.0], Anchor::Start, "small", &text);
}
