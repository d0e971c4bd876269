//! Filters, templates and combined keys choose what a simple reading of the log chooses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::oracle;
use crate::program::{self, assert_fails, run, run_with_input};
use crate::requests::{LoggedRequest, requests, sample};

/// A line of the real log, read in the simplest way.
struct Line {
    ip: String,
    time: String,
    method: String,
    path: String,
    status: u16,
}

fn lines() -> Vec<Line> {
    let text = oracle::log_text();
    let lines = text.lines().map(|line| {
        let quoted: Vec<&str> = line.split('"').collect();
        let request: Vec<&str> = quoted[1].split(' ').collect();
        Line {
            ip: line.split(' ').next().unwrap().to_owned(),
            time: line.split(['[', ']']).nth(1).unwrap().to_owned(),
            method: request[0].to_owned(),
            path: request[1].split('?').next().unwrap().to_owned(),
            status: quoted[2]
                .split_whitespace()
                .next()
                .unwrap()
                .parse()
                .unwrap(),
        }
    });
    lines.collect()
}

fn replay(args: &[&str]) -> Value {
    let path = oracle::log_path();
    let base = [
        "replay",
        path.to_str().unwrap(),
        "--quota",
        "7/min burst 3",
        "--json",
    ];
    program::json(&[&base[..], args].concat(), b"")
}

#[test]
fn filters_keep_what_they_say() {
    let lines = lines();
    let count = |keep: &dyn Fn(&Line) -> bool| {
        let kept: Vec<&Line> = lines.iter().filter(|line| keep(line)).collect();
        let mut clients: Vec<&str> = kept.iter().map(|line| line.ip.as_str()).collect();
        clients.sort_unstable();
        clients.dedup();
        (kept.len(), clients.len())
    };
    let class = |line: &Line| line.status / 100;
    for (args, (requests, keys)) in [
        (
            &["--status", "404,3xx"][..],
            count(&|line| line.status == 404 || class(line) == 3),
        ),
        (&["--not-status", "2xx"], count(&|line| class(line) != 2)),
        (
            &["--method", "head,POST"],
            count(&|line| ["HEAD", "POST"].contains(&line.method.as_str())),
        ),
        (
            &["--path", "/images/*", "--path", "/"],
            count(&|line| line.path == "/" || line.path.starts_with("/images/")),
        ),
        (
            &["--path", "*png", "--not-path", "/images/*"],
            count(&|line| line.path.ends_with("png") && !line.path.starts_with("/images/")),
        ),
        (
            &["--only", "66.249.0.0/16"],
            count(&|line| line.ip.starts_with("66.249.")),
        ),
        (
            &["--except", "66.249.0.0/16", "--except", "75.97.9.59"],
            count(&|line| !line.ip.starts_with("66.249.") && line.ip != "75.97.9.59"),
        ),
        (
            &["--from", "2015-05-18", "--until", "2015-05-19T00:00:00Z"],
            count(&|line| line.time.starts_with("18/May")),
        ),
        (
            &["--method", "GET", "--status", "200", "--only", "6*"],
            count(&|line| line.method == "GET" && line.status == 200 && line.ip.starts_with('6')),
        ),
    ] {
        let report = replay(args);
        assert!(requests > 0 && requests < 10_000, "{args:?}");
        assert_eq!(report["requests"], requests, "{args:?}");
        assert_eq!(report["keys"], keys, "{args:?}");
        assert_eq!(report["left_out"], 10_000 - requests, "{args:?}");
        let path = oracle::log_path();
        let suggest = [
            "suggest",
            path.to_str().unwrap(),
            "--per",
            "minute",
            "--json",
        ];
        let found = program::json(&[&suggest[..], args].concat(), b"");
        assert_eq!(
            (&found["requests"], &found["keys"]),
            (&json!(requests), &json!(keys))
        );
    }
}

/// Only the requests that are kept are charged.
#[test]
fn filtered_requests_take_nothing() {
    let all = replay(&[]);
    let only = replay(&["--only", "75.97.9.59"]);
    let worst = all["worst"].as_array().unwrap();
    let alone = worst.iter().find(|key| key["key"] == "75.97.9.59").unwrap();
    assert_eq!(only["refused"], alone["refused"]);
    assert_eq!(only["worst"][0], *alone);
    assert_eq!(
        replay(&["--until", "2100-01-01", "--status", "1xx,2xx,3xx,4xx,5xx"])["refused"],
        all["refused"]
    );
}

