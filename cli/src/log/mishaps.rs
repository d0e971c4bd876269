//! Lines that cannot be read: the first few are told, all are counted.

use std::io::Write;

use super::progress::Progress;
use crate::failure::Failure;

/// How many are told.
const TOLD: u64 = 5;

/// Counts lines that cannot be read.
#[derive(Debug)]
pub struct Mishaps {
    strict: bool,
    count: u64,
}

impl Mishaps {
    /// None yet. If `strict`, the first one is the end.
    pub const fn new(strict: bool) -> Self {
        Self { strict, count: 0 }
    }

    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Another one.
    ///
    /// # Errors
    ///
    /// If that is the end.
    pub fn add(
        &mut self,
        progress: &Progress,
        file: &str,
        line: u64,
        why: &str,
    ) -> Result<(), Failure> {
        if self.strict {
            return Err(Failure::Problem(format!("{file}:{line}: {why}")));
        }
        self.count += 1;
        if self.count <= TOLD {
            progress.tell(&format!("{file}:{line}: {why}"));
        }
        Ok(())
    }

    /// How many were not told.
    pub fn summary(&self, progress: &Progress) {
        if self.count > TOLD {
            let more = self.count - TOLD;
            progress.tell(&format!("and {more} more that cannot be read"));
        }
    }
}

/// A message on standard error. Whether somebody reads it changes nothing, so a closed one is no failure.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "tidegate: {text}");
}
