//! Axes, and places for labels that do not overlap.

use crate::look::{self, Look};
use crate::svg::{Anchor, Svg};

/// From numbers to coordinates.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    numbers: [f64; 2],
    places: [f64; 2],
    logarithmic: bool,
}

impl Scale {
    /// Equal steps for equal differences.
    pub fn linear(numbers: [f64; 2], places: [f64; 2]) -> Self {
        Self {
            numbers,
            places,
            logarithmic: false,
        }
    }

    /// Equal steps for equal ratios; room for all of these numbers, which are positive, and a little more.
    pub fn logarithmic(numbers: impl Iterator<Item = f64>, places: [f64; 2]) -> Self {
        let (least, most) = numbers.fold((f64::INFINITY, 0.0_f64), |(least, most), number| {
            (least.min(number), most.max(number))
        });
        Self {
            numbers: [least / 1.15, most * 1.15],
            places,
            logarithmic: true,
        }
    }

    /// The same with both ends given.
    pub fn decades(numbers: [f64; 2], places: [f64; 2]) -> Self {
        Self {
            numbers,
            places,
            logarithmic: true,
        }
    }

    /// Where a number is.
    pub fn at(&self, number: f64) -> f64 {
        let [from, to] = self.numbers;
        let part = if self.logarithmic {
            (number / from).ln() / (to / from).ln()
        } else {
            (number - from) / (to - from)
        };
        self.places[0] + part * (self.places[1] - self.places[0])
    }

    /// Round numbers within it: 1, 2, 5, 10 and so on, or only powers of ten where that is many.
    pub fn ticks(&self) -> Vec<f64> {
        let [least, most] = self.numbers;
        let decades = (most / least).log10();
        let steps: &[f64] = if decades > 3.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let powers = (-3..10).map(|power| 10_f64.powi(power));
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        all.filter(|tick| (least..=most).contains(tick)).collect()
    }
}

/// A number on an axis: `20`, `0.5`, `10 k`, `1 M`.
pub fn short(number: f64) -> String {
    let (number, unit) = match number {
        1e9.. => (number / 1e9, " G"),
        1e6.. => (number / 1e6, " M"),
        1e4.. => (number / 1e3, " k"),
        _ => (number, ""),
    };
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// A number with spaces between its thousands.
pub fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Lines across at these places, with their labels to the left.
pub fn rows(svg: &mut Svg, [left, right]: [f64; 2], ticks: impl Iterator<Item = (f64, String)>) {
    for (y, label) in ticks {
        svg.line("grid", [left, y], [right, y]);
        svg.text(left - 6.0, y + 4.0, Anchor::End, "quiet small", &label);
    }
}

/// Lines down at these places, with their labels below.
pub fn columns(svg: &mut Svg, [top, bottom]: [f64; 2], ticks: impl Iterator<Item = (f64, String)>) {
    for (x, label) in ticks {
        svg.line("grid", [x, top], [x, bottom]);
        svg.text(x, bottom + 16.0, Anchor::Middle, "quiet small", &label);
    }
}

/// What stands at the end of a line.
pub struct Label {
    /// The limiter.
    pub name: String,
    /// Where its line ends.
    pub end: [f64; 2],
}

/// Names at `x`, each as near to the end of its line as there is room between `top` and `bottom`, and connected with it.
pub fn labels(svg: &mut Svg, mut labels: Vec<Label>, x: f64, [top, bottom]: [f64; 2]) {
    // Names where lines are equal.
    labels.sort_by(|a, b| {
        a.end[1]
            .total_cmp(&b.end[1])
            .then_with(|| a.name.cmp(&b.name))
    });
    let ends: Vec<f64> = labels.iter().map(|label| label.end[1]).collect();
    for (label, y) in labels.iter().zip(spread(&ends, 15.0, [top, bottom])) {
        let Look {
            color, mark, ours, ..
        } = look::of(&label.name);
        let [end, height] = label.end;
        svg.line("lead", [end + 5.0, height], [x - 3.0, y]);
        svg.mark("mark", color, mark, 4.0, [x + 4.0, y]);
        let class = if ours { "ours" } else { "" };
        svg.text(x + 12.0, y + 4.0, Anchor::Start, class, &label.name);
    }
}

/// These sorted places, moved apart to be at least `gap` from each other and, if they fit, within bounds.
fn spread(places: &[f64], gap: f64, [top, bottom]: [f64; 2]) -> Vec<f64> {
    // Blocks of neighbours that touch: the first place of each, and how many they are; a block is where its members are on average.
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
            // Each member would have the block's start at its own place less what is above it.
            let shifted = start - gap * members as f64;
            let (weight, added) = (members as f64, count as f64);
            count += members;
            start = within(
                (before * weight + shifted * added) / (weight + added),
                count,
            );
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
    use super::{Scale, grouped, short, spread};

    #[test]
    fn labels_stay_apart_and_near() {
        assert_eq!(spread(&[10.0, 50.0], 15.0, [0.0, 100.0]), [10.0, 50.0]);
        assert_eq!(
            spread(&[50.0, 50.0, 50.0], 15.0, [0.0, 100.0]),
            [35.0, 50.0, 65.0]
        );
        assert_eq!(spread(&[99.0, 100.0], 15.0, [0.0, 100.0]), [85.0, 100.0]);
        let many: Vec<f64> = (0..7).map(|_| 40.0).collect();
        let spread = spread(&many, 15.0, [0.0, 100.0]);
        assert!(spread.windows(2).all(|pair| pair[1] - pair[0] >= 14.99) && spread[0] >= 0.0);
    }

    #[test]
    fn scales() {
        let scale = Scale::decades([1.0, 100.0], [0.0, 10.0]);
        assert!((scale.at(10.0) - 5.0).abs() < 1e-9);
        assert_eq!(scale.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert!((Scale::linear([0.0, 4.0], [8.0, 0.0]).at(1.0) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.5, 20.0, 1_000.0, 20_000.0, 1e6, 2.5e9].map(short);
        assert_eq!(
            [7, 1_000, 1_250_000_000].map(grouped),
            ["7", "1 000", "1 250 000 000"]
        );
        assert_eq!(shown, ["0.5", "20", "1000", "20 k", "1 M", "2.5 G"]);
    }
}
