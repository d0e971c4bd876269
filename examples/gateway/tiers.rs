//! What API keys are worth.

use tidegate::{KeyDigest, KeyDigester, Quota, QuotaError};

/// Keys of paying customers, made up for this example. A real gateway would load their digests from where it has its accounts,
/// made with a secret of its own ([`KeyDigester::with_secret`]), and never see a key but in a request.
pub(crate) const PRO_KEYS: [&str; 2] = ["pro-7f3a9c", "pro-c41d02"];

/// How many times what a free key gets.
const PRO_FACTOR: u64 = 4;

/// The quotas of API keys.
#[derive(Clone, Copy)]
pub(crate) struct Tiers {
    /// Also of keys that nobody has ever seen: whoever sends one gets no more than with a key of the free tier, and their address
    /// is limited all the same.
    pub(crate) free: Quota,
    pub(crate) pro: Quota,
}

impl Tiers {
    /// Fails if there is no quota for the pro tier.
    pub(crate) fn new(free: Quota) -> Result<Self, QuotaError> {
        let rate = free.rate().saturating_mul(PRO_FACTOR);
        let burst = free.capacity().saturating_mul(PRO_FACTOR);
        let pro = Quota::new(rate, free.period())?.try_burst(burst)?;
        Ok(Self { free, pro })
    }

    /// The quota of any key, by its digest alone.
    pub(crate) fn by_digest(self, digests: &KeyDigester) -> impl Fn(&KeyDigest) -> Quota + use<> {
        let pro_keys = PRO_KEYS.map(|key| digests.digest(key));
        move |key| {
            if pro_keys.contains(key) {
                self.pro
            } else {
                self.free
            }
        }
    }
}
