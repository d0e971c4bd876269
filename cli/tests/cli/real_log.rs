//! Compares replays of ten thousand real requests with the oracle.
//!
//! `data/apache_access.log.gz` is the public example log of github.com/elastic/examples
//! (`apache_logs`). Its lines are not in the order of time within a minute.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oracle::{self, Bucket, Limits, Outcome, SECOND, Window};
use crate::program;

/// Limits in the forms of the program and of the oracle.
struct Case {
    args: Vec<&'static str>,
    /// Rate, period in seconds, burst.
    bucket: Option<(u64, u64, u64)>,
    /// Limit, seconds, slots.
    windows: Vec<(usize, u64, Option<u64>)>,
}

fn cases() -> Vec<Case> {
    let case = |args: &'static str, bucket, windows: &[(usize, u64, Option<u64>)]| Case {
        args: args.split(';').collect(),
        bucket,
        windows: windows.to_vec(),
    };
    let slots = Some(64);
    vec![
        case("--quota;100/min burst 20", Some((100, 60, 20)), &[]),
        case("--quota;1/s burst 1", Some((1, 1, 1)), &[]),
        case("--quota;7/min burst 3", Some((7, 60, 3)), &[]),
        case("--quota;30/h", Some((30, 3_600, 30)), &[]),
        case("--quota;997/h burst 5", Some((997, 3_600, 5)), &[]),
        case("--window;10/min", None, &[(10, 60, slots)]),
        case("--window;50/h;--slots;3600", None, &[(50, 3_600, None)]),
        case("--window;4/7s", None, &[(4, 7, slots)]),
        case(
            "--quota;20/min burst 5;--window;60/h;--window;300/d",
            Some((20, 60, 5)),
            &[(60, 3_600, slots), (300, 86_400, slots)],
        ),
    ]
}

impl Case {
    fn limits(&self, origin: u64) -> Limits {
        let bucket = |(rate, period, burst)| Bucket::new(rate, period * SECOND, burst);
        let window = |&(limit, seconds, slots): &(usize, u64, Option<u64>)| {
            Window::new(limit, seconds * SECOND, slots, origin)
        };
        Limits {
            bucket: self.bucket.map(bucket),
            windows: self.windows.iter().map(window).collect(),
        }
    }
}

/// Converts whole seconds to nanoseconds.
fn as_nanos(value: &Value) -> Option<u64> {
    value.as_f64().map(|seconds| {
        assert!(seconds.fract() == 0.0);
        format!("{seconds}").parse::<u64>().unwrap() * SECOND
    })
}

fn compare_totals(report: &Value, expected: &Outcome, requests: usize, late: u64) {
    assert_eq!(report["requests"], requests);
    assert_eq!(report["refused"], expected.refused());
    assert_eq!(report["admitted"], requests as u64 - expected.refused());
    assert_eq!(report["skipped"], 10_000 - requests);
    assert_eq!(report["late"], late);
    assert_eq!(report["keys"], expected.keys.len());
    let hit = expected.keys.values().filter(|counts| counts.refused > 0);
    assert_eq!(report["keys_refused"], hit.count());
    let streak = &report["longest_streak"];
    let streak = streak.as_object().map(|streak| {
        let key = streak["key"].as_str().unwrap().to_owned();
        let refusals = streak["refusals"].as_u64().unwrap();
        let (from, to) = (as_nanos(&streak["from"]), as_nanos(&streak["to"]));
        (key, refusals, from.unwrap(), to.unwrap())
    });
    assert_eq!(streak, expected.longest_streak);
    let sum = |name: &str| -> u64 {
        let steps = report["timeline"][name].as_array().unwrap();
        steps.iter().map(|step| step.as_u64().unwrap()).sum()
    };
    assert_eq!(sum("refused"), expected.refused());
    assert_eq!(sum("admitted") + sum("refused"), requests as u64);
    let refused = expected.keys.values().map(|counts| counts.refused);
    let mut refused: Vec<u64> = refused.filter(|refused| *refused > 0).collect();
    refused.sort_unstable_by(|a, b| b.cmp(a));
    refused.truncate(10);
    let worst = report["worst"].as_array().unwrap().iter();
    let worst: Vec<u64> = worst.map(|key| key["refused"].as_u64().unwrap()).collect();
    assert_eq!(worst, refused);
}

