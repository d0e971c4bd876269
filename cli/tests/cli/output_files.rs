//! Output files are written whole or not at all, and a closed output is not an error.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use crate::program::{LINE, assert_fails, command, files, run, run_with_input};

/// Starts the program with pipes.
fn spawn(args: &[&str], stdout: Stdio) -> Child {
    let mut command = command(args);
    command
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn closed_output_ends_the_program_quietly() {
    let lines: String = (0..200_000)
        .map(|i| {
            LINE.replace(
                "10.0.0.1",
                &format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255),
            )
        })
        .collect();
    let args = ["replay", "-", "--quota", "1/s", "--csv", "-"];
    let mut child = spawn(&args, Stdio::piped());
    let mut out = child.stdout.take().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
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
fn full_disk() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = spawn(&["replay", "-", "--quota", "1/s"], full.into());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = "tidegate: standard output: cannot be written: No space left on device\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), message);
    let args = ["replay", "-", "--quota", "1/s", "--csv", "/dev/full"];
    let ran = run_with_input(&args, LINE.as_bytes());
    let message = "/dev/full: cannot be written: No space left on device";
    assert_fails(&ran, 1, message);
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, svg, html) = (path("keys.csv"), path("time.svg"), path("page.html"));
    let args = [
        "replay", "-", "--quota", "1/s", "--csv", &csv, "--svg", &svg, "--html", &html,
    ];
    // If the log is unreadable, nothing is written and an existing file stays.
    std::fs::write(&csv, "before").unwrap();
    let ran = run_with_input(&[&args[..], &["--strict"]].concat(), b"bad\n");
    assert_fails(&ran, 1, "input:1: no time in brackets");
    assert_eq!(files(folder.path()), ["keys.csv"]);
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "before");
    let ran = run_with_input(&args, LINE.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(files(folder.path()), ["keys.csv", "page.html", "time.svg"]);
    let text = std::fs::read_to_string(&csv).unwrap();
    let header = "key,requests,refused,first_refused,longest_streak,required_burst\n";
    assert_eq!(text, format!("{header}10.0.0.1,1,0,,0,1\n"));
    let folder = folder.path().to_str().unwrap();
    let ran = run(&["replay", "-", "--quota", "1/s", "--svg", folder]);
    assert_fails(&ran, 1, "cannot be written");
}

#[test]
fn missing_folder_is_reported_before_the_log_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none/keys.csv");
    let missing = missing.to_str().unwrap();
    let args = ["replay", "-", "--quota", "1/s", "--csv", missing];
    let mut child = spawn(&args, Stdio::null());
    // The input stays open: the program does not read it to its end.
    let stdin = child.stdin.take();
    let mut message = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut message)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    drop(stdin);
    assert!(
        message.contains("keys.csv: cannot be written: "),
        "{message}"
    );
}

#[test]
#[cfg(unix)]
fn links_and_permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (
        folder.path().join("real.csv"),
        folder.path().join("link.csv"),
    );
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mode = || real.metadata().unwrap().permissions().mode();
    let before = mode();
    let path = link.to_str().unwrap();
    let args = ["replay", "-", "--quota", "1/s", "--csv", path];
    assert_eq!(run_with_input(&args, LINE.as_bytes()).code, Some(0));
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().starts_with("key,"));
    assert_eq!(mode(), before);
}

/// The log stays, whatever name it is given by.
#[test]
fn outputs_replace_no_log_and_no_other_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, other) = (path("access.log"), path("./access.log"));
    std::fs::write(&log, LINE).unwrap();
    let hard = path("hard.log");
    std::fs::hard_link(&log, &hard).unwrap();
    let (new, again) = (path("new.csv"), path("./new.csv"));
    let base = ["replay", &log, "--quota", "1/s"];
    for (args, message) in [
        (&["--csv", &log][..], "is one of the logs"),
        (&["--svg", &other], "is one of the logs"),
        (&["--html", &new, "--csv", &again], "is the same file as"),
        #[cfg(unix)]
        (&["--csv", &hard], "is one of the logs"),
    ] {
        assert_fails(&run(&[&base[..], args].concat()), 2, message);
    }
    assert_fails(
        &run(&["suggest", &log, "--svg", &log]),
        2,
        "is one of the logs",
    );
    let whole = path("");
    let ran = run(&["replay", &whole, "--quota", "1/s", "--csv", &log]);
    assert_fails(&ran, 2, "is one of the logs");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), LINE);
    assert_eq!(files(folder.path()), ["access.log", "hard.log"]);
}

/// A log may be hostile to the terminal that shows what is wrong with it.
#[test]
fn messages_escape_what_they_quote() {
    let object = "{\"ts\": 1431857103, \"a\\u001b]0;x\\u0007\": 1, \
                  \"remote_addr\": \"\\u001b[31mred\\u009b\"}\n";
    let ran = run_with_input(&["replay", "-", "--quota", "1/s"], object.as_bytes());
    assert_fails(&ran, 1, "\\u{1b}[31mred\\u{9b}");
    assert!(ran.err.contains("a\\u{1b}]0;x\\u{7}"), "{}", ran.err);
    let is_hidden = |letter: char| letter.is_control() && letter != '\n';
    assert!(!ran.err.contains(is_hidden), "{:?}", ran.err);
}
