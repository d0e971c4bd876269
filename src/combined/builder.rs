//! How a combination is put together.

use alloc::vec::Vec;

use super::{Combined, Limit, Named};
use crate::sync::AtomicU64;
#[cfg(feature = "std")]
use crate::wait::Line;

/// A combination without limits yet. A type of its own, so that an empty combination, which would admit everything, cannot be
/// built.
#[derive(Clone, Copy, Debug)]
pub struct CombinedStart(pub(super) ());

impl CombinedStart {
    /// Adds the first limit. Its clock is the one that is read for all.
    pub fn limit<C>(self, name: &'static str, limit: impl Into<Limit<C>>) -> CombinedBuilder<C> {
        CombinedBuilder { limits: Vec::new() }.limit(name, limit)
    }
}

/// A combination in the making: see [`Combined::builder`](crate::Combined::builder).
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct CombinedBuilder<C> {
    limits: Vec<Named<C>>,
}

impl<C> CombinedBuilder<C> {
    /// Adds a limit. The name is for people who read refusals, and may be used twice.
    pub fn limit(mut self, name: &'static str, limit: impl Into<Limit<C>>) -> Self {
        let limit = limit.into();
        self.limits.push(Named { name, limit });
        self
    }

    /// The combination.
    #[must_use]
    pub fn build(self) -> Combined<C> {
        Combined {
            limits: self.limits.into_boxed_slice(),
            forfeited: AtomicU64::new(0),
            #[cfg(feature = "std")]
            line: Line::new(),
        }
    }
}
