//! Several client processes: the test's own program, started again for the same test.
//!
//! ```ignore
//! #[test]
//! fn several() {
//!     if let Some(child) = processes::child("several") {
//!         child.admitted(...);
//!         return;
//!     }
//!     let children = Children::start("several", 4, &[&server.url()]);
//!     let admissions = children.admissions();
//! }
//! ```

use core::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::{env, thread};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

use super::admissions::{self, Admission};
use super::lifeline::end_with_parent;
use super::until::{until, until_within};

const TEST: &str = "TIDEGATE_CHILD_OF";
const FOLDER: &str = "TIDEGATE_CHILD_FOLDER";
const NUMBER: &str = "TIDEGATE_CHILD_NUMBER";
const COUNT: &str = "TIDEGATE_CHILD_COUNT";
const ARGUMENTS: &str = "TIDEGATE_CHILD_ARGUMENTS";

/// This process as one of several that a test started.
#[derive(Debug)]
pub(crate) struct Child {
    /// From 0.
    pub(crate) number: usize,
    pub(crate) count: usize,
    pub(crate) arguments: Vec<String>,
    folder: PathBuf,
    report: File,
}

/// Whether this process was started by that test, which is named as in the list of tests: with the modules that it is in.
pub(crate) fn child(test: &str) -> Option<Child> {
    if env::var(TEST).ok()? != test {
        return None;
    }
    end_with_parent();
    let variable = |name| env::var(name).expect("the parent sets it");
    let folder = PathBuf::from(variable(FOLDER));
    let number = variable(NUMBER).parse().unwrap();
    Some(Child {
        number,
        count: variable(COUNT).parse().unwrap(),
        arguments: variable(ARGUMENTS).lines().map(str::to_owned).collect(),
        report: File::options()
            .create(true)
            .append(true)
            .open(report_of(&folder, number))
            .unwrap(),
        folder,
    })
}

impl Child {
    /// Reports an admission, at once, so that it counts even if this process is killed.
    pub(crate) fn admitted(&self, admission: Admission) {
        self.admitted_all(&[admission]);
    }

    /// Reports many admissions at once: cheaper, but they are lost if this process is killed before.
    pub(crate) fn admitted_all(&self, admissions: &[Admission]) {
        let report = admissions::write(admissions);
        (&self.report).write_all(report.as_bytes()).unwrap();
    }

    /// Tells the parent something else. Only what is told last counts.
    pub(crate) fn tell(&self, what: impl Display) {
        fs::write(note_of(&self.folder, self.number), what.to_string()).unwrap();
    }

    /// Waits until all have come to the point of that name.
    pub(crate) fn meet(&self, point: &str) {
        let here = |number: usize| self.folder.join(format!("{point}.{number}.met"));
        fs::write(here(self.number), "").unwrap();
        until("the others", || {
            (0..self.count)
                .all(|number| here(number).exists())
                .then_some(())
        });
    }

    /// Whether the parent wants the children to come to an end.
    pub(crate) fn should_end(&self) -> bool {
        end_of(&self.folder).exists()
    }
}

/// Processes of a test. Dropping them kills those that still run.
#[derive(Debug)]
pub(crate) struct Children {
    running: Vec<process::Child>,
    killed: Vec<usize>,
    folder: TempDir,
}

impl Children {
    /// Starts so many, which all have the same arguments: one line each.
    pub(crate) fn start(test: &str, count: usize, arguments: &[&str]) -> Self {
        assert!(
            env::var_os(TEST).is_none(),
            "a child has no children: is `child(..)` asked with the same name?"
        );
        assert!(
            arguments.iter().all(|argument| !argument.contains('\n')),
            "{arguments:?}"
        );
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let start = |number: usize| {
            let output = File::create(output_of(folder.path(), number)).unwrap();
            // The pipe stays open as long as this process lives, and ends the child afterwards.
            Command::new(env::current_exe().unwrap())
                .args([
                    test,
                    "--exact",
                    "--nocapture",
                    "--include-ignored",
                    "--test-threads=1",
                ])
                .env(TEST, test)
                .env(FOLDER, folder.path())
                .env(NUMBER, number.to_string())
                .env(COUNT, count.to_string())
                .env(ARGUMENTS, arguments.join("\n"))
                .stdin(Stdio::piped())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap()
        };
        let running = (0..count).map(start).collect();
        Self {
            running,
            killed: Vec::new(),
            folder,
        }
    }

    /// Kills one in the midst of its work. What it reported counts.
    pub(crate) fn kill(&mut self, number: usize) {
        self.running[number].kill().unwrap();
        self.killed.push(number);
    }

    /// Stops one where it is. Returns when it stands.
    pub(crate) fn pause(&self, number: usize) {
        let pid = Pid::from_child(&self.running[number]);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED)
            .unwrap()
            .expect("a status");
        assert!(status.stopped(), "child {number} has ended");
    }

    pub(crate) fn resume(&self, number: usize) {
        kill_process(Pid::from_child(&self.running[number]), Signal::CONT).unwrap();
    }

    /// Lets [`Child::should_end`] be true.
    pub(crate) fn end(&self) {
        fs::write(end_of(self.folder.path()), "").unwrap();
    }

    /// What has been admitted so far, while they run.
    pub(crate) fn admissions_so_far(&self) -> Vec<Admission> {
        let report =
            |number| fs::read_to_string(report_of(self.folder.path(), number)).unwrap_or_default();
        let reports = (0..self.running.len()).map(report);
        reports
            .flat_map(|report| admissions::read(&report))
            .collect()
    }

    /// What one was admitted to do last, so far.
    pub(crate) fn last_admission(&self, number: usize) -> Option<Admission> {
        let report = fs::read_to_string(report_of(self.folder.path(), number)).ok()?;
        let whole = &report[..report.rfind('\n')?];
        Some(whole.lines().next_back()?.parse().unwrap())
    }

    /// Waits until all are done, and fails the test if one of them failed.
    pub(crate) fn finish(&mut self) {
        for number in 0..self.running.len() {
            let process = &mut self.running[number];
            let status = until_within(super::until::PATIENCE, || process.try_wait().unwrap());
            if self.killed.contains(&number) {
                continue;
            }
            let output = fs::read_to_string(output_of(self.folder.path(), number)).unwrap();
            let status = status.unwrap_or_else(|| panic!("child {number} does not end:\n{output}"));
            assert!(
                status.success(),
                "child {number} failed, {status}:\n{output}"
            );
            assert!(
                report_of(self.folder.path(), number).exists(),
                "child {number} had nothing to do: is the test's name the one in the list of tests?\n{output}",
            );
        }
    }

    /// Waits until all are done. What they were admitted to do, together.
    pub(crate) fn admissions(mut self) -> Vec<Admission> {
        self.finish();
        self.admissions_so_far()
    }

    /// What each told last, or nothing.
    pub(crate) fn told(&self) -> Vec<String> {
        let note =
            |number| fs::read_to_string(note_of(self.folder.path(), number)).unwrap_or_default();
        (0..self.running.len()).map(note).collect()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for process in &mut self.running {
            drop(process.kill());
            drop(process.wait());
        }
        if thread::panicking() {
            for number in 0..self.running.len() {
                let output = fs::read_to_string(output_of(self.folder.path(), number));
                eprintln!("child {number} said:\n{}", output.unwrap_or_default());
            }
        }
    }
}

fn report_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.report"))
}

fn note_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.note"))
}

fn output_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.output"))
}

fn end_of(folder: &Path) -> PathBuf {
    folder.join("end")
}
