//! Several files are merged by time, compressed or not, and damaged ones are read as far as
//! possible.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::oracle;
use crate::program::{self, LINE, assert_fails, run, run_with_input};
use crate::requests::{REFUSED, refused, requests, sample};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn replay(quota: &str, files: &[&str]) -> Value {
    program::json(
        &[&["replay", "--quota", quota, "--json"][..], files].concat(),
        b"",
    )
}

/// A line of one client at a second since 2024-03-09.
fn line(second: i64) -> String {
    let time = jiff::Timestamp::from_second(1_709_942_400 + second).unwrap();
    let time = jiff::tz::Offset::UTC
        .to_datetime(time)
        .strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("203.0.113.5 - - [{time}] \"GET / HTTP/1.1\" 200 5\n")
}

/// L2: one request a minute for three days, as a shell expands `access.log*`.
#[test]
fn rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let day = |day: i64| {
        (0..1_440)
            .map(|minute| line(day * 86_400 + minute * 60))
            .collect::<String>()
    };
    let files = [
        write(folder.path(), "access.log", day(2)),
        write(folder.path(), "access.log.1", day(1)),
        write(folder.path(), "access.log.2.gz", gzip(&day(0))),
    ];
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    for _ in 0..3 {
        let report = replay("2/min burst 3", &files);
        let counts = ["requests", "refused", "late"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(counts, [4_320, 0, 0], "{files:?}");
        let length = report["last"].as_f64().unwrap() - report["first"].as_f64().unwrap();
        assert!((length - 259_140.0).abs() < 1e-3, "{length}");
        files.rotate_left(1);
    }
    let report = replay("2/min burst 3", &[folder.path().to_str().unwrap()]);
    assert_eq!([&report["requests"], &report["refused"]], [4_320, 0]);
    let args = [
        &[
            "suggest",
            "--refuse-at-most",
            "0",
            "--bursts",
            "1",
            "--per",
            "minute",
            "--json",
        ][..],
        &files,
    ];
    let suggested = program::json(&args.concat(), b"");
    assert_eq!(suggested["suggestions"][0]["rate"], 1);
}

/// L3: two servers' logs of the same hours.
#[test]
fn files_of_the_same_hours() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = [String::new(), String::new(), String::new()];
    for (number, request) in requests().iter().enumerate() {
        parts[number % 3] += &(request.combined() + "\n");
    }
    let names = ["b.log", "a.log.gz"];
    let files = [
        write(folder.path(), names[0], &parts[0]),
        write(folder.path(), names[1], gzip(&parts[1])),
    ];
    let args = [
        "replay",
        &files[0],
        "-",
        &files[1],
        "--quota",
        "6/min burst 4",
        "--json",
    ];
    let report = program::json(&args, parts[2].as_bytes());
    let counts = ["requests", "refused", "late"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [400, REFUSED, 0]);
    // In the order of the arguments, they are out of order.
    let args = [&args[..], &["--reorder", "0"]].concat();
    let report = program::json(&args, parts[2].as_bytes());
    assert!(report["late"].as_u64().unwrap() > 100);
}

#[test]
fn order_cannot_be_mended_on_standard_input() {
    let lines = sample("nginx_combined.log");
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.rotate_left(200);
    let text = lines.join("\n");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let args = [
        "replay",
        "-",
        "--quota",
        "6/min burst 4",
        "--html",
        page.to_str().unwrap(),
    ];
    let ran = run_with_input(&args, text.as_bytes());
    assert_eq!(ran.code, Some(0));
    let warning = "tidegate: warning: 200 lines are more than 2m late";
    assert!(ran.err.starts_with(warning), "{}", ran.err);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("role=\"alert\"") && html.contains("200 lines are more than 2m late"));
    let ran = run_with_input(&[&args[..], &["--strict"]].concat(), text.as_bytes());
    assert_fails(&ran, 1, "200 lines out of order");
    let ran = run_with_input(&[&args[..], &["--reorder", "1h"]].concat(), text.as_bytes());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let colored = program::run_command(
        program::command(&args).env("CLICOLOR_FORCE", "1"),
        text.as_bytes(),
    );
    assert!(
        colored.err.contains("\u{1b}[1m\u{1b}[33mwarning"),
        "{}",
        colored.err
    );
}

