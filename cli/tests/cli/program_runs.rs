//! Exit codes, messages and the output of successful runs.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::program::{self, LINE, assert_fails, command, run, run_command, run_with_input};

fn line(second: u32) -> String {
    LINE.replace(":03 ", &format!(":{second:02} "))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn invalid_arguments() {
    for (args, message) in [
        (&["replay", "-"][..], "--quota"),
        (&["replay", "--quota", "1/s"], "LOG"),
        (
            &["replay", "-", "--quota", "1/fortnight"],
            "unknown unit of time",
        ),
        (
            &["replay", "-", "--quota", "1/fortnight"],
            "\n  1/fortnight\n    ^",
        ),
        (&["replay", "-", "--quota", "0/s"], "the rate is zero"),
        (
            &["replay", "-", "--window", "5/s burst 9"],
            "a window has no burst",
        ),
        (
            &["replay", "-", "--window", "5/s", "--slots", "99999"],
            "too many slots",
        ),
        (
            &["replay", "-", "--quota", "1/s", "--reorder", "soon"],
            "2m",
        ),
        (
            &["replay", "-", "--quota", "1/s", "--ipv6-prefix", "8"],
            "ipv6-prefix",
        ),
        (&["replay", "-", "-", "--quota", "1/s"], "only once"),
        (
            &["replay", "-", "--quota", "1/s", "--json", "--csv", "-"],
            "standard output",
        ),
        (
            &["shape", "--quota", "1/s", "--json", "--svg", "-"],
            "standard output",
        ),
        (&["suggest", "-", "--refuse-at-most", "2"], "0.1%"),
        (
            &["replay", "-", "--quota", "1/s", "--timezone", "Berlin"],
            "Europe/Berlin",
        ),
        (
            &["replay", "-", "--quota", "1/s", "--log-format", "$a$b"],
            "where `a` ends",
        ),
        (
            &["replay", "-", "--quota", "1/s", "--trusted-proxy", "x"],
            "198.51.100.0/24",
        ),
        (&["suggest", "-", "--per", "year"], "year"),
        (&["suggest", "-", "--bursts", "0"], "factor"),
    ] {
        assert_fails(&run(args), 2, message);
    }
}

#[test]
fn unreadable_inputs() {
    let replay =
        |file: &str, input: &[u8]| run_with_input(&["replay", file, "--quota", "1/s"], input);
    let missing = "/no/such.log: No such file or directory";
    assert_fails(&replay("/no/such.log", b""), 1, missing);
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    assert_fails(&replay(empty, b""), 1, "the folder has no files");
    let whole = gzip(&LINE.repeat(100));
    let mut wrong_checksum = whole.clone();
    let at = whole.len() - 5;
    wrong_checksum[at] ^= 1;
    for (input, requests) in [
        (&whole[..whole.len() - 6], "100"),
        (b"\x1f\x8bnonsense", "0"),
        (&wrong_checksum, "100"),
    ] {
        let ran = replay("-", input);
        assert_fails(&ran, 1, "standard input: cannot be read");
        assert_fails(&ran, 1, "1 log could not be read to the end");
        assert!(
            ran.out.contains(&format!("requests  {requests}\n")),
            "{}",
            ran.out
        );
    }
    let message = "no requests found: 2 unreadable lines, 0 lines without a key";
    assert_fails(&replay("-", b"a\nb\n"), 1, message);
    let empty = replay("-", b"");
    assert_eq!((empty.code, empty.err.as_str()), (Some(0), ""));
    let args = ["replay", "-", "--by", "user", "--quota", "1/s"];
    let ran = run_with_input(&args, LINE.replace("ann", "-").as_bytes());
    assert_fails(&ran, 1, "1 lines without a key");
}

#[test]
fn unreadable_lines() {
    let text = format!("{LINE}\r\n{}{LINE}", "oh\n".repeat(8));
    let args = ["replay", "-", "--quota", "1/s", "--json"];
    let ran = run_with_input(&args, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    let first = "tidegate: standard input:3: no time in brackets\n";
    assert!(ran.err.starts_with(first), "{}", ran.err);
    let last = "tidegate: 3 more unreadable lines\n";
    assert!(ran.err.ends_with(last), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 6);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&report["requests"], &report["skipped"]),
        (&json!(2), &json!(8))
    );
    let strict = run_with_input(&[&args[..], &["--strict"]].concat(), text.as_bytes());
    assert_fails(&strict, 1, first);
    assert_eq!((strict.out.as_str(), strict.err.lines().count()), ("", 1));
}

