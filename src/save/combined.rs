//! Save and restore of combinations, by the names of their limits.

use alloc::string::String;
use alloc::vec::Vec;

use super::bucket_level::BucketLevel;
use super::error::RestoreError;
use super::saved::{Elapsed, Savable, save_methods};
use super::window::{self, WindowState};
use crate::clock::Clock;
use crate::combined::{Combined, LimitMut, LimitRef};
use crate::sliding_window::Which;
use crate::time::Timestamp;

/// The state of one limit of a combination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LimitState {
    /// Of a token bucket.
    Bucket(BucketLevel),
    /// Of a sliding window.
    Window(WindowState),
}

/// The states of a combination's limits, by their names.
///
/// A limit that has no state starts unused, and the state of a limit that no longer exists is
/// dropped. Of limits that share a name, the first gets the first state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct CombinedState {
    limits: Vec<(String, LimitState)>,
}

impl CombinedState {
    /// Returns the state of the first limit with this name.
    pub fn limit(&self, name: &str) -> Option<&LimitState> {
        let named = self.limits.iter().find(|(known, _)| known == name);
        named.map(|(_, state)| state)
    }
}

pub(crate) fn state_at<C: Clock>(combined: &Combined<C>, now: Timestamp) -> CombinedState {
    let state = |(name, limit): (&'static str, LimitRef<'_, C>)| {
        let state = match limit {
            LimitRef::Bucket(bucket) => LimitState::Bucket(bucket.state_at(now)),
            LimitRef::Window(window) => LimitState::Window(window.state_at(now)),
            LimitRef::OneOfTwo(which, both) => {
                LimitState::Window(window::state_of_at(both, which, now))
            }
        };
        (String::from(name), state)
    };
    CombinedState {
        limits: combined.named_limits().map(state).collect(),
    }
}

pub(crate) fn restore_at<C: Clock>(
    combined: &mut Combined<C>,
    state: &CombinedState,
    elapsed: Elapsed,
    now: Timestamp,
) -> Result<(), RestoreError> {
    let mut left: Vec<&(String, LimitState)> = state.limits.iter().collect();
    let (mut shorter, mut longer) = (Vec::new(), Vec::new());
    for (name, limit) in combined.named_limits_mut() {
        let Some(position) = left.iter().position(|(known, _)| known == name) else {
            continue;
        };
        let (_, state) = left.remove(position);
        let limit = limit.ok_or(RestoreError::Shared)?;
        match (limit, state) {
            (LimitMut::Bucket(bucket), LimitState::Bucket(state)) => {
                bucket.restore_level_at(state.level()?, elapsed.0, now);
            }
            (LimitMut::Window(window), LimitState::Window(state)) => {
                window::restore_at(window, state, elapsed, now)?;
            }
            (LimitMut::OneOfTwo(which), LimitState::Window(state)) => {
                let admissions = match which {
                    Which::Shorter => &mut shorter,
                    Which::Longer => &mut longer,
                };
                *admissions = state.aged(elapsed.0)?;
            }
            _ => return Err(RestoreError::WrongKind),
        }
    }
    if shorter.is_empty() && longer.is_empty() {
        return Ok(());
    }
    combined
        .change_two_windows(|both| both.restore_admissions_of_both_at(&shorter, &longer, now))
        .ok_or(RestoreError::Shared)
}

impl<C: Clock> Savable for Combined<C> {
    type State = CombinedState;

    fn state_at(&self, now: Timestamp) -> CombinedState {
        state_at(self, now)
    }

    fn restored_at(
        mut self,
        state: &CombinedState,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        restore_at(&mut self, state, elapsed, now)?;
        Ok(self)
    }
}

save_methods! { Combined, CombinedState,
    /// A limit that other combinations share is part of each of their saves, but must be restored
    /// only once: restore it by itself, and share it then. Here that is
    /// [`RestoreError::Shared`](crate::RestoreError::Shared).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Combined, ManualClock, Quota, SlidingWindow};
    /// use tidegate::{Timestamp, TokenBucket, UnixTime};
    ///
    /// let calls = || -> Result<Combined<_>, tidegate::WindowError> {
    ///     let clock = ManualClock::new();
    ///     let minute = SlidingWindow::with_clock(50, Duration::from_secs(60), clock.clone())?;
    ///     let burst = TokenBucket::with_clock(Quota::per_second(5).burst(10), clock);
    ///     Ok(Combined::builder().limit("minute", minute).limit("burst", burst).build())
    /// };
    /// let before = calls()?;
    /// before.try_acquire(10)?;
    /// let saved = before.save_at(Timestamp::ZERO, UnixTime::from_nanos(1));
    ///
    /// let later = UnixTime::from_nanos(1_000_000_001);
    /// let after = Combined::restore_at(&saved, calls()?, Timestamp::ZERO, later)?;
    /// assert_eq!(after.available_in("minute"), Some(40));
    /// assert_eq!(after.available_in("burst"), Some(5));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
}
