//! Measures nanoseconds per call and thread.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::Suite;
use super::report::{Report, number};
use crate::figures::median;
use crate::parts::{ClockAlone, ClockAndExchange, ClockAndLoad};
use crate::rivals::{ClockSource, Limit, Rival, RivalVisitor, for_each};
use crate::{Gate, on_threads, thread_counts};

/// The outcome of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    Admit,
    Refuse,
    /// Some are admitted and some refused: the limit is always used up.
    Limit,
}

impl Mode {
    pub(super) const ALL: [Self; 3] = [Self::Admit, Self::Refuse, Self::Limit];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Refuse => "refuse",
            Self::Limit => "at the limit",
        }
    }

    /// Makes a limiter for these calls: used up, if it has to refuse.
    pub(super) fn ready<G: Gate>(self, rival: &Rival, make: impl Fn(Limit) -> G) -> G {
        let gate = make(match self {
            Self::Admit => rival.plenty(),
            Self::Refuse => Limit::ONCE,
            Self::Limit => Limit::BUSY,
        });
        match self {
            Self::Admit => assert!(gate.admit()),
            Self::Refuse => assert!(gate.admit() && !gate.admit()),
            Self::Limit => assert!((0..100).all(|_| gate.admit())),
        }
        gate
    }
}

/// A limiter, the calls, and the number of threads.
type Cell = (&'static str, &'static str, usize);

const PARTS: [&str; 3] = ["clock alone", "clock and load", "clock and exchange"];

#[derive(Default)]
struct Samples {
    /// Calls that take about as long as a measurement should.
    calls: u64,
    nanos: Vec<f64>,
    admitted: u64,
    made: u64,
}

impl Samples {
    fn share(&self) -> f64 {
        self.admitted as f64 / self.made as f64
    }
}

struct Throughput<'a> {
    suite: &'a Suite,
    cells: HashMap<Cell, Samples>,
    order: Vec<Cell>,
}

pub(super) fn measure(suite: &Suite) -> io::Result<()> {
    let throughput = sampled(suite);
    throughput.write_csv("throughput")?;
    throughput.write_table();
    Ok(())
}

/// Writes only the numbers, to another file.
pub(super) fn measure_apart(suite: &Suite, file: &str) -> io::Result<()> {
    sampled(suite).write_csv(file)
}

fn sampled(suite: &Suite) -> Throughput<'_> {
    let mut throughput = Throughput {
        suite,
        cells: HashMap::new(),
        order: Vec::new(),
    };
    for _ in 0..suite.effort.rounds {
        let [alone, load, exchange] = PARTS;
        throughput.part(alone, &ClockAlone);
        throughput.part(load, &ClockAndLoad::default());
        throughput.part(exchange, &ClockAndExchange::default());
        for_each(&mut throughput);
    }
    throughput
}

impl RivalVisitor for Throughput<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.suite.progress.step("throughput", rival);
        for mode in Mode::ALL {
            for threads in thread_counts() {
                let gate = mode.ready(rival, &make);
                self.sample((rival.name, mode.name(), threads), &gate);
            }
        }
    }
}

