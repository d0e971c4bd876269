//! A bar on standard error while a log is read.

use std::io::IsTerminal;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::mishaps::say;

/// How often the bar is moved, in lines: often enough to look alive, seldom enough to cost nothing.
const STEP: u64 = 1 << 15;

/// A bar, or nothing.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar up to `size` bytes, if somebody can see it.
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

    /// Moves the bar, now and then.
    #[inline]
    pub fn line(&self, lines: u64, bytes: impl FnOnce() -> u64) {
        if let Some(bar) = &self.0
            && lines.is_multiple_of(STEP)
        {
            bar.set_position(bytes());
            let millis = bar.elapsed().as_millis().max(1);
            let rate = u128::from(lines) * 1_000 / millis;
            let rate = HumanCount(u64::try_from(rate).unwrap_or(u64::MAX));
            bar.set_message(format!("{rate} lines/s"));
        }
    }

    /// A message above the bar.
    pub fn tell(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

/// The bar goes, whatever ends the reading.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