#[test]
fn keys_are_combined() {
    let lines = lines();
    let mut pairs = BTreeMap::new();
    for line in &lines {
        *pairs
            .entry(format!("{} {}", line.ip, line.path))
            .or_insert(0_u64) += 1;
    }
    let report = replay(&["--by", "ip,path", "--top", "5"]);
    assert_eq!(report["by"], "ip,path");
    assert_eq!(
        (&report["requests"], &report["keys"]),
        (&json!(10_000), &json!(pairs.len()))
    );
    for key in report["worst"].as_array().unwrap() {
        assert_eq!(key["requests"], pairs[key["key"].as_str().unwrap()]);
    }
    let by_method = replay(&["--by", "ip,method"]);
    assert!(by_method["keys"].as_u64() >= Some(1_753));
    let ran = run(&["replay", "-", "--quota", "1/s", "--by", "ip,"]);
    assert_fails(&ran, 2, "empty");
}

#[test]
fn paths_become_templates() {
    let line = |second: u32, path: &str| {
        format!(
            "10.0.0.1 - - [17/May/2015:10:05:{second:02} +0000] \"GET {path} HTTP/1.1\" 200 1\n"
        )
    };
    let paths = ["/users/1", "/users/2?x=1", "/users/ann", "/f/a/b", "/f/c"];
    let log: String = (0..)
        .zip(paths)
        .map(|(second, path)| line(second, path))
        .collect();
    let keys = |args: &[&str]| {
        let base = [
            "replay", "-", "--by", "path", "--quota", "1/h", "--csv", "-",
        ];
        let ran = program::run_with_input(&[&base[..], args].concat(), log.as_bytes());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let rows = ran.out.lines().skip(1);
        let keys = rows.map(|row| row.split(',').take(2).collect::<Vec<_>>().join(" "));
        keys.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        keys(&[]),
        "/users/1 1, /users/2 1, /users/ann 1, /f/a/b 1, /f/c 1"
    );
    assert_eq!(
        keys(&["--templates"]),
        "/users/:id 2, /users/ann 1, /f/a/b 1, /f/c 1"
    );
    assert_eq!(
        keys(&["--template", "/users/:name", "--template", "/f/*"]),
        "/users/:name 3, /f/* 2"
    );
}

/// A bucket of bytes admits what its level covers.
#[test]
fn requests_cost_what_a_field_says() {
    let line = |second: u32, bytes: &str| {
        format!(
            "10.0.0.1 - - [17/May/2015:10:05:{second:02} +0000] \"GET / HTTP/1.1\" 200 {bytes}\n"
        )
    };
    // 100 at first; 40 are left, 80 do not fit, `-` is nothing, and 60 more have come by 30 s.
    let bytes = ["60", "80", "40", "-", "101", "60"];
    let log: String = (0..)
        .zip(bytes)
        .map(|(at, bytes)| line(at * 6, bytes))
        .collect();
    let args = [
        "replay",
        "-",
        "--quota",
        "120/min burst 100",
        "--cost",
        "bytes",
        "--json",
    ];
    let report = program::json(&args, log.as_bytes());
    // Levels: 100-60, 52, 64-40, 36, 48, 60-60.
    assert_eq!(
        (&report["requests"], &report["refused"]),
        (&json!(6), &json!(2))
    );
    assert_eq!(report["cost"], "bytes");
    let sufficient = report["sufficient_quota"].as_str().unwrap();
    let again = [&["replay", "-", "--quota", sufficient][..], &args[4..]].concat();
    assert_eq!(program::json(&again, log.as_bytes())["refused"], 0);
    let unit = [&args[..], &["--cost-unit", "50"]].concat();
    assert_eq!(program::json(&unit, log.as_bytes())["refused"], 0);
    let text = program::run_with_input(&args[..6], log.as_bytes()).out;
    assert!(
        text.contains("at most 220 of bytes of one client"),
        "{text}"
    );
    let suggest = [
        "suggest",
        "-",
        "--cost",
        "bytes",
        "--refuse-at-most",
        "0",
        "--json",
    ];
    let found = program::json(&suggest, log.as_bytes());
    for limit in [&found["recommended"], &found["others"][0]] {
        let (name, value) = match limit["quota"].as_str() {
            Some(quota) => ("--quota", quota),
            None => ("--window", limit["window"].as_str().unwrap()),
        };
        let args = ["replay", "-", name, value, "--cost", "bytes", "--json"];
        assert_eq!(
            program::json(&args, log.as_bytes())["refused"],
            0,
            "{limit}"
        );
    }
}

