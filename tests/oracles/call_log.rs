//! Prints the calls of a run that fails.

use core::fmt::Debug;

/// The calls of a run. Prints them when a panic drops it.
#[derive(Debug)]
pub(crate) struct CallLog<T: Debug>(Vec<(T, u64, u64)>);

impl<T: Debug> CallLog<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, operation: T, n: u64, now: u64) {
        self.0.push((operation, n, now));
    }
}

impl<T: Debug> Drop for CallLog<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (operation, n, now) in &self.0 {
                eprintln!("{operation:?} {n} at {now}");
            }
        }
    }
}
