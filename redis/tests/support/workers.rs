//! Worker processes: the test's own program, started again for the same test.
//!
//! ```ignore
//! #[test]
//! fn workers_share_a_limit() {
//!     if let Some(worker) = workers::this_worker("workers_share_a_limit") {
//!         worker.report(...);
//!         return;
//!     }
//!     let workers = Workers::start("workers_share_a_limit", 4, &[&server.url()]);
//!     let admissions = workers.finish();
//! }
//! ```

use core::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use tempfile::TempDir;

use super::admission::{Admission, now_ns, read_report, write_report};
use super::lifeline::end_with_parent;
use super::server::{pause_process, resume_process};
use super::wait::until;

const TEST: &str = "TIDEGATE_WORKER_OF";
const FOLDER: &str = "TIDEGATE_WORKER_FOLDER";
const NUMBER: &str = "TIDEGATE_WORKER_NUMBER";
const COUNT: &str = "TIDEGATE_WORKER_COUNT";
const ARGUMENTS: &str = "TIDEGATE_WORKER_ARGUMENTS";

/// This process, when it is one of several workers that a test started.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Counts from 0.
    pub(crate) number: usize,
    pub(crate) count: usize,
    pub(crate) arguments: Vec<String>,
    folder: PathBuf,
    report: File,
}

/// Returns the worker if that test started this process.
///
/// The test's name includes its modules, as in the list of tests.
pub(crate) fn this_worker(test: &str) -> Option<Worker> {
    if env::var(TEST).ok()? != test {
        return None;
    }
    end_with_parent();
    let variable = |name| env::var(name).expect("the parent sets it");
    let folder = PathBuf::from(variable(FOLDER));
    let number = variable(NUMBER).parse().unwrap();
    let mut append = File::options();
    append.create(true).append(true);
    Some(Worker {
        number,
        count: variable(COUNT).parse().unwrap(),
        arguments: variable(ARGUMENTS).lines().map(str::to_owned).collect(),
        report: append.open(file_of(&folder, number, "report")).unwrap(),
        folder,
    })
}

impl Worker {
    /// Reports an admission at once, so that it counts even if this process is killed.
    pub(crate) fn report(&self, admission: Admission) {
        let report = write_report(&[admission]);
        (&self.report).write_all(report.as_bytes()).unwrap();
    }

    /// Leaves a note for the parent. A later note replaces it.
    pub(crate) fn note(&self, text: impl Display) {
        let file = file_of(&self.folder, self.number, "note");
        fs::write(file, text.to_string()).unwrap();
    }

    /// Waits until all workers are ready.
    pub(crate) fn wait_for_others(&self) {
        let ready = |number: usize| file_of(&self.folder, number, "ready");
        fs::write(ready(self.number), "").unwrap();
        until("the other workers", || {
            (0..self.count).all(|number| ready(number).exists())
        });
    }

    /// Whether the parent has called [`Workers::stop`].
    pub(crate) fn should_stop(&self) -> bool {
        self.folder.join("stop").exists()
    }
}

/// The worker processes of a test. Dropping them kills those that still run.
#[derive(Debug)]
pub(crate) struct Workers {
    running: Vec<Child>,
    killed: Vec<usize>,
    folder: TempDir,
}

impl Workers {
    /// Starts workers that all have the same arguments, of one line each.
    pub(crate) fn start(test: &str, count: usize, arguments: &[&str]) -> Self {
        let nested = env::var_os(TEST).is_some();
        assert!(
            !nested,
            "a worker starts workers: does `this_worker` have the same name?"
        );
        let arguments = arguments.join("\n");
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let start = |number: usize| {
            let output = File::create(file_of(folder.path(), number, "output")).unwrap();
            // The input pipe stays open while this process lives; its end stops the worker.
            Command::new(env::current_exe().unwrap())
                .args([test, "--exact", "--nocapture", "--include-ignored"])
                .arg("--test-threads=1")
                .env(TEST, test)
                .env(FOLDER, folder.path())
                .env(NUMBER, number.to_string())
                .env(COUNT, count.to_string())
                .env(ARGUMENTS, &arguments)
                .stdin(Stdio::piped())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap()
        };
        Self {
            running: (0..count).map(start).collect(),
            killed: Vec::new(),
            folder,
        }
    }

    /// Kills one worker in the midst of its work. What it has reported counts.
    pub(crate) fn kill(&mut self, number: usize) {
        self.running[number].kill().unwrap();
        self.killed.push(number);
    }

    pub(crate) fn pause(&self, number: usize) {
        pause_process(&self.running[number]);
    }

    pub(crate) fn resume(&self, number: usize) {
        resume_process(&self.running[number]);
    }

    /// Waits until each worker that still runs has a new admission.
    pub(crate) fn wait_for_progress(&self) {
        let from = now_ns();
        let alive = (0..self.running.len()).filter(|number| !self.killed.contains(number));
        for number in alive {
            until("an admission in each worker", || {
                let last = read_report(&self.read(number, "report")).pop();
                last.is_some_and(|last| last.start_ns >= from)
            });
        }
    }

    /// What the workers have reported so far.
    pub(crate) fn admissions(&self) -> Vec<Admission> {
        let reports = (0..self.running.len()).map(|number| self.read(number, "report"));
        reports.flat_map(|report| read_report(&report)).collect()
    }

    /// The last note of each worker; empty if it left none.
    pub(crate) fn notes(&self) -> Vec<String> {
        let notes = (0..self.running.len()).map(|number| self.read(number, "note"));
        notes.collect()
    }

    /// Makes [`Worker::should_stop`] true.
    pub(crate) fn stop(&self) {
        fs::write(self.folder.path().join("stop"), "").unwrap();
    }

    /// Waits until all workers have ended, and returns what they reported.
    ///
    /// Fails the test if a worker failed that the test has not killed.
    pub(crate) fn finish(&mut self) -> Vec<Admission> {
        for number in 0..self.running.len() {
            let process = &mut self.running[number];
            let status = until("the end of each worker", || process.try_wait().unwrap());
            if self.killed.contains(&number) {
                continue;
            }
            assert!(status.success(), "worker {number} failed, {status}");
            assert!(
                file_of(self.folder.path(), number, "report").exists(),
                "worker {number} had nothing to do: is the test's name complete?"
            );
        }
        self.admissions()
    }

    fn read(&self, number: usize, kind: &str) -> String {
        fs::read_to_string(file_of(self.folder.path(), number, kind)).unwrap_or_default()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for process in &mut self.running {
            drop(process.kill());
            drop(process.wait());
        }
        if thread::panicking() {
            for number in 0..self.running.len() {
                eprintln!("worker {number} said:\n{}", self.read(number, "output"));
            }
        }
    }
}

fn file_of(folder: &Path, number: usize, kind: &str) -> PathBuf {
    folder.join(format!("{number}.{kind}"))
}
