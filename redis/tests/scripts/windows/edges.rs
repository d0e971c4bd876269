//! Single cases at the limits of the scripts.

use super::cases::{LimitCase, length_us, window};
use super::limit_calls::{LimitCharge, LimitState, Outcome, call, outcome};
use crate::scaled_window::{MAX_COUNT, ScaledWindow};
use crate::script_harness::{START_US, Scripts, fresh_key};

const fn charge(window: ScaledWindow, cost: u64) -> [LimitCharge; 1] {
    [LimitCharge {
        limit: LimitCase::Window(window),
        cost,
        unreported: 0,
    }]
}

fn run(
    scripts: &mut Scripts,
    op: &str,
    key: &str,
    (window, cost): (ScaledWindow, u64),
    empty_for_us: u64,
    now_us: u64,
) -> Outcome {
    let charges = charge(window, cost);
    let call = call(op, &[key.to_owned()], &charges, empty_for_us, now_us);
    // The reply of any call, unless the call is short.
    let op = if empty_for_us > 0 { "peek" } else { op };
    outcome(op, &charges, &scripts.take(call).0).unwrap()
}

/// A total reaches 2^48 after some windows of the largest limit.
#[test]
fn totals_begin_again_without_a_trace() {
    let mut scripts = Scripts::start();
    let (largest, key) = (window(MAX_COUNT, 1 << 50), fresh_key());
    let mut now_us = START_US;
    for _ in 0..12 {
        let admitted = run(&mut scripts, "take", &key, (largest, MAX_COUNT), 0, now_us);
        assert_eq!(admitted.denial, None);
        let denied = run(&mut scripts, "take", &key, (largest, 1), 0, now_us).denial;
        let (_, wait_us) = denied.expect("nothing is left");
        let debit = run(&mut scripts, "debit", &key, (largest, u64::MAX), 0, now_us);
        let LimitState::Window(counted) = debit.states[0] else {
            unreachable!("a window");
        };
        assert_eq!(counted.used, MAX_COUNT);
        now_us += wait_us;
        if now_us > 1 << 52 {
            break;
        }
    }
}

#[test]
fn absent_windows_that_begin_empty_admit_nothing_for_their_length() {
    let mut scripts = Scripts::start();
    let (minute, key) = (window(5, 60_000_000), fresh_key());
    let mut now_us = START_US;
    let mut take = |cost, now_us| run(&mut scripts, "take", &key, (minute, cost), 1, now_us).denial;
    let (_, wait_us) = take(1, now_us).expect("an absent window is full");
    let length = length_us(minute);
    assert!(
        (length..=length + minute.slot()).contains(&wait_us),
        "{wait_us}"
    );
    assert!(take(5, now_us + wait_us - 1).is_some());
    assert!(take(5, now_us + wait_us).is_none());
    now_us += wait_us;
    assert!(take(1, now_us).is_some());
    // It never ends, so after a year it is not full again.
    assert!(take(5, now_us + 31_557_600_000_000).is_none());
    let ends: Option<u64> = scripts.query(&["GET", &format!("{key}:ends")]);
    assert_eq!(ends, None);
}

/// Values that are no window: texts, buckets, and windows with a number that cannot be.
fn foreign_values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "W",
        "hello",
        "twelve bytes",
        "exactly twenty-eight letters",
        "What is as long as the head of a window?",
        "What is longer than the head of each of the windows",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let number = |number: u64| number.to_be_bytes()[1..].to_vec();
    let head = |reach: u8, slot: u64, offset: u64, head: u64, first: u64| {
        let numbers = [slot, offset, head, first].map(number).concat();
        [vec![b'W', reach], numbers, vec![0; 12]].concat()
    };
    let (slot, now) = (937_500, START_US / 937_500);
    values.extend([
        head(0, slot, 0, now, now),
        head(64, 0, 0, now, now),
        head(64, slot, 1 << 53, now, now),
        head(64, slot, 0, now, now + 1),
        head(64, slot, 0, 1 << 53, now),
        [head(64, slot, 0, now - 1, now - 1), vec![0; 5]].concat(),
        [head(64, slot, 0, now - 1, now - 1), vec![0; 65 * 6]].concat(),
    ]);
    values
}

#[test]
fn foreign_value_is_an_error_that_changes_no_key_of_the_call() {
    let mut scripts = Scripts::start();
    let minute = window(5, 60_000_000);
    for value in foreign_values() {
        let key = fresh_key();
        let () = scripts.query(&[&b"SET"[..], key.as_bytes(), &value]);
        let charges = charge(minute, 1);
        let (reply, stored) = scripts.take(call("take", &[key], &charges, 0, START_US));
        assert!(
            reply.expect_err("a short call").contains("user_script"),
            "{value:?}"
        );
        assert_eq!(stored[0].value.as_ref(), Some(&value));
        for (foreign, valid) in [(0, 1), (1, 0)] {
            for op in ["take", "peek", "debit", "reset"] {
                let keys = [fresh_key(), fresh_key()];
                let () = scripts.query(&[&b"SET"[..], keys[foreign].as_bytes(), &value]);
                let both = [charges[0], charges[0]];
                let (reply, stored) = scripts.take(call(op, &keys, &both, 0, START_US));
                reply.expect_err(op);
                assert_eq!(stored[foreign].value.as_ref(), Some(&value));
                assert_eq!(stored[valid].value, None);
            }
        }
    }
}

/// A bucket does not take a window for one of its own, and the other way round.
#[test]
fn kinds_of_limits_do_not_share_a_name() {
    let mut scripts = Scripts::start();
    let limits = [
        LimitCase::Window(window(5, 60_000_000)),
        LimitCase::Bucket(tidegate::Quota::per_second(10)),
    ];
    for (first, second) in [(0, 1), (1, 0)] {
        let keys = [fresh_key(), fresh_key()];
        let charges = |order: [usize; 2]| {
            order.map(|index| LimitCharge {
                limit: limits[index],
                cost: 1,
                unreported: 0,
            })
        };
        let taken = scripts.take(call("take", &keys, &charges([first, second]), 0, START_US));
        taken.0.unwrap();
        for op in ["take", "reset"] {
            let swapped = call(op, &keys, &charges([second, first]), 0, START_US);
            scripts.take(swapped).0.expect_err("the other kind");
        }
    }
}
