//! Measures what a caller gets that asks as often as allowed, on a manual clock.

use std::io;
use std::time::Duration;

use tidegate::{ManualClock, Timestamp};

use super::report::{Report, number, pivot};
use super::{Effort, Listed, Suite, bold};
use crate::Gate;
use crate::figures::{Admission, due, earned, ppm, window_surplus};
use crate::rivals::{Limit, Rival, RivalVisitor, for_each_with_clock, leaky_bucket};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: u64 = 3_600_000_000_000;

/// Rates at which limiters are known to be inexact.
const RATES: [(&str, u64, Duration); 6] = [
    ("3/s", 3, SECOND),
    ("7/s", 7, SECOND),
    ("1000001/s", 1_000_001, SECOND),
    ("600000000/s", 600_000_000, SECOND),
    ("1250000000/s", 1_250_000_000, SECOND),
    ("1 per 45 days", 1, DAY.saturating_mul(45)),
];

const WINDOWS: [(&str, u64, Duration); 3] = [
    ("7 per s", 7, SECOND),
    ("1000 per s", 1_000, SECOND),
    ("50 per min", 50, Duration::from_secs(60)),
];

/// At the slowest rates, which take more than an hour.
const TOKENS_AT_LEAST: u64 = 400;

/// Nanoseconds between the calls of a caller that does nothing else.
const BUSY_STEP: u64 = 1_333;

/// Returns the number of visits.
pub(super) fn steps() -> u64 {
    let mut listed = Listed::default();
    for_each_with_clock(ManualClock::new(), &mut listed);
    // And leaky-bucket.
    (RATES.len() as u64) * (listed.0.len() as u64 + 1)
}

struct Accuracy<'a> {
    suite: &'a Suite,
    rate: (&'static str, Limit),
    clock: ManualClock,
    buckets: Vec<Measured>,
    windows: Vec<Vec<String>>,
}

/// A limiter at a rate.
struct Measured {
    rate: &'static str,
    rival: Rival,
    limit: Limit,
    /// The admissions of a full bucket, unless it was left out.
    burst: Option<u64>,
    /// The outcome of calls at these instants, or the reason why they were left out.
    when_due: Result<Outcome, String>,
    busy: Result<Outcome, String>,
}

pub(super) fn measure(suite: &Suite) -> io::Result<()> {
    let mut accuracy = Accuracy {
        suite,
        rate: ("", Limit::ONCE),
        clock: ManualClock::new(),
        buckets: Vec::new(),
        windows: Vec::new(),
    };
    for (name, rate, period) in RATES {
        // The tokens of 10 us: a caller that asks every 1333 ns cannot lose any.
        let burst = earned(rate, period, 10_000).max(10);
        let limit = Limit {
            rate,
            period,
            burst,
        };
        accuracy.rate = (name, limit);
        for_each_with_clock(accuracy.clock.clone(), &mut accuracy);
        accuracy.leaky_bucket();
    }
    let report = &suite.report;
    accuracy.write_buckets(report)?;
    report.table(
        "accuracy_windows",
        "Accuracy of windows",
        &format!(
            "The same clock: a caller asks a thousand times per window, until refused, for an hour \
             or {} windows. An exact window that is used up at once is free again one window \
             later, so that much is due. *Beyond the limit*: the most in any interval of its \
             length, less its limit. tidegate's window gives room back up to 1/64 of its length \
             late, and is short of that much.",
            suite.effort.windows,
        ),
        "window,limiter,admitted,due,over ppm,under ppm,beyond the limit",
        accuracy.windows,
    )
}

impl RivalVisitor for Accuracy<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.suite.progress.step("accuracy", rival);
        if rival.is_bucket() {
            let limit = self.rate.1;
            let clock = self.clock.clone();
            let set = move |nanos| clock.set(Timestamp::from_nanos(nanos));
            self.bucket(rival, limit, make, set, 0);
        } else if self.rate.0 == RATES[0].0 {
            for window in WINDOWS {
                self.window(rival, window, &make);
            }
        }
    }
}

/// The outcome of a caller's calls.
struct Outcome {
    /// The most tokens that were ahead of their time.
    over: u64,
    admitted: u64,
    due: u64,
}

impl Outcome {
    fn over_ppm(&self) -> f64 {
        ppm(self.over as f64, self.due as f64)
    }

