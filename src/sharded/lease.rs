//! What a shard holds: tokens that were taken out of the bucket and are not used yet, in one word.

use core::fmt;

use crate::sync::Ordering::{AcqRel, Relaxed};
use crate::sync::{AtomicU64, const_fn};

/// A lease: how many tokens are left of it, and how many of them it is counted as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    /// What is counted as held for it; at least as many as are left. It is not lowered with every token that is used.
    pub(crate) counted: u64,
    pub(crate) left: u64,
}

/// The most tokens that a word tells of.
pub(crate) const MOST: u64 = u32::MAX as u64;

impl Lease {
    pub(crate) const NONE: Self = Self {
        counted: 0,
        left: 0,
    };

    /// All of whose tokens are left.
    pub(crate) const fn of(tokens: u64) -> Self {
        Self {
            counted: tokens,
            left: tokens,
        }
    }

    const fn unpacked(word: u64) -> Self {
        Self {
            counted: word >> 32,
            left: word & MOST,
        }
    }

    const fn packed(self) -> u64 {
        self.counted << 32 | self.left
    }

    /// Of two leases one.
    pub(crate) const fn and(self, other: Self) -> Self {
        // Each is less than 2^32, and so many there are not.
        Self {
            counted: self.counted + other.counted,
            left: self.left + other.left,
        }
    }
}

/// A word for a [`Lease`]. Mostly one thread's own; others come when the bucket has nothing left.
pub(crate) struct Shard(AtomicU64);

impl Shard {
    const_fn! {
        pub(crate) const fn empty() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// Uses `n` tokens of the lease, if they are left.
    #[inline]
    pub(crate) fn spend(&self, n: u64) -> bool {
        // Relaxed, all: tokens are spent once because a word has one modification order, and nothing travels with them.
        let mut word = self.0.load(Relaxed);
        while n <= word & MOST {
            // The lower half is not less than `n`.
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

    pub(crate) fn look(&self) -> Lease {
        // Relaxed: a look, after which anything may change.
        Lease::unpacked(self.0.load(Relaxed))
    }

    /// Takes all of it away.
    pub(crate) fn take(&self) -> Lease {
        if self.look() == Lease::NONE {
            return Lease::NONE;
        }
        // AcqRel: whoever lowers the count of what is held does so after this, and who puts a lease here has counted it before.
        Lease::unpacked(self.0.swap(0, AcqRel))
    }

    /// Adds a lease to what is there, if it can be told.
    pub(crate) fn put(&self, lease: Lease) -> bool {
        // Relaxed: only compared.
        let mut word = self.0.load(Relaxed);
        loop {
            let both = Lease::unpacked(word).and(lease);
            if both.counted > MOST {
                return false;
            }
            // AcqRel: as in `take`.
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
        self.look().fmt(f)
    }
}
