//! Limiters of many keys behind one method, all with the same limit.
//!
//! Most read time through `tidegate::DefaultClock`. governor's default clock is the same TSC
//! through `quanta`, and rate-net reads the clock of the operating system.

mod adapters;
mod keys;

use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;
use std::time::Duration;

pub use adapters::{GovernorHintRead, KeysAlone, MutexMap, RateNetKey};
use dashmap::DashMap;
pub use keys::{KEY_LENGTH, Visits, name, rename};
use tidegate::{DashKeyed, Denied, FixedKeyed, Keyed, NewKeys, Quota, TokenBucket};

use crate::gate::Decision;

/// A limiter of many keys.
pub trait KeyedGate<K>: Sync {
    type Decision: Decision;

    /// Asks for one permit.
    fn decide(&self, key: &K) -> Self::Decision;

    /// Takes `n` permits at once, and returns whether it could.
    fn spend(&self, key: &K, n: u32) -> bool;

    /// Asks for one permit, uses the whole decision, and returns whether it was admitted.
    ///
    /// As [`Gate::admit`](crate::Gate::admit), the call is not inlined.
    #[inline(always)]
    fn admit(&self, key: &K) -> bool {
        black_box(decide_apart(black_box(self), black_box(key))).is_admitted()
    }
}

/// Keeps the decision from being inlined into the benchmark.
#[inline(never)]
fn decide_apart<K, G: KeyedGate<K> + ?Sized>(gate: &G, key: &K) -> G::Decision {
    gate.decide(key)
}

/// The limit of each key: `burst` permits at once, and another one after each `interval`.
#[derive(Clone, Copy, Debug)]
pub struct KeyLimit {
    pub interval: Duration,
    pub burst: u32,
}

impl KeyLimit {
    /// A burst that no key uses up, even if every call has the same key. Its refill takes 31 years.
    pub const PLENTY: Self = Self {
        interval: Duration::from_secs(1),
        burst: 1_000_000_000,
    };

    /// The permits that a key spends before a benchmark, so that no table evicts it for an hour.
    pub const HOUR: u32 = 3_600;

    /// A bucket that is full again when the next call for its key comes.
    pub const FULL: Self = Self {
        interval: Duration::from_micros(1),
        burst: u32::MAX,
    };

    /// One call, and the next after an hour.
    pub const ONCE: Self = Self {
        interval: Duration::from_secs(3_600),
        burst: 1,
    };

    /// One call. The key is unused again after some thousand other calls.
    pub const BRIEF: Self = Self {
        interval: Duration::from_millis(10),
        burst: 1,
    };

    /// One call. The key is unused again before the next call.
    pub const FAST: Self = Self {
        interval: Duration::from_nanos(1),
        burst: 1,
    };

    fn quota(self) -> Quota {
        let quota = Quota::new(1, self.interval).expect("in range");
        quota.burst(self.burst.into())
    }
}

/// Implements [`KeyedGate`] for tidegate's tables.
macro_rules! tables {
    ($(<$($name:ident: $bound:path),*> $table:ty;)*) => {$(
        impl<K, $($name),*> KeyedGate<K> for $table
        where
            K: Clone + Eq + Hash + Send + Sync,
            $($name: $bound + Sync),*
        {
            type Decision = Result<(), Denied>;

            #[inline(always)]
            fn decide(&self, key: &K) -> Result<(), Denied> {
                self.try_acquire(key, 1)
            }

            fn spend(&self, key: &K, n: u32) -> bool {
                self.try_acquire(key, n.into()).is_ok()
            }
        }
    )*};
}

tables! {
    <S: BuildHasher> Keyed<K, TokenBucket, S>;
    <> FixedKeyed;
    <> DashBuckets<K>;
}

/// Buckets that are all there is in a `DashMap`. Boxed, as the documentation advises for small
/// values: a bucket is aligned to 128 bytes.
pub type DashBuckets<K> = DashKeyed<DashMap<K, Box<TokenBucket>>, Project, NewKeys<Make<K>>>;

type Project = fn(&Box<TokenBucket>) -> &TokenBucket;
type Make<K> = Box<dyn Fn(&K) -> Box<TokenBucket> + Send + Sync>;

/// The work on each limiter.
pub trait KeyedVisitor<K> {
    fn visit<G: KeyedGate<K>>(&mut self, name: &str, make: impl Fn() -> G);
}

/// Visits every limiter. A limiter of a fixed size holds `keys` keys.
pub fn for_each_limiter<K>(limit: KeyLimit, keys: usize, visitor: &mut impl KeyedVisitor<K>)
where
    K: Clone + Eq + Hash + Send + Sync + RateNetKey + 'static,
{
    visitor.visit("tidegate Keyed", || keyed::<K>(limit));
    visitor.visit("tidegate Keyed, SipHash", || keyed_sip::<K>(limit));
    visitor.visit("tidegate FixedKeyed", || fixed(limit, keys));
    visitor.visit("tidegate DashKeyed, SipHash", || dash_keyed::<K>(limit));
    visitor.visit("governor keyed", || governor_keyed::<K>(limit));
    // Twice the keys: rate-net divides its capacity among shards, and must not evict a key.
    visitor.visit("rate-net", || rate_net(limit, 2 * keys));
    visitor.visit("mutex map", || MutexMap::<K>::new(limit));
}

/// The defaults: a million keys, and tidegate's hash function.
pub fn keyed<K: Clone + Eq + Hash>(limit: KeyLimit) -> Keyed<K, TokenBucket> {
    let quota = limit.quota();
    Keyed::new(move |_: &K| TokenBucket::new(quota))
}

/// The defaults, but room for as many keys.
pub fn keyed_for<K: Clone + Eq + Hash>(limit: KeyLimit, keys: usize) -> Keyed<K, TokenBucket> {
    let quota = limit.quota();
    let builder = Keyed::builder(move |_: &K| TokenBucket::new(quota));
    builder.max_keys(keys.max(1_000_000)).build()
}

/// The default hash function of governor and of the mutex map.
pub fn keyed_sip<K: Clone + Eq + Hash>(limit: KeyLimit) -> Keyed<K, TokenBucket, RandomState> {
    let quota = limit.quota();
    Keyed::builder(move |_: &K| TokenBucket::new(quota))
        .hasher(RandomState::new())
        .build()
}

pub fn fixed(limit: KeyLimit, keys: usize) -> FixedKeyed {
    FixedKeyed::new(limit.quota(), keys)
}

/// A `DashMap` with its own default, SipHash, as governor's.
pub fn dash_keyed<K: Clone + Eq + Hash>(limit: KeyLimit) -> DashBuckets<K> {
    let quota = limit.quota();
    let make: Make<K> = Box::new(move |_| Box::new(TokenBucket::new(quota)));
    DashKeyed::new(DashMap::new(), (|bucket| bucket) as Project).or_insert_with(make)
}

/// The default: a `DashMap`.
pub fn governor_keyed<K: Clone + Eq + Hash>(
    limit: KeyLimit,
) -> governor::DefaultKeyedRateLimiter<K> {
    let burst = limit.burst.try_into().expect("at least 1");
    let quota = governor::Quota::with_period(limit.interval).expect("not zero");
    governor::RateLimiter::keyed(quota.allow_burst(burst))
}

/// The default, a token bucket, with another capacity.
pub fn rate_net(limit: KeyLimit, keys: usize) -> rate_net::RateLimiter {
    rate_net::RateLimiter::builder()
        .quota(1, limit.interval)
        .burst(limit.burst)
        .eviction(rate_net::Eviction::capacity(keys))
        .try_build()
        .expect("in range")
}
