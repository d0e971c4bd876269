//! The crate's scripts and its arithmetic, which are not public.

use tidegate::Quota;

#[path = "../../src/scaled_quota.rs"]
#[allow(unreachable_pub, reason = "it is public in the crate")]
mod scaled_quota;

use scaled_quota::{Amount, ScaledQuota};
pub(crate) use scaled_quota::{MAX_REFILL_US as MOST_US, ScaleError};

const BUCKET: &str = include_str!("../../src/script/bucket.lua");

pub(crate) fn take_script() -> String {
    [BUCKET, include_str!("../../src/script/take.lua")].concat()
}

pub(crate) fn lease_script() -> String {
    [BUCKET, include_str!("../../src/script/lease.lua")].concat()
}

/// A quota in the scripts' numbers: microseconds, and a numerator over [`den`](Self::den).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaled(ScaledQuota);

const fn pair(amount: Amount) -> (u64, u64) {
    (amount.us, amount.num)
}

impl Scaled {
    pub(crate) fn new(quota: Quota) -> Result<Self, ScaleError> {
        ScaledQuota::new(quota).map(Self)
    }

    pub(crate) const fn den(&self) -> u64 {
        self.0.den()
    }

    pub(crate) const fn full(&self) -> (u64, u64) {
        pair(self.0.full())
    }

    pub(crate) fn cost(&self, n: u64) -> (u64, u64) {
        pair(self.0.cost(n))
    }

    pub(crate) fn available(&self, (us, num): (u64, u64)) -> u64 {
        self.0.available(Amount { us, num })
    }
}
