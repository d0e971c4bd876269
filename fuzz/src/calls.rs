//! The calls of a run, to be read when it fails.

use std::fmt::Debug;

/// Prints itself when it is dropped by a panic.
#[derive(Debug)]
pub(crate) struct Calls<T: Debug>(Vec<(T, u64, u64)>);

impl<T: Debug> Calls<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn note(&mut self, operation: T, n: u64, now: u64) {
        self.0.push((operation, n, now));
    }
}

impl<T: Debug> Drop for Calls<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (operation, n, now) in &self.0 {
                eprintln!("{operation:?} {n} at {now}");
            }
        }
    }
}
