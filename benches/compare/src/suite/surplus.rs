//! Measures admissions beyond the bound, on the real clock, while threads ask without a pause.

use std::io;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, MonotonicClock};

use super::report::{number, pivot};
use super::{Suite, bold};
use crate::figures::{Admission, bucket_surplus, ppm, window_surplus};
use crate::rivals::{ClockSource, Limit, QuantaClock, Rival, RivalVisitor, for_each};
use crate::{Gate, on_threads, thread_counts};

/// Few tokens for many calls, and many tokens.
const BUCKETS: [(&str, Limit); 2] = [
    ("100/s burst 100", limit(100, 1_000, 100)),
    ("1000000/s burst 1000", limit(1_000_000, 1_000, 1_000)),
];

/// The same for windows. Several windows fit in a measurement.
const WINDOWS: [(&str, Limit); 2] = [
    ("10 per 20 ms", limit(10, 20, 10)),
    ("20000 per 20 ms", limit(20_000, 20, 20_000)),
];

const fn limit(rate: u64, millis: u64, burst: u64) -> Limit {
    Limit {
        rate,
        period: Duration::from_millis(millis),
        burst,
    }
}

/// Visits of each limiter: one per limit.
pub(super) const STEPS: u64 = BUCKETS.len() as u64;

struct Surplus<'a> {
    suite: &'a Suite,
    /// The index of the limit.
    which: usize,
    buckets: Vec<Vec<String>>,
    windows: Vec<Vec<String>>,
}

pub(super) fn measure(suite: &Suite) -> io::Result<()> {
    let mut surplus = Surplus {
        suite,
        which: 0,
        buckets: Vec::new(),
        windows: Vec::new(),
    };
    for which in 0..BUCKETS.len() {
        surplus.which = which;
        for_each(&mut surplus);
    }
    let report = &suite.report;
    let millis = (suite.effort.surplus / 2).as_millis();
    let head = "limiter,limit,threads,admitted,elapsed_ms,whole_run,whole_run_ppm,worst_interval";
    report.csv("surplus_buckets", head, &surplus.buckets)?;
    let cells = cells(&surplus.buckets, |row| format!("{} / {}", row[5], row[7]));
    let (head, rows) = pivot("whole run / worst interval", &cells);
    report.markdown(
        "Admitted beyond the bound, buckets",
        &format!(
            "Tokens, while threads ask a full bucket for {millis} ms without a pause. *Whole run*: \
             admitted - (burst + rate x elapsed), where elapsed is from before the first call to \
             after the last, on the clock that the limiter reads. A negative number counts tokens \
             that no call took: tokens that came in after the last admission, or while the bucket \
             was full because no thread ran. *Worst interval*: another such run records each \
             admission with the clock before and after it. The number is the same difference for \
             the worst interval between two admissions. Only what is certainly inside counts, so a \
             positive number does break the bound of a token bucket. leaky-bucket may exceed it by \
             1 000, because its tokens come once per ms, 1 000 at a time."
        ),
        &head,
        &rows,
    );
    let head = "limiter,limit,threads,admitted,elapsed_ms,worst_interval,given_out";
    report.csv("surplus_windows", head, &surplus.windows)?;
    let cells = self::cells(&surplus.windows, |row| format!("{} / {}", row[5], row[6]));
    let (head, rows) = pivot("worst interval / given out", &cells);
    report.markdown(
        "Admitted beyond the bound, windows",
        &format!(
            "Threads ask for {millis} ms without a pause; each admission is recorded as above. \
             *Worst interval*: the most that was certainly admitted in any interval of the \
             window's length, less the limit. A positive number breaks \"at most so many in any \
             window\", which a fixed grid (pingora-limits) and an estimate (rate-net's counter) do \
             not promise. *Given out*: admitted, as a part of limit x elapsed / length."
        ),
        &head,
        &rows,
    );
    Ok(())
}

