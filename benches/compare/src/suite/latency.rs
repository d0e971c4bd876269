//! Measures how long single calls take while all threads make them.

use std::collections::HashMap;
use std::io;

use hdrhistogram::Histogram;
use tidegate::{Clock, DefaultClock};

use super::throughput::{Mode, at_once};
use super::{Suite, bold};
use crate::gate::asked;
use crate::rivals::{ClockSource, Limit, Rival, RivalVisitor, for_each};
use crate::{Gate, on_threads, thread_counts};

/// Nanoseconds with three digits, up to a minute.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds")
}

const TIMER: &str = "timer alone";

struct Latency<'a> {
    suite: &'a Suite,
    times: HashMap<(&'static str, Mode), Histogram<u64>>,
}

pub(super) fn measure(suite: &Suite) -> io::Result<()> {
    let mut latency = Latency {
        suite,
        times: HashMap::new(),
    };
    for _ in 0..suite.effort.rounds {
        for mode in Mode::ALL {
            latency.sample(TIMER, mode, &asked((), |()| true));
        }
        for_each(&mut latency);
    }

    let timer = (TIMER, ClockSource::Counter);
    let rivals = suite.rivals.iter().map(|rival| (rival.name, rival.clock));
    let names: Vec<_> = std::iter::once(timer).chain(rivals).collect();
    let head = "calls,limiter,clock,p50,p90,p99,p99.9,maximum,timed";
    let mut rows = Vec::new();
    for mode in Mode::ALL {
        for (name, clock) in &names {
            let times = &latency.times[&(*name, mode)];
            let mut row = [mode.name(), name, clock.name()]
                .map(str::to_owned)
                .to_vec();
            let percentiles = [50.0, 90.0, 99.0, 99.9];
            row.extend(percentiles.map(|at| times.value_at_percentile(at).to_string()));
            row.extend([times.max(), times.len()].map(|value| value.to_string()));
            rows.push(row);
        }
    }
    suite.report.csv("latency", head, &rows)?;
    let mut text = format!(
        "Nanoseconds per call while {} ask the same limiter without a pause, each call timed by \
         itself: percentiles of all calls of all threads and rounds (hdrhistogram, three digits), \
         and the longest call. Each thread is pinned to a core. \"{TIMER}\" is the time between \
         two readings of the TSC with nothing in between. Every row includes it, and interruptions \
         by the machine, which make the longest calls. Between two calls a thread reads the clock \
         and counts, so calls collide less often than in the table above.",
        at_once(threads())
    );
    for (mode, rows) in Mode::ALL.iter().zip(rows.chunks_mut(names.len())) {
        for row in &mut *rows {
            row.remove(0);
            row[0] = bold(&row[0]);
        }
        let title = format!("Latency, {}", mode.name());
        let head: Vec<&str> = head.split(',').skip(1).collect();
        suite.report.markdown(&title, &text, &head, rows);
        text = "As above.".to_owned();
    }
    Ok(())
}

/// Returns how many threads the machine runs at once.
fn threads() -> usize {
    thread_counts().last().copied().unwrap_or(1)
}

impl RivalVisitor for Latency<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.suite.progress.step("latency", rival);
        for mode in Mode::ALL {
            self.sample(rival.name, mode, &mode.ready(rival, &make));
        }
    }
}

impl Latency<'_> {
    fn sample(&mut self, name: &'static str, mode: Mode, gate: &impl Gate) {
        let all = self.times.entry((name, mode)).or_insert_with(histogram);
        let time = self.suite.effort.latency;
        let (_, samples) = on_threads(threads(), |_| {
            let mut times = histogram();
            let deadline = DefaultClock.now() + time;
            loop {
                let mut end = deadline;
                for _ in 0..256 {
                    let start = DefaultClock.now();
                    gate.admit();
                    end = DefaultClock.now();
                    times.saturating_record(end.as_nanos() - start.as_nanos());
                }
                if end >= deadline {
                    return times;
                }
            }
        });
        for times in samples {
            all.add(times).expect("the same bounds");
        }
    }
}