/// A cost that no line has would admit all.
#[test]
fn missing_costs_are_errors() {
    let common = program::LINE.to_owned();
    let object = json!({"ts": 1_431_857_100, "remote_addr": "10.0.0.1", "n": "x"}).to_string();
    for (log, field, message) in [
        (&common, "byts", "has a value in no line"),
        (&common, "byts", "status, bytes"),
        (&common, "agent", "is a whole number in no line"),
        (&object, "tokens", "n, remote_addr (an address), ts"),
        (&object, "n", "is a whole number in no line"),
    ] {
        let args = ["replay", "-", "--quota", "1/h", "--cost", field];
        assert_fails(&program::run_with_input(&args, log.as_bytes()), 1, message);
    }
}

#[test]
fn costs_are_found_in_each_format() {
    let columns = "#Fields: date time c-ip cs-uri-stem sc-status sc-bytes\n\
                   2024-03-10 23:50:00 203.0.113.5 / 200 39\n";
    let haproxy = "203.0.113.5:5000 [10/Mar/2024:23:50:00.001] web be/s1 0/0/1/2/3 200 39 - - \
                   ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n";
    let s3 = "79a5 bucket [10/Mar/2024:23:50:00 +0000] 203.0.113.5 - 3E57 REST.GET.OBJECT a \
              \"GET /a HTTP/1.1\" 200 - 39 40 7 - \"-\" \"Agent\" -\n";
    let common = program::LINE.replace(" 5 ", " 39 ");
    for (log, fields) in [
        (columns, &["bytes", "sc-bytes"][..]),
        (haproxy, &["bytes"]),
        (s3, &["bytes"]),
        (&common, &["bytes", "body_bytes_sent"]),
    ] {
        for field in fields {
            // The request fits a bucket of 39, and not one of 38.
            for (burst, refused) in [("39", 0), ("38", 1)] {
                let quota = format!("1/h burst {burst}");
                let args = ["replay", "-", "--quota", &quota, "--cost", field, "--json"];
                let report = program::json(&args, log.as_bytes());
                assert_eq!(report["refused"], refused, "{field} {burst} {log}");
            }
        }
    }
}

/// Requests that an earlier limit refused count, unless they are left out. They are named.
#[test]
fn earlier_refusals_are_named() {
    let line = |status: u16| {
        format!("10.0.0.1 - - [17/May/2015:10:05:00 +0000] \"GET /429 HTTP/1.1\" {status} 429\n")
    };
    let log = [line(200), line(429), line(503), line(429)].concat();
    let objects = log.lines().fold(String::new(), |objects, line| {
        let status = line.split(' ').nth(8).unwrap();
        let object = json!({
            "ts": 1_431_857_100, "remote_addr": "10.0.0.1", "response_code": status, "n": 429
        });
        objects + &object.to_string() + "\n"
    });
    for log in [log, objects] {
        let args = ["replay", "-", "--quota", "1/h"];
        let text = program::run_with_input(&args, log.as_bytes()).out;
        assert!(text.contains("2 requests answered 429"), "{text}");
        let report = program::json(&[&args[..], &["--json"]].concat(), log.as_bytes());
        assert_eq!(
            (&report["answered_429"], &report["requests"]),
            (&json!(2), &json!(4))
        );
        let args = [&args[..], &["--not-status", "429", "--json"]].concat();
        let report = program::json(&args, log.as_bytes());
        assert_eq!(
            (&report["answered_429"], &report["requests"]),
            (&json!(0), &json!(2))
        );
        assert_eq!(report["left_out"], 2);
    }
}

#[test]
fn invalid_slices_are_named() {
    for (args, message) in [
        (["--status", "ok"], "expected a status"),
        (["--from", "yesterday"], "`yesterday`: expected a time"),
        (
            ["--except", "66.0.0.0/33"],
            "neither an address nor a network",
        ),
        (["--only", "300.0.0.1"], "neither an address nor a network"),
        (["--template", "/users/:id"], "need `--by path`"),
        (
            ["--rule-header", "x-api-key=account"],
            "cannot be used with",
        ),
    ] {
        let ran = run(&[&["replay", "-", "--quota", "1/s"][..], &args].concat());
        assert_fails(&ran, 2, message);
    }
    let args = ["replay", "-", "--quota", "1/s", "--time-field", "ts"];
    let ran = program::run_with_input(&args, program::LINE.as_bytes());
    assert_fails(&ran, 1, "--time-field names a field");
    let until = ["--from", "2015-05-19", "--until", "2015-05-18"];
    let ran = run(&[&["replay", "-", "--quota", "1/s"][..], &until].concat());
    assert_fails(&ran, 2, "--from is not before --until");
    for template in ["users/:id", "/users?x=1", "/*/a"] {
        let args = [
            "replay",
            "-",
            "--quota",
            "1/s",
            "--by",
            "path",
            "--template",
            template,
        ];
        assert_fails(&run(&args), 2, "no path fits this template");
    }
}

