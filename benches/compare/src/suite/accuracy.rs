//! What a caller gets who asks as often as allowed, on a clock that is turned by hand.

use std::io;
use std::time::Duration;

use tidegate::{ManualClock, Timestamp};

use super::report::{Report, number};
use super::{Effort, Progress, report_name};
use crate::Gate;
use crate::figures::{Admission, due, earned, ppm, window_surplus};
use crate::rivals::{Limit, Rival, Visitor, for_each_with_clock, leaky_bucket};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: u64 = 3_600_000_000_000;

/// Rates at which limiters are known to be off.
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

/// Of the slowest rates: more than an hour.
const TOKENS_AT_LEAST: u64 = 400;

/// How often somebody asks who does nothing else.
const BUSY_STEP: u64 = 1_333;

/// Visits: of each rate and each window.
pub(super) fn steps() -> u64 {
    let mut names = super::Names::default();
    for_each_with_clock(ManualClock::new(), &mut names);
    // And leaky-bucket.
    (RATES.len() as u64) * (names.0.len() as u64 + 1)
}

struct Accuracy<'a> {
    effort: Effort,
    progress: &'a Progress,
    rate: (&'static str, Limit),
    clock: ManualClock,
    buckets: Vec<Vec<String>>,
    windows: Vec<Vec<String>>,
}

pub(super) fn measure(effort: Effort, progress: &Progress, report: &mut Report) -> io::Result<()> {
    let mut accuracy = Accuracy {
        effort,
        progress,
        rate: ("", Limit::ONCE),
        clock: ManualClock::new(),
        buckets: Vec::new(),
        windows: Vec::new(),
    };
    for (name, rate, period) in RATES {
        // What comes in 10 us, so that only those lose tokens who do not look.
        let burst = earned(rate, period, 10_000).max(10);
        accuracy.rate = (
            name,
            Limit {
                rate,
                period,
                burst,
            },
        );
        for_each_with_clock(accuracy.clock.clone(), &mut accuracy);
        accuracy.leaky_bucket();
    }
    let head = [
        "rate",
        "limiter",
        "burst",
        "burst off by",
        "asked when due: tokens",
        "over",
        "over ppm",
        "under ppm",
        "asked every 1333 ns: tokens",
        "over ppm",
        "under ppm",
    ];
    report.table(
        "accuracy_buckets",
        "Accuracy of rates",
        &format!(
            "A manual clock. The bucket is emptied at the start, and then asked, until it refuses, at every instant at which a token is due: for \
             an hour, or {} tokens, or {TOKENS_AT_LEAST} tokens where an hour has fewer than 2. *Burst off by*: what it admitted at the \
             start, less its burst. *Over*: the most tokens that were given out too early at any of those instants, and that as parts per \
             million of what was due; *under*: what was due at the end and not given out. Then the same for a caller who asks every 1 333 ns, {} \
             times at the most (-: no token comes in that time). An unlimited rate stops at three times what is due. Left out: pingora-limits and governor's, ratelimit's, \
             better-bucket's, rate-net's and gcra's own clocks, which nobody can turn; windows, whose table is the next. leaky-bucket's time \
             is tokio's, paused and advanced; its burst is at least one of its refills, and its time at least three.",
            effort.tokens, effort.polls,
        ),
        &head,
        std::mem::take(&mut accuracy.buckets),
    )?;
    report.table(
        "accuracy_windows",
        "Accuracy of windows",
        &format!(
            "The same clock: a caller asks a thousand times per window, until refused, for an hour or {} windows. An exact window that is \
             used up at once is free again one window later: so much is due. *Beyond the limit*: the most in any interval of its length, less \
             its limit. tidegate's gives room back up to 1/64 of its length late, which is what it is short of.",
            effort.windows,
        ),
        &["window", "limiter", "admitted", "due", "over ppm", "under ppm", "beyond the limit"],
        std::mem::take(&mut accuracy.windows),
    )
}

impl Visitor for Accuracy<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("accuracy", rival);
        if rival.is_bucket() {
            let limit = self.rate.1;
            let clock = self.clock.clone();
            let set = move |nanos| clock.set(Timestamp::from_nanos(nanos));
            self.bucket(rival, limit, 0, make, set);
        } else if self.rate.0 == RATES[0].0 {
            for window in WINDOWS {
                self.window(rival, window, &make);
            }
        }
    }
}

/// What came of a caller.
struct Outcome {
    /// The highest of what was ahead.
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
}

/// Asks at these instants, which are since the bucket was empty, until refused.
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
    fn bucket<G: Gate>(
        &mut self,
        rival: &Rival,
        limit: Limit,
        at_least: u64,
        make: impl Fn(Limit) -> G,
        set: impl Fn(u64),
    ) {
        let (name, Limit { rate, period, .. }) = self.rate;
        let mut row = vec![name.to_owned(), report_name(rival), limit.burst.to_string()];
        let emptied = || {
            set(0);
            let gate = make(limit);
            let mut burst = 0;
            while burst < 3 * limit.burst && gate.admit() {
                burst += 1;
            }
            (gate, burst)
        };

        let hour = earned(rate, period, HOUR).min(self.effort.tokens);
        let tokens = if hour < 2 { TOKENS_AT_LEAST } else { hour }.max(at_least);
        let (gate, burst) = emptied();
        let instants = (1..=tokens).map(|number| due(rate, period, number));
        let horizon = due(rate, period, tokens);
        let outcome = ask(&gate, limit, &set, instants, horizon);
        row.extend([
            (burst as i64 - limit.burst as i64).to_string(),
            outcome.due.to_string(),
            outcome.over.to_string(),
            number(outcome.over_ppm(), 1),
            number(outcome.under_ppm(), 1),
        ]);

        let busy = due(rate, period, tokens).min(self.effort.polls * BUSY_STEP);
        let polls = busy / BUSY_STEP;
        let horizon = polls * BUSY_STEP;
        if earned(rate, period, horizon) < 1 {
            row.extend(["-"; 3].map(str::to_owned));
        } else {
            let (gate, _) = emptied();
            let instants = (1..=polls).map(|number| number * BUSY_STEP);
            let outcome = ask(&gate, limit, &set, instants, horizon);
            row.extend([
                outcome.due.to_string(),
                number(outcome.over_ppm(), 1),
                number(outcome.under_ppm(), 1),
            ]);
        }
        self.buckets.push(row);
    }

    /// Its clock is tokio's.
    fn leaky_bucket(&mut self) {
        let rival = leaky_bucket::RIVAL;
        self.progress.step("accuracy", &rival);
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
        self.bucket(&rival, limit, 3 * refill, leaky_bucket::make, set);
    }

    fn window<G: Gate>(
        &mut self,
        rival: &Rival,
        (name, rate, period): (&str, u64, Duration),
        make: &impl Fn(Limit) -> G,
    ) {
        let length = u64::try_from(period.as_nanos()).expect("short");
        let windows = (HOUR / length).min(self.effort.windows);
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
            report_name(rival),
            outcome.admitted.to_string(),
            outcome.due.to_string(),
            number(ppm(over as f64, outcome.due as f64), 1),
            number(outcome.under_ppm(), 1),
            number(window_surplus(&admissions, rate, period), 0),
        ]);
    }
}
