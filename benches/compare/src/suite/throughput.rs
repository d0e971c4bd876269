//! Nanoseconds per call and thread.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate::{Clock, DefaultClock};

use super::report::{Report, number};
use super::{Effort, Progress};
use crate::figures::median;
use crate::rivals::{Limit, Rival, Time, Visitor, for_each};
use crate::{Gate, on_threads, thread_counts};

/// What becomes of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    Admit,
    Refuse,
    /// Some are admitted and some are not: the limit is kept used up.
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

    pub(super) fn limit(self, rival: &Rival) -> Limit {
        match self {
            Self::Admit => rival.plenty(),
            Self::Refuse => Limit::ONCE,
            Self::Limit => Limit::BUSY,
        }
    }

    /// As it is to be measured: used up, if it is to refuse.
    pub(super) fn ready<G: Gate>(self, gate: G) -> G {
        match self {
            Self::Admit => assert!(gate.admit()),
            Self::Refuse => assert!(gate.admit() && !gate.admit()),
            Self::Limit => assert!((0..100).all(|_| gate.admit())),
        }
        gate
    }
}

/// What the parts of a decision cost by themselves.
struct ClockAlone;
struct ClockAndLoad(AtomicU64);
struct ClockAndExchange(AtomicU64);

impl Gate for ClockAlone {
    #[inline(always)]
    fn admit(&self) -> bool {
        black_box(DefaultClock.now());
        true
    }
}

impl Gate for ClockAndLoad {
    #[inline(always)]
    fn admit(&self) -> bool {
        DefaultClock.now().as_nanos() >= self.0.load(Relaxed)
    }
}

impl Gate for ClockAndExchange {
    #[inline(always)]
    fn admit(&self) -> bool {
        let now = DefaultClock.now().as_nanos();
        let seen = self.0.load(Relaxed);
        self.0
            .compare_exchange_weak(seen, now, Relaxed, Relaxed)
            .is_ok()
    }
}

type Cell = (&'static str, &'static str, usize);

#[derive(Default)]
struct Samples {
    /// Calls that take about as long as a measurement is to take.
    calls: u64,
    nanos: Vec<f64>,
    admitted: u64,
    made: u64,
}

struct Throughput<'a> {
    effort: Effort,
    progress: &'a Progress,
    cells: HashMap<Cell, Samples>,
    order: Vec<Cell>,
}

pub(super) fn measure(effort: Effort, progress: &Progress, report: &mut Report) -> io::Result<()> {
    let mut throughput = Throughput {
        effort,
        progress,
        cells: HashMap::new(),
        order: Vec::new(),
    };
    for _ in 0..effort.rounds {
        throughput.part("clock alone", ClockAlone);
        throughput.part("clock and load", ClockAndLoad(AtomicU64::new(0)));
        throughput.part("clock and exchange", ClockAndExchange(AtomicU64::new(0)));
        for_each(&mut throughput);
    }
    throughput.write(report)
}

impl Visitor for Throughput<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("throughput", rival);
        for mode in Mode::ALL {
            for threads in thread_counts() {
                let gate = mode.ready(make(mode.limit(rival)));
                self.sample((rival.name, mode.name(), threads), &gate);
            }
        }
    }
}

