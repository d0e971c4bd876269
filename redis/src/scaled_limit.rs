//! A bucket or a window in the server's units, and its part in a call of the script `take`.

use core::time::Duration;

use crate::scaled_quota::{Amount, ScaledQuota};
use crate::scaled_window::{ScaledWindow, WindowUse};
use crate::script::ScriptArgs;

/// See the [module](self) documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScaledLimit {
    Bucket(ScaledQuota),
    Window(ScaledWindow),
}

/// What a script tells of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitState {
    /// How far the TAT of a bucket is ahead of the clock.
    Bucket(Amount),
    Window(WindowUse),
}

impl LimitState {
    /// Returns what is known of it after `us` microseconds, if no call was admitted meanwhile.
    pub(crate) const fn after(self, us: u64) -> Self {
        match self {
            Self::Bucket(ahead) => Self::Bucket(ahead.after(us)),
            Self::Window(counted) => Self::Window(counted.after(us)),
        }
    }

    /// Returns the time until the limit is full if no call comes, rounded up to a microsecond.
    pub(crate) const fn refill_time(self) -> Duration {
        match self {
            Self::Bucket(ahead) => ScaledQuota::refill_time(ahead),
            Self::Window(counted) => Duration::from_micros(counted.last_us),
        }
    }
}

impl ScaledLimit {
    /// The most that a call can ask for.
    pub(crate) const fn capacity(&self) -> u64 {
        match self {
            Self::Bucket(quota) => quota.capacity(),
            Self::Window(window) => window.limit(),
        }
    }

    pub(crate) fn available(&self, state: LimitState) -> u64 {
        match (self, state) {
            (Self::Bucket(quota), LimitState::Bucket(ahead)) => quota.available(ahead),
            (Self::Window(window), LimitState::Window(counted)) => window.available(counted),
            _ => 0,
        }
    }

    /// The time in which all of it comes back.
    #[cfg(feature = "tower")]
    pub(crate) const fn period(&self) -> Duration {
        match self {
            Self::Bucket(quota) => ScaledQuota::refill_time(quota.full()),
            Self::Window(window) => window.length(),
        }
    }

    /// Returns the time until `available` next rises; `None` if it is full, or unknown.
    #[cfg(feature = "tower")]
    pub(crate) fn next_permit_in(&self, state: LimitState) -> Option<Duration> {
        match (self, state) {
            (Self::Bucket(quota), LimitState::Bucket(ahead)) => quota.next_token_in(ahead),
            (Self::Window(window), LimitState::Window(counted)) => window.next_permit_in(counted),
            _ => None,
        }
    }

    /// Appends the seven numbers of this limit in a call of the script `take`.
    pub(crate) fn arguments(&self, into: &mut ScriptArgs, cost: u64, unreported: u64) {
        match self {
            Self::Bucket(quota) => into
                .number(quota.den())
                .amount(quota.full())
                .amount(quota.cost(cost))
                .amount(quota.cost(unreported)),
            Self::Window(window) => into
                .number(0)
                .number(window.limit())
                .number(window.slot())
                .number(window.reach())
                .number(cost)
                .number(unreported)
                .number(0),
        };
    }

    /// Reads what the script `take` tells of this limit, and returns the rest of its numbers.
    pub(crate) fn read<'a>(&self, numbers: &'a [i64]) -> Option<(LimitState, &'a [i64])> {
        let number = |index: usize| u64::try_from(*numbers.get(index)?).ok();
        Some(match self {
            Self::Bucket(_) => {
                let (us, num) = (number(0)?, number(1)?);
                let ahead = Amount { us, num };
                (LimitState::Bucket(ahead), &numbers[2..])
            }
            Self::Window(_) => {
                let counted = WindowUse {
                    used: number(0)?,
                    first_us: number(1)?,
                    last_us: number(2)?,
                };
                (LimitState::Window(counted), &numbers[3..])
            }
        })
    }
}
