//! How much a limit may refuse.

use super::fraction::Share;
use super::requests::{KeyGroup, Refusals};

/// The shares of requests and of keys that may be refused. At least one of them is set.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The share of requests.
    pub requests: Option<Share>,
    /// The share of keys that may have a refused request.
    pub keys: Option<Share>,
}

impl Targets {
    /// The given targets. Without any, one in a thousand requests may be refused.
    pub fn new(requests: Option<Share>, keys: Option<Share>) -> Self {
        let is_given = requests.is_some() || keys.is_some();
        Self {
            requests: requests.or_else(|| (!is_given).then(Share::one_in_a_thousand)),
            keys,
        }
    }

    /// The shares of a group, rounded down. What has no target is unlimited.
    pub fn of(&self, group: &KeyGroup<'_>) -> Refusals {
        let share = |share: &Option<Share>, of: u64| match share {
            Some(share) => share.of(of),
            None => u64::MAX,
        };
        Refusals {
            requests: share(&self.requests, group.requests()),
            keys: share(&self.keys, group.keys()),
        }
    }
}