impl Throughput<'_> {
    fn part(&mut self, name: &'static str, gate: &impl Gate) {
        for threads in thread_counts() {
            self.sample((name, "part", threads), gate);
        }
    }

    fn sample(&mut self, cell: Cell, gate: &impl Gate) {
        let (_, _, threads) = cell;
        let samples = self.cells.entry(cell).or_insert_with(|| {
            self.order.push(cell);
            Samples::default()
        });
        if samples.calls == 0 {
            samples.calls = calls_for(gate, threads, self.suite.effort.throughput);
        }
        let (time, admitted) = ask(gate, threads, samples.calls);
        let nanos = time.as_nanos() as f64 / samples.calls as f64;
        samples.nanos.push(nanos);
        samples.admitted += admitted;
        samples.made += samples.calls * threads as u64;
    }

    fn median(&self, cell: Cell) -> String {
        number(median(&self.cells[&cell].nanos), 1)
    }

    fn write_csv(&self, file: &str) -> io::Result<()> {
        let head = "limiter,calls,threads,median_ns,least_ns,most_ns,samples,calls_per_sample,\
                    admitted_share";
        let rows: Vec<Vec<String>> = self.order.iter().map(|cell| self.row(cell)).collect();
        self.suite.report.csv(file, head, &rows)
    }

    fn write_table(&self) {
        let report = &self.suite.report;
        let counts = thread_counts();
        let most = counts.last().copied().unwrap_or(1);
        let modes = Mode::ALL.iter().map(|mode| mode.name());
        let columns = modes.flat_map(|mode| counts.iter().map(move |&threads| (mode, threads)));
        let columns: Vec<(&'static str, usize)> = columns.collect();
        let mut head = vec!["ns per call and thread".to_owned(), "clock".to_owned()];
        let titles = columns.iter();
        head.extend(titles.map(|(mode, threads)| format!("{mode}, {}", at_once(*threads))));
        head.push("admitted at the limit".to_owned());

        let parts = PARTS.iter().map(|&name| {
            let mut row = vec![format!("*{name}*"), ClockSource::Counter.name().to_owned()];
            row.extend(columns.iter().map(|&(mode, threads)| {
                if mode == Mode::Admit.name() {
                    self.median((name, "part", threads))
                } else {
                    String::new()
                }
            }));
            row.push(String::new());
            row
        });
        let rivals = self.suite.rivals.iter().map(|rival| {
            let mut row = vec![super::bold(rival.name), rival.clock.name().to_owned()];
            let cells = columns.iter();
            row.extend(cells.map(|&(mode, threads)| self.median((rival.name, mode, threads))));
            let share = self.cells[&(rival.name, Mode::Limit.name(), most)].share();
            row.push(format!("{} %", number(share * 100.0, 1)));
            row
        });
        report.markdown(
            "Throughput",
            "Wall time divided by the calls of each thread; each thread is pinned to a core. The \
             median of the rounds, each of which visits all limiters once (least and most are in \
             `throughput.csv`). Admit: a limit that is never reached. Refuse: a limit of one per \
             hour that is used up. At the limit: a million per second, 1 000 at once (windows: 1 \
             000 per ms), asked without a pause. Each call goes through a function that is not \
             inlined, and the caller uses the whole decision with its hint. governor computes its \
             hint only when asked, and has a row with it and one without. ShardedTokenBucket reads \
             the clock once per lease, and not in most admissions. In pingora-limits a refused \
             call counts, too, and writes.",
            &head,
            &parts.chain(rivals).collect::<Vec<_>>(),
        );
        self.report_wrong_outcomes(report);
    }

    fn row(&self, cell: &Cell) -> Vec<String> {
        let samples = &self.cells[cell];
        let extreme = |pick: fn(f64, f64) -> f64| {
            let extreme = samples.nanos.iter().copied().reduce(pick);
            number(extreme.unwrap_or(0.0), 2)
        };
        vec![
            cell.0.to_owned(),
            cell.1.to_owned(),
            cell.2.to_string(),
            number(median(&samples.nanos), 2),
            extreme(f64::min),
            extreme(f64::max),
            samples.nanos.len().to_string(),
            samples.calls.to_string(),
            number(samples.share(), 6),
        ]
    }

    /// Names the rows whose calls had another outcome than their column says.
    fn report_wrong_outcomes(&self, report: &Report) {
        for rival in &self.suite.rivals {
            for (mode, expected) in [("admit", 1.0), ("refuse", 0.0)] {
                for threads in thread_counts() {
                    let share = self.cells[&(rival.name, mode, threads)].share();
                    if share != expected {
                        report.text(&format!(
                            "{} with {}: {share} of the calls to {mode} were admitted.\n\n",
                            rival.name,
                            at_once(threads),
                        ));
                    }
                }
            }
        }
    }
}

pub(super) fn at_once(threads: usize) -> String {
    if threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{threads} threads")
    }
}

/// Makes `calls` calls on each of `threads` threads. Returns the time, and how many were admitted.
fn ask(gate: &impl Gate, threads: usize, calls: u64) -> (Duration, u64) {
    let (time, admitted) = on_threads(threads, |_| (0..calls).filter(|_| gate.admit()).count());
    (time, admitted.into_iter().sum::<usize>() as u64)
}

/// Returns how many calls take about `time`.
fn calls_for(gate: &impl Gate, threads: usize, time: Duration) -> u64 {
    let mut calls = 1_000;
    loop {
        let (took, _) = ask(gate, threads, calls);
        if took > time / 8 {
            let scale = time.as_secs_f64() / took.as_secs_f64();
            return ((calls as f64 * scale) as u64).max(1_000);
        }
        calls *= 4;
    }
}
