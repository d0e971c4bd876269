//! Builds an API limiter with other options than the defaults.

use core::time::Duration;
use std::sync::Arc;

use tidegate::__fleet::{self as fleet, CallerBackoff};
use tidegate::RateLimitConfig;
use tokio::sync::Notify;

use super::RedisApiRateLimiter;
use super::core::Core;
use super::fleet_limit::{ApiLimit, CALLS, ENDS, STATE};
use super::last_denial::LastDenial;
use super::local_share::LocalShare;
use super::message::Stranded;
use super::open_calls::OpenCalls;
use super::wait_order::WaitOrder;
use crate::base_key::BaseKey;
use crate::error::BuildError;
use crate::node_name::random_node_name;
use crate::policy::FailurePolicy;
use crate::sliding_window::RedisSlidingWindow;
use crate::stats::LimitCounters;
use crate::store::RedisStore;
use crate::sync::AtomicU64;
use crate::token_bucket::RedisTokenBucket;
use crate::unreported::UnreportedCharges;

impl RedisApiRateLimiter {
    /// Returns the limiter of a name, with default options. Sends nothing.
    ///
    /// # Errors
    ///
    /// As [`RedisApiRateLimiterBuilder::build`].
    pub fn new(
        store: &RedisStore,
        name: &str,
        config: RateLimitConfig,
    ) -> Result<Self, BuildError> {
        Self::builder(store, name, config).build()
    }

    /// Builds a limiter with other options, or with limits that other limiters share.
    pub fn builder<'a>(
        store: &RedisStore,
        name: &str,
        config: RateLimitConfig,
    ) -> RedisApiRateLimiterBuilder<'a> {
        RedisApiRateLimiterBuilder::new(store, name, config)
    }
}

/// The most limits of each sort that are shared, as of the limiter of one process.
const MOST_SHARED: usize = 4;

/// Builds a [`RedisApiRateLimiter`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct RedisApiRateLimiterBuilder<'a> {
    store: RedisStore,
    name: String,
    config: RateLimitConfig,
    policy: FailurePolicy,
    call_ttl: Duration,
    denial_age: Duration,
    shared: Vec<Shared<'a>>,
}

#[derive(Debug)]
struct Shared<'a> {
    name: &'static str,
    limit: ApiShared<'a>,
    counts_tokens: bool,
}

/// A limit that an API limiter shares with others, made from a reference to a bucket or a window:
/// see [`RedisApiRateLimiterBuilder::shared`].
#[derive(Clone, Copy, Debug)]
pub struct ApiShared<'a>(BucketOrWindow<'a>);

#[derive(Clone, Copy, Debug)]
enum BucketOrWindow<'a> {
    Bucket(&'a RedisTokenBucket),
    Window(&'a RedisSlidingWindow),
}

impl<'a> From<&'a RedisTokenBucket> for ApiShared<'a> {
    fn from(bucket: &'a RedisTokenBucket) -> Self {
        Self(BucketOrWindow::Bucket(bucket))
    }
}

impl<'a> From<&'a RedisSlidingWindow> for ApiShared<'a> {
    fn from(window: &'a RedisSlidingWindow) -> Self {
        Self(BucketOrWindow::Window(window))
    }
}

impl<'a> From<&'a Arc<RedisTokenBucket>> for ApiShared<'a> {
    fn from(bucket: &'a Arc<RedisTokenBucket>) -> Self {
        Self(BucketOrWindow::Bucket(bucket))
    }
}

impl<'a> From<&'a Arc<RedisSlidingWindow>> for ApiShared<'a> {
    fn from(window: &'a Arc<RedisSlidingWindow>) -> Self {
        Self(BucketOrWindow::Window(window))
    }
}

impl<'a> ApiShared<'a> {
    fn store(self) -> &'a RedisStore {
        match self.0 {
            BucketOrWindow::Bucket(bucket) => bucket.store(),
            BucketOrWindow::Window(window) => window.limits().store(),
        }
    }

    const fn base(self) -> &'a BaseKey {
        match self.0 {
            BucketOrWindow::Bucket(bucket) => &bucket.buckets().base,
            BucketOrWindow::Window(window) => &window.buckets().base,
        }
    }
}

impl<'a> RedisApiRateLimiterBuilder<'a> {
    pub(super) fn new(store: &RedisStore, name: &str, config: RateLimitConfig) -> Self {
        Self {
            store: store.clone(),
            name: name.into(),
            config,
            policy: FailurePolicy::Closed,
            call_ttl: Duration::from_secs(60),
            denial_age: Duration::from_secs(1),
            shared: Vec::new(),
        }
    }

    /// Sets what to do while the server does not answer. [`FailurePolicy::Closed`] by default.
    ///
    /// With [`FailurePolicy::Local`], this node admits what a
    /// [`tidegate::ApiRateLimiter`] does with each number divided by the nodes. Its calls are
    /// reported when the server is back, and leave the limits used up at most. Limiters that were
    /// given the same [shared](Self::shared) bucket or window, by a reference to one value, admit
    /// one share of it together. Its own calls have another one.
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets for how long a call counts as in flight whose process has died, a minute by default,
    /// from a second to a day. Living processes renew their calls three times as often, all in one
    /// call of the script.
    pub fn call_ttl(mut self, time: Duration) -> Self {
        self.call_ttl = time.clamp(Duration::from_secs(1), Duration::from_secs(86_400));
        self
    }

    /// Sets how long at most a denial is cached on this node: see
    /// [`LimiterOptions::cache_denials`](crate::LimiterOptions::cache_denials).
    pub const fn cache_denials(mut self, max_age: Duration) -> Self {
        self.denial_age = max_age;
        self
    }

