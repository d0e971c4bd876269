//! A progress bar on standard error while a log is read.

use std::io::IsTerminal;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::stdio::warn;

/// Lines between two updates: frequent enough to be smooth, rare enough to cost nothing.
const LINES_PER_UPDATE: u64 = 1 << 15;

/// A progress bar, or none.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows a bar for `size` bytes if standard error is a terminal and `quiet` is false.
    pub fn new(size: Option<u64>, quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (bar, template) = match size {
            Some(size) => (
                ProgressBar::new(size),
                "{wide_bar} {bytes}/{total_bytes} {msg} {eta} left",
            ),
            None => (ProgressBar::no_length(), "{spinner} {bytes} {msg}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// Updates the bar every [`LINES_PER_UPDATE`] lines.
    #[inline]
    pub fn update(&self, lines: u64, bytes: impl FnOnce() -> u64) {
        if let Some(bar) = &self.0
            && lines.is_multiple_of(LINES_PER_UPDATE)
        {
            bar.set_position(bytes());
            let millis = bar.elapsed().as_millis().max(1);
            let rate = u128::from(lines) * 1_000 / millis;
            let rate = HumanCount(u64::try_from(rate).unwrap_or(u64::MAX));
            bar.set_message(format!("{rate} lines/s"));
        }
    }

    /// Prints a message above the bar.
    pub fn print(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| warn(text)),
            None => warn(text),
        }
    }
}

/// Removes the bar, also after an error.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
