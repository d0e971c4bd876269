//! What each row may cost.

/// A row, what it is compared with, and the most that the ratio may be.
pub(super) struct Line {
    pub(super) row: &'static str,
    pub(super) reference: &'static str,
    /// With one thread, and with several.
    pub(super) at_most: [Option<f64>; 2],
}

const fn line(row: &'static str, reference: &'static str, at_most: [Option<f64>; 2]) -> Line {
    Line {
        row,
        reference,
        at_most,
    }
}

const fn both(at_most: f64) -> [Option<f64>; 2] {
    [Some(at_most), Some(at_most)]
}

/// The cost budget of the design, without the rows that are measured elsewhere: layers, servers and
/// memory.
pub(super) const BUDGET: &[Line] = &[
    line("bucket admits", "governor admits", both(1.0)),
    line("bucket refuses", "governor refuses", both(1.05)),
    // A token does not last whole nanoseconds, so the wait takes two products.
    line("bucket refuses, 7 per hour", "governor refuses", both(1.05)),
    line("bucket refuses", "governor refuses, hint read", both(0.65)),
    line(
        "sharded bucket admits",
        "governor admits",
        [Some(0.35), Some(0.08)],
    ),
    line("sharded bucket refuses", "governor refuses", both(1.1)),
    line("window admits", "mutex deque admits", both(0.25)),
    line(
        "window refuses, steady traffic",
        "bucket refuses",
        both(1.3),
    ),
    line(
        "window refuses, used up at once",
        "bucket refuses",
        both(1.3),
    ),
    line("bucket, await", "governor, await", both(1.2)),
    line("Keyed, uniform", "governor keyed, uniform", both(0.65)),
    line("Keyed, Zipf", "governor keyed, Zipf", both(0.65)),
    line(
        "Keyed, full at each visit",
        "governor keyed, full at each visit",
        both(0.7),
    ),
    line(
        "FixedKeyed, uniform",
        "governor keyed, uniform",
        [Some(0.55), Some(0.35)],
    ),
    line(
        "FixedKeyed, Zipf",
        "governor keyed, Zipf",
        [Some(0.55), Some(0.35)],
    ),
    line("ApiRateLimiter admits", "bucket admits", [Some(2.0), None]),
    line(
        "ApiRateLimiter refuses",
        "ApiRateLimiter admits",
        [Some(2.0), None],
    ),
];
