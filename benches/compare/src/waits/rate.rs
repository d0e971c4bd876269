//! The share of a quota that steady demand gets on a timer of milliseconds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidegate::{Clock, DefaultClock};

use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use super::{Effort, runtime};
use crate::figures::used;
use crate::gate::Decision;
use crate::suite::report::Report;

const FLOWS: [(&str, Flow); 3] = [
    ("1 000 per second, burst 1", Flow::new(1_000, 1)),
    ("10 000 per second, burst 1", Flow::new(10_000, 1)),
    ("10 000 per second, burst 10", Flow::new(10_000, 10)),
];

const TASKS: usize = 64;

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    let mut rates = Rates {
        time: effort.rate,
        results: Results::default(),
    };
    for _ in 0..effort.rounds {
        for_each(&mut rates);
    }
    rates.results.write(
        report,
        ("waits_rate", "quota", 1),
        "Rate",
        "Percent of the quota that 64 tasks in a loop get, on a runtime of two threads. Medians of \
         the rounds.",
    )
}

struct Rates {
    time: Duration,
    results: Results,
}

impl WaitVisitor for Rates {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        for (name, flow) in FLOWS {
            let runtime = runtime();
            let context = runtime.enter();
            let limiter = Arc::new(make(flow));
            let end = (DefaultClock.now() + self.time).as_nanos();
            let run = |_| tokio::spawn(take_turns(Arc::clone(&limiter), end));
            let tasks: Vec<_> = (0..TASKS).map(run).collect();
            drop(context);
            let mut times = Vec::new();
            for task in tasks {
                times.extend(runtime.block_on(task).expect("no panic"));
            }
            let percent = 100.0 * used(&times, flow.rate, row.capacity(flow), end);
            self.results.add(row.name, name, percent);
        }
    }
}

/// Waits again and again until `end`, and returns when it was admitted.
async fn take_turns<W: Turns>(limiter: Arc<W>, end: u64) -> Vec<u64> {
    let mut times = Vec::new();
    loop {
        let decision = limiter.turn().await;
        assert!(decision.is_admitted());
        let now = DefaultClock.now().as_nanos();
        if now > end {
            return times;
        }
        times.push(now);
    }
}
