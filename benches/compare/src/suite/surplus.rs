//! What is admitted beyond the bound while threads ask for all they can get, on the real clock.

use std::hint::black_box;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, MonotonicClock};

use super::report::{Report, number, pivot};
use super::{Effort, Progress, bold};
use crate::figures::{Admission, bucket_surplus, ppm, window_surplus};
use crate::rivals::{Limit, Quanta, Rival, Time, Visitor, for_each};
use crate::{Gate, on_threads, thread_counts};

/// Few tokens and a crowd; and many.
const BUCKETS: [(&str, Limit); 2] = [
    (
        "100/s burst 100",
        Limit {
            rate: 100,
            period: Duration::from_secs(1),
            burst: 100,
        },
    ),
    (
        "1000000/s burst 1000",
        Limit {
            rate: 1_000_000,
            period: Duration::from_secs(1),
            burst: 1_000,
        },
    ),
];

/// The same of windows, several of which fit into a measurement.
const WINDOWS: [(&str, Limit); 2] = [
    (
        "10 per 20 ms",
        Limit {
            rate: 10,
            period: Duration::from_millis(20),
            burst: 10,
        },
    ),
    (
        "20000 per 20 ms",
        Limit {
            rate: 20_000,
            period: Duration::from_millis(20),
            burst: 20_000,
        },
    ),
];

/// Visits per limiter: one for each of the limits.
pub(super) const STEPS: u64 = BUCKETS.len() as u64;

struct Surplus<'a> {
    effort: Effort,
    progress: &'a Progress,
    /// Which of the limits.
    which: usize,
    buckets: Vec<Vec<String>>,
    windows: Vec<Vec<String>>,
}

pub(super) fn measure(effort: Effort, progress: &Progress, report: &mut Report) -> io::Result<()> {
    let mut surplus = Surplus {
        effort,
        progress,
        which: 0,
        buckets: Vec::new(),
        windows: Vec::new(),
    };
    for which in 0..BUCKETS.len() {
        surplus.which = which;
        for_each(&mut surplus);
    }
    let millis = (effort.surplus / 2).as_millis();
    let head = [
        "limiter",
        "limit",
        "threads",
        "admitted",
        "elapsed_ms",
        "whole_run",
        "whole_run_ppm",
        "worst_interval",
    ];
    report.csv("surplus_buckets", &head, &surplus.buckets)?;
    let cells = cells(&surplus.buckets, |row| format!("{} / {}", row[5], row[7]));
    let (head, rows) = pivot("whole run / worst interval", &cells);
    report.markdown(
        "Admitted beyond the bound, buckets",
        &format!(
            "Tokens, while threads ask a full bucket for {millis} ms without a pause. *Whole run*: admitted - (burst + rate x elapsed), where \
             elapsed is from before the first call to after the last, on the clock that the limiter reads. Less than 0 is what nobody took: \
             what came in after the last admission, and what was lost while the bucket was full, because no thread ran. *Worst interval*: in \
             another such run, in which each admission is recorded with the clock before and after it, the same for every interval between \
             two of them; what is not certainly inside is not counted, so that more than 0 does break the bound of a token bucket. \
             leaky-bucket, whose tokens come once per ms, 1 000 at a time, may exceed it by so many.",
        ),
        &head,
        &rows,
    );
    let head = [
        "limiter",
        "limit",
        "threads",
        "admitted",
        "elapsed_ms",
        "worst_interval",
        "given_out",
    ];
    report.csv("surplus_windows", &head, &surplus.windows)?;
    let cells = self::cells(&surplus.windows, |row| format!("{} / {}", row[5], row[6]));
    let (head, rows) = pivot("worst interval / given out", &cells);
    report.markdown(
        "Admitted beyond the bound, windows",
        &format!(
            "Threads ask for {millis} ms without a pause; each admission is recorded as above. *Worst interval*: the most that was certainly \
             admitted in any interval of the window's length, less the limit. More than 0 breaks \"no more than so many in any window\", \
             which a fixed grid (pingora-limits) and an estimate (rate-net's counter) do not promise. *Given out*: admitted, as a part of \
             limit x elapsed / length.",
        ),
        &head,
        &rows,
    );
    Ok(())
}

/// A row for each limiter, a column for each limit and number of threads.
fn cells(rows: &[Vec<String>], cell: fn(&Vec<String>) -> String) -> Vec<(String, String, String)> {
    let place = |row: &Vec<String>| {
        let column = format!("{}, {} threads", row[1], row[2]);
        (bold(&row[0]), column, cell(row))
    };
    rows.iter().map(place).collect()
}

impl Visitor for Surplus<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("beyond the bound", rival);
        let most = thread_counts().last().copied().unwrap_or(1);
        // As many as run at once, and more, so that some stop in the middle of a call.
        for threads in [most.max(2), 4 * most] {
            match rival.time {
                Time::Counter => self.with(rival, &make, &DefaultClock, threads),
                Time::Quanta => self.with(rival, &make, &Quanta::new(), threads),
                Time::System => self.with(rival, &make, &MonotonicClock, threads),
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
        let time = self.effort.surplus / 2;
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

/// How many are admitted, and in what time.
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
            for _ in 0..64 {
                admitted += u64::from(black_box(gate).admit());
            }
        }
        admitted
    });
    (admitted, clock.now() - start)
}

/// The admissions of such a time.
fn record(
    gate: &impl Gate,
    clock: &(impl Clock + Sync),
    threads: usize,
    time: Duration,
) -> (Vec<Admission>, Duration) {
    let start = clock.now();
    let deadline = start + time;
    let all = Mutex::new(Vec::new());
    on_threads(threads, |_| {
        let mut mine = Vec::new();
        loop {
            let before = clock.now();
            if before >= deadline {
                break;
            }
            if black_box(gate).admit() {
                mine.push((before.as_nanos(), clock.now().as_nanos()));
            }
        }
        all.lock().expect("nobody panics").append(&mut mine);
        0
    });
    (
        all.into_inner().expect("nobody panics"),
        clock.now() - start,
    )
}
