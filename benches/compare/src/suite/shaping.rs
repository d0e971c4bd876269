//! Simulates the same traffic through limiters of different kinds, on a manual clock.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tidegate::{ManualClock, Timestamp};

use super::bold;
use super::report::Report;
use crate::Gate;
use crate::rivals::{Limit, Rival, RivalVisitor, for_each_with_clock};

/// 10 per second, and 10 at once in a bucket.
const LIMIT: Limit = Limit {
    rate: 10,
    period: Duration::from_secs(1),
    burst: 10,
};

const TICK_MILLIS: u64 = 20;
const TICKS: u64 = 6_000 / TICK_MILLIS;
const TICKS_OF_A_SECOND: usize = 1_000 / TICK_MILLIS as usize;

/// One limiter of each kind, and governor, whose kind is that of the first.
const SHOWN: [&str; 3] = ["tidegate TokenBucket", "tidegate SlidingWindow", "governor"];

/// Returns the number of calls at the beginning of a tick.
fn offered(tick: u64) -> u64 {
    match tick * TICK_MILLIS {
        // A burst at the end of a second, and another at the beginning of the next.
        900..980 | 1_000..1_080 => 5,
        // A caller that respects the limit: one call every 120 ms.
        2_200..4_000 => u64::from(tick.is_multiple_of(6)),
        // A flood, ten times the limit.
        4_400..5_400 => 2,
        _ => 0,
    }
}

struct Shaping {
    clock: ManualClock,
    columns: Vec<(String, Vec<u64>)>,
}

pub(super) fn simulate(report: &Report) -> io::Result<()> {
    let clock = ManualClock::new();
    let traffic: Vec<u64> = (0..TICKS).map(offered).collect();
    let mut shaping = Shaping {
        clock: clock.clone(),
        columns: vec![("offered".to_owned(), traffic.clone())],
    };
    for_each_with_clock(clock, &mut shaping);
    let mut columns = shaping.columns;
    columns.push(("fixed window".to_owned(), fixed_window(&traffic)));
    columns.push(("leaky bucket".to_owned(), leaky_bucket(&traffic)));

    let mut head = vec!["time_ms"];
    head.extend(columns.iter().map(|(name, _)| name.as_str()));
    let rows = (0..traffic.len()).map(|tick| {
        let mut row = vec![(tick as u64 * TICK_MILLIS).to_string()];
        row.extend(columns.iter().map(|(_, counts)| counts[tick].to_string()));
        row
    });
    report.csv("shaping", &head.join(","), &rows.collect::<Vec<_>>())?;

    let rows = columns.iter().map(|(name, counts)| {
        let total: u64 = counts.iter().sum();
        let worst = counts
            .windows(TICKS_OF_A_SECOND)
            .map(|ticks| ticks.iter().sum());
        let worst: u64 = worst.max().unwrap_or(0);
        vec![bold(name), total.to_string(), worst.to_string()]
    });
    report.markdown(
        "Shaping",
        "The same six seconds through limiters of 10 per second (buckets: and 10 at once), on a \
         manual clock: a burst of 20 calls at the end of a second and another at the beginning of \
         the next, a caller that respects the limit, and a flood of ten times the limit. *fixed \
         window*: a count that restarts with each second. *leaky bucket*: a queue of at most 10 \
         that serves one call every 100 ms, counted here when served. tidegate's buckets do that \
         for callers that wait.",
        &["limiter", "admitted", "most in a second"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

impl RivalVisitor for Shaping {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        if !SHOWN.contains(&rival.name) {
            return;
        }
        let at = |tick: u64| Timestamp::from_nanos(tick * TICK_MILLIS * 1_000_000);
        self.clock.set(at(0));
        let gate = make(LIMIT);
        let admitted = (0..TICKS).map(|tick| {
            self.clock.set(at(tick));
            (0..offered(tick)).filter(|_| gate.admit()).count() as u64
        });
        let admitted = admitted.collect();
        self.columns.push((rival.name.to_owned(), admitted));
    }
}

/// Returns the admissions of a count that restarts with each second.
fn fixed_window(traffic: &[u64]) -> Vec<u64> {
    let seconds = traffic.chunks(TICKS_OF_A_SECOND).map(|second| {
        let mut left = LIMIT.rate;
        second.iter().map(move |&offered| {
            let admitted = offered.min(left);
            left -= admitted;
            admitted
        })
    });
    seconds.flatten().collect()
}

/// Returns when a queue of at most a burst serves its calls, one every 100 ms.
fn leaky_bucket(traffic: &[u64]) -> Vec<u64> {
    let interval = 1_000 / LIMIT.rate;
    let mut queue: VecDeque<u64> = VecDeque::new();
    let mut next_due = 0;
    let mut served = vec![0; traffic.len()];
    for (tick, &offered) in (0..).zip(traffic) {
        let now = tick * TICK_MILLIS;
        while queue.front().is_some_and(|&due| due <= now) {
            queue.pop_front();
            served[tick as usize] += 1;
        }
        for _ in 0..offered {
            if (queue.len() as u64) < LIMIT.burst {
                let due = next_due.max(now);
                next_due = due + interval;
                queue.push_back(due);
            }
        }
        // A call to an empty queue is served at once.
        if queue.front().is_some_and(|&due| due <= now) {
            queue.pop_front();
            served[tick as usize] += 1;
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use super::{TICKS_OF_A_SECOND, fixed_window, leaky_bucket};

    #[test]
    fn fixed_window_restarts_each_second() {
        let mut traffic = vec![0; 2 * TICKS_OF_A_SECOND];
        traffic[TICKS_OF_A_SECOND - 1] = 30;
        traffic[TICKS_OF_A_SECOND] = 30;
        let admitted = fixed_window(&traffic);
        let around = &admitted[TICKS_OF_A_SECOND - 1..=TICKS_OF_A_SECOND];
        assert_eq!(around, [10, 10]);
    }

    #[test]
    fn leaky_bucket_serves_one_every_100_ms() {
        let mut traffic = vec![0; 3 * TICKS_OF_A_SECOND];
        traffic[0] = 30;
        let served = leaky_bucket(&traffic);
        let when: Vec<usize> = (0..served.len()).filter(|&tick| served[tick] > 0).collect();
        assert_eq!(when, (0..10).map(|number| number * 5).collect::<Vec<_>>());
        assert!(served.iter().all(|&count| count <= 1));
    }
}
