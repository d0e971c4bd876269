//! How limiters are set up.

use core::time::Duration;
use std::sync::Arc;

use tidegate::Quota;

use crate::limits::Settings;
use crate::policy::FailurePolicy;

/// What limiters have in common, beside their quotas.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LimiterOptions {
    settings: Settings,
}

impl Default for LimiterOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LimiterOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            settings: Settings::DEFAULT,
        }
    }

    /// What to do while the server does not answer. [`FailurePolicy::Closed`] by default.
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// A bucket that the server has not, counts as empty, and begins to fill after `time`: at least as long as its leases last.
    /// By default it counts as full.
    ///
    /// So a server that comes back without its data, after a crash without an append-only file or a failover to a replica that knew
    /// nothing of the bucket, admits nothing that was admitted before. The price: buckets are empty when they are used for the very
    /// first time, and their keys never expire. Not for tables of many keys, therefore.
    pub const fn start_empty(mut self, time: Duration) -> Self {
        self.settings.empty_for = Some(time);
        self
    }

    /// For how long at most a refusal is remembered on this node, in which calls for as much or more are refused without asking the
    /// server. 1 s by default; zero remembers nothing.
    ///
    /// The hint is exact, but what another node resets, or a higher limit after a deployment, is seen that much later.
    pub const fn cache_denials(mut self, most: Duration) -> Self {
        self.settings.remember = most;
        self
    }

    /// For how many keys of a table refusals are denied_from_cache: 10 000 by default. About 100 bytes each.
    pub const fn cached_keys(mut self, keys: usize) -> Self {
        self.settings.cached_keys = keys;
        self
    }

    pub(crate) const fn settings(self) -> Settings {
        self.settings
    }

    /// The same, for one bucket or combination.
    pub(crate) const fn of_one_key(mut self) -> Settings {
        self.settings.cached_keys = 1;
        self.settings
    }
}

/// One quota, or several with names: `Quota::per_second(10).into()`, or an array or `Vec` of pairs.
#[derive(Clone, Debug)]
pub struct Quotas(pub(crate) Vec<(Option<Arc<str>>, Quota)>);

impl From<Quota> for Quotas {
    fn from(quota: Quota) -> Self {
        Self(vec![(None, quota)])
    }
}

impl<N: AsRef<str>, const LIMITS: usize> From<[(N, Quota); LIMITS]> for Quotas {
    fn from(limits: [(N, Quota); LIMITS]) -> Self {
        limits.into_iter().collect()
    }
}

impl<N: AsRef<str>> From<Vec<(N, Quota)>> for Quotas {
    fn from(limits: Vec<(N, Quota)>) -> Self {
        limits.into_iter().collect()
    }
}

impl<N: AsRef<str>> FromIterator<(N, Quota)> for Quotas {
    fn from_iter<I: IntoIterator<Item = (N, Quota)>>(limits: I) -> Self {
        let limit = |(name, quota): (N, Quota)| (Some(Arc::from(name.as_ref())), quota);
        Self(limits.into_iter().map(limit).collect())
    }
}
