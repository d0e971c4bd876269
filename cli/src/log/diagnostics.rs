//! Reports unreadable lines: prints the first few and counts all.

use super::progress::Progress;
use crate::failure::Failure;

/// How many unreadable lines are printed.
const MAX_PRINTED: u64 = 5;

/// Counts unreadable lines.
#[derive(Debug)]
pub struct Diagnostics {
    strict: bool,
    count: u64,
}

impl Diagnostics {
    /// Starts with none. If `strict`, the first unreadable line is an error.
    pub const fn new(strict: bool) -> Self {
        Self { strict, count: 0 }
    }

    /// The number of unreadable lines.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds an unreadable line.
    ///
    /// # Errors
    ///
    /// With `strict`, an error that names the line.
    pub fn add(
        &mut self,
        progress: &Progress,
        file: &str,
        line: u64,
        reason: &str,
    ) -> Result<(), Failure> {
        let message = format!("{file}:{line}: {reason}");
        if self.strict {
            return Err(Failure::Problem(message));
        }
        self.count += 1;
        if self.count <= MAX_PRINTED {
            progress.print(&message);
        }
        Ok(())
    }

    /// Prints how many lines were not printed.
    pub fn print_summary(&self, progress: &Progress) {
        if self.count > MAX_PRINTED {
            let more = self.count - MAX_PRINTED;
            progress.print(&format!("{more} more unreadable lines"));
        }
    }
}
