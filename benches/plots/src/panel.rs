//! Draws axes, series, and labels that do not overlap.

use tidegate_cli::picture::numbers::{plain, short as short_count};
use tidegate_cli::picture::scale::Scale;
use tidegate_cli::picture::svg::{Anchor, Svg};

use crate::look::{self, Look};

/// A logarithmic axis: equal ratios are equally far apart.
#[derive(Clone, Copy, Debug)]
pub struct LogScale(Scale);

impl LogScale {
    /// Creates an axis from one positive number to another.
    pub fn new([least, most]: [f64; 2], places: [f64; 2]) -> Self {
        let numbers = [least.ln(), most.ln()];
        Self(Scale { numbers, places })
    }

    /// Creates an axis with room for all of these positive numbers, and slightly more.
    pub fn around(numbers: impl Iterator<Item = f64>, places: [f64; 2]) -> Self {
        let ends = numbers.fold([f64::INFINITY, 0.0_f64], |[least, most], number| {
            [least.min(number), most.max(number)]
        });
        Self::new([ends[0] / 1.15, ends[1] * 1.15], places)
    }

    /// Returns the coordinate of a number.
    pub fn at(&self, number: f64) -> f64 {
        self.0.at(number.ln())
    }

    /// Returns the coordinates and labels of 1, 2, 5, 10 and so on.
    ///
    /// An axis of more than three decades shows only powers of ten.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let [least, most] = self.0.numbers;
        let is_long = most - least > 1e3_f64.ln();
        let steps: &[f64] = if is_long { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (-3..10).map(|power| 10_f64.powi(power));
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        let ticks = all.filter(|tick| (least..=most).contains(&tick.ln()));
        ticks.map(|tick| (self.at(tick), short(tick))).collect()
    }
}

/// Formats a label: `0.5`, `1000`, `20 k`, `1 M`. Without a comma, because neighbors are close.
pub fn short(number: f64) -> String {
    if number < 1e4 {
        plain(number).replace(',', "")
    } else {
        short_count(number as u64)
    }
}

/// Writes a small, quiet line of text at the left edge.
pub fn note(svg: &mut Svg, y: f64, text: &str) {
    svg.text([16.0, y], Anchor::Start, "quiet small", text);
}

/// Draws horizontal lines at these coordinates, with their labels to the left.
pub fn rows(
    svg: &mut Svg,
    [left, right]: [f64; 2],
    ticks: impl IntoIterator<Item = (f64, String)>,
) {
    for (y, label) in ticks {
        svg.line("grid", [left, y], [right, y]);
        svg.text([left - 6.0, y + 4.0], Anchor::End, "quiet small", &label);
    }
}

/// Draws vertical lines at these coordinates, with their labels below.
pub fn columns(
    svg: &mut Svg,
    [top, bottom]: [f64; 2],
    ticks: impl IntoIterator<Item = (f64, String)>,
) {
    for (x, label) in ticks {
        svg.line("grid", [x, top], [x, bottom]);
        let at = [x, bottom + 16.0];
        svg.text(at, Anchor::Middle, "quiet small", &label);
    }
}

/// The name of a limiter, for the end of its line.
pub struct Label {
    /// The limiter.
    pub name: String,
    /// The end of its line.
    pub end: [f64; 2],
}

/// Draws a line with a mark at each point, and returns its label. Draws nothing without points.
pub fn series(svg: &mut Svg, limiter: &str, points: &[[f64; 2]]) -> Option<Label> {
    let look = look::of(limiter);
    svg.lines(&look.line(), points);
    let class = format!("mark {}", look.color);
    for point in points {
        let size = if look.ours { 5.0 } else { 4.0 };
        look.mark.draw(svg, &class, size, *point);
    }
    let name = limiter.to_owned();
    points.last().map(|&end| Label { name, end })
}

/// Writes names at `x`, each near the end of its line and connected with it.
pub fn labels(svg: &mut Svg, mut labels: Vec<Label>, x: f64, bounds: [f64; 2]) {
    // By name where lines end at one height, so that equal numbers give equal bytes.
    labels.sort_by(|a, b| {
        let heights = a.end[1].total_cmp(&b.end[1]);
        heights.then_with(|| a.name.cmp(&b.name))
    });
    let ends: Vec<f64> = labels.iter().map(|label| label.end[1]).collect();
    for (label, y) in labels.iter().zip(spread(&ends, 15.0, bounds)) {
        let look @ Look { color, mark, .. } = look::of(&label.name);
        let [end, height] = label.end;
        svg.line("lead", [end + 5.0, height], [x - 3.0, y]);
        mark.draw(svg, &format!("mark {color}"), 4.0, [x + 4.0, y]);
        let at = [x + 12.0, y + 4.0];
        svg.text(at, Anchor::Start, look.name(), &label.name);
    }
}

/// Moves sorted places apart by at least `gap`, within bounds if they fit.
fn spread(places: &[f64], gap: f64, [top, bottom]: [f64; 2]) -> Vec<f64> {
    // Blocks of touching neighbors, as first place and count. A block lies where its members
    // are on average.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let room = |count: usize| gap * count.saturating_sub(1) as f64;
    let within = |start: f64, count| start.min(bottom - room(count)).max(top);
    for &place in places {
        let (mut start, mut count) = (within(place, 1), 1);
        while let Some(&(before, members)) = blocks.last() {
            if before + room(members) + gap <= start {
                break;
            }
            blocks.pop();
            // The new members pull the block's start to their places less the room above them.
            let shifted = start - gap * members as f64;
            let (weight, added) = (members as f64, count as f64);
            count += members;
            let average = (before * weight + shifted * added) / (weight + added);
            start = within(average, count);
        }
        blocks.push((start, count));
    }
    let places = blocks
        .iter()
        .flat_map(|&(start, count)| (0..count).map(move |at| start + gap * at as f64));
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::{LogScale, short, spread};

    #[test]
    fn labels_stay_apart_and_near() {
        let bounds = [0.0, 100.0];
        assert_eq!(spread(&[10.0, 50.0], 15.0, bounds), [10.0, 50.0]);
        assert_eq!(spread(&[50.0; 3], 15.0, bounds), [35.0, 50.0, 65.0]);
        assert_eq!(spread(&[99.0, 100.0], 15.0, bounds), [85.0, 100.0]);
        let spread = spread(&[40.0; 7], 15.0, bounds);
        assert!(spread.windows(2).all(|pair| pair[1] - pair[0] >= 14.99) && spread[0] >= 0.0);
    }

    #[test]
    fn logarithmic_ticks_are_round_and_in_place() {
        let scale = LogScale::new([1.0, 100.0], [0.0, 10.0]);
        assert!((scale.at(10.0) - 5.0).abs() < 1e-9);
        let labels: Vec<String> = scale.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1", "2", "5", "10", "20", "50", "100"]);
    }

    #[test]
    fn labels_are_short() {
        let shown = [0.5, 20.0, 1_000.0, 20_000.0, 1e6, 2.5e9].map(short);
        assert_eq!(shown, ["0.5", "20", "1000", "20 k", "1 M", "2.5 G"]);
    }
}
