//! Goodput while callers give up.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::{Clock, DefaultClock};
use tokio::time::{Instant, sleep_until, timeout};

use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use super::{Effort, runtime};
use crate::figures::used;
use crate::gate::Decision;
use crate::suite::report::Report;

const FLOW: Flow = Flow::new(200, 1);

/// Callers per permit.
const OFFERED: u32 = 2;

/// How long a caller waits, in intervals between permits.
const PATIENCE: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    let mut leavers = Leavers {
        time: effort.leavers,
        results: Results::default(),
    };
    for _ in 0..effort.rounds {
        for_each(&mut leavers);
    }
    leavers.results.write(
        report,
        ("waits_goodput", "patience", 1),
        "Goodput while callers leave",
        "Percent of the quota that is used: 200 per second, burst 1, and 400 callers per second, \
         each in a task that drops its wait when its patience is over. Columns: patience, in \
         intervals of 5 ms. Medians of the rounds.",
    )
}

struct Leavers {
    time: Duration,
    results: Results,
}

impl WaitVisitor for Leavers {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        let runtime = runtime();
        // Each patience has a limiter of its own, and all run at once: mostly they sleep.
        let runs = {
            let _context = runtime.enter();
            let run = |patience| tokio::spawn(callers(make(FLOW), patience, self.time));
            PATIENCE.map(run)
        };
        for (patience, run) in PATIENCE.into_iter().zip(runs) {
            let (times, end) = runtime.block_on(run).expect("no panic");
            let percent = 100.0 * used(&times, FLOW.rate, row.capacity(FLOW), end);
            self.results.add(row.name, &patience.to_string(), percent);
        }
    }
}

/// Lets callers come for a while. Returns when they were admitted, and the end.
async fn callers<W: Turns>(limiter: W, patience: u32, time: Duration) -> (Vec<u64>, u64) {
    let limiter = Arc::new(limiter);
    let times = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    for number in 0.. {
        let at = FLOW.interval() / OFFERED * number;
        if at >= time {
            break;
        }
        sleep_until(start + at).await;
        let (limiter, times) = (Arc::clone(&limiter), Arc::clone(&times));
        tokio::spawn(async move {
            let wait = timeout(FLOW.interval() * patience, limiter.turn()).await;
            if wait.is_ok_and(|decision| decision.is_admitted()) {
                let now = DefaultClock.now().as_nanos();
                times.lock().expect("no panic").push(now);
            }
        });
    }
    let end = DefaultClock.now().as_nanos();
    let times = times.lock().expect("no panic").clone();
    (times, end)
}
