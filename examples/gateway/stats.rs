//! What `/stats` shows. Neither an address nor an API key, nor what could be computed from one.

use serde::{Deserialize, Serialize};

use crate::limits::{ADDRESS, KEY};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The bucket for all requests first, then the windows of the routes.
    pub(crate) limits: Vec<LimitStats>,
    pub(crate) addresses: AddressStats,
    pub(crate) keys: KeyStats,
}

/// What came of the requests that a limit decided about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// Requests that were admitted, by this limit and by all others.
    pub(crate) admitted: u64,
    /// Requests that this limit refused.
    pub(crate) refused: u64,
    /// Permits that were taken and came back, because another limit refused after all.
    pub(crate) returned: u64,
    /// Permits that were taken and could not come back.
    pub(crate) forfeited: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitStats {
    pub(crate) limit: String,
    pub(crate) quota: String,
    /// How many requests would be admitted now.
    pub(crate) available: u64,
    #[serde(flatten)]
    pub(crate) decided: Decided,
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
    #[serde(flatten)]
    pub(crate) decided: Decided,
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
    #[serde(flatten)]
    pub(crate) decided: Decided,
}

impl Stats {
    /// What the limit of this name has decided.
    pub(crate) fn decided(&self, name: &str) -> Option<Decided> {
        match name {
            ADDRESS => Some(self.addresses.decided),
            KEY => Some(self.keys.decided),
            _ => {
                let limit = self.limits.iter().find(|limit| limit.limit == name);
                limit.map(|limit| limit.decided)
            }
        }
    }
}
