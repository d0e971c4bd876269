//! A limit holds across restarts of a real process that is killed under load.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test of processes needs std"
)]

#[path = "program/mod.rs"]
mod program;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::SystemTime;

use program::{PATIENCE, Program};
use tidegate::{BucketLevel, Quota, Saved, TokenBucket, UnixTime};

/// The quota of the example.
const QUOTA: Quota = Quota::per_second(10).burst(1_000);

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("tidegate-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the worker until it has sent `requests`, kills it, and returns how many it sent.
fn live(state: &str, requests: u64) -> u64 {
    let mut worker = Program::start("restart", &["--worker", state]);
    let mut sent = 0;
    loop {
        match worker.stdout.recv_timeout(PATIENCE) {
            Ok(line) => {
                assert_eq!(line, "request");
                sent += 1;
                if sent == requests {
                    // SIGKILL, in the middle of a save or of a request.
                    worker.process.kill().unwrap();
                }
            }
            // All that the pipe held was read.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("hangs after {sent} requests"),
        }
    }
    let errors: Vec<String> = worker.stderr.iter().collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(sent >= requests, "ended by itself after {sent}");
    sent
}

/// At most the capacity and what flowed in by the wall clock, in all lives together. Without a
/// restore it would be the capacity in each life.
#[test]
fn killed_workers_keep_to_one_quota() {
    let folder = Folder::new("killed");
    let path = folder.0.join("state.json");
    let state = path.to_str().unwrap();
    let start = SystemTime::now();
    let (mut total, mut lives) = (0, 0);
    // A life starts with what is left. The worker sends the rest of the burst while the test reads,
    // and each of the last lives only what flows in.
    for requests in [200, 1, 1, 2, 3, 1] {
        total += live(state, requests);
        lives += 1;
        let passed = SystemTime::now().duration_since(start);
        let passed = passed.expect("the wall clock was not set back");
        let most = 1_000 + (passed.as_nanos() * 10).div_ceil(1_000_000_000);
        assert!(u128::from(total) <= most, "{total} of {most} in {lives}");
    }

    // The save of the last life is whole, and not newer than the present.
    let saved = fs::read_to_string(&path).unwrap();
    let saved: Saved<BucketLevel> = serde_json::from_str(&saved).unwrap();
    assert!(saved.at() <= UnixTime::now());
    let bucket = TokenBucket::restore(&saved, TokenBucket::new(QUOTA)).unwrap();
    assert!(bucket.available() <= 1_000);
}

/// Time while no process ran flows in, at most to full.
#[test]
fn time_without_a_process_flows_in() {
    let folder = Folder::new("idle");
    let path = folder.0.join("state.json");
    let now = UnixTime::now();
    let hour = 3_600 * 1_000_000_000;
    let bucket = TokenBucket::new(QUOTA);
    bucket.debit(1_500);
    let an_hour_ago = UnixTime::from_nanos(now.as_nanos() - hour);
    let saved = bucket.save_at(tidegate::Clock::now(bucket.clock()), an_hour_ago);
    fs::write(&path, serde_json::to_string(&saved).unwrap()).unwrap();
    let sent = live(path.to_str().unwrap(), 900);
    assert!(sent >= 900, "36 000 tokens have flowed in");
}

#[test]
fn example_keeps_its_promise() {
    let program = Program::start("restart", &[]).finish();
    assert!(program.status.success(), "{program:?}");
    assert!(program.stdout.contains("requests in all"), "{program:?}");
    assert_eq!(program.stderr, "");
}
