//! Measures how admissions are shared among threads that ask without a pause.

use std::collections::HashMap;
use std::io;

use tidegate::{Clock, DefaultClock};

use super::Suite;
use super::report::number;
use super::throughput::at_once;
use crate::figures::{extremes, jain, median};
use crate::rivals::{Limit, Rival, RivalVisitor, for_each};
use crate::{Gate, on_threads, thread_counts};

struct Fairness<'a> {
    suite: &'a Suite,
    /// The shares of each round.
    shares: HashMap<&'static str, Vec<Vec<u64>>>,
}

/// Returns how many threads the machine runs at once, and at least two.
fn threads() -> usize {
    thread_counts().last().copied().unwrap_or(1).max(2)
}

pub(super) fn measure(suite: &Suite) -> io::Result<()> {
    let mut fairness = Fairness {
        suite,
        shares: HashMap::new(),
    };
    for _ in 0..suite.effort.rounds {
        for_each(&mut fairness);
    }

    let rows = suite.rivals.iter().map(|rival| {
        let rounds = &fairness.shares[rival.name];
        let of = |figure: fn(&[u64]) -> f64| -> Vec<f64> {
            rounds.iter().map(|shares| figure(shares)).collect()
        };
        let (jains, least) = (of(jain), of(|shares| extremes(shares).0));
        let most = of(|shares| extremes(shares).1);
        let worst = |values: &[f64], pick: fn(f64, f64) -> f64| {
            number(values.iter().copied().reduce(pick).unwrap_or(0.0), 3)
        };
        vec![
            rival.name.to_owned(),
            number(median(&jains), 4),
            worst(&jains, f64::min),
            number(median(&least), 3),
            number(median(&most), 3),
            worst(&least, f64::min),
            worst(&most, f64::max),
            rounds.iter().flatten().sum::<u64>().to_string(),
        ]
    });
    suite.report.table(
        "fairness",
        "Fairness",
        &format!(
            "{} ask a limiter at its limit (a million per second, 1 000 at once) for {} ms without \
             a pause, each pinned to a core: how its admissions are shared. Jain's index is 1 if \
             all threads get the same, and 1 divided by the number of threads if one gets \
             everything; least and most are shares of the mean. Median and worst of {} rounds. \
             These calls do not wait in a queue, so the share is a matter of luck.",
            at_once(threads()),
            suite.effort.fairness.as_millis(),
            suite.effort.rounds,
        ),
        "limiter,Jain,worst Jain,least,most,worst least,worst most,admitted",
        rows.collect(),
    )
}

impl RivalVisitor for Fairness<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.suite.progress.step("fairness", rival);
        let (gate, time) = (make(Limit::BUSY), self.suite.effort.fairness);
        // No thread may have the burst to itself.
        while gate.admit() {}
        let (_, shares) = on_threads(threads(), |_| {
            let deadline = DefaultClock.now() + time;
            let mut admitted = 0;
            while DefaultClock.now() < deadline {
                admitted += (0..64).filter(|_| gate.admit()).count() as u64;
            }
            admitted
        });
        self.shares.entry(rival.name).or_default().push(shares);
    }
}