    /// Adds a limit on requests that other limiters use as well, such as the quota of an
    /// organization whose models have limits of their own. A refusal names it in
    /// [`limit_name`](tidegate::RateLimitStatus::limit_name).
    ///
    /// The limit is a [`RedisTokenBucket`] or a [`RedisSlidingWindow`], and is charged in the same
    /// call of the script. It must be of the same store. In a cluster it must be in the same slot,
    /// so both must have the same name. While it is absent on the server, it counts as its
    /// [options](crate::LimiterOptions::start_empty) say.
    ///
    /// After [`RedisTokenBucket::set_quota`] on any node, this limiter is decided by the new quota
    /// from its next call on. A node that does not know the change is told by the server, which has
    /// done nothing, and sends the call once more. So no node with an old configuration undoes it.
    /// The limiter and the bucket that it was given follow each other. So does the node's share of
    /// [`FailurePolicy::Local`], unless it would be too small.
    ///
    /// A call that was admitted under one quota and ends under another gives back the tokens that
    /// it did not use, never more than it was charged. That is exact if the numbers are not too
    /// long for the scripts: below 2⁵³ in common units. Else it is rounded down, by less than a
    /// microsecond of refill and a part in 2⁴⁶. What a waiting node has
    /// [claimed](RedisApiRateLimiter#waiting) under the old quota may be too much or too little,
    /// until it asks again or for three seconds.
    pub fn shared(mut self, name: &'static str, limit: impl Into<ApiShared<'a>>) -> Self {
        self.shared.push(Shared {
            name,
            limit: limit.into(),
            counts_tokens: false,
        });
        self
    }

    /// Adds a limit on tokens that other limiters use as well, at most four: see
    /// [`shared`](Self::shared). Each call takes the tokens of its estimate, and settles them.
    pub fn shared_tokens(mut self, name: &'static str, bucket: &'a RedisTokenBucket) -> Self {
        self.shared.push(Shared {
            name,
            limit: bucket.into(),
            counts_tokens: true,
        });
        self
    }

    /// Builds the limiter. Sends nothing.
    ///
    /// # Errors
    ///
    /// * [`BuildError::Config`] with the first invalid field of the configuration;
    /// * [`BuildError::Unsupported`] for an adaptive pace, and for more than four shared limits;
    /// * [`BuildError::Scale`] if the scripts cannot represent a limit;
    /// * [`BuildError::DuplicateLimit`] if two shared limits have the same name, or are one on the
    ///   server, which the script would charge only once;
    /// * [`BuildError::OtherServer`] if a shared limit is of another store or slot;
    /// * [`BuildError::TooManyNodes`] if a node's share is too small.
    pub fn build(self) -> Result<RedisApiRateLimiter, BuildError> {
        let rules = fleet::limit_rules(&self.config).map_err(BuildError::Config)?;
        if self.config.adaptive {
            return Err(BuildError::Unsupported("adaptive"));
        }
        let base = self.store.base_key(&self.name, None);
        let shared = self.shared_limits()?;
        let share = match self.policy {
            FailurePolicy::Local { nodes } => Some(LocalShare::new(&self.config, &shared, nodes)?),
            _ => None,
        };
        let mut limits = Vec::new();
        for rule in rules {
            limits.push(ApiLimit::new(rule, &base)?);
        }
        limits.extend(shared);
        // Stable: first those on requests, each sort in the order in which it was made.
        limits.sort_by_key(|limit| limit.as_built().counts_tokens);
        let of_state = [STATE, CALLS, ENDS].map(|part| base.limit_key(Some(part)));
        let keys = of_state.into_iter();
        let keys = keys.chain(limits.iter().map(|limit| limit.key.clone()));
        let core = Core {
            store: self.store,
            keys: keys.collect(),
            base,
            unreported: UnreportedCharges::new(limits.len()),
            limits,
            policy: self.policy,
            call_ttl: self.call_ttl,
            node: random_node_name(),
            next_call: AtomicU64::new(0),
            open_calls: OpenCalls::default(),
            last_denial: LastDenial::new(self.denial_age),
            backoff: CallerBackoff::new(&self.config),
            wait_order: WaitOrder::new(&self.config),
            config: self.config,
            share,
            counters: LimitCounters::default(),
            undelivered: AtomicU64::new(0),
            stranded: Stranded::default(),
            changed: Notify::new(),
        };
        Ok(RedisApiRateLimiter {
            core: Arc::new(core),
        })
    }

    fn shared_limits(&self) -> Result<Vec<ApiLimit>, BuildError> {
        let base = self.store.base_key(&self.name, None);
        let mut limits = Vec::new();
        for (index, shared) in self.shared.iter().enumerate() {
            let before = &self.shared[..index];
            if before.iter().any(|other| other.name == shared.name) {
                return Err(BuildError::DuplicateLimit(shared.name.into()));
            }
            let same_sort = |other: &&Shared<'_>| other.counts_tokens == shared.counts_tokens;
            let place = before.iter().filter(same_sort).count();
            if place == MOST_SHARED {
                return Err(BuildError::Unsupported("more than four shared limits"));
            }
            let (store, other) = (shared.limit.store(), shared.limit.base());
            if !self.store.has_both(store, &base, other) {
                return Err(BuildError::OtherServer(shared.name.into()));
            }
            let (name, place) = (shared.name, place as u64);
            let limit = match shared.limit.0 {
                BucketOrWindow::Bucket(bucket) => {
                    ApiLimit::shared(name, bucket, (shared.counts_tokens, place))
                }
                BucketOrWindow::Window(window) => ApiLimit::shared_window(name, window, place)?,
            };
            if limits.iter().any(|other: &ApiLimit| other.key == limit.key) {
                return Err(BuildError::DuplicateLimit(name.into()));
            }
            limits.push(limit);
        }
        Ok(limits)
    }
}
