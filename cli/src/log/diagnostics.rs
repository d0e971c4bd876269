//! Shows progress and unreadable lines on standard error while a log is read.

use std::io::{self, IsTerminal, Read};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::follow::Stop;
use crate::failure::Failure;
use crate::output::stdio::{caution, warn};

/// How many unreadable lines are printed. All are counted.
const MAX_PRINTED: u64 = 5;
/// Lines between two updates: frequent enough to be smooth, rare enough to cost nothing.
const LINES_PER_UPDATE: u64 = 1 << 15;

/// Counts lines and shows progress.
#[derive(Debug)]
pub struct Diagnostics {
    /// Hidden unless standard error is a terminal. It removes itself, also after an error.
    bar: ProgressBar,
    strict: bool,
    lines: u64,
    unreadable: u64,
    follow: Option<Stop>,
}

impl Diagnostics {
    /// Begins to read `size` bytes. Without a size, the bar has no end. If `strict`, the first
    /// unreadable line is an error.
    pub fn new(size: Option<u64>, quiet: bool, strict: bool) -> Self {
        let template = match size {
            Some(_) => "{wide_bar} {bytes}/{total_bytes} {msg} {eta} left",
            None => "{spinner} {bytes} {msg}",
        };
        let target = if quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(5)
        };
        let mut bar = ProgressBar::with_draw_target(size, target);
        bar = bar.with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            strict,
            lines: 0,
            unreadable: 0,
            follow: None,
        }
    }

    /// Waits at the end of files until asked to stop.
    #[must_use]
    pub fn following(mut self, stop: Stop) -> Self {
        self.follow = Some(stop);
        self
    }

    /// When to stop at the end of a file; `None` to end there.
    pub const fn follow(&self) -> Option<&Stop> {
        self.follow.as_ref()
    }

    /// Counts the bytes that are read from `reader`.
    pub fn count_bytes<R: Read>(&self, reader: R) -> impl Read + use<R> {
        self.bar.wrap_read(reader)
    }

    /// Counts a line.
    #[inline]
    pub fn count_line(&mut self) {
        self.lines += 1;
        if self.lines.is_multiple_of(LINES_PER_UPDATE) && !self.bar.is_hidden() {
            let millis = self.bar.elapsed().as_millis().max(1);
            let rate = u128::from(self.lines) * 1_000 / millis;
            let rate = HumanCount(u64::try_from(rate).unwrap_or(u64::MAX));
            self.bar.set_message(format!("{rate} lines/s"));
        }
    }

    /// Counts an unreadable line.
    ///
    /// # Errors
    ///
    /// With `strict`, an error that names the line.
    pub fn add_unreadable(&mut self, file: &str, line: u64, reason: &str) -> Result<(), Failure> {
        let message = format!("{file}:{line}: {reason}");
        if self.strict {
            return Err(Failure::Problem(message));
        }
        self.unreadable += 1;
        if self.unreadable <= MAX_PRINTED {
            self.bar.suspend(|| warn(&message));
        }
        Ok(())
    }

    /// Reports a file that cannot be read further.
    ///
    /// # Errors
    ///
    /// With `strict`, an error with the problem.
    pub fn add_damaged(&self, problem: &str) -> Result<(), Failure> {
        if self.strict {
            return Err(Failure::Problem(problem.to_owned()));
        }
        self.bar.suspend(|| caution(problem));
        Ok(())
    }

    /// Prints how many unreadable lines were not printed, and returns how many there were.
    pub fn finish(self) -> u64 {
        if self.unreadable > MAX_PRINTED {
            let more = self.unreadable - MAX_PRINTED;
            let message = format!("{more} more unreadable lines");
            self.bar.suspend(|| warn(&message));
        }
        self.unreadable
    }
}
