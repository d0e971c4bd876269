//! The saved level of a token bucket.

use super::error::RestoreError;
use crate::gcra::Level;

/// The level of a token bucket.
///
/// It is exact: a fraction of a token is kept as a fraction. Restored with another quota, the
/// tokens stay, at most as many as the new capacity, and a debt stays a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct BucketLevel {
    /// Below full, in parts of a token.
    spent: u64,
    /// Parts per token.
    token: u64,
    /// Tokens.
    capacity: u64,
}

impl BucketLevel {
    pub(crate) const fn new(level: Level) -> Self {
        let Level {
            spent,
            token,
            capacity,
        } = level;
        Self {
            spent,
            token,
            capacity,
        }
    }

    pub(crate) const fn level(self) -> Result<Level, RestoreError> {
        let level = Level {
            spent: self.spent,
            token: self.token,
            capacity: self.capacity,
        };
        if self.token == 0 || self.capacity == 0 {
            Err(RestoreError::ZeroQuota)
        } else if level.is_valid() {
            Ok(level)
        } else {
            Err(RestoreError::LevelOutOfRange)
        }
    }

    /// Returns the capacity in tokens.
    pub const fn capacity(self) -> u64 {
        self.capacity
    }

    /// Returns the whole tokens that were available; 0 in debt.
    pub const fn available(self) -> u64 {
        self.capacity.saturating_sub(self.spent_tokens())
    }

    /// Returns the whole tokens of debt, rounded up.
    pub const fn debt(self) -> u64 {
        self.spent_tokens().saturating_sub(self.capacity)
    }

    /// Whether nothing is missing, so that it need not be saved.
    pub(crate) const fn is_full(self) -> bool {
        self.spent == 0
    }

    /// Rounded up.
    const fn spent_tokens(self) -> u64 {
        match self.spent.checked_rem(self.token) {
            None => u64::MAX,
            Some(_) => self.spent.div_ceil(self.token),
        }
    }
}
