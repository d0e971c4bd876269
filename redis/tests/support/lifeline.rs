//! Processes that must not outlive a test, however it ends.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::{io, process, thread};

/// Kills a process as soon as this one is gone.
///
/// Destructors do that in a test that fails, but not in one that is killed. The watcher reads from a pipe whose other end only this
/// process has, so it learns of every end.
#[derive(Debug)]
pub(crate) struct Lifeline(Child);

impl Lifeline {
    pub(crate) fn of(child: &Child) -> Self {
        let watcher = Command::new("sh")
            .args([
                "-c",
                "read -r _; kill -KILL \"$1\"",
                "lifeline",
                &child.id().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`sh` is there");
        Self(watcher)
    }
}

impl Drop for Lifeline {
    /// Must come before the process is reaped, for its number may be another's afterwards.
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// In a process that a test started with a pipe as its input: ends it when the test is gone.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        drop(io::stdin().read(&mut [0]));
        process::exit(1);
    });
}
