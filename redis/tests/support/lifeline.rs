//! Ends child processes together with the test that started them.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::{io, process, thread};

/// Kills a process as soon as this one has ended.
///
/// Destructors run when a test fails, but not when the test itself is killed. This watcher reads
/// from a pipe whose other end only this process holds, so it notices every kind of end.
#[derive(Debug)]
pub(crate) struct Lifeline(Child);

impl Lifeline {
    pub(crate) fn of(child: &Child) -> Self {
        let script = format!("read -r _; kill -KILL {}", child.id());
        let watcher = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`sh` is installed");
        Self(watcher)
    }
}

impl Drop for Lifeline {
    /// Must run before the process is reaped: afterwards its id may belong to another process.
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Ends this worker process when the test that started it ends and so closes the worker's input.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        drop(io::stdin().read(&mut [0]));
        process::exit(1);
    });
}
