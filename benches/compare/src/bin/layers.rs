//! Times layers in turns, for machines where other programs run.
//!
//! `layers [ROUNDS]` visits every layer in each round, and times some slices of calls there. It
//! prints the lower quartile and the minimum of the slices, in nanoseconds per admitted request and
//! thread. What slows the machine down for a while slows all layers alike, and most of it is in the
//! slices that the quartile leaves out. The bench `layer` measures one layer after the other.

#![expect(
    clippy::disallowed_methods,
    reason = "another clock measures the cost of tidegate's"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use tidegate::DefaultClock;
use tidegate_compare::layers::{Answer, Served, ServiceVisitor, for_each_service, peer, request};
use tidegate_compare::{on_threads, thread_counts};

/// Calls of a thread in a slice, which take about a millisecond.
const CALLS: u64 = 3_000;
/// Slices of a layer in a round.
const SLICES: usize = 20;

/// Nanoseconds per call of all slices, by the number of threads and of the layer in a round.
#[derive(Default)]
struct Slices {
    of_layers: BTreeMap<(usize, usize), (String, Vec<f64>)>,
    visited: usize,
}

impl ServiceVisitor for Slices {
    fn visit(&mut self, name: &str, service: &dyn Served) {
        for threads in thread_counts() {
            let (_, slices) = self
                .of_layers
                .entry((threads, self.visited))
                .or_insert_with(|| (name.to_owned(), Vec::new()));
            let (_, of_threads) = on_threads(threads, |thread| times(service, thread));
            // The slower of two threads, as in the bench.
            let slower = |slice: usize| {
                of_threads
                    .iter()
                    .map(|times| times[slice])
                    .fold(0.0, f64::max)
            };
            slices.extend((0..SLICES).map(slower));
        }
        self.visited += 1;
    }
}

/// Times slices of calls, after a slice that warms up.
fn times(service: &dyn Served, thread: usize) -> [f64; SLICES] {
    let first = thread as u64 * 500;
    slice(service, first);
    std::array::from_fn(|_| slice(service, first))
}

fn slice(service: &dyn Served, first: u64) -> f64 {
    let start = Instant::now();
    for call in 0..CALLS {
        // A prime leads from one client to the next, as in the bench.
        assert!(service.admits(black_box(request(peer(call * 7 + first)))));
    }
    start.elapsed().as_nanos() as f64 / CALLS as f64
}

fn main() {
    let rounds = std::env::args().nth(1);
    let rounds = rounds.map_or(40, |rounds| rounds.parse().expect("a number of rounds"));
    DefaultClock::calibrate();
    let mut slices = Slices::default();
    for _ in 0..rounds {
        slices.visited = 0;
        slices.visit("no layer", &Answer);
        for_each_service(1, u32::MAX / 2, &mut slices);
    }
    println!("layer,threads,lower_quartile_ns,minimum_ns");
    for ((threads, _), (name, mut times)) in slices.of_layers {
        times.sort_by(f64::total_cmp);
        println!(
            "\"{name}\",{threads},{:.1},{:.1}",
            times[times.len() / 4],
            times[0]
        );
    }
}
