//! Runs the example `cluster_gateway`: processes that share limits on a server that stalls and is
//! killed.
//!
//! Needs `redis-server` or `valkey-server` in `PATH`. Cargo builds the example before this test,
//! unless it runs only selected tests.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

/// Runs `target/<profile>/examples/cluster_gateway`; this test is in `target/<profile>/deps`.
fn gateway(arguments: &[&str]) -> Command {
    let this_test = env::current_exe().unwrap();
    let profile = this_test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("cluster_gateway{}", env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build -p tidegate-redis --example cluster_gateway` first",
        program.display(),
    );
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs the example until it ends. The demo takes less than a minute.
fn run(arguments: &[&str]) -> Exit {
    Exit::new(&gateway(arguments).output().unwrap())
}

#[derive(Debug)]
struct Exit {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Exit {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

#[test]
fn demo_reports_that_limits_were_kept() {
    let demo = run(&["--demo", "--seconds", "2"]);
    assert!(demo.status == Some(0), "{demo:?}");

    let out = &demo.stdout;
    let verdicts: Vec<_> = out
        .lines()
        .filter(|line| line.contains(" of at most "))
        .collect();
    assert_eq!(verdicts.len(), 3, "{out}");
    for line in verdicts {
        assert!(line.ends_with(": within the bound"), "{out}");
    }
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("all requests "), "{out}");

    // The gateways' rows add up to the total, and every offered request was answered.
    let table = || out.lines().skip_while(|line| !line.starts_with("gateway "));
    let row = |name: &str| {
        let row = table().find(|line| line.starts_with(&format!("{name} ")));
        let cells = row.expect(out).split_whitespace().skip(1);
        let numbers: Vec<u64> = cells.map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(numbers[0], numbers[1] + numbers[2] + numbers[3], "{out}");
        numbers
    };
    // Offered, admitted, refused, unavailable, admitted by local shares, and timeouts.
    let (all, rows) = (row("all"), ["1", "2", "3"].map(row));
    for column in [0, 1, 2, 3, 4, 7] {
        let sum: u64 = rows.iter().map(|row| row[column]).sum();
        assert_eq!(sum, all[column], "{out}");
    }
    assert!(
        all[1] > 0 && all[4] > 0,
        "admissions with and without the server: {out}"
    );
    assert!(last.contains(&format!("admitted {} of", all[1])), "{out}");
    // The report fits a terminal of 80 columns.
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn invalid_option_fails_with_a_message() {
    let cases: [(&[&str], &str); 7] = [
        (&[], "say `--demo`, or `serve`"),
        (&["--fast"], "unknown option `--fast`"),
        (
            &["--demo", "--seconds", "1"],
            "must be a number from 2 to 600",
        ),
        (
            &["--demo", "--user", "5/fortnight"],
            "--user `5/fortnight`: ",
        ),
        (&["--demo=yes"], "--demo takes no value"),
        (&["serve"], "serve needs --redis URL"),
        (&["serve", "--redis"], "--redis needs a value"),
    ];
    for (arguments, message) in cases {
        let exit = run(arguments);
        assert_eq!(exit.status, Some(2), "{arguments:?} {exit:?}");
        assert!(exit.stderr.contains(message), "{arguments:?} {exit:?}");
        assert_eq!(exit.stdout, "", "{arguments:?}");
    }
    let help = run(&["--help"]);
    assert!(help.status == Some(0), "{help:?}");
    for option in [
        "demo", "redis", "seconds", "offer", "port", "prefix", "help", "global", "user",
    ] {
        assert!(help.stdout.contains(&format!("  --{option} ")), "{option}");
    }
}

#[test]
fn missing_server_fails_with_a_hint() {
    let mut demo = gateway(&["--demo"]);
    let exit = demo.env("PATH", "/no/such/folder").output().unwrap();
    let exit = Exit::new(&exit);
    assert_eq!(exit.status, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("apt install redis-server"), "{exit:?}");
}

#[test]
fn invalid_address_fails_with_a_message() {
    let exit = run(&["serve", "--redis", "nowhere"]);
    assert_eq!(exit.status, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("--redis `nowhere`: "), "{exit:?}");
}

/// An interrupted demo stops every process that it started.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = gateway(&["--demo", "--seconds", "60"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line appears when everything runs.
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1, "the server's folder");
    let kill = format!("kill -INT {}", demo.id());
    let killed = Command::new("sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());

    // The pipe ends with the last process that holds it, so the gateways have ended too.
    let exit = Exit::new(&demo.wait_with_output().unwrap());
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(exit.status, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("interrupted"), "{exit:?}");
    assert_eq!(files(), 0, "the server's folder is removed");
}
