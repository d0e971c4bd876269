//! Puts other crates' limiters of many keys, and two baselines, behind [`KeyedGate`].

use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::NotUntil;
use governor::clock::{Clock as _, QuantaInstant};
use rate_net::{Decision, RateLimiter};
use tidegate::{Clock, DefaultClock, IpKey, Timestamp};

use super::{KeyLimit, KeyedGate};

type Governor<K> = governor::DefaultKeyedRateLimiter<K>;

impl<K: Clone + Eq + Hash + Send + Sync> KeyedGate<K> for Governor<K> {
    type Decision = Result<(), NotUntil<QuantaInstant>>;

    #[inline(always)]
    fn decide(&self, key: &K) -> Self::Decision {
        self.check_key(key)
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        let n = NonZeroU32::new(n).expect("at least 1");
        self.check_key_n(key, n).expect("in range").is_ok()
    }
}

/// governor with its hint, which it computes only when asked.
pub struct GovernorHintRead<K: Clone + Eq + Hash>(pub Governor<K>);

impl<K: Clone + Eq + Hash + Send + Sync> KeyedGate<K> for GovernorHintRead<K> {
    type Decision = Result<(), Duration>;

    #[inline(always)]
    fn decide(&self, key: &K) -> Self::Decision {
        let decision = self.0.check_key(key);
        decision.map_err(|not_until| not_until.wait_time_from(self.0.clock().now()))
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        self.0.spend(key, n)
    }
}

/// A key in rate-net's form: text without a copy, numbers and addresses as its own kinds.
pub trait RateNetKey {
    fn check(&self, limiter: &RateLimiter, n: u32) -> Decision;
}

impl RateNetKey for String {
    #[inline(always)]
    fn check(&self, limiter: &RateLimiter, n: u32) -> Decision {
        limiter.check_n_bytes(self, n)
    }
}

impl RateNetKey for u64 {
    #[inline(always)]
    fn check(&self, limiter: &RateLimiter, n: u32) -> Decision {
        limiter.check_n(*self, n)
    }
}

impl RateNetKey for IpKey {
    #[inline(always)]
    fn check(&self, limiter: &RateLimiter, n: u32) -> Decision {
        limiter.check_n(self.addr(), n)
    }
}

impl<K: RateNetKey> KeyedGate<K> for RateLimiter {
    type Decision = Decision;

    #[inline(always)]
    fn decide(&self, key: &K) -> Decision {
        key.check(self, 1)
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        key.check(self, n).is_allow()
    }
}

/// A bucket of floats for each key, in a map behind a `std` mutex.
#[derive(Debug)]
pub struct MutexMap<K> {
    rate: f64,
    capacity: f64,
    buckets: Mutex<HashMap<K, (f64, Timestamp)>>,
}

impl<K> MutexMap<K> {
    pub fn new(limit: KeyLimit) -> Self {
        Self {
            rate: limit.interval.as_secs_f64().recip(),
            capacity: limit.burst.into(),
            buckets: Mutex::default(),
        }
    }
}

impl<K: Clone + Eq + Hash + Send> MutexMap<K> {
    #[inline(always)]
    fn take(&self, key: &K, n: f64) -> bool {
        let now = DefaultClock.now();
        let mut buckets = self.buckets.lock().expect("no panic");
        // `entry` would need a copy of the key in every call.
        let (tokens, last) = match buckets.get_mut(key) {
            Some(bucket) => bucket,
            None => buckets.entry(key.clone()).or_insert((self.capacity, now)),
        };
        let refill = (now - *last).as_secs_f64() * self.rate;
        *tokens = (*tokens + refill).min(self.capacity);
        *last = now.max(*last);
        let admitted = *tokens >= n;
        if admitted {
            *tokens -= n;
        }
        admitted
    }
}

impl<K: Clone + Eq + Hash + Send> KeyedGate<K> for MutexMap<K> {
    type Decision = bool;

    #[inline(always)]
    fn decide(&self, key: &K) -> bool {
        self.take(key, 1.0)
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        self.take(key, n.into())
    }
}

/// Reads both ends of the key and admits every call. Every row includes this cost.
#[derive(Debug)]
pub struct KeysAlone;

impl KeyedGate<String> for KeysAlone {
    type Decision = bool;

    #[inline(always)]
    fn decide(&self, key: &String) -> bool {
        let bytes = key.as_bytes();
        black_box(bytes.first());
        black_box(bytes.last());
        true
    }

    fn spend(&self, key: &String, _: u32) -> bool {
        self.admit(key)
    }
}
