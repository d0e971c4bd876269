//! The example `cluster_gateway` as its users meet it: processes that share limits on a server, which stalls and is killed.
//!
//! It needs `redis-server` or `valkey-server` in PATH. Cargo builds examples before it runs integration tests, unless it is told to run only some of them.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

/// `target/<profile>/examples/cluster_gateway`, seen from `target/<profile>/deps/<this test>`.
fn gateway(arguments: &[&str]) -> Command {
    let this_test = env::current_exe().unwrap();
    let profile = this_test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("cluster_gateway{}", env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is not built: run `cargo build -p tidegate-redis --example cluster_gateway` with the same profile first",
        program.display(),
    );
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs it until it ends, which the demo does in less than a minute whatever happens.
fn run(arguments: &[&str]) -> Ended {
    Ended::new(&gateway(arguments).output().unwrap())
}

#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
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
fn the_demo_proves_its_limits() {
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

    // The rows of the gateways add up to that of all, and what was offered was answered.
    let table = || out.lines().skip_while(|line| !line.starts_with("gateway "));
    let row = |name: &str| {
        let row = table().find(|line| line.starts_with(&format!("{name} ")));
        let cells = row.expect(out).split_whitespace().skip(1);
        let numbers: Vec<u64> = cells.map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(numbers[0], numbers[1] + numbers[2] + numbers[3], "{out}");
        numbers
    };
    // Offered, admitted, refused, unavailable, by shares, and calls that waited in vain.
    let (all, rows) = (row("all"), ["1", "2", "3"].map(row));
    for column in [0, 1, 2, 3, 4, 7] {
        let sum: u64 = rows.iter().map(|row| row[column]).sum();
        assert_eq!(sum, all[column], "{out}");
    }
    assert!(
        all[1] > 0 && all[4] > 0,
        "some by the server, some without: {out}"
    );
    assert!(last.contains(&format!("admitted {} of", all[1])), "{out}");
    // It fits a terminal of 80 columns.
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn a_bad_option_is_told_and_fails() {
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
        let ended = run(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains(message), "{arguments:?} {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
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
fn a_missing_server_is_told() {
    let mut demo = gateway(&["--demo"]);
    let ended = demo.env("PATH", "/no/such/folder").output().unwrap();
    let ended = Ended::new(&ended);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("apt install redis-server"),
        "{ended:?}"
    );
}

#[test]
fn an_address_that_is_none_is_told() {
    let ended = run(&["serve", "--redis", "nowhere"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--redis `nowhere`: "), "{ended:?}");
}

/// Whatever is started is stopped, also when the demo is interrupted.
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
    // It says first that everything runs.
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1, "those of the server");
    let kill = format!("kill -INT {}", demo.id());
    let killed = Command::new("sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());

    // The pipe ends when the last process that has it does, so gateways have ended too.
    let ended = Ended::new(&demo.wait_with_output().unwrap());
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:?}");
    assert_eq!(files(), 0, "the server's files are gone");
}
