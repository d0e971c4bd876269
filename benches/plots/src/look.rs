//! Gives each limiter the same look in every picture.
//!
//! The colors are those of Okabe and Ito, for readers of any color vision. No two looks are equal
//! without their color. The lines of tidegate are thick.

use tidegate_cli::picture::svg::Svg;

/// How a limiter's line and marks are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// A class of the style sheet.
    pub color: &'static str,
    /// A class of the style sheet, or nothing for a solid line.
    pub dash: &'static str,
    /// The shape of a point.
    pub mark: Mark,
    /// Whether the limiter is tidegate's.
    pub ours: bool,
}

impl Look {
    /// Returns the classes of a line.
    pub fn line(&self) -> String {
        let thick = if self.ours { "thick" } else { "" };
        format!("line {} {} {thick}", self.color, self.dash)
    }

    /// Returns the class of a name.
    pub fn name(&self) -> &'static str {
        if self.ours { "ours" } else { "" }
    }
}

/// The shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A disc.
    Circle,
    /// A square on its side.
    Square,
    /// A square on its corner.
    Diamond,
    /// A triangle on its side.
    Triangle,
}

impl Mark {
    /// Draws the mark at a point. `class` says whether it is filled.
    pub fn draw(self, svg: &mut Svg, class: &str, size: f64, [x, y]: [f64; 2]) {
        let corners: &[[f64; 2]] = match self {
            Self::Circle => return svg.disc(class, [x, y], size),
            Self::Square => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
            Self::Diamond => &[[0.0, -1.2], [1.2, 0.0], [0.0, 1.2], [-1.2, 0.0]],
            Self::Triangle => &[[0.0, -1.2], [1.1, 1.0], [-1.1, 1.0]],
        };
        let around = corners.iter().chain(&corners[..1]);
        let points = around.map(|[dx, dy]| [x + dx * size, y + dy * size]);
        svg.lines(class, &points.collect::<Vec<_>>());
    }
}

/// The known looks. Any other limiter is gray.
const LOOKS: [(&str, &str, &str, Mark); 43] = [
    ("tidegate TokenBucket", "blue", "", Mark::Circle),
    ("tidegate ShardedTokenBucket", "purple", "", Mark::Diamond),
    ("tidegate SlidingWindow", "red", "", Mark::Square),
    ("tidegate Combined", "ink", "", Mark::Diamond),
    ("tidegate ApiRateLimiter", "sky", "", Mark::Circle),
    ("governor", "orange", "", Mark::Circle),
    ("governor, hint read", "orange", "dots", Mark::Diamond),
    ("ratelimit", "green", "", Mark::Square),
    ("better-bucket", "sky", "", Mark::Diamond),
    ("rate-net", "ink", "", Mark::Triangle),
    ("rate-net counter", "ink", "dots", Mark::Triangle),
    ("gcra", "sky", "dash", Mark::Square),
    ("leaky-bucket", "green", "dash", Mark::Triangle),
    ("pingora-limits", "orange", "dash", Mark::Square),
    ("tokio Semaphore", "gray", "dash", Mark::Square),
    ("std mutex", "gray", "dash", Mark::Circle),
    ("parking_lot mutex", "gray", "dots", Mark::Diamond),
    ("mutex deque window", "gray", "", Mark::Square),
    ("fixed window", "green", "dots", Mark::Circle),
    ("leaky bucket", "ink", "dash", Mark::Diamond),
    ("tidegate Keyed", "blue", "", Mark::Circle),
    ("tidegate FixedKeyed", "red", "", Mark::Square),
    ("governor keyed", "orange", "", Mark::Circle),
    ("governor keyed, hint read", "orange", "dots", Mark::Diamond),
    ("mutex map", "gray", "", Mark::Circle),
    // Modes of tidegate's `ApiRateLimiter`.
    ("adaptive", "blue", "", Mark::Square),
    ("backoff alone", "orange", "", Mark::Triangle),
    // Simulated fleets.
    ("a tenth dies", "blue", "dash", Mark::Circle),
    ("lossy TCP", "orange", "", Mark::Square),
    ("lossy and unordered", "red", "dots", Mark::Triangle),
    ("shard down", "purple", "", Mark::Square),
    ("demand 0.5", "green", "", Mark::Circle),
    ("demand 1.0", "blue", "", Mark::Diamond),
    ("demand 3.0", "red", "", Mark::Circle),
    // Calls of one limiter.
    ("admitted", "blue", "", Mark::Triangle),
    ("refused", "red", "", Mark::Triangle),
    ("refused, just used up", "red", "", Mark::Diamond),
    ("refused, used up before", "red", "dash", Mark::Square),
    ("refused, steady traffic", "red", "dots", Mark::Circle),
    ("first in a slot", "purple", "", Mark::Circle),
    ("joins", "green", "", Mark::Diamond),
    ("is served", "sky", "", Mark::Square),
    ("leaves", "orange", "", Mark::Diamond),
];

/// Returns the look of a limiter.
pub fn of(limiter: &str) -> Look {
    let found = LOOKS.iter().find(|(name, ..)| *name == limiter);
    let unknown = ("", "gray", "dots", Mark::Triangle);
    let (_, color, dash, mark) = found.copied().unwrap_or(unknown);
    Look {
        color,
        dash,
        mark,
        ours: is_ours(limiter),
    }
}

/// Returns whether a limiter is tidegate's.
pub fn is_ours(limiter: &str) -> bool {
    limiter.starts_with("tidegate")
}

/// Returns whether a limiter reads another clock than the rest.
///
/// Only the tables show such a row, because its line nearly covers that of the shared clock.
pub fn has_own_clock(limiter: &str) -> bool {
    limiter.ends_with(", own clock")
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, is_ours};

    /// A bucket and a table of buckets share a look, because no picture has both.
    #[test]
    fn looks_differ_within_a_picture() {
        let is_keyed = |name: &str| {
            name.to_lowercase().contains("keyed") || ["mutex map", "rate-net"].contains(&name)
        };
        for keyed in [true, false] {
            let looks = LOOKS.iter().filter(|(name, ..)| is_keyed(name) == keyed);
            let looks: Vec<_> = looks.collect();
            for (at, (name, color, dash, mark)) in looks.iter().enumerate() {
                for (other, other_color, other_dash, other_mark) in &looks[..at] {
                    let same = (color, dash, mark) == (other_color, other_dash, other_mark);
                    assert!(!same, "{name} and {other}");
                    let stands_out = !is_ours(name) || color != other_color;
                    assert!(stands_out, "{name} and {other}");
                }
            }
        }
    }
}
