//! Runs a target over its corpus, without a fuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its folder under `corpus/`.
    pub name: &'static str,
    /// Panics if the crate and its oracle disagree on the input.
    pub check: fn(&[u8]),
}

/// Runs `target` over its corpus. Returns the number of inputs.
///
/// # Panics
///
/// Panics if the target does, after printing the input's name, or if the corpus is unreadable.
pub fn corpus(target: &Target) -> usize {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "corpus", target.name]
        .iter()
        .collect();
    let entries = std::fs::read_dir(&folder).expect("the corpus folder exists");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the corpus folder is readable").path())
        .collect();
    paths.sort();
    for path in &paths {
        input(target, path);
    }
    paths.len()
}

fn input(target: &Target, path: &Path) {
    let input = std::fs::read(path).expect("the input is readable");
    if let Err(failure) = catch_unwind(AssertUnwindSafe(|| (target.check)(&input))) {
        eprintln!("{}: failed on {}", target.name, path.display());
        resume_unwind(failure);
    }
}

/// Runs the files in the program's arguments, or else the corpus, for a binary without a fuzzer.
pub fn main(target: &Target) {
    let mut inputs = 0;
    for path in std::env::args_os().skip(1) {
        input(target, path.as_ref());
        inputs += 1;
    }
    if inputs == 0 {
        inputs = corpus(target);
    }
    println!("{}: {inputs} inputs", target.name);
}
