//! How the program ends: exit codes and messages; and what it says when all goes well.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, with helpers outside of test functions"
)]

mod program;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use program::{LINE, command, fails, fed, finish, json, run};

fn line(second: u32) -> String {
    LINE.replace(":03 ", &format!(":{second:02} "))
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn usage() {
    fails(&run(&["replay", "-"]), 2, "--quota");
    fails(&run(&["replay", "--quota", "1/s"]), 2, "LOG");
    fails(
        &run(&["replay", "-", "--quota", "1/fortnight"]),
        2,
        "unknown unit of time",
    );
    fails(
        &run(&["replay", "-", "--quota", "1/fortnight"]),
        2,
        "\n  1/fortnight\n    ^",
    );
    fails(
        &run(&["replay", "-", "--quota", "0/s"]),
        2,
        "the rate is zero",
    );
    fails(
        &run(&["replay", "-", "--window", "5/s burst 9"]),
        2,
        "a window has no burst",
    );
    fails(
        &run(&["replay", "-", "--window", "5/s", "--slots", "99999"]),
        2,
        "too many slots",
    );
    fails(
        &run(&["replay", "-", "--quota", "1/s", "--reorder", "soon"]),
        2,
        "2m",
    );
    fails(
        &run(&["replay", "-", "--quota", "1/s", "--ipv6-prefix", "8"]),
        2,
        "ipv6-prefix",
    );
    fails(
        &run(&["replay", "-", "-", "--quota", "1/s"]),
        2,
        "only once",
    );
    fails(
        &run(&["replay", "-", "--quota", "1/s", "--json", "--csv", "-"]),
        2,
        "standard output",
    );
    fails(&run(&["suggest", "-", "--refuse-at-most", "2"]), 2, "0.1%");
    fails(&run(&["suggest", "-", "--per", "year"]), 2, "year");
    fails(&run(&["suggest", "-", "--bursts", "0"]), 2, "factor");
}

#[test]
fn inputs() {
    let quota = ["--quota", "1/s"];
    let replay = |file: &str, input: &[u8]| fed(&[&["replay", file][..], &quota].concat(), input);
    fails(
        &replay("/no/such.log", b""),
        1,
        "/no/such.log: No such file or directory",
    );
    fails(&replay("/", b""), 1, "/: ");
    let whole = packed(&LINE.repeat(100));
    fails(
        &replay("-", &whole[..whole.len() - 6]),
        1,
        "standard input: cannot be read",
    );
    fails(
        &replay("-", b"\x1f\x8bnonsense"),
        1,
        "standard input: cannot be read",
    );
    let mut broken = whole.clone();
    let at = broken.len() - 5;
    broken[at] ^= 1;
    fails(&replay("-", &broken), 1, "standard input: cannot be read");
    fails(
        &replay("-", b"a\nb\n"),
        1,
        "no request was found: 2 lines cannot be read, 0 have no key",
    );
    let empty = replay("-", b"");
    assert_eq!((empty.code, empty.err.as_str()), (Some(0), ""));
    let nobody = LINE.replace("ann", "-");
    let ran = fed(
        &["replay", "-", "--by", "user", "--quota", "1/s"],
        nobody.as_bytes(),
    );
    fails(&ran, 1, "1 have no key");
}

#[test]
fn lines_that_cannot_be_read() {
    let text = format!("{LINE}\r\n{}{LINE}", "oh\n".repeat(8));
    let args = ["replay", "-", "--quota", "1/s", "--json"];
    let ran = fed(&args, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    let told = "tidegate: standard input:3: no space after the address\n";
    assert!(ran.err.starts_with(told), "{}", ran.err);
    assert!(
        ran.err
            .ends_with("tidegate: and 3 more that cannot be read\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 6);
    let report = json(&args, text.as_bytes());
    assert_eq!(
        (report["requests"].as_u64(), report["skipped"].as_u64()),
        (Some(2), Some(8))
    );
    let strict = fed(&[&args[..], &["--strict"]].concat(), text.as_bytes());
    fails(
        &strict,
        1,
        "tidegate: standard input:3: no space after the address\n",
    );
    assert_eq!((strict.out.as_str(), strict.err.lines().count()), ("", 1));
}

#[test]
fn several_files_and_members() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("plain"), line(3)).unwrap();
    // Packed, whatever its name; in two members.
    std::fs::write(
        path("packed.log"),
        [packed(&line(1)), packed(&line(2))].concat(),
    )
    .unwrap();
    std::fs::write(
        path("json"),
        "{\"time\": \"2015-05-17T10:05:04Z\", \"remote_addr\": \"10.0.0.1\"}\n",
    )
    .unwrap();
    let files = [
        path("plain"),
        path("packed.log"),
        path("json"),
        "-".to_owned(),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let args = [&["replay", "--quota", "1/h", "--json"][..], &files].concat();
    let report = json(&args, line(9).as_bytes());
    assert_eq!(report["requests"], 5);
    assert_eq!(report["refused"], 4);
    assert_eq!(report["keys"], 1);
    assert_eq!(report["late"], 0);
    assert_eq!(report["first"], 1_431_857_101.0);
    assert_eq!(report["last"], 1_431_857_109.0);
    let report = json(
        &[&args[..], &["--reorder", "0"]].concat(),
        line(9).as_bytes(),
    );
    assert_eq!(report["late"], 2);
    assert_eq!(report["first"], 1_431_857_103.0);
}

#[test]
fn keys_of_all_kinds() {
    let text = "2001:db8::1 - - [17/May/2015:10:05:03 +0000] \"GET /a?1 HTTP/1.1\" 200 5 \"-\" \"A\"\n\
                2001:DB8:0::2 - bob [17/May/2015:10:05:03 +0000] \"GET /a?2 HTTP/1.1\" 200 5 \"-\" \"B\"\n\
                ::ffff:1.2.3.4 - bob [17/May/2015:10:05:03 +0000] \"GET /b HTTP/1.1\" 200 5 \"-\" \"A\"\n\
                1.2.3.4 - bob [17/May/2015:10:05:03 +0000] \"GET /b HTTP/1.1\" 200 5 \"-\" \"C\"\n";
    let keys = |by: &[&str]| {
        let args = [&["replay", "-", "--quota", "1/s", "--json"][..], by].concat();
        let report = json(&args, text.as_bytes());
        let n = |name: &str| report[name].as_u64().unwrap();
        (n("keys"), n("refused"), n("skipped"))
    };
    assert_eq!(keys(&["--by", "ip"]), (3, 1, 0));
    assert_eq!(keys(&["--by", "ip-prefix"]), (2, 2, 0));
    assert_eq!(
        keys(&["--by", "ip-prefix", "--ipv6-prefix", "128"]),
        (3, 1, 0)
    );
    assert_eq!(keys(&["--by", "path"]), (2, 2, 0));
    assert_eq!(keys(&["--by", "agent"]), (3, 1, 0));
    assert_eq!(keys(&["--by", "user"]), (1, 2, 1));
    assert_eq!(keys(&["--by", "none"]), (1, 3, 0));
    let logged = "{\"ts\": 1431857103, \"at\": 5, \"http\": {\"host\": \"a\"}}\n{\"ts\": 1431857103.5, \"at\": 6}\n";
    let args = [
        "replay",
        "-",
        "--quota",
        "1/s",
        "--json",
        "--by",
        "http.host",
    ];
    assert_eq!(json(&args, logged.as_bytes())["skipped"], 1);
    let report = json(
        &[&args[..], &["--time-field", "at"]].concat(),
        logged.as_bytes(),
    );
    assert_eq!(report["first"], 5.0);
    let ran = fed(
        &["replay", "-", "--quota", "1/s", "--by", "tenant"],
        LINE.as_bytes(),
    );
    fails(&ran, 1, "only a JSON log has such a field");
}

#[test]
fn colours_and_widths() {
    let text = LINE.replace("10.0.0.1", &"long".repeat(30)).repeat(3);
    let args = ["replay", "-", "--quota", "1/h"];
    let shown = |name: &str, value: &str| {
        let ran = finish(command(&args).env(name, value), text.as_bytes());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        ran.out
    };
    let forced = finish(command(&args).env("CLICOLOR_FORCE", "1"), text.as_bytes());
    assert!(forced.out.contains("\u{1b}["));
    let both = finish(
        command(&args)
            .env("CLICOLOR_FORCE", "1")
            .env("NO_COLOR", "1"),
        text.as_bytes(),
    );
    for plain in [shown("NO_COLOR", "1"), shown("TERM", "xterm"), both.out] {
        assert!(!plain.contains('\u{1b}'), "{plain}");
    }
    let narrow = shown("COLUMNS", "70");
    let table: Vec<&str> = narrow
        .lines()
        .skip_while(|line| !line.contains("key  "))
        .collect();
    assert!(
        table.len() >= 2 && table.iter().all(|line| line.chars().count() <= 70),
        "{narrow}"
    );
    assert!(narrow.contains('…'));
    // A key is no command for the terminal.
    let hostile = LINE.replace("10.0.0.1", "\u{1b}[31m").repeat(2);
    let ran = fed(&args, hostile.as_bytes());
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn json_has_what_is_promised() {
    let report = json(
        &["replay", "-", "--quota", "1/h", "--window", "5/s", "--json"],
        LINE.repeat(3).as_bytes(),
    );
    for name in [
        "requests",
        "admitted",
        "refused",
        "skipped",
        "late",
        "keys",
        "keys_refused",
    ] {
        assert!(report[name].is_u64(), "{name}");
    }
    assert_eq!(
        report["limits"],
        serde_json::json!(["1/hour", "window 5/s"])
    );
    assert_eq!(report["by"], "ip");
    assert_eq!(report["longest_streak"]["refusals"], 2);
    assert_eq!(report["timeline"]["refused"], serde_json::json!([2]));
    assert_eq!(report["worst"][0]["key"], "10.0.0.1");
    assert!(report["tightest"].is_null());
}