    fn under_ppm(&self) -> f64 {
        let under = self.due.saturating_sub(self.admitted);
        ppm(under as f64, self.due as f64)
    }

    /// Formats both errors, or 0.
    fn error(&self) -> String {
        let parts = [('+', self.over_ppm()), ('-', self.under_ppm())];
        let parts = parts.iter().filter(|(_, ppm)| *ppm > 0.0);
        let parts: Vec<String> = parts.map(|(sign, ppm)| format!("{sign}{ppm:.0}")).collect();
        if parts.is_empty() {
            "0".to_owned()
        } else {
            parts.join(" ")
        }
    }

    fn cells(outcome: &Result<Self, String>) -> [String; 5] {
        match outcome {
            Ok(outcome) => [
                outcome.due.to_string(),
                outcome.admitted.to_string(),
                number(outcome.over_ppm(), 1),
                number(outcome.under_ppm(), 1),
                String::new(),
            ],
            Err(reason) => ["", "", "", "", reason].map(str::to_owned),
        }
    }
}

/// Formats a cell of a table.
fn error(outcome: &Result<Outcome, String>) -> String {
    match outcome {
        Ok(outcome) => outcome.error(),
        Err(reason) => format!("({reason})"),
    }
}

impl Measured {
    fn burst_off_by(&self) -> String {
        self.burst.map_or("-".to_owned(), |burst| {
            format!("{:+}", i128::from(burst) - i128::from(self.limit.burst))
        })
    }
}

/// Asks until refused, at these nanoseconds after the bucket was empty.
fn ask(
    gate: &impl Gate,
    limit: Limit,
    set: impl Fn(u64),
    instants: impl Iterator<Item = u64>,
    horizon: u64,
) -> Outcome {
    let due = earned(limit.rate, limit.period, horizon);
    let enough = 3 * due + 1_000;
    let (mut admitted, mut over) = (0, 0);
    for at in instants {
        set(at);
        while gate.admit() {
            admitted += 1;
            if admitted >= enough {
                break;
            }
        }
        let earned = earned(limit.rate, limit.period, at);
        over = over.max(admitted.saturating_sub(earned));
        if admitted >= enough {
            break;
        }
    }
    Outcome {
        over,
        admitted,
        due,
    }
}

