//! The limiters that a user would write first: a mutex around the textbook.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, Timestamp};

use crate::gate::gates;
use crate::{Gate, HIGH, HOUR};

/// A mutex of some kind.
pub trait Lock<T>: Sync {
    fn of(state: T) -> Self;

    /// Runs `work` while holding the lock.
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn of(state: T) -> Self {
        Self::new(state)
    }

    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock().expect("no panic"))
    }
}

impl<T: Send> Lock<T> for parking_lot::Mutex<T> {
    fn of(state: T) -> Self {
        Self::new(state)
    }

    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock())
    }
}

/// A number of tokens, and the time of that number.
pub type Level = (f64, Timestamp);

/// A token bucket of floats behind a mutex, by default the one of `std`.
#[derive(Debug)]
pub struct MutexBucket<C = DefaultClock, M = Mutex<Level>> {
    rate: f64,
    capacity: f64,
    clock: C,
    state: M,
}

impl MutexBucket {
    /// Creates the bucket on tidegate's default clock.
    pub fn new(rate: f64, capacity: f64) -> Self {
        Self::with_clock(rate, capacity, DefaultClock)
    }
}

impl<C: Clock, M: Lock<Level>> MutexBucket<C, M> {
    pub fn with_clock(rate: f64, capacity: f64, clock: C) -> Self {
        Self {
            rate,
            capacity,
            state: M::of((capacity, clock.now())),
            clock,
        }
    }
}

impl<C: Clock + Sync, M: Lock<Level>> Gate for MutexBucket<C, M> {
    type Decision = bool;

    #[inline(always)]
    fn decide(&self) -> bool {
        let now = self.clock.now();
        self.state.with(|state| {
            let (tokens, last) = *state;
            let refill = (now - last).as_secs_f64() * self.rate;
            let tokens = (tokens + refill).min(self.capacity);
            let admitted = tokens >= 1.0;
            *state = (if admitted { tokens - 1.0 } else { tokens }, now.max(last));
            admitted
        })
    }
}

/// A sliding window that keeps the time of every admission, behind a `std` mutex.
#[derive(Debug)]
pub struct MutexDeque<C = DefaultClock> {
    limit: usize,
    length: Duration,
    clock: C,
    admitted: Mutex<VecDeque<Timestamp>>,
}

impl MutexDeque {
    pub fn new(limit: usize, length: Duration) -> Self {
        Self::with_clock(limit, length, DefaultClock)
    }
}

impl<C: Clock> MutexDeque<C> {
    pub fn with_clock(limit: usize, length: Duration, clock: C) -> Self {
        Self {
            limit,
            length,
            clock,
            admitted: Mutex::default(),
        }
    }
}

impl<C: Clock + Sync> Gate for MutexDeque<C> {
    type Decision = bool;

    #[inline(always)]
    fn decide(&self) -> bool {
        let now = self.clock.now();
        let mut admitted = self.admitted.lock().expect("no panic");
        while admitted.front().is_some_and(|&at| now - at >= self.length) {
            admitted.pop_front();
        }
        let room = admitted.len() < self.limit;
        if room {
            admitted.push_back(now);
        }
        room
    }
}

/// The design of AIOS, behind one lock: a bucket of floats, a deque of request times for the
/// minute and one for the hour, a deque of token counts, and the statistics.
#[derive(Debug)]
pub struct MutexApi {
    per_minute: usize,
    per_hour: usize,
    tokens_per_minute: u64,
    burst: f64,
    state: Mutex<ApiState>,
}

#[derive(Debug)]
struct ApiState {
    bucket: f64,
    refilled: Timestamp,
    minute: VecDeque<Timestamp>,
    hour: VecDeque<Timestamp>,
    tokens: VecDeque<(Timestamp, u64)>,
    tokens_in_minute: u64,
    total_requests: u64,
}

impl MutexApi {
    /// Creates the limiter with these requests per hour, and other limits that are never reached.
    pub fn new(per_hour: u64) -> Self {
        Self {
            per_minute: usize::try_from(HIGH).expect("in range"),
            per_hour: usize::try_from(per_hour).expect("in range"),
            tokens_per_minute: HIGH,
            burst: HIGH as f64,
            state: Mutex::new(ApiState {
                bucket: HIGH as f64,
                refilled: DefaultClock.now(),
                minute: VecDeque::new(),
                hour: VecDeque::new(),
                tokens: VecDeque::new(),
                tokens_in_minute: 0,
                total_requests: 0,
            }),
        }
    }
}

impl MutexApi {
    #[inline(always)]
    fn take(&self) -> bool {
        const MINUTE: Duration = Duration::from_secs(60);
        let now = DefaultClock.now();
        let mut state = self.state.lock().expect("no panic");
        let state = &mut *state;
        for (times, length) in [(&mut state.minute, MINUTE), (&mut state.hour, HOUR)] {
            while times.front().is_some_and(|&at| now - at >= length) {
                times.pop_front();
            }
        }
        let tokens = &mut state.tokens;
        while tokens.front().is_some_and(|&(at, _)| now - at >= MINUTE) {
            state.tokens_in_minute -= tokens.pop_front().map_or(0, |(_, n)| n);
        }
        let refill = (now - state.refilled).as_secs_f64() * self.per_minute as f64 / 60.0;
        state.bucket = (state.bucket + refill).min(self.burst);
        state.refilled = now.max(state.refilled);
        let admitted = state.bucket >= 1.0
            && state.minute.len() < self.per_minute
            && state.hour.len() < self.per_hour
            && state.tokens_in_minute < self.tokens_per_minute;
        if admitted {
            state.bucket -= 1.0;
            state.minute.push_back(now);
            state.hour.push_back(now);
            state.total_requests += 1;
        }
        admitted
    }
}

gates! {
    MutexApi => bool, |gate| gate.take();
}
