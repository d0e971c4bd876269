//! Checks with the oracle that suggested quotas are the smallest for the real log.

use serde_json::Value;

use crate::oracle::{self, Bucket, Limits, SECOND};
use crate::program;

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
        let rate = suggestion["rate"].as_u64().unwrap();
        let burst = |rate: u64| (rate * times).div_ceil(of);
        let run = |rate: u64, burst: u64| {
            let bucket = |_| Limits {
                bucket: Some(Bucket::new(rate, seconds * SECOND, burst)),
                ..Limits::default()
            };
            oracle::run(&events, bucket)
        };
        assert_eq!(suggestion["per"], *name);
        assert_eq!(suggestion["burst"], burst(rate));
        let outcome = run(rate, burst(rate));
        assert_eq!(suggestion["refused"], outcome.refused(), "{suggestion}");
        assert!(outcome.refused() <= target);
        assert!(
            rate == 1 || run(rate - 1, burst(rate - 1)).refused() > target,
            "{suggestion}"
        );
        let hit = outcome.keys.values().filter(|counts| counts.refused > 0);
        assert_eq!(suggestion["keys_refused"], hit.count());
        let most = outcome
            .keys
            .values()
            .map(|counts| counts.refused)
            .max()
            .unwrap();
        let worst = suggestion["worst"]["refused"].as_u64().unwrap_or(0);
        assert_eq!(worst, most);
        let required = suggestion["required_burst"].as_u64().unwrap();
        assert_eq!(run(rate, required).refused(), 0);
        assert!(required == 1 || run(rate, required - 1).refused() > 0);
        compare_with_replay(suggestion, path, by);
    }
}

/// A replay with the suggested quota refuses the same requests.
fn compare_with_replay(suggestion: &Value, path: &str, by: &str) {
    let quota = suggestion["quota"].as_str().unwrap();
    let report = program::json(
        &["replay", path, "--by", by, "--quota", quota, "--json"],
        b"",
    );
    assert_eq!(report["refused"], suggestion["refused"]);
    assert_eq!(report["keys_refused"], suggestion["keys_refused"]);
}

#[test]
fn one_thousandth_by_address() {
    check("ip", "0.1%", 10);
}

#[test]
fn nothing_by_path() {
    check("path", "0", 0);
}

#[test]
fn one_third_of_all_requests() {
    check("none", "33.333%", 3_333);
}

#[test]
fn fractional_seconds() {
    let mut lines = String::new();
    for i in 0..100 {
        let (second, milli) = (1_431_857_000 + i / 10, i % 10 * 7);
        lines += &format!("{{\"ts\": {second}.{milli:03}, \"ip\": \"192.0.2.1\"}}\n");
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
    // Ten requests come within 63 ms. At 9/s only 9 + 9 * 0.063 < 10 tokens are available by then.
    assert_eq!(found["suggestions"][0]["quota"], "10/s");
    assert_eq!(found["suggestions"][1]["rate"], 1);
}

#[test]
fn empty_log() {
    let found = program::json(&["suggest", "-", "--json"], b"");
    assert_eq!(found["requests"], 0);
    assert_eq!(found["suggestions"].as_array().unwrap().len(), 0);
    assert!(found["recommended"].is_null() && found["curve"].is_null());
    let text = program::run(&["suggest", "-"]);
    assert_eq!(text.code, Some(0));
    assert!(text.out.contains("nothing to recommend"), "{}", text.out);
}

/// An hour's limit cannot be judged by a minute, and no limit is listed twice.
#[test]
fn short_logs_and_repeated_limits() {
    let line = |second: u32| {
        format!("10.0.0.1 - - [17/May/2015:10:05:{second:02} +0000] \"GET / HTTP/1.1\" 200 5\n")
    };
    let log: String = (0..30).map(line).collect();
    let base = ["suggest", "-", "--per", "hour", "--bursts", "1"];
    let ran = program::run_with_input(&base, log.as_bytes());
    let warning = "spans only 29 s, less than the 3,600 s";
    assert!(ran.out.contains(warning), "{}", ran.out);
    let found = program::json(&[&base[..], &["--json"]].concat(), log.as_bytes());
    let other = found["others"][0]["limit"].as_str().unwrap();
    let (name, value) = match found["others"][0]["quota"].as_str() {
        Some(quota) => ("--quota", quota),
        None => ("--window", found["others"][0]["window"].as_str().unwrap()),
    };
    let args = [&base[..], &[name, value, name, value]].concat();
    let ran = program::run_with_input(&args, log.as_bytes());
    let rows = ran
        .out
        .lines()
        .filter(|line| line.contains(&format!("* {other} ")));
    assert_eq!(rows.count(), 1, "{}", ran.out);
    let second = ["suggest", "-", "--per", "second"];
    let ran = program::run_with_input(&second, log.as_bytes());
    assert!(!ran.out.contains("spans only"), "{}", ran.out);
}
