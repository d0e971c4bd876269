//! Shows the counts of a replay while a log is followed.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use tidegate::{Clock, MonotonicClock, Timestamp};

use crate::log::Event;
use crate::output::stdio::warn;
use crate::picture::noticed::Noticed;

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// Between two updates of a terminal.
const BETWEEN_UPDATES: Duration = Duration::from_millis(250);

/// Counts requests, and shows the counts on standard error: as one line that changes on a terminal,
/// and as a line from time to time elsewhere.
#[derive(Debug)]
pub struct Live {
    by: String,
    requests: u64,
    refused: u64,
    keys: u64,
    keys_refused: u64,
    /// Whether each key had a request, and a refusal.
    seen: Vec<[bool; 2]>,
    bar: ProgressBar,
    clock: MonotonicClock,
    next: Timestamp,
}

impl Live {
    /// Begins to count.
    pub fn new(by: &str) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let bar = bar.with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let clock = MonotonicClock;
        Self {
            by: by.to_owned(),
            requests: 0,
            refused: 0,
            keys: 0,
            keys_refused: 0,
            seen: Vec::new(),
            next: clock.now(),
            bar,
            clock,
        }
    }

    /// Counts a request, and shows the counts if it is time.
    pub fn count(&mut self, event: Event, admitted: bool) {
        self.add(event.key, admitted);
        let now = self.clock.now();
        if now < self.next {
            return;
        }
        let sentence = self.sentence();
        if self.bar.is_hidden() {
            warn(&sentence);
            self.next = now.saturating_add(BETWEEN_LINES);
        } else {
            self.bar.set_message(sentence);
            self.bar.tick();
            self.next = now.saturating_add(BETWEEN_UPDATES);
        }
    }

    fn add(&mut self, key: u32, admitted: bool) {
        let index = key as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, [false; 2]);
        }
        let [requested, refused] = &mut self.seen[index];
        self.requests += 1;
        self.keys += u64::from(!std::mem::replace(requested, true));
        if !admitted {
            self.refused += 1;
            self.keys_refused += u64::from(!std::mem::replace(refused, true));
        }
    }

    fn sentence(&self) -> String {
        let noticed = Noticed {
            by: &self.by,
            requests: self.requests,
            refused: self.refused,
            keys: self.keys,
            keys_refused: self.keys_refused,
        };
        noticed.sentence()
    }
}

#[cfg(test)]
mod tests {
    use super::Live;

    #[test]
    fn keys_count_once() {
        let mut live = Live::new("ip");
        for (key, admitted) in [(0, true), (2, true), (2, false), (0, true), (2, false)] {
            live.add(key, admitted);
        }
        assert_eq!(
            live.sentence(),
            "1 of 2 clients (50.0%) would have noticed: 2 of 5 requests refused (40.0%)."
        );
    }
}
