//! Rules of a file decide about a log as the layers decide about requests.

use std::fs;

use serde_json::{Value, json};

use crate::oracle::{self, Bucket, Limits, SECOND};
use crate::program::{self, assert_fails, run};

/// A token in 10 s: tables of the layer are exact at a whole number of nanoseconds.
const RULES: &str = r#"
[keys]
client = { peer = true }

[[limits]]
name = "client"
rate = "6/min burst 3"
key = "client"
except_routes = ["/favicon.ico"]

[[limits]]
name = "strict"
rate = "1/min burst 1"
key = "client"
shadow = true
"#;

/// Replays a log through rules, and returns the report.
fn replay(rules: &str, args: &[&str], input: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, rules).unwrap();
    let base = ["replay", "-", "--rules", path.to_str().unwrap(), "--json"];
    program::json(&[&base[..], args].concat(), input.as_bytes())
}

#[test]
fn real_log_is_decided_by_the_definition() {
    let text = oracle::log_text();
    let is_icon = |line: &&str| line.contains(" /favicon.ico ") || line.contains(" /favicon.ico?");
    let kept = text.lines().filter(|line| !is_icon(line));
    let kept = kept.fold(String::new(), |kept, line| kept + line + "\n");
    let (events, _) = oracle::in_order(oracle::parse(&kept, "ip"), 120 * SECOND);
    let expected = oracle::run(&events, |_| Limits {
        bucket: Some(Bucket::new(6, 60 * SECOND, 3)),
        ..Limits::default()
    });
    let report = replay(RULES, &["--top", "1"], &text);
    assert_eq!(report["requests"], 10_000);
    assert_eq!(report["refused"], expected.refused());
    let hit = expected
        .keys
        .values()
        .filter(|counts| counts.refused > 0)
        .count();
    assert_eq!(
        (&report["keys"], &report["keys_refused"]),
        (&json!(1_753), &json!(hit))
    );
    assert_eq!(report["limits"][0]["name"], "client");
    assert_eq!(report["limits"][0]["refused"], expected.refused());
    assert!(report["limits"][1]["shadow_refused"].as_u64() > Some(expected.refused()));
    assert_eq!(report["worst"][0]["key"], "130.237.218.86");
}

fn line(second: u32, path: &str, status: u16) -> String {
    let time = format!("2015-05-17T10:05:{second:02}Z");
    let fields = json!({
        "time": time, "remote_addr": "10.0.0.1", "method": "POST", "path": path,
        "status": status, "account": "a b"
    });
    format!("{fields}\n")
}

#[test]
fn routes_statuses_and_headers_count() {
    let rules = r#"
        [keys]
        account = { header = "x-api-key" }
        [[tiers]]
        name = "pro"
        key = "account"
        values = ["a b"]
        [[limits]]
        name = "log-ins"
        failures = "2/10min"
        lock_out = "15 min"
        statuses = [401]
        key = "account"
        routes = ["/login"]
        [[limits]]
        name = "free"
        rate = "1/h"
        key = "account"
        tiers = ["none"]
        [[limits]]
        name = "users"
        rate = "1/h burst 1"
        routes = ["/users/{id}"]
    "#;
    let log = [
        line(0, "/login", 401),
        line(1, "/login", 200),
        line(2, "/login", 401),
        line(3, "/login", 200),
        line(4, "/users/1?x=2", 200),
        line(5, "/users/2", 200),
        line(6, "/other", 200),
    ]
    .concat();
    let report = replay(rules, &["--rule-header", "x-api-key=account"], &log);
    // After two failures the account is locked out, and both users share a limit.
    assert_eq!(
        (&report["requests"], &report["refused"]),
        (&json!(7), &json!(2)),
        "{report}"
    );
    let refused = |name: &str| {
        let limits = report["limits"].as_array().unwrap();
        limits.iter().find(|limit| limit["name"] == name).unwrap()["refused"].clone()
    };
    assert_eq!(
        [refused("log-ins"), refused("free"), refused("users")],
        [1, 0, 1]
    );
    let fails = |args: &[&str], code, message| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        fs::write(&path, rules).unwrap();
        let base = ["replay", "-", "--rules", path.to_str().unwrap()];
        let ran = program::run_with_input(&[&base[..], args].concat(), log.as_bytes());
        assert_fails(&ran, code, message);
    };
    fails(&[], 2, "`--rule-header x-api-key=FIELD`");
    let typo = ["--rule-header", "x-api-key=acount"];
    fails(&typo, 1, "no line has the field `acount`");
}

/// A request without the key that a limit needs is rejected, and its client notices.
#[test]
fn rejected_requests_are_in_the_headline() {
    let rules = "[keys]\naccount = { header = \"x-api-key\" }\n\
                 [[limits]]\nname = \"a\"\nrate = \"1/h burst 9\"\nkey = \"account\"\n";
    let anonymous = line(1, "/", 200).replace("account", "other");
    let log = line(0, "/", 200) + &anonymous;
    let args = ["--rule-header", "x-api-key=account"];
    let report = replay(rules, &args, &log);
    assert_eq!(report["without_key"], 1);
    assert_eq!(
        (&report["refused"], &report["keys_refused"]),
        (&json!(0), &json!(1))
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, rules).unwrap();
    let base = ["replay", "-", "--rules", path.to_str().unwrap()];
    let ran = program::run_with_input(&[&base[..], &args].concat(), log.as_bytes());
    assert!(ran.out.contains("1 of 2 requests refused"), "{}", ran.out);
}

/// What the log does not have is a mistake only if the rules ask for it.
#[test]
fn logs_without_methods() {
    let log = line(0, "/", 200).replace("method", "other").repeat(3);
    let report = replay(RULES, &[], &log);
    assert_eq!(
        (&report["requests"], &report["left_out"]),
        (&json!(3), &json!(0))
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, format!("{RULES}methods = [\"POST\"]\n")).unwrap();
    let args = ["replay", "-", "--rules", path.to_str().unwrap()];
    let ran = program::run_with_input(&args, log.as_bytes());
    assert_fails(&ran, 1, "the log has no method for 3 requests");
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, "[[limits]]\nname = 'a'\nrate = '1/fortnight'\n").unwrap();
    let path = path.to_str().unwrap();
    let base = ["replay", "-", "--rules", path];
    assert_fails(&run(&base), 1, "unknown unit of time");
    assert_fails(
        &run(&[&base[..], &["--by", "path"]].concat()),
        2,
        "leave out --by",
    );
    assert_fails(
        &run(&[&base[..], &["--quota", "1/s"]].concat()),
        2,
        "cannot be used with",
    );
    assert_fails(
        &run(&[&base[..], &["--rule-header", "x"]].concat()),
        2,
        "x-api-key=account",
    );
    assert_fails(
        &run(&["replay", "-", "--rules", "/no/such"]),
        1,
        "/no/such: No such file",
    );
}
