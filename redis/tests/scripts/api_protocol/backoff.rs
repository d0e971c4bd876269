//! Pauses after refusals that tell no wait, and instants of a clock that steps back.

use tidegate::RateLimitConfig;

use super::call_arguments::{AskedCall, Layout, pause};
use super::runner::{ALIGNED_US, ApiScript};
use crate::script_calls::number;

const SECOND: u64 = 1_000_000;

struct Fleet {
    script: ApiScript,
    layout: Layout,
}

impl Fleet {
    fn new() -> Self {
        Self {
            script: ApiScript::start(),
            layout: Layout::new(RateLimitConfig::UNLIMITED),
        }
    }

    /// A response that tells no limit: `refusal`, `answer` or `body`. The longest random part.
    fn observe(&mut self, kind: &str, pause_us: u64, now_us: u64) {
        let mut arguments = vec![b"observe".to_vec(), Vec::new(), number(0), kind.into()];
        let numbers = [pause_us, SECOND, 60 * SECOND, 1 << 30, 0, 0, 0];
        arguments.extend(numbers.map(number));
        let reply = self.script.run(&self.layout.keys, &arguments, now_us);
        assert_eq!(reply, Ok(vec![1]));
    }

    /// How long all nodes are paused.
    fn paused_us(&mut self, now_us: u64) -> i64 {
        let call = AskedCall {
            id: b"",
            waits: None,
            ttl_us: SECOND,
            estimate: None,
        };
        let arguments = self.layout.decide("check", call);
        let reply = self.script.run(&self.layout.keys, &arguments, now_us);
        let reply = reply.unwrap();
        assert_eq!(reply[1], -i64::from(reply[2] > 0));
        reply[2]
    }
}

#[test]
fn pauses_double_over_the_fleet_and_end_with_an_answer() {
    let mut fleet = Fleet::new();
    let mut now_us = ALIGNED_US;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        fleet.observe("refusal", 0, now_us);
        assert_eq!(fleet.paused_us(now_us), seconds * 1_000_000);
        // Of calls that were sent before the pause.
        fleet.observe("refusal", 0, now_us + 1_000);
        fleet.observe("answer", 0, now_us + 2_000);
        now_us += seconds.unsigned_abs() * SECOND;
        assert_eq!(fleet.paused_us(now_us), 0);
    }
    fleet.observe("answer", 0, now_us);
    fleet.observe("refusal", 0, now_us);
    assert_eq!(fleet.paused_us(now_us), 1_000_000);
    // So does the longest backoff without a refusal.
    now_us += 61 * SECOND + 1;
    fleet.observe("refusal", 0, now_us);
    assert_eq!(fleet.paused_us(now_us), 1_000_000);
}

#[test]
fn a_wait_in_the_body_replaces_the_backoff() {
    let mut fleet = Fleet::new();
    fleet.observe("refusal", 0, ALIGNED_US);
    fleet.observe("body", SECOND / 2, ALIGNED_US);
    assert_eq!(fleet.paused_us(ALIGNED_US), 500_000);
    let now_us = ALIGNED_US + SECOND / 2;
    fleet.observe("refusal", 0, now_us);
    assert_eq!(
        fleet.paused_us(now_us),
        1_000_000,
        "the first does not count"
    );
    // A pause that another response has told is not shortened.
    fleet.observe("refusal", 9 * SECOND, now_us);
    fleet.observe("body", SECOND, now_us);
    assert_eq!(fleet.paused_us(now_us), 9_000_000);
}

#[test]
fn a_clock_that_steps_back_extends_no_pause() {
    let mut fleet = Fleet::new();
    let keys = fleet.layout.keys.clone();
    let reply = fleet.script.run(&keys, &pause(10 * SECOND), ALIGNED_US);
    assert_eq!(reply, Ok(vec![1]));
    let back_us = ALIGNED_US - 3_600 * SECOND;
    assert_eq!(fleet.paused_us(back_us), 10_000_000);
    // The first step that writes corrects it.
    fleet.observe("answer", 0, back_us);
    assert_eq!(fleet.paused_us(back_us + 4 * SECOND), 6_000_000);
    assert_eq!(fleet.paused_us(back_us + 10 * SECOND), 0);
}

#[test]
fn denials_and_checks_write_nothing() {
    let mut fleet = Fleet::new();
    let keys = fleet.layout.keys.clone();
    let reply = fleet.script.run(&keys, &pause(10 * SECOND), ALIGNED_US);
    assert_eq!(reply, Ok(vec![1]));
    let before = fleet.script.writes();
    let call = AskedCall {
        id: &[3; 24],
        waits: Some((&[1; 16], false)),
        ttl_us: SECOND,
        estimate: Some(5.into()),
    };
    for operation in ["reserve", "check"] {
        let arguments = fleet.layout.decide(operation, call);
        let reply = fleet.script.run(&keys, &arguments, ALIGNED_US + 1);
        assert_eq!(reply.unwrap()[1], -1);
    }
    assert_eq!(fleet.script.writes(), before);
}

#[test]
fn foreign_values_are_errors() {
    let mut fleet = Fleet::new();
    let keys = fleet.layout.keys.clone();
    let call = AskedCall {
        id: &[3; 24],
        waits: None,
        ttl_us: SECOND,
        estimate: Some(5.into()),
    };
    let arguments = fleet.layout.decide("reserve", call);
    fleet.script.set(&keys[0], "something else");
    let error = fleet.script.run(&keys, &arguments, ALIGNED_US).unwrap_err();
    assert!(error.contains("not an API limiter"), "{error}");
}
