//! Builders of combinations.

use alloc::vec::Vec;

use super::Combined;
use super::limit::{Limit, NamedLimit};
use crate::sync::AtomicU64;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::WaitQueue;

impl Combined {
    /// Starts a combination: add limits, then call [`build`](CombinedBuilder::build).
    ///
    /// All limits must be on the same clock or on clones of it, because the first one's clock is
    /// read for all. Add each limiter only once: two entries are judged as if independent.
    pub const fn builder() -> CombinedStart {
        CombinedStart(())
    }
}

/// A combination without limits. A type of its own, because a combination without limits would
/// admit everything and cannot be built.
#[derive(Clone, Copy, Debug)]
pub struct CombinedStart(());

impl CombinedStart {
    /// Adds the first limit. Its clock is read for all.
    pub fn limit<C>(self, name: &'static str, limit: impl Into<Limit<C>>) -> CombinedBuilder<C> {
        CombinedBuilder { limits: Vec::new() }.limit(name, limit)
    }
}

/// Builds a combination: see [`Combined::builder`](crate::Combined::builder).
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct CombinedBuilder<C> {
    limits: Vec<NamedLimit<C>>,
}

impl<C> CombinedBuilder<C> {
    /// Begins with these limits: one at least.
    pub(crate) fn of(limits: impl Iterator<Item = (&'static str, Limit<C>)>) -> Self {
        let limits = limits.map(|(name, limit)| NamedLimit { name, limit });
        Self {
            limits: limits.collect(),
        }
    }

    /// Adds a limit. Its name appears in refusals; a name may be used twice.
    ///
    /// Do not add one limiter twice. A call is charged to it twice, but looks for the room of one
    /// charge. So the hints of such a combination are too short, and a wait may never end.
    pub fn limit(mut self, name: &'static str, limit: impl Into<Limit<C>>) -> Self {
        let limit = limit.into();
        self.limits.push(NamedLimit { name, limit });
        self
    }

    /// Builds the combination.
    #[must_use]
    pub fn build(self) -> Combined<C> {
        Combined {
            limits: self.limits.into_boxed_slice(),
            forfeited: AtomicU64::new(0),
            #[cfg(any(feature = "std", tidegate_loom))]
            wait_queue: WaitQueue::new(),
        }
    }
}
