//! What `suggest` recommends is confirmed by `replay`, and fits the terminal.

use proptest::prelude::*;
use serde_json::Value;

use crate::program::{self, LINE, command, run_command};
use crate::{cases, oracle};

fn log() -> String {
    oracle::log_path().to_str().unwrap().to_owned()
}

/// All limits with counts in the output of `suggest --json`.
fn choices(found: &Value) -> Vec<Value> {
    let lists = ["ladder", "others", "given"].into_iter();
    let lists = lists.flat_map(|name| found[name].as_array().unwrap().clone());
    let recommended = found["recommended"].clone();
    let all = lists.chain([recommended].into_iter().filter(|choice| !choice.is_null()));
    all.collect()
}

/// Replays each limit by itself, and compares its counts. The quotas share one run.
fn confirm(found: &Value, replay: &[&str], input: &[u8]) {
    let choices = choices(found);
    let quotas = choices.iter().filter_map(|choice| choice["quota"].as_str());
    let quotas: Vec<&str> = quotas.collect();
    let mut args = replay.to_vec();
    args.extend(quotas.iter().flat_map(|quota| ["--quota", quota]));
    let reports = if quotas.is_empty() {
        Value::Array(vec![])
    } else {
        program::json(&args, input)
    };
    let mut reports = match reports {
        Value::Array(reports) => reports.into_iter(),
        report => vec![report].into_iter(),
    };
    for choice in &choices {
        let report = match choice["window"].as_str() {
            Some(window) => program::json(&[replay, &["--window", window]].concat(), input),
            None => reports.next().unwrap(),
        };
        assert_eq!(report["limits"][0], choice["limit"]);
        for name in ["refused", "keys_refused", "max_per_minute"] {
            assert_eq!(report[name], choice[name], "{name} of {choice}");
        }
    }
}

/// The recommended limit meets the targets, and the round one below it does not.
fn check_recommended(found: &Value) {
    let best = &found["recommended"];
    let ladder = found["ladder"].as_array().unwrap();
    let at = ladder.iter().position(|choice| choice == best).unwrap();
    assert_eq!(best["meets"], true);
    assert!(
        ladder[..at].iter().all(|choice| choice["meets"] == false),
        "{ladder:?}"
    );
    let most = |choice: &Value| choice["max_per_minute"].as_u64().unwrap();
    let others = found["others"].as_array().unwrap();
    assert!(
        others
            .iter()
            .all(|other| most(other) >= most(best) && other["meets"] == true)
    );
    for choice in choices(found) {
        let within = |count: &str, target: &str| {
            let target = found[target].as_u64().unwrap_or(u64::MAX);
            choice[count].as_u64().unwrap() <= target
        };
        let meets = within("refused", "target") && within("keys_refused", "clients_target");
        assert_eq!(choice["meets"], meets, "{choice}");
    }
    let points = found["curve"]["points"].as_array().unwrap();
    assert!(points.iter().any(|point| point["limit"] == best["limit"]));
    let refused = points
        .iter()
        .map(|point| point["refused"].as_u64().unwrap());
    assert!(refused.rev().is_sorted(), "{points:?}");
}

#[test]
fn real_log_is_confirmed() {
    let log = log();
    for (by, targets) in [
        ("ip", &["--refuse-at-most", "0.1%"][..]),
        (
            "ip",
            &[
                "--clients-at-most",
                "1%",
                "--per",
                "minute,day",
                "--bursts",
                "0.25,3",
            ],
        ),
        (
            "path",
            &[
                "--refuse-at-most",
                "2%",
                "--clients-at-most",
                "0.5%",
                "--per",
                "hour",
            ],
        ),
        ("none", &["--refuse-at-most", "0", "--per", "minute"]),
    ] {
        let given = ["--quota", "7/min burst 3", "--window", "10/min", "--json"];
        let found = program::json(
            &[&["suggest", &log, "--by", by], targets, &given].concat(),
            b"",
        );
        check_recommended(&found);
        confirm(&found, &["replay", &log, "--by", by, "--json"], b"");
        assert_eq!(found["given"][0]["limit"], "7/min burst 3");
        assert_eq!(found["given"][1]["limit"], "window 10/min");
    }
}

