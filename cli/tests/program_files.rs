//! What the program writes is whole or not there, and a reader that goes is no matter.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, with helpers outside of test functions"
)]

mod program;

use std::io::{Read, Write};
use std::process::Stdio;

use program::{LINE, command, fails, fed, files, run};

#[test]
fn a_reader_that_goes() {
    let text = LINE.repeat(3).replace("10.0.0.1", "10.0.0.2");
    let lots: String = (0..200_000)
        .map(|i| LINE.replace("10.0.0.1", &format!("host{i}")))
        .collect();
    let mut child = command(&["replay", "-", "--quota", "1/s", "--csv", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lots.as_bytes()).unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let mut head = [0; 12];
    out.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"key,requests");
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = command(&["replay", "-", "--quota", "1/s"])
        .stdin(Stdio::piped())
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        told,
        "tidegate: standard output: cannot be written: No space left on device\n"
    );
    let ran = fed(
        &["replay", "-", "--quota", "1/s", "--csv", "/dev/full"],
        LINE.as_bytes(),
    );
    fails(
        &ran,
        1,
        "/dev/full: cannot be written: No space left on device",
    );
}

#[test]
fn files_are_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, svg, html) = (path("keys.csv"), path("time.svg"), path("page.html"));
    let args = [
        "replay", "-", "--quota", "1/s", "--csv", &csv, "--svg", &svg, "--html", &html,
    ];
    // Nothing is written if the log is no good, and what was there stays.
    std::fs::write(&csv, "before").unwrap();
    fails(
        &fed(&[&args[..], &["--strict"]].concat(), b"bad\n"),
        1,
        "input:1: no space",
    );
    assert_eq!(files(folder.path()), ["keys.csv"]);
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "before");
    let ran = fed(&args, LINE.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(files(folder.path()), ["keys.csv", "page.html", "time.svg"]);
    let text = std::fs::read_to_string(&csv).unwrap();
    let head = "key,requests,refused,first_refused,longest_streak,burst_needed\n";
    assert_eq!(text, format!("{head}10.0.0.1,1,0,,0,1\n"));
    // A folder that is not there is told before the log is read: this input has no end.
    let missing = path("none/keys.csv");
    let mut child = command(&["replay", "-", "--quota", "1/s", "--csv", &missing])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    drop(stdin);
    assert!(told.contains("keys.csv: cannot be written: "), "{told}");
    fails(
        &run(&[
            "replay",
            "-",
            "--quota",
            "1/s",
            "--svg",
            folder.path().to_str().unwrap(),
        ]),
        1,
        "cannot be written",
    );
}

#[test]
#[cfg(unix)]
fn a_file_keeps_its_link_and_is_for_all() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (
        folder.path().join("real.csv"),
        folder.path().join("link.csv"),
    );
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let usual = real.metadata().unwrap().permissions().mode();
    let ran = fed(
        &[
            "replay",
            "-",
            "--quota",
            "1/s",
            "--csv",
            link.to_str().unwrap(),
        ],
        LINE.as_bytes(),
    );
    assert_eq!(ran.code, Some(0));
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().starts_with("key,"));
    assert_eq!(real.metadata().unwrap().permissions().mode(), usual);
}
