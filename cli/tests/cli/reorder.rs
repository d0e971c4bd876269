//! Compares the reordering of events with its definition.

use proptest::prelude::*;
use tidegate_cli::log::Event;
use tidegate_cli::log::reorder::Reorder;

use crate::requests::{REFUSED, requests};
use crate::{cases, oracle, program};

fn reordered(times: &[u64], span: u64) -> (Vec<(u64, u32)>, u64) {
    let mut reorder = Reorder::new(span);
    let mut emitted = Vec::new();
    for (key, time) in (0_u32..).zip(times) {
        let event = Event {
            time: *time,
            key,
            cost: 1,
        };
        reorder.push(event, |event| {
            emitted.push((event.time, event.key));
        });
    }
    reorder.finish(|event| emitted.push((event.time, event.key)));
    (emitted, reorder.late())
}

fn compare(times: &[u64], span: u64) {
    let lines = times.iter().copied().zip(0_u32..);
    assert_eq!(
        reordered(times, span),
        oracle::in_order(lines, span),
        "{times:?} {span}"
    );
}

/// Compares how many events were handed out after each line.
fn compare_steps(times: &[u64], span: u64) {
    for length in 0..times.len() {
        let mut reorder = Reorder::new(span);
        let mut emitted = 0;
        for time in &times[..length] {
            let event = Event {
                time: *time,
                key: 0,
                cost: 1,
            };
            reorder.push(event, |_| emitted += 1);
        }
        let latest = times[..length].iter().copied().max().unwrap_or(0);
        let due = |time: &&u64| time.checked_add(span).is_some_and(|due| due <= latest);
        assert_eq!(emitted, times[..length].iter().filter(due).count());
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn small_times(times in prop::collection::vec(0_u64..60, 0..80), span in 0_u64..40) {
        compare(&times, span);
        compare_steps(&times, span);
    }

    #[test]
    fn nearly_in_order(
        steps in prop::collection::vec((0_u64..5_000, 0_u64..9_000), 0..200),
        span in 0_u64..10_000,
    ) {
        let mut now = 0;
        let times: Vec<u64> = steps
            .iter()
            .map(|(step, back)| {
                now += step;
                now.saturating_sub(*back)
            })
            .collect();
        compare(&times, span);
    }

    #[test]
    fn arbitrary_times(times in prop::collection::vec(any::<u64>(), 0..40), span in any::<u64>()) {
        compare(&times, span);
    }

    #[test]
    fn jumps_in_time(
        times in prop::collection::vec(
            prop_oneof![0_u64..300, any::<u64>(), Just(u64::MAX)],
            0..40,
        ),
        span in 0_u64..400,
    ) {
        compare(&times, span);
    }
}

/// Exports of search programs have the newest line first.
#[test]
fn reversed_logs_are_named() {
    let mut lines: Vec<String> = requests()
        .iter()
        .map(|request| request.combined() + "\n")
        .collect();
    lines.reverse();
    let args = ["replay", "-", "--quota", "6/min burst 4", "--json"];
    let ran = program::run_with_input(&args, lines.concat().as_bytes());
    program::assert_fails(&ran, 1, "standard input: the log is reversed");
    program::assert_fails(&ran, 1, "--reorder");
    assert_eq!(ran.out, "");
    let args = [&args[..], &["--reorder", "1d"]].concat();
    let report = program::json(&args, lines.concat().as_bytes());
    assert_eq!(report["refused"], REFUSED);
}
