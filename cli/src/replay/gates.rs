//! The limiters of all keys.

use tidegate::{Clock, Combined, SlidingWindow, Timestamp, TokenBucket};

use super::limits::{Limits, WindowLimit};

/// The clock of limiters that are always told the time: it is never read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogTime;

impl Clock for LogTime {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

/// A limiter for each key. One vector of one kind, so that a decision is no virtual call, and a bucket alone costs no combination.
#[derive(Debug)]
pub enum Gates {
    /// A bucket for each.
    Buckets(tidegate::Quota, Vec<TokenBucket<LogTime>>),
    /// A window for each.
    Windows(WindowLimit, Vec<SlidingWindow<LogTime>>),
    /// Several limits for each, which admit together or not at all.
    Several(Limits, Vec<Combined<LogTime>>),
}

impl Gates {
    /// No key yet.
    pub fn new(limits: &Limits) -> Self {
        match (limits.quota, limits.windows.as_slice()) {
            (Some(quota), []) => Self::Buckets(quota, Vec::new()),
            (None, [window]) => Self::Windows(*window, Vec::new()),
            _ => Self::Several(limits.clone(), Vec::new()),
        }
    }

    /// Whether the limits of `key` let a request through. Times never go back.
    #[inline]
    pub fn admit(&mut self, key: u32, now: Timestamp) -> bool {
        let key = key as usize;
        match self {
            Self::Buckets(quota, buckets) => {
                while buckets.len() <= key {
                    buckets.push(TokenBucket::with_clock(*quota, LogTime));
                }
                buckets[key].try_acquire_at(1, now).is_ok()
            }
            Self::Windows(limit, windows) => {
                while windows.len() <= key {
                    // It was built once, so it can be built again.
                    let Ok(window) = limit.build() else {
                        return false;
                    };
                    windows.push(window);
                }
                windows[key].try_acquire_at(1, now).is_ok()
            }
            Self::Several(limits, several) => {
                while several.len() <= key {
                    let Some(combined) = combined(limits) else {
                        // No limits at all.
                        return true;
                    };
                    several.push(combined);
                }
                several[key].try_acquire_at(1, now).is_ok()
            }
        }
    }
}

fn combined(limits: &Limits) -> Option<Combined<LogTime>> {
    let mut windows = limits.windows.iter().filter_map(|limit| limit.build().ok());
    let start = Combined::builder();
    let builder = match limits.quota {
        Some(quota) => start.limit("quota", TokenBucket::with_clock(quota, LogTime)),
        None => start.limit("window", windows.next()?),
    };
    let builder = windows.fold(builder, |builder, window| builder.limit("window", window));
    Some(builder.build())
}