/// Makes a row for each limiter, and a column for each limit and number of threads.
fn cells(rows: &[Vec<String>], cell: fn(&Vec<String>) -> String) -> Vec<(String, String, String)> {
    let place = |row: &Vec<String>| {
        let column = format!("{}, {} threads", row[1], row[2]);
        (bold(&row[0]), column, cell(row))
    };
    rows.iter().map(place).collect()
}

impl RivalVisitor for Surplus<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.suite.progress.step("beyond the bound", rival);
        let most = thread_counts().last().copied().unwrap_or(1);
        // As many as run at once, and more, so that some threads stop in the middle of a call.
        for threads in [most.max(2), 4 * most] {
            match rival.clock {
                ClockSource::Counter => self.with(rival, &make, &DefaultClock, threads),
                ClockSource::Quanta => self.with(rival, &make, &QuantaClock::default(), threads),
                ClockSource::System => self.with(rival, &make, &MonotonicClock, threads),
            }
        }
    }
}

impl Surplus<'_> {
    fn with<G: Gate>(
        &mut self,
        rival: &Rival,
        make: &impl Fn(Limit) -> G,
        clock: &(impl Clock + Sync),
        threads: usize,
    ) {
        let time = self.suite.effort.surplus / 2;
        let of = |name: &str| vec![rival.name.to_owned(), name.to_owned(), threads.to_string()];
        if rival.is_bucket() {
            let (name, limit) = BUCKETS[self.which];
            let (admitted, elapsed) = hammer(&make(limit), clock, threads, time);
            let allowed = limit.burst as f64 + limit.per_second() * elapsed.as_secs_f64();
            let beyond = admitted as f64 - allowed;
            let (admissions, _) = record(&make(limit), clock, threads, time);
            let worst = bucket_surplus(&admissions, limit.rate, limit.period, limit.burst);
            let mut row = of(name);
            row.extend([
                admitted.to_string(),
                number(elapsed.as_secs_f64() * 1e3, 3),
                number(beyond, 1),
                number(ppm(beyond, allowed), 1),
                number(worst, 1),
            ]);
            self.buckets.push(row);
        } else {
            let (name, limit) = WINDOWS[self.which];
            let (admissions, elapsed) = record(&make(limit), clock, threads, time);
            let worst = window_surplus(&admissions, limit.rate, limit.period);
            let share = admissions.len() as f64 / (limit.per_second() * elapsed.as_secs_f64());
            let mut row = of(name);
            row.extend([
                admissions.len().to_string(),
                number(elapsed.as_secs_f64() * 1e3, 3),
                number(worst, 0),
                number(share, 3),
            ]);
            self.windows.push(row);
        }
    }
}

/// Asks for `time`. Returns the number of admissions, and the time.
fn hammer(
    gate: &impl Gate,
    clock: &(impl Clock + Sync),
    threads: usize,
    time: Duration,
) -> (u64, Duration) {
    let start = clock.now();
    let deadline = start + time;
    let (_, admitted) = on_threads(threads, |_| {
        let mut admitted = 0;
        while clock.now() < deadline {
            admitted += (0..64).filter(|_| gate.admit()).count() as u64;
        }
        admitted
    });
    (admitted.into_iter().sum(), clock.now() - start)
}

/// Asks for `time`. Returns the admissions, and the time.
fn record(
    gate: &impl Gate,
    clock: &(impl Clock + Sync),
    threads: usize,
    time: Duration,
) -> (Vec<Admission>, Duration) {
    let start = clock.now();
    let deadline = start + time;
    let (_, admissions) = on_threads(threads, |_| {
        let mut admissions = Vec::new();
        loop {
            let before = clock.now();
            if before >= deadline {
                return admissions;
            }
            if gate.admit() {
                admissions.push((before.as_nanos(), clock.now().as_nanos()));
            }
        }
    });
    (admissions.concat(), clock.now() - start)
}
