//! Runs an example as a program.
//!
//! Cargo builds the examples before it runs all integration tests, but not before single ones.

use core::time::Duration;
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

/// Ends a test that hangs. Nothing else depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running example. Dropping it stops it.
pub(crate) struct Program {
    pub(crate) process: Child,
    pub(crate) stdout: Receiver<String>,
    pub(crate) stderr: Receiver<String>,
}

impl Program {
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let program = path(example);
        assert!(
            program.is_file(),
            "{} is missing: run `cargo build --example {example}` with this profile and features",
            program.display(),
        );
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(process.stdout.take().unwrap());
        let stderr = lines(process.stderr.take().unwrap());
        Self {
            process,
            stdout,
            stderr,
        }
    }

    /// Waits until the program ends on its own.
    pub(crate) fn finish(mut self) -> Finished {
        let stdout = rest(&self.stdout);
        let stderr = rest(&self.stderr);
        Finished {
            status: self.process.wait().unwrap(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the program has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Finds `target/<profile>/examples/<example>` from `target/<profile>/deps/<this test>`.
fn path(example: &str) -> PathBuf {
    let this_test = env::current_exe().unwrap();
    let profile = this_test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("{example}{}", env::consts::EXE_SUFFIX);
    profile.join("examples").join(name)
}

/// Reads lines on a thread, so that the receiver can wait for them with a timeout.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            // The test may have ended while the program still writes.
            let _ = sender.send(line.unwrap());
        }
    });
    receiver
}

fn rest(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => text = text + &line + "\n",
            Err(error) => {
                assert_eq!(
                    error,
                    RecvTimeoutError::Disconnected,
                    "hangs after:\n{text}"
                );
                return text;
            }
        }
    }
}