impl Accuracy<'_> {
    /// Measures a bucket. If `refill` tokens come at once, only a hundred times as many are enough
    /// to show another error than that.
    fn bucket<G: Gate>(
        &mut self,
        rival: &Rival,
        limit: Limit,
        make: impl Fn(Limit) -> G,
        set: impl Fn(u64),
        refill: u64,
    ) {
        let (name, Limit { rate, period, .. }) = self.rate;
        let mut burst = None;
        let mut measure = |instants: &mut dyn Iterator<Item = u64>, horizon: u64| {
            match earned(rate, period, horizon) {
                0 => return Err("no token comes in that time".to_owned()),
                due if due < 100 * refill => return Err(format!("refills of {refill}")),
                _ => {}
            }
            set(0);
            let gate = make(limit);
            let admitted = (0..3 * limit.burst).take_while(|_| gate.admit()).count();
            burst.get_or_insert(admitted as u64);
            Ok(ask(&gate, limit, &set, instants, horizon))
        };

        let Effort { tokens, polls, .. } = self.suite.effort;
        let hour = earned(rate, period, HOUR).min(tokens);
        let tokens = if hour < 2 { TOKENS_AT_LEAST } else { hour };
        let end = due(rate, period, tokens);
        let when_due = measure(
            &mut (1..=tokens).map(|number| due(rate, period, number)),
            end,
        );
        let polls = polls.min(end / BUSY_STEP);
        let polled = (1..=polls).map(|number| number * BUSY_STEP);
        let busy = measure(&mut { polled }, polls * BUSY_STEP);
        self.buckets.push(Measured {
            rate: name,
            rival: *rival,
            limit,
            burst,
            when_due,
            busy,
        });
    }

    /// Measures leaky-bucket, whose clock is tokio's.
    fn leaky_bucket(&mut self) {
        let rival = leaky_bucket::RIVAL;
        self.suite.progress.step("accuracy", &rival);
        let mut limit = self.rate.1;
        let refill = leaky_bucket::refill(limit);
        limit.burst = limit.burst.max(refill);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("no I/O is needed");
        let _context = runtime.enter();
        let origin = std::cell::Cell::new(tokio::time::Instant::now());
        let set = |nanos| {
            if nanos == 0 {
                origin.set(tokio::time::Instant::now());
                return;
            }
            let ahead = Duration::from_nanos(nanos) - origin.get().elapsed();
            runtime.block_on(tokio::time::advance(ahead));
        };
        // One token at a time is measured like the others.
        let coarse = if refill > 1 { refill } else { 0 };
        self.bucket(&rival, limit, leaky_bucket::make, set, coarse);
    }

    fn write_buckets(&self, report: &Report) -> io::Result<()> {
        let head = "rate,limiter,burst,burst_off_by,asked,due,admitted,over_ppm,under_ppm,left_out";
        let mut rows = Vec::new();
        for row in &self.buckets {
            for (asked, outcome) in [("when due", &row.when_due), ("every 1333 ns", &row.busy)] {
                let mut cells = [row.rate, row.rival.name].map(str::to_owned).to_vec();
                cells.extend([
                    row.limit.burst.to_string(),
                    row.burst_off_by(),
                    asked.to_owned(),
                ]);
                cells.extend(Outcome::cells(outcome));
                rows.push(cells);
            }
        }
        report.csv("accuracy_buckets", head, &rows)?;

        let table = |cell: fn(&Measured) -> String| {
            let place = |row: &Measured| (bold(row.rival.name), row.rate.to_owned(), cell(row));
            let cells: Vec<_> = self.buckets.iter().map(place).collect();
            pivot("limiter", &cells)
        };
        let Effort { tokens, polls, .. } = self.suite.effort;
        let left_out = "Left out: own clocks and pingora-limits, whose time cannot be set; \
                        windows, whose table is below.";
        let (head, rows) = table(|row| error(&row.when_due));
        report.markdown(
            "Accuracy of rates, asked when due",
            &format!(
                "Parts per million, on a manual clock. The bucket is emptied, and then asked, \
                 until it refuses, at every instant at which a token is due: for an hour, or \
                 {tokens} tokens, or, if an hour has fewer than 2, {TOKENS_AT_LEAST} tokens. +: \
                 the most that came too early at any of those instants; -: the part of what was \
                 due at the end that did not come. It ends at three times what is due (+2000000 \
                 and more). {left_out} leaky-bucket's time is tokio's, paused and advanced. Its \
                 tokens come in refills, and a hundred times as many are needed to show another \
                 error."
            ),
            &head,
            &rows,
        );
        let (head, rows) = table(|row| error(&row.busy));
        report.markdown(
            "Accuracy of rates, asked every 1333 ns",
            &format!("The same for a caller that does nothing but ask, at most {polls} times."),
            &head,
            &rows,
        );
        let (head, rows) = table(Measured::burst_off_by);
        report.markdown(
            "Accuracy of bursts",
            "The admissions of a full bucket at one instant, less its burst, which is the tokens \
             of 10 us, or 10 tokens; it ends at three times the burst.",
            &head,
            &rows,
        );
        Ok(())
    }

    fn window<G: Gate>(
        &mut self,
        rival: &Rival,
        (name, rate, period): (&str, u64, Duration),
        make: &impl Fn(Limit) -> G,
    ) {
        let length = u64::try_from(period.as_nanos()).expect("short");
        let windows = (HOUR / length).min(self.suite.effort.windows);
        self.clock.set(Timestamp::ZERO);
        let gate = make(Limit {
            rate,
            period,
            burst: rate,
        });
        let mut admissions: Vec<Admission> = Vec::new();
        for step in 0..=windows * 1_000 {
            let at = step * (length / 1_000);
            self.clock.set(Timestamp::from_nanos(at));
            while gate.admit() {
                admissions.push((at, at));
            }
        }
        let outcome = Outcome {
            over: 0,
            admitted: admissions.len() as u64,
            due: (windows + 1) * rate,
        };
        let over = outcome.admitted.saturating_sub(outcome.due);
        self.windows.push(vec![
            name.to_owned(),
            rival.name.to_owned(),
            outcome.admitted.to_string(),
            outcome.due.to_string(),
            number(ppm(over as f64, outcome.due as f64), 1),
            number(outcome.under_ppm(), 1),
            number(window_surplus(&admissions, rate, period), 0),
        ]);
    }
}