/// Compares the counts of each key, and returns the required bursts.
fn compare_keys(text: &str, expected: &Outcome, label: &[&str]) -> BTreeMap<String, u64> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut bursts = BTreeMap::new();
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let counts = &expected.keys[&row[0]];
        let n = |i: usize| row[i].parse::<u64>().unwrap();
        assert_eq!(
            (n(1), n(2), n(4)),
            (counts.requests, counts.refused, counts.longest_streak),
            "{row:?} {label:?}"
        );
        let first = (!row[3].is_empty()).then(|| as_nanos(&row[3].parse().unwrap()).unwrap());
        assert_eq!(first, counts.first_refused);
        if !row[5].is_empty() {
            bursts.insert(row[0].to_owned(), n(5));
        }
        count += 1;
    }
    assert_eq!(count, expected.keys.len());
    bursts
}

/// Checks that the required burst refuses nothing, and a smaller one does.
fn check_required_bursts(
    events: &[(u64, String)],
    case: &Case,
    bursts: &BTreeMap<String, u64>,
    report: &Value,
) {
    let Some((rate, period, _)) = case.bucket.filter(|_| case.windows.is_empty()) else {
        assert!(bursts.is_empty() && report["sufficient_quota"].is_null());
        return;
    };
    let mut by_key: BTreeMap<&str, Vec<(u64, String)>> = BTreeMap::new();
    for event in events {
        by_key.entry(&event.1).or_default().push(event.clone());
    }
    assert_eq!(bursts.len(), by_key.len());
    for (key, events) in by_key {
        if events.len() == 1 {
            assert_eq!(bursts[key], 1);
            continue;
        }
        let refused = |burst: u64| {
            let bucket = |_| Limits {
                bucket: Some(Bucket::new(rate, period * SECOND, burst)),
                windows: vec![],
            };
            oracle::run(&events, bucket).refused()
        };
        let burst = bursts[key];
        assert_eq!(refused(burst), 0, "{key}");
        assert!(burst == 1 || refused(burst - 1) > 0, "{key}");
    }
    let sufficient: tidegate::Quota = report["sufficient_quota"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(sufficient.capacity(), *bursts.values().max().unwrap());
    assert_eq!(
        (sufficient.rate(), sufficient.period().as_secs()),
        (rate, period)
    );
}

fn check(by: &str, span: &str, span_nanos: u64) {
    let path = oracle::log_path();
    let path = path.to_str().unwrap();
    let (events, late) = oracle::in_order(oracle::parse(&oracle::log_text(), by), span_nanos);
    for case in cases() {
        let expected = oracle::run(&events, |origin| case.limits(origin));
        let mut args = vec!["replay", path, "--by", by, "--reorder", span];
        args.extend(&case.args);
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("keys.csv");
        let more = ["--json", "--csv", csv.to_str().unwrap()];
        let report = program::json(&[args.as_slice(), &more].concat(), b"");
        let text = std::fs::read_to_string(csv).unwrap();
        let bursts = compare_keys(&text, &expected, &args);
        compare_totals(&report, &expected, events.len(), late);
        check_required_bursts(&events, &case, &bursts, &report);
    }
}

#[test]
fn by_address() {
    check("ip", "2m", 120 * SECOND);
}

#[test]
fn by_path() {
    check("path", "2m", 120 * SECOND);
}

#[test]
fn by_agent() {
    check("agent", "2m", 120 * SECOND);
}

#[test]
fn one_limit_for_all_requests() {
    check("none", "2m", 120 * SECOND);
}

/// The log is shuffled within a minute, so some lines are late for a shorter span.
#[test]
fn with_a_short_reorder_span() {
    check("ip", "7s", 7 * SECOND);
}

#[test]
fn without_reordering() {
    check("ip", "0", 0);
}

/// The windows of the oracle keep their definition: no interval of their length, both ends
/// included, has more admissions than the limit.
#[test]
fn oracle_windows_are_strict() {
    let (events, _) = oracle::in_order(oracle::parse(&oracle::log_text(), "none"), 120 * SECOND);
    for (limit, seconds, slots) in [(10, 60, Some(64)), (50, 3_600, None), (4, 7, Some(64))] {
        let mut limits = Limits {
            windows: vec![Window::new(limit, seconds * SECOND, slots, events[0].0)],
            ..Limits::default()
        };
        let times = events.iter().map(|(time, _)| *time);
        let admitted: Vec<u64> = times.filter(|time| limits.admit_one(*time)).collect();
        assert!(admitted.len() > 4 * limit);
        for admitted in admitted.windows(limit + 1) {
            assert!(admitted[limit] - admitted[0] > seconds * SECOND);
        }
    }
}

/// At a rate that the crate rounds, tokens may come 2 ns late. That matters if requests share an
/// instant. The program warns of it, and never admits more.
#[test]
fn rounded_rate() {
    let path = oracle::log_path();
    let path = path.to_str().unwrap();
    let (events, _) = oracle::in_order(oracle::parse(&oracle::log_text(), "ip"), 120 * SECOND);
    let bucket = |capacity| {
        let bucket = |_| Limits {
            bucket: Some(Bucket::new(1_000_003, 86_400 * SECOND, capacity)),
            ..Limits::default()
        };
        oracle::run(&events, bucket).refused()
    };
    let ran = program::run(&["replay", path, "--quota", "1000003/d burst 3", "--json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let refused = report["refused"].as_u64().unwrap();
    assert!(bucket(3) <= refused && refused <= bucket(2));
    assert!(ran.err.contains("2 ns"), "{}", ran.err);
}

/// The same requests as JSON lines, with other forms of times, give the same report.
#[test]
fn as_json_lines() {
    let text = oracle::log_text();
    let mut lines = String::new();
    for (number, line) in text.lines().enumerate() {
        let quoted: Vec<&str> = line.split('"').collect();
        let written = line.split(['[', ']']).nth(1).unwrap();
        let seconds = oracle::seconds(written);
        let time = match number % 4 {
            0 => Value::from(written),
            1 => Value::from(seconds),
            2 => Value::from(seconds * 1_000),
            _ => {
                let time = i64::try_from(seconds).unwrap();
                Value::from(jiff::Timestamp::from_second(time).unwrap().to_string())
            }
        };
        let host = line.split(' ').next().unwrap();
        let request = serde_json::json!({"line": quoted[1], "ip": "10.9.9.9"});
        let mut object =
            serde_json::json!({"request": request, "http.client": {"ip": host}, "ts": time});
        object["path"] = Value::from(quoted[1]);
        // One agent of the log is truncated, so its line has no agent.
        if quoted.len() == 7 {
            object["user_agent"] = Value::from(quoted[5].replace("\\x22", "\""));
        }
        lines += &object.to_string();
        lines.push('\n');
    }
    let path = oracle::log_path();
    let path = path.to_str().unwrap();
    for (by, field) in [
        ("ip", "http.client.ip"),
        ("path", "path"),
        ("agent", "agent"),
    ] {
        let rest = ["--quota", "7/min burst 3", "--json"];
        let mut report = program::json(&[&["replay", path, "--by", by][..], &rest].concat(), b"");
        let args = [&["replay", "-", "--by", field][..], &rest].concat();
        let other = program::json(&args, lines.as_bytes());
        report["by"] = Value::from(field);
        assert_eq!(report, other);
    }
}
