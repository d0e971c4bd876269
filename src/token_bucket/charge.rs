//! What a bucket returns for a charge, so that it can be undone.

use crate::time::Timestamp;

/// A reservation that was made: what undoes it, and when it may be used.
#[derive(Debug)]
pub(crate) struct ReservedCharge {
    pub(crate) charge: BucketCharge,
    pub(crate) ready_at: Timestamp,
    /// Whether the tokens had not flowed in yet.
    pub(crate) delayed: bool,
}

/// A charge on a [`TokenBucket`](crate::TokenBucket), for [`Limiter::undo`](crate::Limiter::undo).
#[derive(Debug)]
#[must_use = "a charge that is dropped is kept"]
pub struct BucketCharge {
    /// The TAT before the charge.
    pub(crate) before: u64,
    /// The TAT after the charge.
    pub(crate) after: u64,
    pub(crate) tokens: u64,
}

impl BucketCharge {
    pub(super) const NOTHING: Self = Self {
        before: 0,
        after: 0,
        tokens: 0,
    };

    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }
}
