//! The buffer that puts lines in order, against its definition.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, with helpers outside of test functions"
)]

mod oracle;

use proptest::prelude::*;
use tidegate_cli::log::Event;
use tidegate_cli::log::reorder::Reorder;

fn buffered(times: &[u64], span: u64) -> (Vec<(u64, u32)>, u64) {
    let mut reorder = Reorder::new(span);
    let mut given = Vec::new();
    for (key, time) in (0_u32..).zip(times) {
        reorder.push(Event { time: *time, key }, |event| {
            given.push((event.time, event.key));
        });
    }
    reorder.finish(|event| given.push((event.time, event.key)));
    (given, reorder.late())
}

fn compare(times: &[u64], span: u64) {
    let lines = times.iter().copied().zip(0_u32..);
    assert_eq!(
        buffered(times, span),
        oracle::in_order(lines, span),
        "{times:?} {span}"
    );
}

/// What was handed out after each line, and not only in the end.
fn compare_steps(times: &[u64], span: u64) {
    for length in 0..times.len() {
        let mut reorder = Reorder::new(span);
        let mut given = 0;
        for time in &times[..length] {
            reorder.push(
                Event {
                    time: *time,
                    key: 0,
                },
                |_| given += 1,
            );
        }
        let latest = times[..length].iter().copied().max().unwrap_or(0);
        let due = |time: &&u64| time.checked_add(span).is_some_and(|due| due <= latest);
        assert_eq!(given, times[..length].iter().filter(due).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn small_times(times in prop::collection::vec(0_u64..60, 0..80), span in 0_u64..40) {
        compare(&times, span);
        compare_steps(&times, span);
    }

    #[test]
    fn nearly_in_order(steps in prop::collection::vec((0_u64..5_000, 0_u64..9_000), 0..200), span in 0_u64..10_000) {
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
    fn any_times(times in prop::collection::vec(any::<u64>(), 0..40), span in any::<u64>()) {
        compare(&times, span);
    }

    #[test]
    fn leaps(times in prop::collection::vec(prop_oneof![0_u64..300, any::<u64>(), Just(u64::MAX)], 0..40), span in 0_u64..400) {
        compare(&times, span);
    }
}
