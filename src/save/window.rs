//! Save and restore of sliding windows.

use alloc::vec::Vec;

use super::error::RestoreError;
use super::saved::{Elapsed, Savable, save_methods};
use crate::clock::Clock;
use crate::sliding_window::{Admissions, SlidingWindow, Which};
use crate::time::{Timestamp, nanos};

/// The admissions of a sliding window that still counted, by their age.
///
/// The admissions of one slot count as being as old as the youngest of them may be. So after a
/// restore they count as long as before, or up to a slot longer. Restored to another window, they
/// count for its length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct WindowState {
    /// The window's length in nanoseconds.
    length: u64,
    /// Ages in nanoseconds, and counts.
    admissions: Vec<(u64, u64)>,
}

/// The longest window, 2^62 ns.
const MAX_LENGTH: u64 = 1 << 62;
/// More than the slots of any window: twice 65 536, the current one, and as many of an earlier
/// life.
const MAX_SLOTS: usize = 1 << 19;

impl WindowState {
    /// Returns how many admissions counted.
    pub fn count(&self) -> u64 {
        let counts = self.admissions.iter().map(|&(_, count)| count);
        counts.fold(0, u64::saturating_add)
    }

    pub(super) fn aged(&self, elapsed: u64) -> Result<Vec<Admissions>, RestoreError> {
        // A slot is at most as long as the window.
        let oldest = self.length.saturating_mul(2);
        let is_valid = |&(age, count): &(u64, u64)| age <= oldest && count > 0;
        let is_window = (1..=MAX_LENGTH).contains(&self.length);
        if !is_window || self.admissions.len() > MAX_SLOTS || !self.admissions.iter().all(is_valid)
        {
            return Err(RestoreError::InvalidSlots);
        }
        let older = |&(age, count): &(u64, u64)| Admissions {
            age: age.saturating_add(elapsed),
            count,
        };
        Ok(self.admissions.iter().map(older).collect())
    }
}

pub(super) fn state_of_at<C>(
    window: &SlidingWindow<C>,
    which: Which,
    now: Timestamp,
) -> WindowState {
    let (length, admissions) = window.admissions_of_at(which, now);
    WindowState {
        length: nanos(length),
        admissions: admissions
            .into_iter()
            .map(|Admissions { age, count }| (age, count))
            .collect(),
    }
}

pub(super) fn restore_at<C>(
    window: &mut SlidingWindow<C>,
    state: &WindowState,
    Elapsed(elapsed): Elapsed,
    now: Timestamp,
) -> Result<(), RestoreError> {
    window.restore_admissions_at(&state.aged(elapsed)?, now);
    Ok(())
}

impl<C: Clock> Savable for SlidingWindow<C> {
    type State = WindowState;

    fn state_at(&self, now: Timestamp) -> WindowState {
        state_of_at(self, Which::Shorter, now)
    }

    fn restored_at(
        mut self,
        state: &WindowState,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        restore_at(&mut self, state, elapsed, now)?;
        Ok(self)
    }
}

save_methods! { SlidingWindow, WindowState,
    /// Takes time in proportion to the number of slots.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, SlidingWindow, Timestamp, UnixTime};
    ///
    /// let minute = Duration::from_secs(60);
    /// let clock = ManualClock::new();
    /// let window = SlidingWindow::with_clock(100, minute, clock.clone())?;
    /// window.try_acquire(100).unwrap();
    /// clock.advance(Duration::from_secs(30));
    /// let saved = window.save_at(tidegate::Clock::now(&clock), UnixTime::from_nanos(1));
    /// assert_eq!(saved.state().count(), 100);
    ///
    /// // In another process, at once. Its clock begins at 0.
    /// let clock = ManualClock::new();
    /// let fresh = SlidingWindow::with_clock(100, minute, clock.clone())?;
    /// let window =
    ///     SlidingWindow::restore_at(&saved, fresh, Timestamp::ZERO, UnixTime::from_nanos(1))?;
    /// assert_eq!(window.available(), 0);
    /// clock.advance(Duration::from_secs(31));
    /// assert_eq!(window.available(), 100);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
}
