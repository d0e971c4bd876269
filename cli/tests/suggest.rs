//! Suggested quotas are the smallest: found once more by the oracle, for the real log.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "tests, with helpers outside of test functions"
)]

mod oracle;
mod program;

use oracle::{Bucket, Limits, SECOND};
use serde_json::Value;

fn check(by: &str, share: &str, target: u64) {
    let path = oracle::log_path();
    let path = path.to_str().unwrap();
    let (events, _) = oracle::in_order(oracle::parse(&oracle::log_text(), by), 120 * SECOND);
    let factors = "0.25,1,3";
    let args = ["suggest", path, "--by", by, "--refuse-at-most", share];
    let found = program::json(&[&args[..], &["--bursts", factors, "--json"]].concat(), b"");
    assert_eq!(found["target"], target);
    assert_eq!(found["requests"], events.len());
    let suggestions = found["suggestions"].as_array().unwrap();
    assert_eq!(suggestions.len(), 9);
    let periods = [("second", 1), ("minute", 60), ("hour", 3_600)];
    let grid = periods
        .iter()
        .flat_map(|per| [(1, 4), (1, 1), (3, 1)].map(|factor| (per, factor)));
    for (suggestion, ((name, seconds), (times, of))) in suggestions.iter().zip(grid) {
        let number = suggestion["number"].as_u64().unwrap();
        let burst = |number: u64| (number * times).div_ceil(of);
        let run = |number: u64, burst: u64| {
            let bucket = |_| Limits {
                bucket: Some(Bucket::new(number, seconds * SECOND, burst)),
                ..Limits::default()
            };
            oracle::run(&events, bucket)
        };
        assert_eq!(suggestion["per"], *name);
        assert_eq!(suggestion["burst"], burst(number));
        let outcome = run(number, burst(number));
        assert_eq!(suggestion["refused"], outcome.refused(), "{suggestion}");
        assert!(outcome.refused() <= target);
        assert!(
            number == 1 || run(number - 1, burst(number - 1)).refused() > target,
            "{suggestion}"
        );
        let hit = outcome.keys.values().filter(|numbers| numbers.refused > 0);
        assert_eq!(suggestion["keys_refused"], hit.count());
        let most = outcome
            .keys
            .values()
            .map(|numbers| numbers.refused)
            .max()
            .unwrap();
        let worst = suggestion["worst"]["refused"].as_u64().unwrap_or(0);
        assert_eq!(worst, most);
        let needed = suggestion["burst_needed"].as_u64().unwrap();
        assert_eq!(run(number, needed).refused(), 0);
        assert!(needed == 1 || run(number, needed - 1).refused() > 0);
        replayed(suggestion, path, by);
    }
}

/// What is suggested is what a replay does.
fn replayed(suggestion: &Value, path: &str, by: &str) {
    let quota = suggestion["quota"].as_str().unwrap();
    let report = program::json(
        &["replay", path, "--by", by, "--quota", quota, "--json"],
        b"",
    );
    assert_eq!(report["refused"], suggestion["refused"]);
    assert_eq!(report["keys_refused"], suggestion["keys_refused"]);
}

#[test]
fn a_thousandth_by_address() {
    check("ip", "0.1%", 10);
}

#[test]
fn nothing_by_path() {
    check("path", "0", 0);
}

#[test]
fn a_third_of_all() {
    check("none", "33.333%", 3_333);
}

/// Times that are not whole seconds, in JSON.
#[test]
fn fractions() {
    let mut lines = String::new();
    for i in 0..100 {
        let (second, milli) = (1_000 + i / 10, i % 10 * 7);
        lines += &format!("{{\"ts\": {second}.{milli:03}, \"ip\": \"a\"}}\n");
    }
    let args = [
        "suggest",
        "-",
        "--refuse-at-most",
        "0",
        "--per",
        "second",
        "--bursts",
        "1,1000",
        "--json",
    ];
    let found = program::json(&args, lines.as_bytes());
    // Ten within 63 ms: nine tokens, and one that has to flow in within 63 ms, take 9 + 9 * 0.063 < 10.
    assert_eq!(found["suggestions"][0]["quota"], "10/s");
    assert_eq!(found["suggestions"][1]["number"], 1);
}

#[test]
fn an_empty_log() {
    let found = program::json(&["suggest", "-", "--json"], b"");
    assert_eq!(found["requests"], 0);
    assert_eq!(found["suggestions"][0]["number"], 1);
}
