//! The instants as of which the limits of a combination decide a call.

use crate::time::Timestamp;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::wait::Instants;

/// Buckets may decide a waiting call as of the instant at which it was due; windows decide it as of
/// now. For a call that does not wait the two are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsOf {
    pub(crate) due: Timestamp,
    pub(crate) now: Timestamp,
}

impl From<Timestamp> for AsOf {
    #[inline]
    fn from(now: Timestamp) -> Self {
        Self { due: now, now }
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl From<Instants> for AsOf {
    #[inline]
    fn from(Instants { due, now, .. }: Instants) -> Self {
        Self { due, now }
    }
}
