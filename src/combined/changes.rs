//! Changes of one limit of a combination while it is used.

use core::fmt;
use core::time::Duration;

use super::{Combined, Limit};
use crate::clock::Clock;
use crate::quota::Quota;
use crate::sliding_window::WindowError;
use crate::time::Timestamp;

/// Why a limit of a [`Combined`] could not be changed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeError {
    /// No limit has this name.
    UnknownLimit,
    /// The limit is a window, which has no quota.
    NotABucket,
    /// The limit is a bucket, which has a quota.
    NotAWindow,
    /// The window cannot be represented.
    Window(WindowError),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLimit => f.write_str("no limit has this name"),
            Self::NotABucket => f.write_str("the limit is a window: set its limit"),
            Self::NotAWindow => f.write_str("the limit is a bucket: set its quota"),
            Self::Window(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ChangeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Window(error) => Some(error),
            _ => None,
        }
    }
}

impl<C: Clock> Combined<C> {
    /// Changes the quota of one limit while calls use it, as
    /// [`TokenBucket::set_quota`](crate::TokenBucket::set_quota). Other combinations that share the
    /// limit see the change as well. Waiters are woken.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let hour = SlidingWindow::with_clock(50, Duration::from_secs(3_600), clock.clone())?;
    /// let burst = TokenBucket::with_clock(Quota::per_second(5), clock.clone());
    /// let calls = Combined::builder().limit("hour", hour).limit("burst", burst).build();
    ///
    /// calls.try_acquire(2).unwrap();
    /// calls.set_quota("burst", Quota::per_second(20))?;
    /// assert_eq!(calls.available_in("burst"), Some(3));
    /// calls.set_limit("hour", 4, Duration::from_secs(3_600))?;
    /// assert_eq!(calls.available(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChangeError::UnknownLimit`], or [`ChangeError::NotABucket`].
    pub fn set_quota(&self, name: &str, quota: Quota) -> Result<(), ChangeError> {
        self.set_quota_at(name, quota, self.clock().now())
    }

    /// [`set_quota`](Self::set_quota) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`set_quota`](Self::set_quota).
    pub fn set_quota_at(
        &self,
        name: &str,
        quota: Quota,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let bucket = self.named(name)?.as_bucket();
        bucket
            .ok_or(ChangeError::NotABucket)?
            .set_quota_at(quota, now);
        Ok(())
    }

    /// Changes the limit and the length of one window while calls use it, as
    /// [`SlidingWindow::set_limit`](crate::SlidingWindow::set_limit). Other combinations that share
    /// it see the change as well. Waiters are woken.
    ///
    /// # Errors
    ///
    /// [`ChangeError::UnknownLimit`], [`ChangeError::NotAWindow`], or [`ChangeError::Window`].
    pub fn set_limit(&self, name: &str, limit: u64, window: Duration) -> Result<(), ChangeError> {
        self.set_limit_at(name, limit, window, self.clock().now())
    }

    /// [`set_limit`](Self::set_limit) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`set_limit`](Self::set_limit).
    pub fn set_limit_at(
        &self,
        name: &str,
        limit: u64,
        window: Duration,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let found = self.named(name)?.as_window();
        found
            .ok_or(ChangeError::NotAWindow)?
            .set_limit_at(limit, window, now)
            .map_err(ChangeError::Window)
    }

    /// Changes every limit to the numbers of another combination's, if that has limits of the same
    /// names and kinds. Limits that both share stay; `false` if one is shared with any other.
    pub(super) fn change_all_to_at(&self, new: &Self, now: Timestamp) -> bool {
        let both = || self.limits.iter().zip(&new.limits);
        let is_alike = self.limits.len() == new.limits.len()
            && both().all(|(old, new)| {
                let can_change =
                    old.limit.is_same(&new.limit) || old.limit.is_apart_from(&new.limit);
                old.name == new.name && can_change
            });
        is_alike
            && both().all(|(old, new)| {
                let (old, new) = (&old.limit, &new.limit);
                if old.is_same(new) {
                    return true;
                }
                if let (Some(old), Some(new)) = (old.as_bucket(), new.as_bucket()) {
                    old.set_quota_at(new.quota(), now);
                    return true;
                }
                let windows = old.as_window().zip(new.as_window());
                windows.is_some_and(|(old, new)| {
                    old.set_limit_at(new.limit(), new.window(), now).is_ok()
                })
            })
    }

    fn named(&self, name: &str) -> Result<&Limit<C>, ChangeError> {
        let named = self.limits.iter().find(|named| named.name == name);
        named
            .map(|named| &named.limit)
            .ok_or(ChangeError::UnknownLimit)
    }
}
