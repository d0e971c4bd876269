//! The settings that all limiters share.

use core::time::Duration;

use crate::policy::FailurePolicy;

/// Options of a limiter: what it does without the server, and what it caches.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LimiterOptions {
    pub(crate) policy: FailurePolicy,
    pub(crate) empty_for: Option<Duration>,
    pub(crate) denial_age: Duration,
    pub(crate) cached_keys: usize,
    pub(crate) quota_age: Duration,
}

impl Default for LimiterOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LimiterOptions {
    /// Returns the defaults.
    pub const fn new() -> Self {
        Self {
            policy: FailurePolicy::Closed,
            empty_for: None,
            denial_age: Duration::from_secs(1),
            cached_keys: 10_000,
            quota_age: Duration::from_secs(1),
        }
    }

    /// Sets what to do while the server does not answer. [`FailurePolicy::Closed`] by default.
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Treats a bucket that the server does not have as empty. It begins to fill after `time`,
    /// which must be at least the time to live of its leases. By default such a bucket counts as
    /// full. A window counts as used up for its length, whatever `time` is.
    ///
    /// With this option a server that lost its data admits nothing that it had admitted before:
    /// after a crash without an append-only file, or a failover to a replica without the bucket.
    /// The price: buckets are empty when they are first used, and their keys never expire. So it
    /// does not suit tables of many keys. If the quota of such a bucket is raised while it is in
    /// debt, the debt lasts as long as before.
    pub const fn start_empty(mut self, time: Duration) -> Self {
        self.empty_for = Some(time);
        self
    }

    /// Sets how long at most a denial is cached on this node. Meanwhile this node denies calls for
    /// as much or more without asking the server. 1 s by default; zero caches nothing.
    ///
    /// The wait that such a denial reports is exact. But a reset by another node, or a higher limit
    /// after a deployment, is seen up to this much later.
    pub const fn cache_denials(mut self, max_age: Duration) -> Self {
        self.denial_age = max_age;
        self
    }

    /// Sets how often a table asks whether its quota was [changed](crate::RedisKeyed::set_quota): at
    /// its first call, and with the first call after each `max_age`. 1 s by default; zero never
    /// asks. Calls before the first answer wait for it. After that, one call of a node waits for an
    /// answer, and the others go on.
    ///
    /// Limits that are not tables learn of changes with the calls that they make anyway.
    pub const fn follow_changes(mut self, max_age: Duration) -> Self {
        self.quota_age = max_age;
        self
    }

    /// Sets for how many keys of a table denials are cached: 10 000 by default, about 200 bytes
    /// each.
    pub const fn cached_keys(mut self, keys: usize) -> Self {
        self.cached_keys = keys;
        self
    }
}
