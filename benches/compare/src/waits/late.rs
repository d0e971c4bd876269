//! How late one waiter returns.

use std::io;

use tidegate::{Clock, DefaultClock};

use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use super::{Effort, runtime};
use crate::figures::{mean, percentile};
use crate::gate::Decision;
use crate::suite::report::Report;

const FLOW: Flow = Flow::new(200, 1);

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    let mut delays = Delays {
        waits: effort.waits,
        results: Results::default(),
    };
    for _ in 0..effort.rounds {
        for_each(&mut delays);
    }
    delays.results.write(
        report,
        ("waits_latency", "what", 0),
        "Wake-up",
        "How much later than the permit a lone waiter returns, in microseconds: at a new limiter \
         of 200 per second and burst 1 a task takes the permit and waits for the next, which is \
         due 5 ms later. Each time at another place between two ticks of the timer. Not of the \
         window, which has no such burst. Medians of the rounds.",
    )
}

struct Delays {
    waits: usize,
    results: Results,
}

impl WaitVisitor for Delays {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        if row.capacity(FLOW) > 1 {
            return;
        }
        let runtime = runtime();
        let delays: Vec<f64> = (0..self.waits)
            .map(|number| {
                let limiter = {
                    let _context = runtime.enter();
                    make(FLOW)
                };
                // Steps through a millisecond in an order that repeats only after 1 000.
                let offset = number as u64 * 617 % 1_000 * 1_000;
                let task = runtime.spawn(delay(limiter, offset));
                runtime.block_on(task).expect("no panic")
            })
            .collect();
        self.results.add(row.name, "mean", mean(&delays));
        self.results.add(row.name, "p50", percentile(&delays, 0.5));
        self.results.add(row.name, "p99", percentile(&delays, 0.99));
    }
}

/// Returns the microseconds from the instant of the second permit to the return of its wait.
async fn delay<W: Turns>(limiter: W, offset: u64) -> f64 {
    // The task may have been started by a tick.
    let now = || DefaultClock.now().as_nanos();
    let begin = now();
    while now() < begin + offset {
        std::hint::spin_loop();
    }
    let start = now();
    assert!(limiter.turn().await.is_admitted());
    assert!(limiter.turn().await.is_admitted());
    let interval = FLOW.interval().as_nanos() as f64;
    ((now() - start) as f64 - interval) / 1e3
}
