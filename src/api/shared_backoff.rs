//! The backoff of all callers after refusals that tell no wait.
//!
//! Each such refusal pauses all callers for a random time between half of a ceiling and the whole.
//! The ceiling begins at `backoff_base`, doubles with every pause that is followed by another one,
//! and ends at `backoff_max`. A success ends the row, and so does the longest backoff without a
//! refusal.
//!
//! Refusals during a pause are those of calls that were in flight when it began. They change
//! nothing: as many calls as are in flight would otherwise be as many steps.

use super::backoff::Backoff;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct SharedBackoff {
    /// The pauses in a row. Relaxed: it guards no memory, and the exchange of the pause decides
    /// which refusal counts.
    pauses: AtomicU64,
    /// The end of the last of them, in nanoseconds. Relaxed: as above.
    end: AtomicU64,
}

impl SharedBackoff {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { pauses: AtomicU64::new(0), end: AtomicU64::new(0) }
        }
    }

    /// Notes a response that is no refusal. One that comes during a pause was sent before it.
    pub(super) fn succeeded(&self, paused_until: Timestamp, now: Timestamp) {
        // Loads first, so that successes in a row write nothing. Relaxed: see the field.
        if now >= paused_until && self.pauses.load(Relaxed) != 0 {
            self.pauses.store(0, Relaxed);
        }
    }

    /// Pauses all callers after a refusal at `now` that tells no wait.
    pub(super) fn pause(&self, backoff: &Backoff, paused_until: &AtomicU64, now: Timestamp) {
        let now = now.as_nanos();
        let (base, max) = backoff.bounds();
        // Relaxed: guards no memory.
        let before = paused_until.load(Relaxed);
        if base == 0 || now < before {
            return;
        }
        let in_a_row = if now > before.saturating_add(max) {
            0
        } else {
            // Relaxed: see the field.
            self.pauses.load(Relaxed)
        };
        let factor = 1_u64.checked_shl(u32::try_from(in_a_row).unwrap_or(u32::MAX));
        let ceiling = base.saturating_mul(factor.unwrap_or(u64::MAX)).min(max);
        let least = ceiling / 2;
        let pause = least.saturating_add(backoff.jitter(ceiling - least, now));
        let end = now.saturating_add(pause);
        // Relaxed, both: as above. On failure another refusal has begun a pause.
        let begun = paused_until.compare_exchange(before, end, Relaxed, Relaxed);
        if begun.is_ok() {
            // Relaxed, both: see the fields.
            self.pauses.store(in_a_row + 1, Relaxed);
            self.end.store(end, Relaxed);
        }
    }

    /// Ends the pause of the last refusal at another instant, because that refusal has told one
    /// after all.
    pub(super) fn withdraw(&self, paused_until: &AtomicU64, end: Timestamp) {
        // Relaxed: see the field.
        let own = self.end.load(Relaxed);
        let end = end.as_nanos();
        // Relaxed, both: guards no memory. On failure there is another pause.
        let changed = paused_until.compare_exchange(own, end, Relaxed, Relaxed);
        if own != 0 && changed.is_ok() {
            let one_less = |pauses: u64| Some(pauses.saturating_sub(1));
            // Relaxed, both: see the field. The closure always returns a value.
            let _ = self.pauses.fetch_update(Relaxed, Relaxed, one_less);
        }
    }
}
