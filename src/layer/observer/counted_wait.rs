//! A request that waits, and is counted until it no longer does.

#[cfg(feature = "metrics")]
use metrics::Gauge;

/// Is counted in the gauge of waiting requests until it is dropped, so that a request that is
/// dropped while it waits is not counted forever.
pub(crate) struct CountedWait {
    #[cfg(feature = "metrics")]
    waiting: Gauge,
}

#[cfg(feature = "metrics")]
impl CountedWait {
    pub(crate) fn new(waiting: Gauge) -> Self {
        waiting.increment(1.0);
        Self { waiting }
    }
}

#[cfg(feature = "metrics")]
impl Drop for CountedWait {
    fn drop(&mut self) {
        self.waiting.decrement(1.0);
    }
}

#[cfg(not(feature = "metrics"))]
impl CountedWait {
    pub(crate) const fn new() -> Self {
        Self {}
    }
}