#[test]
fn points_of_the_curve_are_confirmed() {
    let log = log();
    let found = program::json(&["suggest", &log, "--json"], b"");
    let points = found["curve"]["points"].as_array().unwrap();
    assert!(points.len() > 10, "{points:?}");
    let mut args = vec!["replay", &log, "--json"];
    let limits = points.iter().map(|point| point["limit"].as_str().unwrap());
    args.extend(limits.flat_map(|limit| ["--quota", limit]));
    let reports = program::json(&args, b"");
    for (report, point) in reports.as_array().unwrap().iter().zip(points) {
        for name in ["refused", "keys_refused"] {
            assert_eq!(report[name], point[name], "{point}");
        }
    }
}

/// A log as JSON lines: gaps in milliseconds, and which of a few clients sends.
fn small_log() -> impl Strategy<Value = String> {
    let gap = prop_oneof![Just(0_u64), 0..50_u64, Just(1_000), 0..20_000_u64];
    prop::collection::vec((gap, 0..4_u8), 1..120).prop_map(|requests| {
        let mut time = 1_431_857_103_000;
        let lines = requests.into_iter().map(|(gap, client)| {
            time += gap;
            format!("{{\"ts\": {time}, \"ip\": \"10.0.0.{client}\"}}\n")
        });
        lines.collect()
    })
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn small_logs_are_confirmed(
        log in small_log(),
        share in prop_oneof![Just("0"), Just("5%"), Just("30%")],
        clients in prop_oneof![Just("0"), Just("25%"), Just("100%")],
    ) {
        let args = ["suggest", "-", "--refuse-at-most", share, "--clients-at-most", clients];
        let found = program::json(&[&args[..], &["--json"]].concat(), log.as_bytes());
        check_recommended(&found);
        confirm(&found, &["replay", "-", "--json"], log.as_bytes());
    }

    /// A burst that is said to refuse nothing does so, at rates that the crate rounds, too.
    #[test]
    fn sufficient_bursts_are_confirmed(
        log in small_log(),
        rate in prop_oneof![1_u64..100, 131_073_u64..2_000_000, Just(1_000_003_u64)],
        period in prop_oneof![Just("s"), Just("min"), Just("h"), Just("d"), Just("7s")],
        burst in 1_u64..9,
    ) {
        let quota = format!("{rate}/{period} burst {burst}");
        let args = |quota: &str| {
            let report = program::json(&["replay", "-", "--quota", quota, "--json"], log.as_bytes());
            (report["refused"].as_u64().unwrap(), report)
        };
        let (refused, report) = args(&quota);
        let sufficient: tidegate::Quota =
            report["sufficient_quota"].as_str().unwrap().parse().unwrap();
        prop_assert_eq!(args(&sufficient.to_string()).0, 0);
        prop_assert!(refused == 0 || sufficient.capacity() > burst);
        let required = sufficient.capacity();
        if report["sufficient_is_smallest"] == true && required > 1 {
            let less = sufficient.try_burst(required - 1).unwrap().to_string();
            prop_assert!(args(&less).0 > 0);
        }
    }
}

/// At this rate the crate rounds: a burst of 7 refuses one request, so it must not be recommended.
#[test]
fn rounded_rates_are_not_overrated() {
    let log = log();
    for quota in [
        "1000003/day burst 7",
        "1000003/day burst 3",
        "999983/h burst 2",
    ] {
        let report = program::json(&["replay", &log, "--quota", quota, "--json"], b"");
        let sufficient = report["sufficient_quota"].as_str().unwrap();
        assert_eq!(report["sufficient_is_smallest"], false);
        let args = ["replay", &log, "--quota", sufficient];
        let again = program::json(&[&args[..], &["--json"]].concat(), b"");
        assert_eq!(again["refused"], 0, "{quota}: {sufficient}");
        let text = program::run(&args).out;
        assert!(!text.contains("smallest"), "{text}");
    }
}

#[test]
fn several_quotas_are_compared() {
    let log = log();
    let quotas = ["7/min burst 3", "50/min", "rate=1r/s burst=20 nodelay"];
    let mut args = vec!["replay", log.as_str(), "--window", "300/h"];
    let alone = quotas
        .map(|quota| program::json(&[&args[..], &["--quota", quota, "--json"]].concat(), b""));
    args.extend(quotas.iter().flat_map(|quota| ["--quota", quota]));
    let together = program::json(&[&args[..], &["--json"]].concat(), b"");
    assert_eq!(together, Value::Array(alone.to_vec()));
    let text = program::run(&args).out;
    assert!(
        text.starts_with("7/min burst 3 and window 300/hour: "),
        "{text}"
    );
    assert!(text.contains("1/s burst 21 and window 300/hour"), "{text}");
    let ran = program::run(&[&args[..], &["--csv", "-"]].concat());
    program::assert_fails(&ran, 2, "show one quota");
}