#[test]
fn several_files_and_formats() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let json = "{\"time\": \"2015-05-17T10:05:04Z\", \"remote_addr\": \"10.0.0.1\"}\n";
    let files = [
        write("plain", line(3).as_bytes()),
        // Two gzip members, and no `.gz` in the name.
        write("packed.log", &[gzip(&line(1)), gzip(&line(2))].concat()),
        write("json", json.as_bytes()),
        "-".to_owned(),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let args = [&["replay", "--quota", "1/h", "--json"][..], &files].concat();
    let report = program::json(&args, line(9).as_bytes());
    assert_eq!(report["requests"], 5);
    assert_eq!(report["refused"], 4);
    assert_eq!(report["keys"], 1);
    assert_eq!(report["late"], 0);
    assert_eq!(report["first"], 1_431_857_101.0);
    assert_eq!(report["last"], 1_431_857_109.0);
    let args = [&args[..], &["--reorder", "0"]].concat();
    let report = program::json(&args, line(9).as_bytes());
    assert_eq!(report["late"], 2);
    assert_eq!(report["first"], 1_431_857_103.0);
}

#[test]
fn all_kinds_of_keys() {
    let text: String = [
        ("2001:db8::1 - -", "/a?1", "A"),
        ("2001:DB8:0::2 - bob", "/a?2", "B"),
        ("::ffff:1.2.3.4 - bob", "/b", "A"),
        ("1.2.3.4 - bob", "/b", "C"),
    ]
    .map(|(client, path, agent)| {
        LINE.replace("10.0.0.1 - ann", client)
            .replace("/a?b", path)
            .replace("Agent", agent)
    })
    .concat();
    for (by, keys, refused, skipped) in [
        (&["ip"][..], 3, 1, 0),
        (&["ip-prefix"], 2, 2, 0),
        (&["ip-prefix", "--ipv6-prefix", "128"], 3, 1, 0),
        (&["path"], 2, 2, 0),
        (&["agent"], 3, 1, 0),
        (&["user"], 1, 2, 1),
        (&["none"], 1, 3, 0),
    ] {
        let args = [&["replay", "-", "--quota", "1/s", "--json", "--by"][..], by].concat();
        let report = program::json(&args, text.as_bytes());
        let counts = ["keys", "refused", "skipped"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(counts, [keys, refused, skipped], "{by:?}");
    }
    let log = "{\"ts\": 1431857103, \"at\": 5, \"http\": {\"host\": \"a\"}}\n\
               {\"ts\": 1431857103.5, \"at\": 6}\n";
    let args = [
        "replay",
        "-",
        "--quota",
        "1/s",
        "--json",
        "--by",
        "http.host",
    ];
    assert_eq!(program::json(&args, log.as_bytes())["skipped"], 1);
    let args = [&args[..], &["--time-field", "at"]].concat();
    assert_eq!(program::json(&args, log.as_bytes())["first"], 5.0);
    let args = ["replay", "-", "--quota", "1/s", "--by", "tenant"];
    let ran = run_with_input(&args, LINE.as_bytes());
    assert_fails(&ran, 1, "the common log format has no such field");
}

#[test]
fn colors_and_widths() {
    let text = LINE.replace("10.0.0.1", &"long".repeat(30)).repeat(3);
    let args = ["replay", "-", "--quota", "1/h", "--by", "client"];
    let print = |env: &[(&str, &str)]| {
        let ran = run_command(command(&args).envs(env.iter().copied()), text.as_bytes());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        ran.out
    };
    assert!(print(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}["));
    for env in [
        &[("NO_COLOR", "1")][..],
        &[("TERM", "xterm")],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
    ] {
        assert!(!print(env).contains('\u{1b}'), "{env:?}");
    }
    let narrow = print(&[("COLUMNS", "70")]);
    let table = narrow.lines().skip_while(|line| !line.contains("client  "));
    let widths: Vec<usize> = table.map(|line| line.chars().count()).collect();
    assert!(
        widths.len() >= 2 && widths.iter().all(|width| *width <= 70),
        "{narrow}"
    );
    assert!(narrow.contains('…'));
    // A key must not send escape sequences to the terminal.
    let hostile = LINE.replace("10.0.0.1", "\u{1b}[31m").repeat(2);
    let ran = run_with_input(&args, hostile.as_bytes());
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn json_fields() {
    let args = ["replay", "-", "--quota", "1/h", "--window", "5/s", "--json"];
    let report = program::json(&args, LINE.repeat(3).as_bytes());
    for (name, expected) in [
        ("limits", json!(["1/hour", "window 5/s"])),
        ("by", json!("ip")),
        ("requests", json!(3)),
        ("admitted", json!(1)),
        ("refused", json!(2)),
        ("skipped", json!(0)),
        ("late", json!(0)),
        ("warnings", json!([])),
        ("keys", json!(1)),
        ("keys_refused", json!(1)),
        ("sufficient_quota", json!(null)),
    ] {
        assert_eq!(report.get(name), Some(&expected), "{name}");
    }
    assert_eq!(report["longest_streak"]["refusals"], 2);
    assert_eq!(report["timeline"]["refused"], json!([2]));
    assert_eq!(report["worst"][0]["key"], "10.0.0.1");
}

/// A key cannot become a formula of a spreadsheet.
#[test]
fn spreadsheets_run_no_keys() {
    let text: String = ["=cmd|x", "+1", "-1", "@a", "ann"]
        .iter()
        .map(|user| LINE.replace("- ann", &format!("- {user}")))
        .collect();
    let args = [
        "replay", "-", "--quota", "1/s", "--by", "user", "--csv", "-",
    ];
    let ran = run_with_input(&args, text.as_bytes());
    let rows = ran.out.lines().skip(1);
    let keys: Vec<&str> = rows.map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(keys, ["'=cmd|x", "'+1", "'-1", "'@a", "ann"]);
}

#[test]
fn messages_name_what_failed() {
    let args = [
        "replay",
        "-",
        "--quota",
        "1/s",
        "--svg",
        "/no/such/folder/a.svg",
    ];
    let message = "/no/such/folder/a.svg: cannot be written: No such file or directory\n";
    assert_fails(&run_with_input(&args, LINE.as_bytes()), 1, message);
}

#[test]
fn high_rates_have_a_default_length() {
    let shape = program::json(&["shape", "--quota", "1000000/s burst 100", "--json"], b"");
    let arrivals = shape["arrivals"].as_array().unwrap().len();
    assert!((900_000..=1_000_000).contains(&arrivals), "{arrivals}");
}

/// The length of a step is not the difference of two large numbers.
#[test]
fn short_steps_are_exact() {
    let mut lines = String::new();
    for milli in 0..20 {
        lines += &format!("{{\"ts\": 1710028200.{milli:03}, \"ip\": \"192.0.2.1\"}}\n");
    }
    let ran = run_with_input(&["replay", "-", "--quota", "9/s"], lines.as_bytes());
    assert!(ran.out.contains("each step 1 ms\n"), "{}", ran.out);
}

/// Shells complete the usual keys, and others are accepted.
#[test]
fn keys_are_completed() {
    let completions = run(&["completions", "zsh"]).out;
    assert!(completions.contains("ip-prefix\\:"), "{completions}");
    let args = [
        "replay", "-", "--quota", "1/s", "--by", "protocol", "--json",
    ];
    assert_eq!(program::json(&args, LINE.as_bytes())["keys"], 1);
}
