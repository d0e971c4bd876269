//! The limiters of all keys in use.

use tidegate::{Combined, Denied, Quota, SlidingWindow, Timestamp, TokenBucket};

use super::limits::{Limits, LogClock, WindowLimit};

/// A limiter per key, or per slot of a key in use.
///
/// Each variant holds limiters of one type, so a decision needs no virtual call, and a bucket alone
/// does not pay for a combination.
#[derive(Debug)]
pub enum Limiters {
    /// A bucket per key.
    Buckets(Quota, Vec<TokenBucket<LogClock>>),
    /// A window per key.
    Windows(WindowLimit, Vec<SlidingWindow<LogClock>>),
    /// Several limits per key, which admit a request together or not at all.
    Several(Limits, Vec<Combined<LogClock>>),
}

impl Limiters {
    /// Creates no limiter yet. Each key gets one with its first request.
    pub fn new(limits: &Limits) -> Self {
        match (limits.quota, limits.windows.as_slice()) {
            (Some(quota), []) => Self::Buckets(quota, Vec::new()),
            (None, [window]) => Self::Windows(*window, Vec::new()),
            _ => Self::Several(limits.clone(), Vec::new()),
        }
    }

    /// Replaces the limiter of `key` by a new one.
    pub fn renew(&mut self, key: u32) {
        match self {
            Self::Buckets(quota, buckets) => {
                let build = || Some(TokenBucket::with_clock(*quota, LogClock));
                replace(buckets, key, build);
            }
            Self::Windows(limit, windows) => replace(windows, key, || limit.build().ok()),
            Self::Several(limits, several) => replace(several, key, || combine(limits)),
        }
    }

    /// Whether the limits of `key` admit a request for one permit. Times never decrease.
    #[inline]
    pub fn admit(&mut self, key: u32, now: Timestamp) -> bool {
        self.decide(key, 1, now).is_ok()
    }

    /// Charges the limits of `key` for a request. Times never decrease.
    ///
    /// # Errors
    ///
    /// The refusal.
    #[inline]
    pub fn decide(&mut self, key: u32, cost: u32, now: Timestamp) -> Result<(), Denied> {
        let cost = u64::from(cost);
        match self {
            Self::Buckets(quota, buckets) => {
                let build = || Some(TokenBucket::with_clock(*quota, LogClock));
                get_or_build(buckets, key, build)
                    .map_or(Ok(()), |bucket| bucket.try_acquire_at(cost, now))
            }
            Self::Windows(limit, windows) => get_or_build(windows, key, || limit.build().ok())
                .map_or(Ok(()), |window| window.try_acquire_at(cost, now)),
            Self::Several(limits, several) => get_or_build(several, key, || combine(limits))
                .map_or(Ok(()), |combined| {
                    let decided = combined.try_acquire_at(cost, now);
                    decided.map_err(|denied| denied.denied())
                }),
        }
    }
}

/// Replaces a limiter that exists. The others are built with their first request.
fn replace<T>(limiters: &mut [T], key: u32, build: impl Fn() -> Option<T>) {
    if let Some(limiter) = limiters.get_mut(key as usize)
        && let Some(new) = build()
    {
        *limiter = new;
    }
}

#[inline]
fn get_or_build<T>(limiters: &mut Vec<T>, key: u32, build: impl Fn() -> Option<T>) -> Option<&T> {
    let key = key as usize;
    while limiters.len() <= key {
        limiters.push(build()?);
    }
    limiters.get(key)
}

/// Builds a limiter with all limits, or `None` if there are no limits.
fn combine(limits: &Limits) -> Option<Combined<LogClock>> {
    let mut windows = limits.windows.iter().filter_map(|limit| limit.build().ok());
    let start = Combined::builder();
    let builder = match limits.quota {
        Some(quota) => start.limit("quota", TokenBucket::with_clock(quota, LogClock)),
        None => start.limit("window", windows.next()?),
    };
    let builder = windows.fold(builder, |builder, window| builder.limit("window", window));
    Some(builder.build())
}