#[test]
fn classes_are_apart() {
    let log = log();
    let args = [
        "suggest",
        &log,
        "--class",
        "google=66.249.0.0/16",
        "--class",
        "two=75.97.9.59,130.237.218.86",
        "--class",
        "none=192.0.2.0/24",
        "--json",
    ];
    let found = program::json(&args, b"");
    let classes = found["classes"].as_array().unwrap();
    let names: Vec<&str> = classes
        .iter()
        .map(|class| class["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["google", "two", "none", "all others"]);
    let sum = |name: &str| -> u64 {
        classes
            .iter()
            .map(|class| class[name].as_u64().unwrap())
            .sum()
    };
    assert_eq!((sum("keys"), sum("requests")), (1_753, 10_000));
    assert_eq!(classes[1]["keys"], 2);
    assert_eq!(classes[1]["requests"], 357 + 273);
    assert_eq!(
        (&classes[2]["keys"], &classes[2]["recommended"]),
        (&0.into(), &Value::Null)
    );
    let hit = |class: &Value| class["with_recommended"]["refused"].as_u64().unwrap_or(0);
    let refused: u64 = classes.iter().map(hit).sum();
    assert_eq!(found["recommended"]["refused"], refused);
}

/// Long keys and class names are shortened; numbers and limits are whole.
#[test]
fn texts_fit_80_columns() {
    let log = oracle::log_text();
    let log: String = log.split_inclusive('\n').take(1_500).collect();
    let suggest = [
        "suggest",
        "-",
        "--exact",
        "--quota",
        "1000000/day burst 1000000",
    ];
    let class = [
        "--class",
        "a name that is much longer than a column=10.0.0.0/8",
    ];
    let replay = ["replay", "-", "--quota", "7/min burst 3"];
    let wide = ["--quota", "1000000/day burst 1000000", "--retries", "2"];
    for args in [
        suggest.to_vec(),
        [
            &suggest[..],
            &["--by", "path", "--clients-at-most", "2%"],
            &class,
        ]
        .concat(),
        [&suggest[..], &["--by", "agent"]].concat(),
        [&suggest[..], &["--by", "none"]].concat(),
        replay.to_vec(),
        [&replay[..], &["--by", "agent"]].concat(),
        [&replay[..], &wide].concat(),
    ] {
        for locale in ["C", "C.UTF-8"] {
            for columns in [80, 200] {
                let mut command = command(&args);
                command
                    .env("COLUMNS", columns.to_string())
                    .env("LC_ALL", locale);
                let ran = run_command(&mut command, log.as_bytes());
                assert_eq!(ran.code, Some(0), "{}", ran.err);
                let widest = ran
                    .out
                    .lines()
                    .max_by_key(|line| line.chars().count())
                    .unwrap();
                assert!(widest.chars().count() <= columns, "{args:?}: {widest}");
                // A shortened key has an ellipsis in any locale.
                let text = ran.out.replace('…', "");
                assert!(locale != "C" || text.is_ascii(), "{text}");
            }
        }
    }
}

#[test]
fn sentences_come_first() {
    let log = log();
    let first = |args: &[&str]| {
        let ran = run_command(command(args).env("COLUMNS", "200"), b"");
        ran.out.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        first(&["replay", &log, "--quota", "7/min burst 3"]),
        "192 of 1,753 clients (11.0%) would have noticed: 2,078 of 10,000 requests refused (20.8%)."
    );
    assert_eq!(
        first(&["replay", &log, "--quota", "500/min"]),
        "None of 1,753 clients would have noticed: all 10,000 requests admitted."
    );
    assert_eq!(
        first(&["replay", &log, "--quota", "7/min burst 3", "--by", "none"]),
        "9,244 of 10,000 requests refused (92.4%)."
    );
}

#[test]
fn retries_are_counted() {
    let args = ["replay", "-", "--quota", "6/min burst 1", "--json"];
    let alone = program::json(&args, LINE.repeat(3).as_bytes());
    assert!(alone["retries"].is_null());
    let retries = [&args[..], &["--retries", "5"]].concat();
    let report = program::json(&retries, LINE.repeat(3).as_bytes());
    assert_eq!(
        (&report["refused"], &report["requests"]),
        (&2.into(), &3.into())
    );
    let retries = &report["retries"];
    assert_eq!(retries["admitted"], 2);
    assert_eq!(retries["given_up"], 0);
    assert_eq!(retries["sent"], 3);
    assert_eq!(
        (&retries["mean_wait"], &retries["max_wait"]),
        (&15.0.into(), &20.0.into())
    );
}
