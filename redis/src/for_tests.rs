//! What tests of the scripts need to call them by themselves. Not part of the interface.

use tidegate::Quota;

use crate::scaled_quota::{Amount, ScaleError, ScaledQuota};

/// The longest refill and the deepest debt, in microseconds.
pub const MOST_US: u64 = crate::scaled_quota::MOST_US;

pub fn take_script() -> String {
    crate::script::Script::take().code().to_owned()
}

pub fn lease_script() -> String {
    crate::script::Script::lease().code().to_owned()
}

/// What the keys of a call begin with, and the slot of a cluster that we take them to be in.
#[cfg(feature = "cluster")]
pub fn place(prefix: &str, name: &str, key: Option<&[u8]>) -> (Vec<u8>, u16) {
    let place = crate::base_key::BaseKey::new(prefix, name, key);
    (place.head().to_vec(), place.slot())
}

/// A quota in the scripts' numbers: microseconds, and a numerator over [`den`](Self::den).
#[derive(Clone, Copy, Debug)]
pub struct Scaled(ScaledQuota);

const fn pair(amount: Amount) -> (u64, u64) {
    (amount.us, amount.num)
}

impl Scaled {
    pub fn new(quota: Quota) -> Result<Self, ScaleError> {
        ScaledQuota::new(quota).map(Self)
    }

    pub const fn den(&self) -> u64 {
        self.0.den()
    }

    pub const fn full(&self) -> (u64, u64) {
        pair(self.0.full())
    }

    pub fn cost(&self, n: u64) -> (u64, u64) {
        pair(self.0.cost(n))
    }

    pub fn available(&self, (us, num): (u64, u64)) -> u64 {
        self.0.available(Amount { us, num })
    }
}
