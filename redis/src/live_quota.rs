//! The quota of a limit now: that of the configuration, or the newest that the server has told.
//!
//! # State
//!
//! A pointer to a record that is never changed. Each call loads it once, so it is decided by one
//! quota. A record is replaced by one of a higher version only, or by that of the server if both
//! have the same version: then another node changed the limit first.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate::Quota;

use crate::quota_record::{QUOTA_SIZE, QuotaRecord};
use crate::scaled_quota::{ScaleError, ScaledQuota};

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct LiveQuota {
    /// The quota of the configuration.
    base: QuotaRecord,
    newest: ArcSwap<QuotaRecord>,
}

impl LiveQuota {
    pub(crate) fn new(quota: Quota) -> Result<Self, ScaleError> {
        let base = QuotaRecord::new(0, quota, ScaledQuota::new(quota)?);
        Ok(Self {
            base,
            newest: ArcSwap::from_pointee(base),
        })
    }

    /// Returns the quota of the configuration.
    pub(crate) const fn base(&self) -> &QuotaRecord {
        &self.base
    }

    pub(crate) fn get(&self) -> QuotaRecord {
        **self.newest.load()
    }

    /// Replaces the quota by one that the server has told, unless it is older. Returns whether it
    /// did.
    pub(crate) fn adopt(&self, told: QuotaRecord) -> bool {
        let mut is_adopted = false;
        self.newest.rcu(|known| {
            is_adopted =
                told.version > known.version || (told.version == known.version && told != **known);
            if is_adopted {
                Arc::new(told)
            } else {
                Arc::clone(known)
            }
        });
        is_adopted
    }
}

/// The reply about a table's quotas if none is newer than what the node knows.
pub(crate) const NO_NEWER: [i64; 1] = [-2];

/// Reads a reply that tells newer quotas: for each, the index of the limit and its record. `None`
/// if it is another reply.
pub(crate) fn told_quotas(reply: &[i64]) -> Option<Vec<(usize, QuotaRecord)>> {
    const PARTS: usize = 1 + QUOTA_SIZE / 4;
    let [-2, told @ ..] = reply else {
        return None;
    };
    if told.is_empty() || !told.len().is_multiple_of(PARTS) {
        return None;
    }
    let quota = |told: &[i64]| {
        let index = usize::try_from(told[0]).ok()?.checked_sub(1)?;
        let numbers = told[1..].iter().map(|number| u32::try_from(*number));
        let numbers = numbers.collect::<Result<Vec<_>, _>>().ok()?;
        let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
        let bytes: Vec<u8> = bytes.collect();
        Some((index, QuotaRecord::from_bytes(&bytes)?))
    };
    told.chunks_exact(PARTS).map(quota).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u64, quota: Quota) -> QuotaRecord {
        QuotaRecord::new(version, quota, ScaledQuota::new(quota).unwrap())
    }

    #[test]
    fn only_newer_quotas_are_adopted() {
        let live = LiveQuota::new(Quota::per_second(1)).unwrap();
        assert!(live.adopt(record(2, Quota::per_second(2))));
        assert!(!live.adopt(record(1, Quota::per_second(3))));
        assert!(!live.adopt(record(2, Quota::per_second(2))));
        assert_eq!(live.get().quota, Quota::per_second(2));
        // Another node made its change number 2 first.
        assert!(live.adopt(record(2, Quota::per_second(4))));
        assert_eq!(live.get().quota, Quota::per_second(4));
        assert_eq!(live.base().quota, Quota::per_second(1));
    }

    #[test]
    fn told_quotas_are_read() {
        let second = record(7, Quota::per_minute(100).burst(20));
        let words = second.to_bytes();
        let words = words
            .chunks_exact(4)
            .map(|word| i64::from(u32::from_be_bytes(word.try_into().unwrap())));
        let reply: Vec<i64> = [-2, 2].into_iter().chain(words).collect();
        assert_eq!(told_quotas(&reply), Some(vec![(1, second)]));
        for other in [
            &[-2][..],
            &[-2, 1],
            &[0],
            &[-1, 5],
            &reply[1..],
            &reply[..16],
        ] {
            assert_eq!(told_quotas(other), None);
        }
    }
}
