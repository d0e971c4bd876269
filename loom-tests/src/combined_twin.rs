//! A twin of the combination, with a switch for each thing that can be wrong.

use tidegate::{Combined, Limiter, Timestamp};

use crate::bucket_twin::NoClock;
use crate::combined_models::{Bucket, Pair};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// A charge that fails after a look that passed is taken for made.
    AssumedCharge,
    /// What was charged before a refusal stays charged.
    KeptCharge,
    /// What was charged before a refusal is given back, whatever came in between.
    FullRefund,
}

/// Two limits, charged in the order of their headroom.
pub struct Twin<const FLAW: u8> {
    limits: [Bucket; 2],
    forfeited: loom::sync::atomic::AtomicU64,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }
}

impl<const FLAW: u8> Pair for Twin<FLAW> {
    fn new(first: Bucket, second: Bucket) -> Self {
        Self {
            limits: [first, second],
            forfeited: loom::sync::atomic::AtomicU64::new(0),
        }
    }

    fn admit(&self, now: u64) -> bool {
        let now = Timestamp::from_nanos(now);
        let [first, second] = &self.limits;
        let headroom = [first.available_at(now), second.available_at(now)];
        if headroom.contains(&0) {
            return false;
        }
        let (tight, other) = if headroom[1] < headroom[0] {
            (second, first)
        } else {
            (first, second)
        };
        let Ok(charge) = tight.charge_at(1, now) else {
            return Self::is(Flaw::AssumedCharge);
        };
        if other.charge_at(1, now).is_ok() {
            return true;
        }
        if Self::is(Flaw::FullRefund) {
            tight.credit_at(1, now);
        } else if !Self::is(Flaw::KeptCharge) && Limiter::undo(&**tight, charge) == 0 {
            self.forfeited
                .fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
        }
        false
    }

    fn forfeited(&self) -> u64 {
        self.forfeited.load(loom::sync::atomic::Ordering::Relaxed)
    }
}

impl Pair for Combined<NoClock> {
    fn new(first: Bucket, second: Bucket) -> Self {
        Combined::builder()
            .limit("first", first)
            .limit("second", second)
            .build()
    }

    fn admit(&self, now: u64) -> bool {
        self.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok()
    }

    fn forfeited(&self) -> u64 {
        self.forfeited()
    }
}