fn counts(text: &str, options: &[&str]) -> [u64; 2] {
    let args = [
        &["replay", "-", "--quota", "6/min burst 4", "--json"],
        options,
    ]
    .concat();
    let report = program::json(&args, text.as_bytes());
    ["requests", "refused"].map(|name| report[name].as_u64().unwrap())
}

/// Filters find the fields of each format.
#[test]
fn filters_read_each_format() {
    let requests = requests();
    let count = |keep: &dyn Fn(&LoggedRequest) -> bool| {
        requests.iter().filter(|request| keep(request)).count() as u64
    };
    let posts = count(&|request| request.method == "POST");
    let errors = count(&|request| request.status >= 400);
    let logins = count(&|request| request.path.starts_with("/login"));
    assert!(posts > 0 && logins > 0);
    let write = |write: &dyn Fn(&LoggedRequest) -> String| {
        let lines: Vec<String> = requests.iter().map(write).collect();
        lines.join("\n")
    };
    let w3c = write(&|r| {
        let time = r.time("%Y-%m-%d %H:%M:%S");
        format!("{time} {} {} {} {}", r.client, r.method, r.path, r.status)
    });
    let w3c = "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n".to_owned() + &w3c;
    let ecs = write(&|r| {
        let line = json!({
            "@timestamp": r.time("%Y-%m-%dT%H:%M:%S.%3fZ"), "source": {"ip": r.client},
            "http": {"request": {"method": r.method}, "response": {"status_code": r.status}},
            "url": {"path": r.path},
        });
        line.to_string()
    });
    for (name, text) in [
        ("common", sample("nginx_combined.log")),
        ("W3C", w3c),
        ("CloudFront", sample("cloudfront.log")),
        ("HAProxy", sample("haproxy.log")),
        ("ECS", ecs),
        ("events", sample("events.json")),
        ("load balancer", sample("aws_alb.log")),
    ] {
        let kept = |options: &[&str]| counts(&text, options)[0];
        assert_eq!(kept(&["--method", "POST"]), posts, "{name}");
        assert_eq!(kept(&["--status", "4xx,5xx"]), errors, "{name}");
        assert_eq!(kept(&["--not-status", "4xx,5xx"]), 400 - errors, "{name}");
        assert_eq!(kept(&["--path", "/login*"]), logins, "{name}");
    }
}

/// A filter that finds its field in no line says nothing, and in some lines says little.
#[test]
fn filters_without_their_field() {
    let args = ["replay", "-", "--quota", "1/s", "--json"];
    let line = |fields: &str| format!("{{\"ts\": 1431857103, \"ip\": \"203.0.113.5\"{fields}}}\n");
    for (options, expected) in [
        (["--status", "429"], "no line has a status, which --status"),
        (["--not-status", "429"], "no line has a status"),
        (["--method", "GET"], "no line has a method, which --method"),
        (["--path", "/a"], "no line has a path, which --path"),
        (["--not-path", "/a"], "fields: ip (an address), ts"),
    ] {
        let ran = run_with_input(&[&args[..], &options].concat(), line("").as_bytes());
        assert_fails(&ran, 1, expected);
        assert_eq!(ran.out, "");
    }
    let text = line("") + &line(", \"status\": 200") + &line(", \"status\": 500");
    for (option, requests, fate) in [
        ("--not-status", 2, "they count"),
        ("--status", 1, "left out"),
    ] {
        let ran = run_with_input(&[&args[..], &[option, "500"]].concat(), text.as_bytes());
        assert!(ran.err.contains("1 line without a status"), "{}", ran.err);
        assert!(ran.err.contains(fate), "{}", ran.err);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["requests"], requests);
    }
}

/// The whole request line is no method, and a space in a path no end of it.
#[test]
fn methods_and_paths_of_request_lines() {
    let requests = requests();
    let methods: std::collections::BTreeSet<&str> = requests
        .iter()
        .map(|request| request.method.as_str())
        .collect();
    for name in ["aws_alb.log", "envoy.log", "nginx_combined.log"] {
        let args = ["replay", "-", "--quota", "1/s", "--by", "method", "--json"];
        let report = program::json(&args, sample(name).as_bytes());
        assert_eq!(report["keys"], methods.len(), "{name}");
    }
    let line = |path| format!("{{\"ts\": 1431857103, \"path\": \"{path}\"}}\n");
    let text = line("/a b c") + &line("/d b c");
    let args = ["replay", "-", "--quota", "1/s", "--by", "path", "--json"];
    assert_eq!(program::json(&args, text.as_bytes())["keys"], 2);
}
