//! What anybody would write first: a mutex around the textbook.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, Timestamp};

use crate::Gate;

/// A token bucket of floats behind a `std` mutex.
#[derive(Debug)]
pub struct MutexBucket {
    rate: f64,
    capacity: f64,
    state: Mutex<(f64, Timestamp)>,
}

impl MutexBucket {
    pub fn new(rate: f64, capacity: f64) -> Self {
        Self {
            rate,
            capacity,
            state: Mutex::new((capacity, DefaultClock.now())),
        }
    }
}

impl Gate for MutexBucket {
    #[inline(always)]
    fn admit(&self) -> bool {
        let now = DefaultClock.now();
        let mut state = self.state.lock().expect("nobody panics");
        let (tokens, last) = *state;
        let refill = (now - last).as_secs_f64() * self.rate;
        let tokens = (tokens + refill).min(self.capacity);
        let admitted = tokens >= 1.0;
        *state = (if admitted { tokens - 1.0 } else { tokens }, now.max(last));
        admitted
    }
}

/// A sliding window that keeps every admission's time, behind a `std` mutex.
#[derive(Debug)]
pub struct MutexDeque {
    limit: usize,
    length: Duration,
    admitted: Mutex<VecDeque<Timestamp>>,
}

impl MutexDeque {
    pub fn new(limit: usize, length: Duration) -> Self {
        Self {
            limit,
            length,
            admitted: Mutex::default(),
        }
    }
}

impl Gate for MutexDeque {
    #[inline(always)]
    fn admit(&self) -> bool {
        let now = DefaultClock.now();
        let mut admitted = self.admitted.lock().expect("nobody panics");
        while admitted.front().is_some_and(|&at| now - at > self.length) {
            admitted.pop_front();
        }
        let room = admitted.len() < self.limit;
        if room {
            admitted.push_back(now);
        }
        room
    }
}
