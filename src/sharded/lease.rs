//! A shard's lease: tokens that were taken out of the bucket and are not used yet, in one word.
//!
//! A lease is *closed* when the bucket's quota changes. What it had left moves to the upper half of
//! its word, so that no call uses it, and remains there for the bucket's successor. The word of a
//! closed lease no longer changes.

use core::fmt;

use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::{AtomicU64, const_fn};

/// A lease: the tokens left in it, and the tokens that it is counted as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The tokens counted in `held` for this lease. At least `left`, and not lowered when a token
    /// is used.
    pub(crate) counted: u64,
    pub(crate) left: u64,
}

/// The lower half of the word.
const LEFT: u64 = u32::MAX as u64;
/// The highest bit marks a closed lease.
const CLOSED: u64 = 1 << 63;
/// The most tokens that a lease is counted as. More does not fit beside that mark, so nothing is
/// added to a closed lease.
pub(crate) const MAX_TOKENS: u64 = (CLOSED >> 32) - 1;

impl Lease {
    pub(crate) const NONE: Self = Self {
        counted: 0,
        left: 0,
    };

    /// A lease of which no token was used.
    pub(crate) const fn unused(tokens: u64) -> Self {
        Self {
            counted: tokens,
            left: tokens,
        }
    }

    const fn unpacked(word: u64) -> Self {
        Self {
            counted: word >> 32,
            left: word & LEFT,
        }
    }

    const fn packed(self) -> u64 {
        self.counted << 32 | self.left
    }

    /// Merges two leases.
    pub(crate) const fn merge(self, other: Self) -> Self {
        // Cannot overflow: a word holds less than 2^32 of each, and there are at most 256 shards.
        Self {
            counted: self.counted + other.counted,
            left: self.left + other.left,
        }
    }
}

/// The word of a [`Lease`]. Mostly one thread uses it. Others collect the lease when the bucket
/// has too few tokens.
pub(crate) struct Shard(AtomicU64);

impl Shard {
    const_fn! {
        pub(crate) const fn empty() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// Uses `n` tokens of the lease if so many are left.
    #[inline]
    pub(crate) fn spend(&self, n: u64) -> bool {
        // Relaxed, all three: a word has one modification order, so tokens are spent once, and
        // nothing travels with them. Weak: the loop absorbs a spurious failure.
        let mut word = self.0.load(Relaxed);
        while n <= word & LEFT {
            // The lower half is at least `n`.
            match self
                .0
                .compare_exchange_weak(word, word - n, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(newer) => word = newer,
            }
        }
        false
    }

    /// The lease, which may be outdated at once. A closed lease has nothing left, and is counted as
    /// far more than any other.
    pub(crate) fn load(&self) -> Lease {
        // Acquire: pairs with the AcqRel in `close`. A thread that sees a closed lease then sees
        // that the bucket is closed.
        Lease::unpacked(self.0.load(Acquire))
    }

    /// Takes the whole lease, unless it is closed.
    pub(crate) fn take(&self) -> Lease {
        // Relaxed: only compared.
        let mut word = self.0.load(Relaxed);
        loop {
            if word == 0 || word >= CLOSED {
                return Lease::NONE;
            }
            // AcqRel: pairs with the AcqRel in `put`. The thread that put the lease has raised
            // `held` before, and this thread lowers `held` after. Weak: the loop absorbs a spurious
            // failure.
            match self.0.compare_exchange_weak(word, 0, AcqRel, Relaxed) {
                Ok(lease) => return Lease::unpacked(lease),
                Err(newer) => word = newer,
            }
        }
    }

    /// Closes the lease, if that is not done, and returns what it had left.
    pub(crate) fn close(&self) -> u64 {
        // Acquire, also of a failure below: a thread that finds the shard closed sees that `held`
        // was raised for its lease, as the one that has closed it.
        let mut word = self.0.load(Acquire);
        loop {
            if word >= CLOSED {
                return (word ^ CLOSED) >> 32;
            }
            let left = word & LEFT;
            // AcqRel: pairs with the Acquire in `load`. Weak: the loop absorbs a spurious failure.
            match self
                .0
                .compare_exchange_weak(word, CLOSED | left << 32, AcqRel, Acquire)
            {
                Ok(_) => return left,
                Err(newer) => word = newer,
            }
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: the value is all that matters.
        self.0.load(Relaxed) >= CLOSED
    }

    /// Adds a lease to the word, unless the word is closed or the sum does not fit.
    pub(crate) fn put(&self, lease: Lease) -> bool {
        // Relaxed: only compared.
        let mut word = self.0.load(Relaxed);
        loop {
            let both = Lease::unpacked(word).merge(lease);
            if both.counted > MAX_TOKENS {
                return false;
            }
            // AcqRel: pairs with the AcqRel in `take` and here, for the same reason. Weak: the loop
            // absorbs a spurious failure.
            match self
                .0
                .compare_exchange_weak(word, both.packed(), AcqRel, Relaxed)
            {
                Ok(_) => return true,
                Err(newer) => word = newer,
            }
        }
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}
