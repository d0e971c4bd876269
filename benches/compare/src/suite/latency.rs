//! How long single calls take while all threads make them.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::sync::Barrier;

use hdrhistogram::Histogram;
use tidegate::{Clock, DefaultClock};

use super::report::Report;
use super::throughput::{Mode, at_once};
use super::{Effort, Progress, bold};
use crate::rivals::{Kind, Limit, Rival, Time, Visitor, for_each};
use crate::{Gate, thread_counts};

/// Nanoseconds, to three digits, a minute at the most.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("good bounds")
}

struct Latency<'a> {
    effort: Effort,
    progress: &'a Progress,
    times: HashMap<(&'static str, Mode), Histogram<u64>>,
}

const TIMER: Rival = Rival {
    name: "timer alone",
    kind: Kind::Bucket,
    time: Time::Counter,
    setup: "",
    keyed: "",
};

struct Nothing;

impl Gate for Nothing {
    #[inline(always)]
    fn admit(&self) -> bool {
        true
    }
}

pub(super) fn measure(effort: Effort, progress: &Progress, report: &mut Report) -> io::Result<()> {
    let mut latency = Latency {
        effort,
        progress,
        times: HashMap::new(),
    };
    for _ in 0..effort.rounds {
        for mode in Mode::ALL {
            latency.sample(TIMER.name, mode, &Nothing);
        }
        for_each(&mut latency);
    }

    let mut names = super::Names::default();
    for_each(&mut names);
    names.0.insert(0, TIMER);
    let head = [
        "calls", "limiter", "clock", "p50", "p90", "p99", "p99.9", "maximum", "timed",
    ];
    let mut rows = Vec::new();
    for mode in Mode::ALL {
        for rival in &names.0 {
            let times = &latency.times[&(rival.name, mode)];
            let mut row = [mode.name(), rival.name, rival.time.name()]
                .map(str::to_owned)
                .to_vec();
            row.extend(
                [50.0, 90.0, 99.0, 99.9].map(|at| times.value_at_percentile(at).to_string()),
            );
            row.extend([times.max(), times.len()].map(|value| value.to_string()));
            rows.push(row);
        }
    }
    report.csv("latency", &head, &rows)?;
    let mut text = format!(
        "Nanoseconds per call while {} ask the same limiter without a pause, each call timed by itself: percentiles of all calls of \
         all threads and rounds (hdrhistogram, three digits) and the longest call. \"timer alone\" is what two readings of the TSC show \
         with nothing in between; it is in every row, and so are the interruptions by the machine, which make the longest calls. \
         Between two calls a thread reads the clock and counts, so that calls collide less often than in the table above.",
        at_once(threads())
    );
    for (mode, rows) in Mode::ALL.iter().zip(rows.chunks_mut(names.0.len())) {
        for row in &mut *rows {
            row.remove(0);
            row[0] = bold(&row[0]);
        }
        report.markdown(
            &format!("Latency, {}", mode.name()),
            &text,
            &head[1..],
            rows,
        );
        text = "As above.".to_owned();
    }
    Ok(())
}

/// All that the machine runs at once.
fn threads() -> usize {
    thread_counts().last().copied().unwrap_or(1)
}

impl Visitor for Latency<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("latency", rival);
        for mode in Mode::ALL {
            let gate = mode.ready(make(mode.limit(rival)));
            self.sample(rival.name, mode, &gate);
        }
    }
}

impl Latency<'_> {
    fn sample(&mut self, name: &'static str, mode: Mode, gate: &impl Gate) {
        let all = self.times.entry((name, mode)).or_insert_with(histogram);
        let (threads, time) = (threads(), self.effort.latency);
        let barrier = &Barrier::new(threads);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(move || {
                        let mut times = histogram();
                        barrier.wait();
                        let deadline = DefaultClock.now() + time;
                        loop {
                            let mut end = deadline;
                            for _ in 0..256 {
                                let start = DefaultClock.now();
                                black_box(black_box(gate).admit());
                                end = DefaultClock.now();
                                let nanos = end.as_nanos() - start.as_nanos();
                                times.saturating_record(nanos);
                            }
                            if end >= deadline {
                                return times;
                            }
                        }
                    })
                })
                .collect();
            for worker in workers {
                all.add(worker.join().expect("no panic"))
                    .expect("the same bounds");
            }
        });
    }
}
