//! Rules of this repository that the compiler does not check.

extern crate alloc;

mod imports;
mod packages;
mod prose;

use std::fs;
use std::path::{Path, PathBuf};

use tidegate::{ManualClock, Quota, SlidingWindow, TokenBucket};

/// Returns the files below `folder` that have one of the extensions, without build output.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                found.extend(files(&path, extensions));
            }
        } else if extensions
            .iter()
            .any(|extension| path.extension().is_some_and(|it| it == *extension))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Fails with each breach on a line of its own.
fn report(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} found:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Only `sync.rs` may name where atomics come from, or models would not see them.
#[test]
fn atomics_come_from_the_facade() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&source, &["rs"]);
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        if file.ends_with("sync.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        for name in ["sync::atomic", "portable_atomic", "loom::"] {
            let used = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(name));
            assert!(!used, "{} names {name}", file.display());
        }
    }
}

#[test]
fn limiters_go_everywhere() {
    const fn everywhere<T: Send + Sync + Unpin + 'static>() {}
    everywhere::<TokenBucket>();
    everywhere::<TokenBucket<ManualClock>>();
    everywhere::<SlidingWindow>();
    everywhere::<SlidingWindow<ManualClock>>();
}

/// The sizes that the docs state, on the platform they are measured on.
#[test]
#[cfg(target_arch = "x86_64")]
fn sizes() {
    assert_eq!(size_of::<Quota>(), 24);
    assert_eq!(size_of::<Result<(), tidegate::Denied>>(), 16);
    assert_eq!(size_of::<TokenBucket>(), 128);
    assert!(
        size_of::<SlidingWindow>() <= 256,
        "{}",
        size_of::<SlidingWindow>()
    );
}