/// L9: a truncated file costs its own end.
#[test]
fn damaged_files_are_read_as_far_as_possible() {
    let folder = tempfile::tempdir().unwrap();
    let text: Vec<String> = requests()
        .iter()
        .map(|request| request.combined() + "\n")
        .collect();
    let packed = gzip(&text[..200].concat());
    let files = [
        write(folder.path(), "good.log", text[200..].concat()),
        write(folder.path(), "cut.gz", &packed[..packed.len() / 2]),
        write(folder.path(), "nonsense.gz", b"\x1f\x8bnonsense"),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let args = [
        &["replay", "--quota", "6/min burst 4", "--json"][..],
        &files,
    ]
    .concat();
    let ran = run(&args);
    assert_fails(&ran, 1, "2 logs could not be read to the end");
    for file in &files[1..] {
        assert!(
            ran.err
                .contains(&format!("warning: {file}: cannot be read: ")),
            "{}",
            ran.err
        );
    }
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 2);
    // The lines before the cut, and the other file.
    let read = usize::try_from(report["requests"].as_u64().unwrap()).unwrap() - 200;
    assert!((20..200).contains(&read), "{read}");
    let events = requests().into_iter().enumerate();
    let events = events.filter(|(number, _)| *number < read || *number >= 200);
    let events = events.map(|(_, request)| {
        let time = u64::try_from(request.millis / 1_000).unwrap() * oracle::SECOND;
        (time, request.client)
    });
    assert_eq!(report["refused"], refused(&events.collect::<Vec<_>>()));
    let strict = run(&[&args[..], &["--strict"]].concat());
    assert_fails(&strict, 1, "cannot be read");
    assert_eq!(strict.out, "");
}

/// Files made by `zstd`, `xz` and `bzip2` of the first sample, each of two parts.
#[test]
fn compressions() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/compressed");
    let mut count = 0;
    for name in program::files(&folder) {
        let path = folder.join(&name);
        let report = replay("6/min burst 4", &[path.to_str().unwrap()]);
        assert_eq!(
            [&report["requests"], &report["refused"]],
            [400, REFUSED],
            "{name}"
        );
        let bytes = fs::read(&path).unwrap();
        let ran = run_with_input(
            &["replay", "-", "--quota", "6/min burst 4", "--json"],
            &bytes[..bytes.len() - 9],
        );
        assert_fails(&ran, 1, "standard input: cannot be read");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn folders_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "2024/03/09/b.log", line(10));
    write(folder.path(), "2024/03/08/a.log.gz", gzip(&line(5)));
    write(folder.path(), ".hidden/a.log", line(7));
    write(folder.path(), "empty.log", "");
    let report = replay("1/h", &[folder.path().to_str().unwrap()]);
    assert_eq!(
        [&report["requests"], &report["refused"], &report["late"]],
        [2, 1, 0]
    );
}

/// More files of the same hours than may be open at the same time, as S3 writes them.
#[test]
fn many_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = vec![String::new(); 100];
    for (number, request) in requests().iter().enumerate() {
        parts[number * 7 % 100] += &(request.combined() + "\n");
    }
    for (number, part) in parts.iter().enumerate() {
        write(folder.path(), &format!("{number}.log"), part);
    }
    let report = replay("6/min burst 4", &[folder.path().to_str().unwrap()]);
    assert_eq!(
        [&report["requests"], &report["refused"], &report["late"]],
        [400, REFUSED, 0]
    );
}

/// Each request counts once.
#[test]
fn one_file_twice_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, same, packed) = (path("a.1"), path("./a.1"), path("a.1.gz"));
    fs::write(&log, LINE).unwrap();
    let pack = |text: &str| fs::write(&packed, gzip(text)).unwrap();
    pack(&LINE.repeat(2));
    let replay = |logs: &[&str]| run(&[&["replay", "--quota", "1/s"][..], logs].concat());
    assert_eq!(replay(&[&log, &packed]).code, Some(0));
    pack(LINE);
    for (logs, message) in [
        ([&log, &log], "are one file"),
        ([&log, &same], "are one file"),
        ([&packed, &log], "begin with the same text"),
    ] {
        assert_fails(&replay(&logs.map(String::as_str)), 2, message);
    }
}

/// What cannot be read is named in words, not in counts of unreadable lines.
#[test]
fn files_that_are_no_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = sample("nginx_combined.log");
    let mut tar = vec![b'a'; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let utf16: Vec<u8> = std::iter::once(0xfeff_u16)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, bytes, expected) in [
        ("a.tar", tar.clone(), "a tar archive"),
        (
            "a.tgz",
            gzip(&String::from_utf8(tar).unwrap()),
            "a tar archive",
        ),
        ("a.zip", b"PK\x03\x04rest".to_vec(), "a zip archive"),
        ("a.txt", utf16, "UTF-16"),
        (
            "mac.log",
            text.replace('\n', "\r").into_bytes(),
            "lines end with CR",
        ),
    ] {
        let path = write(folder.path(), name, bytes);
        let ran = run(&["replay", &path, "--quota", "1/s"]);
        assert_fails(&ran, 1, expected);
        assert_fails(&ran, 1, name);
    }
}

/// Only the first of the files of a day may name the columns.
#[test]
fn columns_of_an_earlier_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = sample("cloudfront.log");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let first = write(folder.path(), "1.log", first.concat());
    let second = write(folder.path(), "2.log", second.concat());
    let report = replay("6/min burst 4", &[&first, &second]);
    assert_eq!([&report["requests"], &report["refused"]], [400, REFUSED]);
    let args = [
        "replay",
        &first,
        &second,
        "--quota",
        "1/s",
        "--reorder",
        "0",
        "--json",
    ];
    let posts = program::json(&[&args[..], &["--method", "post"]].concat(), b"");
    let expected = requests().iter().filter(|r| r.method == "POST").count();
    assert_eq!(posts["requests"], expected);
}
