//! Others' limiters, and what anybody would write first.

use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Mutex;

use tidegate::{Clock, DefaultClock, IpKey, Timestamp};

use super::{KeyedGate, Limit};

impl<K: Clone + Eq + Hash + Send + Sync> KeyedGate<K> for governor::DefaultKeyedRateLimiter<K> {
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        self.check_key(key).is_ok()
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        let n = NonZeroU32::new(n).expect("at least 1");
        self.check_key_n(key, n).expect("fits").is_ok()
    }
}

/// A key as rate-net would have it: text without copying it, numbers and addresses as its own kinds.
pub trait RateNetKey {
    fn check(&self, limiter: &rate_net::RateLimiter, n: u32) -> rate_net::Decision;
}

impl RateNetKey for String {
    #[inline(always)]
    fn check(&self, limiter: &rate_net::RateLimiter, n: u32) -> rate_net::Decision {
        limiter.check_n_bytes(self, n)
    }
}

impl RateNetKey for u64 {
    #[inline(always)]
    fn check(&self, limiter: &rate_net::RateLimiter, n: u32) -> rate_net::Decision {
        limiter.check_n(*self, n)
    }
}

impl RateNetKey for IpKey {
    #[inline(always)]
    fn check(&self, limiter: &rate_net::RateLimiter, n: u32) -> rate_net::Decision {
        limiter.check_n(self.addr(), n)
    }
}

impl<K: RateNetKey> KeyedGate<K> for rate_net::RateLimiter {
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        key.check(self, 1).is_allow()
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        key.check(self, n).is_allow()
    }
}

/// A bucket of floats for each key in a map behind a `std` mutex.
#[derive(Debug)]
pub struct MutexMap<K> {
    rate: f64,
    capacity: f64,
    buckets: Mutex<HashMap<K, (f64, Timestamp)>>,
}

impl<K> MutexMap<K> {
    pub fn new(limit: Limit) -> Self {
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
        let mut buckets = self.buckets.lock().expect("nobody panics");
        // Not `entry`, which would need a copy of the key at every call.
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
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        self.take(key, 1.0)
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        self.take(key, n.into())
    }
}

/// Looks at both ends of the key, and admits everything: what choosing keys costs in every row.
#[derive(Debug)]
pub struct KeysAlone;

impl KeyedGate<String> for KeysAlone {
    #[inline(always)]
    fn admit(&self, key: &String) -> bool {
        let bytes = key.as_bytes();
        black_box(bytes.first());
        black_box(bytes.last());
        true
    }

    fn spend(&self, key: &String, _: u32) -> bool {
        self.admit(key)
    }
}
