//! Known keys of tables with more and more keys.

use std::fs;
use std::time::Duration;

use super::{Effort, Point, pinned};
use crate::keyed::{KeyLimit, KeyedGate, fixed, governor_keyed, keyed_for, name, rename};
use crate::slices::{Rows, Times, Visits, per_call, time};

pub(super) const TEXT: &str = "Admissions of known keys of 36 bytes, each in use, in random \
                              order: all keys of a table are equally likely. A key is written \
                              just before its call, so a cache miss belongs to the table. A table \
                              of ten million keys is left out if the machine has less than 12 GB \
                              of free memory.";

/// Keys that are written before they are timed. They fit in the first cache beside some buckets.
const BATCH: usize = 256;
const BATCHES: usize = 16;

pub(super) fn measure(effort: Effort) -> Vec<Times<Point>> {
    let visits = Visits {
        rounds: effort.rounds,
        // Enough calls for most lines of a table that fits in the last cache.
        warm: if effort.quick { 2 } else { 40 },
        kept: 10,
    };
    let sizes = (2..=effort.keys).map(|power| 10_usize.pow(power));
    let sizes: Vec<usize> = sizes
        .filter(|&keys| keys < 10_000_000 || has_room())
        .collect();
    pinned(visits, |rows| {
        for &keys in &sizes {
            let limit = KeyLimit::PLENTY;
            add(rows, "tidegate Keyed", keys, keyed_for(limit, keys));
            add(rows, "tidegate FixedKeyed", keys, fixed(limit, keys));
            add(rows, "governor keyed", keys, governor_keyed(limit));
        }
    })
}

/// Returns whether tables of ten million keys fit: a table needs 2 GB while it grows, and the
/// smaller ones are there, too.
fn has_room() -> bool {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = memory.lines().find(|line| line.starts_with("MemAvailable"));
    let kilobytes = free.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kilobytes.is_some_and(|kilobytes: u64| kilobytes > 12_000_000)
}

fn add(
    rows: &mut Rows<Point>,
    limiter: &'static str,
    keys: usize,
    gate: impl KeyedGate<String> + 'static,
) {
    let mut key = name(0);
    for number in 0..keys as u64 {
        rename(&mut key, number);
        assert!(gate.spend(&key, KeyLimit::HOUR), "{limiter}");
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut batch = vec![key; BATCH];
    let point = Point {
        curve: "keys",
        limiter,
        calls: "known key",
        x: keys,
    };
    rows.add(point, move || {
        let mut taken = Duration::ZERO;
        for _ in 0..BATCHES {
            for key in &mut batch {
                rename(key, random.u64(..keys as u64));
            }
            let mut admitted = 0;
            taken += time(|| admitted = batch.iter().filter(|key| gate.admit(key)).count());
            assert_eq!(admitted, BATCH, "{limiter}");
        }
        per_call(taken, BATCH * BATCHES)
    });
}
