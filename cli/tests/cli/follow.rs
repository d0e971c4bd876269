//! A log is followed until Ctrl-C or a request to terminate, which ends with the report.

#![cfg(unix)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::program::{LINE, assert_fails, command, run};

/// Ends the program if a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(seconds: std::ops::Range<u32>) -> String {
    seconds
        .map(|second| LINE.replace(":03 ", &format!(":{second:02} ")))
        .collect()
}

#[test]
fn counts_what_is_written_meanwhile() {
    for signal in ["-INT", "-TERM"] {
        counts_until(signal);
    }
}

fn counts_until(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    fs::write(&path, lines(0..10)).unwrap();
    let args = [
        "replay",
        path.to_str().unwrap(),
        "--quota",
        "1/h burst 12",
        "--follow",
    ];
    let mut command = command(&args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut errors = BufReader::new(running.0.stderr.take().unwrap());
    // The counts of the first requests show that the log is being followed.
    let mut first = String::new();
    errors.read_line(&mut first).unwrap();
    assert!(first.contains("would have noticed"), "{first}");
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(lines(10..20).as_bytes()).unwrap();
    let pid = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut report = String::new();
    let mut out = running.0.stdout.take().unwrap();
    out.read_to_string(&mut report).unwrap();
    let status = running.0.wait().unwrap();
    assert!(status.success(), "{status}");
    // The sentence before it may be wrapped, and a line of it may begin in the same way.
    let number = |line: &str| line.strip_prefix("requests")?.trim().parse::<u32>().ok();
    let read = report.lines().find_map(number).expect(&report);
    assert_eq!(read, 20, "{report}");
    assert!(report.contains("8 refused"), "{report}");
}

#[test]
fn one_log_is_followed() {
    let ran = run(&["replay", "a.log", "b.log", "--quota", "1/s", "--follow"]);
    assert_fails(&ran, 2, "--follow reads one log");
}
