//! A saved state with its version and time, and the trait of all that can be saved.

use super::bucket_level::BucketLevel;
use super::error::RestoreError;
use super::unix_time::UnixTime;
use crate::time::Timestamp;

/// The version of the format. A change of any state's fields or meaning raises it.
pub(crate) const VERSION: u32 = 1;

/// The state of a limiter at an instant of the wall clock.
///
/// See [`docs::restarts`](crate::docs::restarts) for what a restart costs and how to lose nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "a save is of no use until it is written"]
pub struct Saved<S> {
    version: u32,
    at: UnixTime,
    state: S,
}

impl<S> Saved<S> {
    pub(crate) const fn new(at: UnixTime, state: S) -> Self {
        Self {
            version: VERSION,
            at,
            state,
        }
    }

    /// Returns when it was saved, by the wall clock.
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// Returns the version of the format.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Returns the state of the limiter.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// Checks version and time, and returns how long ago it was saved.
    pub(crate) const fn elapsed(&self, now: UnixTime) -> Result<Elapsed, RestoreError> {
        Elapsed::since(self.version, self.at, now)
    }
}

/// Nanoseconds of the wall clock since a save; 0 if the wall clock went back.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "a detail of a sealed trait")]
pub struct Elapsed(pub(crate) u64);

impl Elapsed {
    pub(crate) const fn since(
        version: u32,
        at: UnixTime,
        now: UnixTime,
    ) -> Result<Self, RestoreError> {
        if version != VERSION {
            return Err(RestoreError::UnknownVersion { version });
        }
        if !at.is_plausible() {
            return Err(RestoreError::InvalidTime);
        }
        Ok(Self(now.since(at)))
    }
}

/// A limiter whose state can be saved and restored.
///
/// Call `save` and `restore` of the limiter itself. This trait is for tables, which save the
/// limiter of each key. It is sealed, because a state is of use only to this crate.
pub trait Savable: Sized + crate::limiter::sealed::Sealed {
    /// What a save keeps.
    type State;

    /// The state at `now`. Includes all that was admitted before the call.
    #[doc(hidden)]
    fn state_at(&self, now: Timestamp) -> Self::State;

    /// This limiter, which has also admitted what `state` says.
    #[doc(hidden)]
    fn restored_at(
        self,
        state: &Self::State,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError>;

    /// The state of a bucket that a table keeps as a word; `None` if no table does.
    #[doc(hidden)]
    fn state_of_word(_level: BucketLevel) -> Option<Self::State> {
        None
    }

    /// The reverse of [`state_of_word`](Self::state_of_word).
    #[doc(hidden)]
    fn word_state(_state: &Self::State) -> Option<BucketLevel> {
        None
    }
}

/// The four methods of a limiter that is [`Savable`]. `$doc` is an example.
macro_rules! save_methods {
    ($limiter:ident, $state:ty, $(#[$doc:meta])*) => {
        impl<C: $crate::clock::Clock> $limiter<C> {
            /// Returns the state for a later [`restore`](Self::restore), as of now.
            ///
            /// It includes all that was admitted before the call, whatever other threads do
            /// meanwhile. See [`docs::restarts`](crate::docs::restarts).
            ///
            $(#[$doc])*
            #[cfg(feature = "std")]
            pub fn save(&self) -> $crate::save::Saved<$state> {
                // The wall clock last, and first in `restore`: so it never shows more time than
                // passed between the two readings of the limiter's clock.
                let state = $crate::save::Savable::state_at(self, self.clock().now());
                $crate::save::Saved::new($crate::save::UnixTime::now(), state)
            }

            /// `save` as of `now`, which is `wall` by the wall clock.
            pub fn save_at(
                &self,
                now: $crate::time::Timestamp,
                wall: $crate::save::UnixTime,
            ) -> $crate::save::Saved<$state> {
                let state = $crate::save::Savable::state_at(self, now);
                $crate::save::Saved::new(wall, state)
            }

            /// Returns `fresh` with what `saved` had spent, as of now. The time since the save
            /// counts by the wall clock.
            ///
            /// What `fresh` has spent itself counts as well, so it is mostly new. Its options
            /// stay.
            ///
            /// # Errors
            ///
            /// [`RestoreError`](crate::RestoreError) if `saved` cannot be a save of such a
            /// limiter.
            #[cfg(feature = "std")]
            pub fn restore(
                saved: &$crate::save::Saved<$state>,
                fresh: Self,
            ) -> Result<Self, $crate::save::RestoreError> {
                let wall = $crate::save::UnixTime::now();
                let now = fresh.clock().now();
                Self::restore_at(saved, fresh, now, wall)
            }

            /// `restore` as of `now`, which is `wall` by the wall clock.
            ///
            /// # Errors
            ///
            /// As `restore`.
            pub fn restore_at(
                saved: &$crate::save::Saved<$state>,
                fresh: Self,
                now: $crate::time::Timestamp,
                wall: $crate::save::UnixTime,
            ) -> Result<Self, $crate::save::RestoreError> {
                let elapsed = saved.elapsed(wall)?;
                $crate::save::Savable::restored_at(fresh, saved.state(), elapsed, now)
            }
        }
    };
}
pub(crate) use save_methods;
