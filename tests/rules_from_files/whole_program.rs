//! The example `rules` as a program that is started, reloaded and stopped.

use std::fs;
use std::process::Command;

use crate::program::{PATIENCE, Program};

#[test]
fn the_demo_checks_itself() {
    let demo = Program::start("rules", &["--demo"]).finish();
    assert!(demo.status.success(), "{demo:?}");
    for line in [
        "searches, 100 in any hour                         100",
        "unknown unit of time",
        "searches with 150 in any hour                      50",
        "wrong log-ins that were checked, of 18 at once      5",
        "Each limit admitted what its file said.",
    ] {
        assert!(demo.stdout.contains(line), "{line}: {}", demo.stdout);
    }
    let mut lines = demo.stdout.lines();
    assert!(lines.all(|line| line.len() <= 80), "{}", demo.stdout);
}

#[test]
fn a_hangup_reloads_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "limits = [{ name = 'all', rate = '1/h' }]").unwrap();
    let program = Program::start("rules", &[path, "--addr", "127.0.0.1:0"]);
    let next = || program.stdout.recv_timeout(PATIENCE).unwrap();
    assert!(next().starts_with("listening on http://127.0.0.1:"));
    let hang_up = || {
        let id = program.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &id])
                .status()
                .unwrap()
                .success()
        );
    };
    hang_up();
    assert_eq!(next(), format!("reloaded {path}"));
    fs::write(
        &file,
        "limits = [{ name = 'all', rate = '1/h', key = 'user' }]",
    )
    .unwrap();
    hang_up();
    let why = "limit `all`: there is no key `user`; there are none";
    assert_eq!(next(), format!("not reloaded: {path}: {why}"));
    fs::remove_file(&file).unwrap();
    hang_up();
    let line = next();
    assert!(
        line.starts_with(&format!("not reloaded: {path}: ")),
        "{line}"
    );
}

#[test]
fn wrong_arguments_and_files_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&[], "usage: rules"),
        (&["--fast"], "usage: rules"),
        (&[path, "--addr"], "usage: rules"),
        (&["no-such-file"], "no-such-file: "),
        (&[path], "missing field `limits`"),
    ];
    for (arguments, message) in cases {
        let rules = Program::start("rules", arguments).finish();
        assert_eq!(rules.status.code(), Some(1), "{arguments:?} {rules:?}");
        assert!(rules.stderr.contains(message), "{arguments:?} {rules:?}");
    }
}
