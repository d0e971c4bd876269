//! Combinations of more and more limits.

use tidegate::{Combined, Quota, TokenBucket};

use super::{Effort, Point, pinned};
use crate::slices::{Rows, Times, Visits, calls};
use crate::{hourly, plenty};

pub(super) const TEXT: &str = "A combination of token buckets. All have room, or the last of them \
                              is used up. With more than 8 limits each call allocates.";

const CALLS: usize = 2_000;

const NAMES: [&str; 16] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
];

pub(super) fn measure(effort: Effort) -> Vec<Times<Point>> {
    let visits = Visits {
        rounds: 2 * effort.rounds,
        warm: 2,
        kept: 10,
    };
    pinned(visits, |rows| {
        for limits in [1, 2, 4, 8, 16] {
            let last = || TokenBucket::new(plenty());
            add(rows, limits, "admitted", true, combined(limits, last()));
            let used_up = hourly();
            assert!(used_up.try_acquire(1).is_ok());
            add(rows, limits, "refused", false, combined(limits, used_up));
        }
    })
}

/// Buckets with room, and a last one.
fn combined(limits: usize, last: TokenBucket) -> Combined {
    let (last_name, others) = NAMES[..limits].split_last().expect("a limit");
    let Some((first, others)) = others.split_first() else {
        return Combined::builder().limit(last_name, last).build();
    };
    let bucket = || TokenBucket::new(Quota::per_second(1_000).burst(u32::MAX.into()));
    let start = Combined::builder().limit(first, bucket());
    let all = others
        .iter()
        .fold(start, |all, name| all.limit(name, bucket()));
    all.limit(last_name, last).build()
}

fn add(
    rows: &mut Rows<Point>,
    limits: usize,
    name: &'static str,
    admits: bool,
    combined: Combined,
) {
    let point = Point {
        curve: "limits",
        limiter: "tidegate Combined",
        calls: name,
        x: limits,
    };
    rows.add_calls(point, CALLS, calls(combined, admits));
}
