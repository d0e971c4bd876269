//! What `/stats` shows. Neither an address nor an API key, nor what could be computed from one.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};
use tidegate::tower::RateLimitLayerStats;
use tidegate::{FixedKeyed, KeyedStats};

use crate::rules::RULES;
use crate::server::{ADDRESS, GLOBAL, KEY};
use crate::tiers::Tiers;

/// Counts what layers do not: how many requests each of their limits refused.
///
/// Its operations are Relaxed: each count stands for itself, and is raised before the answer that it counts is sent.
pub(crate) struct Refusals(BTreeMap<&'static str, AtomicU64>);

impl Refusals {
    pub(crate) fn new() -> Self {
        let routes = RULES.iter().map(|rule| rule.name);
        let limits = routes.chain([GLOBAL, ADDRESS, KEY]);
        Self(limits.map(|limit| (limit, AtomicU64::new(0))).collect())
    }

    pub(crate) fn count(&self, limit: &str) {
        if let Some(count) = self.0.get(limit) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn by(&self, limit: &str) -> u64 {
        self.0.get(limit).map_or(0, |count| count.load(Relaxed))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The bucket for all requests first, then the windows of the routes.
    pub(crate) limits: Vec<LimitStats>,
    pub(crate) addresses: AddressStats,
    pub(crate) keys: KeyStats,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitStats {
    pub(crate) limit: String,
    pub(crate) quota: String,
    /// How many requests would be admitted now.
    pub(crate) available: u64,
    /// Requests that were admitted, by this limit and by all others.
    pub(crate) admitted: u64,
    /// Requests that this limit refused.
    pub(crate) refused: u64,
    /// Permits of any limit that were taken for these requests, and could not come back when another limit refused after all.
    pub(crate) forfeited: u64,
}

impl LimitStats {
    /// Of a limit that is in all these layers.
    pub(crate) fn new(
        limit: &str,
        quota: String,
        available: u64,
        layers: &[RateLimitLayerStats],
        refusals: &Refusals,
    ) -> Self {
        Self {
            limit: limit.to_owned(),
            quota,
            available,
            admitted: layers.iter().map(|layer| layer.allowed).sum(),
            refused: refusals.by(limit),
            forfeited: layers.iter().map(|layer| layer.forfeited).sum(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AddressStats {
    /// Of each.
    pub(crate) quota: String,
    /// Addresses whose bucket is not full. The others are not kept, so there is no count of those that were dropped.
    pub(crate) active: u64,
    /// How many there may be.
    pub(crate) capacity: u64,
    /// Requests that were charged to the bucket of all addresses without room.
    pub(crate) overflowed: u64,
    /// Requests that an address's limit refused. Those that were admitted are the same as of all requests.
    pub(crate) refused: u64,
}

impl AddressStats {
    pub(crate) fn new(addresses: &FixedKeyed, refused: u64) -> Self {
        let stats = addresses.stats();
        Self {
            quota: addresses.quota().to_string(),
            active: stats.active,
            capacity: stats.capacity,
            overflowed: stats.overflowed,
            refused,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyStats {
    /// Of each that is not of the pro tier.
    pub(crate) quota: String,
    pub(crate) pro_quota: String,
    /// Keys that are there.
    pub(crate) keys: u64,
    /// How many there may be.
    pub(crate) max_keys: u64,
    /// Keys that were added, among them those that came back.
    pub(crate) created: u64,
    /// Keys that were dropped because their bucket was full again.
    pub(crate) dropped: u64,
    /// Requests that were charged to the bucket of all keys without room.
    pub(crate) overflowed: u64,
    /// Requests that a key's limit refused. Of those that were admitted nobody counts how many had a key.
    pub(crate) refused: u64,
}

impl KeyStats {
    pub(crate) fn new(tiers: Tiers, stats: KeyedStats, refused: u64) -> Self {
        Self {
            quota: tiers.free.to_string(),
            pro_quota: tiers.pro.to_string(),
            keys: stats.keys,
            max_keys: stats.max_keys,
            created: stats.created,
            dropped: stats.dropped,
            overflowed: stats.overflowed,
            refused,
        }
    }
}

impl Stats {
    /// What is shown of the limit of this name.
    pub(crate) fn limit(&self, name: &str) -> Option<&LimitStats> {
        self.limits.iter().find(|limit| limit.limit == name)
    }

    /// How many requests the limits of this name refused.
    pub(crate) fn refused(&self, name: &str) -> Option<u64> {
        match name {
            ADDRESS => Some(self.addresses.refused),
            KEY => Some(self.keys.refused),
            _ => self.limit(name).map(|limit| limit.refused),
        }
    }
}
