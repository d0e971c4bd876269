//! A sliding window with a longer one over the same admissions, both charged by one exchange.
//!
//! Only the limiter for APIs uses it. A charge, its undo and a prepared charge are those of the
//! window, and decide for both. What is said of one of them is said here.

use alloc::vec::Vec;
use core::time::Duration;

use super::carried::Restored;
use super::ring::Ring;
use super::slots::{DEFAULT_SLOTS, Window, WindowError};
use super::windows::{Which, Windows};
use super::{Admissions, SlidingWindow, on_latest};
use crate::denied::Denied;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

impl<C> SlidingWindow<C> {
    /// An empty window of `length`, and one of a longer length over the same admissions. The number
    /// of slots of each is as in [`with_clock`](Self::with_clock). An error comes with the window
    /// whose numbers do not fit.
    pub(crate) fn nested(
        (limit, length): (u64, Duration),
        (longer_limit, longer_length): (u64, Duration),
        clock: C,
    ) -> Result<Self, (Which, WindowError)> {
        let window = Window::fitting(limit, length, DEFAULT_SLOTS);
        let window = window.map_err(|error| (Which::Shorter, error))?;
        let windows = Windows::nested(window, longer_limit, longer_length, DEFAULT_SLOTS)
            .map_err(|error| (Which::Longer, error))?;
        Ok(Self::build(&windows, clock))
    }

    pub(crate) fn limit_of(&self, which: Which) -> u64 {
        on_latest!(self, state => state.window_of(which).map(Window::limit))
    }

    pub(crate) fn length_of(&self, which: Which) -> Duration {
        on_latest!(self, state => state.window_of(which).map(Window::length))
    }

    pub(crate) fn peek_of_at(&self, which: Which, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        on_latest!(self, state => state.peek_of(which, n, now.as_nanos()))
    }

    /// As [`peek_behind_at`](Self::peek_behind_at).
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn peek_of_behind_at(
        &self,
        which: Which,
        ahead: u128,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        on_latest!(self, state => state.peek_of_behind(which, ahead, n, now.as_nanos()))
    }

    pub(crate) fn available_of_at(&self, which: Which, now: Timestamp) -> u64 {
        on_latest!(self, state => state.available_of(which, now.as_nanos()))
    }

    /// The room of each for one permit, or the nanoseconds until there is any.
    #[expect(clippy::inline_always, reason = "as `Ring::rooms_for_one`")]
    #[inline(always)]
    pub(crate) fn rooms_for_one_at(&self, now: Timestamp) -> [Result<u64, u64>; 2] {
        let nanos = now.as_nanos();
        match self.core.state.ring.rooms_for_one(Restored, nanos) {
            Some(rooms) => rooms,
            None => self.rooms_for_one_slow(nanos),
        }
    }

    #[cold]
    #[inline(never)]
    fn rooms_for_one_slow(&self, nanos: u64) -> [Result<u64, u64>; 2] {
        on_latest!(self, state => state.rooms_for_one(nanos))
    }

    pub(crate) fn snapshot_of_at(&self, which: Which, now: Timestamp) -> Snapshot {
        let wait = |n| match self.peek_of_at(which, n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        };
        Snapshot::new(self.limit_of(which), self.length_of(which))
            .with_available(self.available_of_at(which, now), wait)
    }

    /// As [`admissions_at`](Self::admissions_at).
    pub(crate) fn admissions_of_at(
        &self,
        which: Which,
        now: Timestamp,
    ) -> (Duration, Vec<Admissions>) {
        match which {
            Which::Shorter => self.admissions_at(now),
            Which::Longer => on_latest!(self, state => state.admissions_of_longer(now.as_nanos())),
        }
    }

    /// Counts these admissions as well, in each of the two windows. `now` is the present, at which
    /// they have their ages.
    pub(crate) fn restore_admissions_of_both_at(
        &mut self,
        shorter: &[Admissions],
        longer: &[Admissions],
        now: Timestamp,
    ) {
        let all = |which, more: &[Admissions]| {
            let (_, mut all) = self.admissions_of_at(which, now);
            all.extend_from_slice(more);
            all
        };
        let (shorter, longer) = (all(Which::Shorter, shorter), all(Which::Longer, longer));
        let windows = on_latest!(self, state => state.windows());
        self.replace_ring(Ring::restored(&windows, &shorter, &longer, now.as_nanos()));
    }
}

/// For models.
#[cfg(any(all(test, feature = "std"), tidegate_loom))]
#[cfg_attr(tidegate_loom, doc(hidden))]
impl<C> SlidingWindow<C> {
    /// A window of a limit, a length and slots, and a longer one.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    pub fn two_windows(
        shorter: (u64, Duration, u64),
        longer: (u64, Duration, u64),
        clock: C,
    ) -> Self {
        let (limit, length, slots) = shorter;
        let window = Window::new(limit, length, slots);
        let (limit, length, slots) = longer;
        let windows = window.and_then(|window| Windows::nested(window, limit, length, slots));
        Self::build(&windows.expect("fits"), clock)
    }

    /// The available permits of the shorter and the longer one.
    pub fn both_available_at(&self, now: Timestamp) -> [u64; 2] {
        [Which::Shorter, Which::Longer].map(|which| self.available_of_at(which, now))
    }

    /// The room of each for one permit, or the nanoseconds until there is any.
    pub fn both_rooms_at(&self, now: Timestamp) -> [Result<u64, u64>; 2] {
        self.rooms_for_one_at(now)
    }

    /// Changes the limit of the longer one.
    ///
    /// # Panics
    ///
    /// If it does not fit.
    pub fn set_longer_limit_at(&self, limit: u64, now: Timestamp) {
        let length = self.length_of(Which::Longer);
        let changed = self.set_limit_of_at(Which::Longer, limit, length, now);
        changed.expect("fits");
    }
}

// With std, because they change limits.
#[cfg(test)]
#[cfg(feature = "std")]
mod tests;
