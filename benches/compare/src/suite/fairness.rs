//! How admissions are shared among threads that ask for all they can get.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::sync::Mutex;

use tidegate::{Clock, DefaultClock};

use super::report::{Report, number};
use super::throughput::at_once;
use super::{Effort, Progress};
use crate::figures::{extremes, jain, median};
use crate::rivals::{Limit, Rival, Visitor, for_each};
use crate::{Gate, on_threads, thread_counts};

struct Fairness<'a> {
    effort: Effort,
    progress: &'a Progress,
    /// The shares of each round.
    shares: HashMap<&'static str, Vec<Vec<u64>>>,
}

/// All that the machine runs at once, and two where that is one.
fn threads() -> usize {
    thread_counts().last().copied().unwrap_or(1).max(2)
}

pub(super) fn measure(effort: Effort, progress: &Progress, report: &mut Report) -> io::Result<()> {
    let mut fairness = Fairness {
        effort,
        progress,
        shares: HashMap::new(),
    };
    for _ in 0..effort.rounds {
        for_each(&mut fairness);
    }

    let mut names = super::Names::default();
    for_each(&mut names);
    let rows = names.0.iter().map(|rival| {
        let rounds = &fairness.shares[rival.name];
        let jains: Vec<f64> = rounds.iter().map(|shares| jain(shares)).collect();
        let least: Vec<f64> = rounds.iter().map(|shares| extremes(shares).0).collect();
        let most: Vec<f64> = rounds.iter().map(|shares| extremes(shares).1).collect();
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
    report.table(
        "fairness",
        "Fairness",
        &format!(
            "{} ask a limiter at its limit (a million per second, 1 000 at once) for {} ms without a pause: how its admissions are shared. \
             Jain's index is 1 if all get the same, and 1 divided by the number of threads if one gets everything; least and most are \
             shares of the mean. Median and worst of {} rounds. Nobody waits in line here: it is the luck of those who ask.",
            at_once(threads()),
            effort.fairness.as_millis(),
            effort.rounds,
        ),
        &["limiter", "Jain", "worst Jain", "least", "most", "worst least", "worst most", "admitted"],
        rows.collect(),
    )
}

impl Visitor for Fairness<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("fairness", rival);
        let (gate, time) = (make(Limit::BUSY), self.effort.fairness);
        // Nobody is to have the burst to itself.
        while gate.admit() {}
        let shares = Mutex::new(vec![0; threads()]);
        on_threads(threads(), |thread| {
            let deadline = DefaultClock.now() + time;
            let mut admitted = 0;
            while DefaultClock.now() < deadline {
                for _ in 0..64 {
                    admitted += u64::from(black_box(&gate).admit());
                }
            }
            shares.lock().expect("nobody panics")[thread] = admitted;
            admitted
        });
        let shares = shares.into_inner().expect("nobody panics");
        self.shares.entry(rival.name).or_default().push(shares);
    }
}
