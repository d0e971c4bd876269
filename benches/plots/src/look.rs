//! How each limiter looks: in every picture the same, and no two alike without their colours.
//!
//! The colours are those of Okabe and Ito, which people of any colour vision tell apart. Ours are thick.

/// What a line is drawn like, and the mark on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// A class of the style sheet.
    pub color: &'static str,
    /// A class of the style sheet, or nothing for a solid line.
    pub dash: &'static str,
    /// The mark.
    pub mark: Mark,
    /// Whether it is one of ours.
    pub ours: bool,
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
    /// A triangle that stands.
    Triangle,
}

/// What each has; a limiter that is not here is grey.
const LOOKS: [(&str, &str, &str, Mark); 20] = [
    ("tidegate TokenBucket", "blue", "", Mark::Circle),
    ("tidegate ShardedTokenBucket", "purple", "", Mark::Diamond),
    ("tidegate SlidingWindow", "red", "", Mark::Square),
    ("governor", "orange", "", Mark::Circle),
    ("ratelimit", "green", "", Mark::Square),
    ("better-bucket", "sky", "", Mark::Diamond),
    ("rate-net", "ink", "", Mark::Triangle),
    ("rate-net counter", "ink", "dots", Mark::Triangle),
    ("gcra", "sky", "dash", Mark::Square),
    ("leaky-bucket", "green", "dash", Mark::Triangle),
    ("pingora-limits", "orange", "dash", Mark::Square),
    ("std mutex", "gray", "dash", Mark::Circle),
    ("parking_lot mutex", "gray", "dots", Mark::Diamond),
    ("mutex deque window", "gray", "", Mark::Square),
    ("fixed window", "green", "dots", Mark::Circle),
    ("leaky bucket", "ink", "dash", Mark::Diamond),
    ("tidegate Keyed", "blue", "", Mark::Circle),
    ("tidegate FixedKeyed", "red", "", Mark::Square),
    ("governor keyed", "orange", "", Mark::Circle),
    ("mutex map", "gray", "", Mark::Circle),
];

/// The look of a limiter.
pub fn of(limiter: &str) -> Look {
    let found = LOOKS.iter().find(|(name, ..)| *name == limiter);
    let (_, color, dash, mark) = found
        .copied()
        .unwrap_or(("", "gray", "dots", Mark::Triangle));
    Look {
        color,
        dash,
        mark,
        ours: is_ours(limiter),
    }
}

/// Whether it is one of ours.
pub fn is_ours(limiter: &str) -> bool {
    limiter.starts_with("tidegate")
}

/// A limiter with another clock than the rest is in the tables, not in pictures of all: it is the same line a little worse.
pub fn has_own_clock(limiter: &str) -> bool {
    limiter.ends_with(", own clock")
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, is_ours};

    /// A token bucket has the same look as a table of them.
    #[test]
    fn looks_differ_within_a_picture() {
        for family in ["keyed", "single"] {
            let is_keyed = |name: &str| {
                name.to_lowercase().contains("keyed") || name == "mutex map" || name == "rate-net"
            };
            let looks = LOOKS
                .iter()
                .filter(|(name, ..)| is_keyed(name) == (family == "keyed"));
            let looks: Vec<_> = looks.collect();
            for (at, (name, color, dash, mark)) in looks.iter().enumerate() {
                for (other, other_color, other_dash, other_mark) in &looks[..at] {
                    let same = (color, dash, mark) == (other_color, other_dash, other_mark);
                    assert!(!same, "{name} and {other}");
                    assert!(
                        !(is_ours(name) && color == other_color),
                        "{name} and {other}"
                    );
                }
            }
        }
    }
}
