//! The limits of a replay, from their texts.

use std::fmt;
use std::str::FromStr;

use tidegate::{Quota, SlidingWindow};

use super::gates::LogTime;
use crate::caret;

/// At most so many in any interval of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimit {
    /// Its text is that of a quota without a burst.
    quota: Quota,
    /// Those of the crate, unless others are asked for.
    slots: Option<usize>,
}

impl FromStr for WindowLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let quota = caret::window(text)?;
        let window = Self { quota, slots: None };
        // What cannot be built is told before the log is read.
        window.build().map_err(|error| error.to_string())?;
        Ok(window)
    }
}

impl fmt::Display for WindowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window {}", self.quota)
    }
}

impl WindowLimit {
    /// The same with so many slots.
    ///
    /// # Errors
    ///
    /// If it cannot have as many.
    pub fn slots(self, slots: usize) -> Result<Self, String> {
        let slots = Some(slots);
        let window = Self { slots, ..self };
        let built = window.build().map_err(|error| format!("{self}: {error}"));
        built.map(|_| window)
    }

    /// An empty window.
    ///
    /// # Errors
    ///
    /// None, once one was built.
    pub fn build(&self) -> Result<SlidingWindow<LogTime>, tidegate::WindowError> {
        let window = SlidingWindow::with_clock(self.quota.rate(), self.quota.period(), LogTime)?;
        match self.slots {
            Some(slots) => window.try_slots(slots),
            None => Ok(window),
        }
    }
}

/// All limits together.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The bucket.
    pub quota: Option<Quota>,
    /// The windows.
    pub windows: Vec<WindowLimit>,
}

impl Limits {
    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        let quota = self.quota.iter().map(ToString::to_string);
        let windows = self.windows.iter().map(ToString::to_string);
        quota.chain(windows).collect()
    }
}