impl Throughput<'_> {
    fn part<G: Gate>(&mut self, name: &'static str, gate: G) {
        for threads in thread_counts() {
            self.sample((name, "part", threads), &gate);
        }
    }

    fn sample(&mut self, cell: Cell, gate: &impl Gate) {
        let (_, _, threads) = cell;
        if !self.cells.contains_key(&cell) {
            self.order.push(cell);
        }
        let samples = self.cells.entry(cell).or_default();
        if samples.calls == 0 {
            samples.calls = calls_for(gate, threads, self.effort.throughput);
        }
        let (time, admitted) = ask(gate, threads, samples.calls);
        samples
            .nanos
            .push(time.as_nanos() as f64 / samples.calls as f64);
        samples.admitted += admitted;
        samples.made += samples.calls * threads as u64;
    }

    fn write(&self, report: &mut Report) -> io::Result<()> {
        let head = [
            "limiter",
            "calls",
            "threads",
            "median_ns",
            "least_ns",
            "most_ns",
            "samples",
            "calls_per_sample",
            "admitted_share",
        ];
        let rows: Vec<Vec<String>> = self.order.iter().map(|cell| self.row(cell)).collect();
        report.csv("throughput", &head, &rows)?;

        let counts = thread_counts();
        let mut columns: Vec<(&'static str, usize)> = Vec::new();
        for mode in Mode::ALL {
            columns.extend(counts.iter().map(|&threads| (mode.name(), threads)));
        }
        let mut head = vec!["ns per call and thread".to_owned(), "clock".to_owned()];
        head.extend(
            columns
                .iter()
                .map(|(mode, threads)| format!("{mode}, {}", at_once(*threads))),
        );
        head.push("admitted at the limit".to_owned());
        let head: Vec<&str> = head.iter().map(String::as_str).collect();

        let mut names = super::Names::default();
        for_each(&mut names);
        let mut table = Vec::new();
        for name in ["clock alone", "clock and load", "clock and exchange"] {
            let mut row = vec![format!("*{name}*"), Time::Counter.name().to_owned()];
            row.extend(columns.iter().map(|&(mode, threads)| {
                if mode == Mode::Admit.name() {
                    number(median(&self.cells[&(name, "part", threads)].nanos), 1)
                } else {
                    String::new()
                }
            }));
            row.push(String::new());
            table.push(row);
        }
        let most = counts.last().copied().unwrap_or(1);
        for rival in &names.0 {
            let mut row = vec![super::bold(rival.name), rival.time.name().to_owned()];
            row.extend(columns.iter().map(|&(mode, threads)| {
                number(median(&self.cells[&(rival.name, mode, threads)].nanos), 1)
            }));
            let samples = &self.cells[&(rival.name, Mode::Limit.name(), most)];
            row.push(format!("{} %", number(samples.share() * 100.0, 1)));
            table.push(row);
        }
        report.markdown(
            "Throughput",
            "Wall time divided by the calls that each thread made; the median of the rounds, each of which goes once over all limiters \
             (least and most are in `throughput.csv`). Admit: a limit that is never reached. Refuse: a limit of one per hour that is used up. At \
             the limit: a million per second, 1 000 at once (windows: 1 000 per ms), asked without a pause. Hints are not read: governor, \
             tidegate and the ones that answer with a bool need not compute them. ShardedTokenBucket reads the clock \
             once per lease, and not in most admissions. In pingora-limits a refused call counts, too, and \
             writes.",
            &head,
            &table,
        );
        self.wrong_outcomes(&names.0, report);
        Ok(())
    }

    fn row(&self, cell: &Cell) -> Vec<String> {
        let samples = &self.cells[cell];
        let sorted = |pick: fn(f64, f64) -> f64| samples.nanos.iter().copied().reduce(pick);
        vec![
            cell.0.to_owned(),
            cell.1.to_owned(),
            cell.2.to_string(),
            number(median(&samples.nanos), 2),
            number(sorted(f64::min).unwrap_or(0.0), 2),
            number(sorted(f64::max).unwrap_or(0.0), 2),
            samples.nanos.len().to_string(),
            samples.calls.to_string(),
            number(samples.share(), 6),
        ]
    }

    /// Says so where a row is not what it says.
    fn wrong_outcomes(&self, rivals: &[Rival], report: &mut Report) {
        for rival in rivals {
            for (mode, expected) in [(Mode::Admit, 1.0), (Mode::Refuse, 0.0)] {
                for threads in thread_counts() {
                    let share = self.cells[&(rival.name, mode.name(), threads)].share();
                    if share != expected {
                        report.text(&format!(
                            "{} with {}: {share} of the calls to {} were admitted.\n\n",
                            rival.name,
                            at_once(threads),
                            mode.name(),
                        ));
                    }
                }
            }
        }
    }
}

impl Samples {
    fn share(&self) -> f64 {
        self.admitted as f64 / self.made as f64
    }
}

pub(super) fn at_once(threads: usize) -> String {
    if threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{threads} threads")
    }
}

/// The time in which each of `threads` threads makes `calls` calls, and how many of all were admitted.
fn ask(gate: &impl Gate, threads: usize, calls: u64) -> (Duration, u64) {
    on_threads(threads, |_| {
        let mut admitted = 0_u64;
        for _ in 0..calls {
            admitted += u64::from(black_box(gate).admit());
        }
        admitted
    })
}

/// How many calls take about so long.
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
