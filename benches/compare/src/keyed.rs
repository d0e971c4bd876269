//! Limiters of many keys, each behind one method, all with the same limit.
//!
//! All but two read time through `tidegate::DefaultClock`: governor's own default clock is the same TSC through `quanta`, and rate-net's
//! is that of the operating system.

mod keys;
mod rivals;

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

pub use keys::{KEY_LENGTH, Visits, name, rename};
pub use rivals::{KeysAlone, MutexMap, RateNetKey};
use tidegate::{FixedKeyed, Keyed, Quota, TokenBucket};

/// A decision about one key.
pub trait KeyedGate<K>: Sync {
    /// Whether one permit is admitted.
    fn admit(&self, key: &K) -> bool;

    /// Whether `n` permits are, at once.
    fn spend(&self, key: &K, n: u32) -> bool;
}

/// The limit of each key: `burst` permits at once, and another one after each `interval`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub interval: Duration,
    pub burst: u32,
}

impl Limit {
    /// A burst that no key uses up, even if all calls of a benchmark are for one. It takes 31 years to come back.
    pub const PLENTY: Self = Self {
        interval: Duration::from_secs(1),
        burst: 1_000_000_000,
    };

    /// What a key spends of that beforehand, so that it stays in use for an hour: tables that drop unused keys keep it.
    pub const HOUR: u32 = 3_600;

    /// One call, and the next after an hour.
    pub const ONCE: Self = Self {
        interval: Duration::from_secs(3_600),
        burst: 1,
    };

    /// One call, after which the key is unused again when another few thousand have come.
    pub const BRIEF: Self = Self {
        interval: Duration::from_millis(10),
        burst: 1,
    };

    /// One call, after which the key is unused again before the next one comes.
    pub const FAST: Self = Self {
        interval: Duration::from_nanos(1),
        burst: 1,
    };

    fn quota(self) -> Quota {
        Quota::new(1, self.interval)
            .expect("fits")
            .burst(self.burst.into())
    }
}

impl<K: Clone + Eq + Hash + Send + Sync, S: BuildHasher + Sync> KeyedGate<K>
    for Keyed<K, TokenBucket, S>
{
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        self.try_acquire(key, 1).is_ok()
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        self.try_acquire(key, n.into()).is_ok()
    }
}

impl<K: Hash> KeyedGate<K> for FixedKeyed {
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        self.try_acquire(key, 1).is_ok()
    }

    fn spend(&self, key: &K, n: u32) -> bool {
        self.try_acquire(key, n.into()).is_ok()
    }
}

/// What is done with each of the limiters.
pub trait Visitor<K> {
    fn visit<G: KeyedGate<K>>(&mut self, name: &str, make: impl Fn() -> G);
}

/// Shows all of them. Those whose size is chosen beforehand are to hold `keys` keys.
pub fn for_each_limiter<K>(limit: Limit, keys: usize, visitor: &mut impl Visitor<K>)
where
    K: Clone + Eq + Hash + Send + Sync + RateNetKey + 'static,
{
    visitor.visit("tidegate Keyed", || keyed::<K>(limit));
    visitor.visit("tidegate Keyed, SipHash", || keyed_sip::<K>(limit));
    visitor.visit("tidegate FixedKeyed", || fixed(limit, keys));
    visitor.visit("governor keyed", || governor_keyed::<K>(limit));
    // Twice as many: its capacity is divided among its shards beforehand, and no key is to be evicted.
    visitor.visit("rate-net", || rate_net(limit, 2 * keys));
    visitor.visit("mutex map", || MutexMap::<K>::new(limit));
}

/// As it is without further ado: for a million keys, with its own hash function.
pub fn keyed<K: Clone + Eq + Hash>(limit: Limit) -> Keyed<K, TokenBucket> {
    let quota = limit.quota();
    Keyed::new(move |_: &K| TokenBucket::new(quota))
}

/// With the hash function that governor and the mutex have by default.
pub fn keyed_sip<K: Clone + Eq + Hash>(limit: Limit) -> Keyed<K, TokenBucket, RandomState> {
    let quota = limit.quota();
    Keyed::builder(move |_: &K| TokenBucket::new(quota))
        .hasher(RandomState::new())
        .build()
}

pub fn fixed(limit: Limit, keys: usize) -> FixedKeyed {
    FixedKeyed::new(limit.quota(), keys)
}

/// Its default: a `DashMap`.
pub fn governor_keyed<K: Clone + Eq + Hash>(limit: Limit) -> governor::DefaultKeyedRateLimiter<K> {
    let burst = limit.burst.try_into().expect("at least 1");
    let quota = governor::Quota::with_period(limit.interval).expect("not zero");
    governor::RateLimiter::keyed(quota.allow_burst(burst))
}

/// Its default, a token bucket, with another capacity.
pub fn rate_net(limit: Limit, keys: usize) -> rate_net::RateLimiter {
    rate_net::RateLimiter::builder()
        .quota(1, limit.interval)
        .burst(limit.burst)
        .eviction(rate_net::Eviction::capacity(keys))
        .try_build()
        .expect("fits")
}
