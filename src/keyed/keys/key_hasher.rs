//! The hash function of keys.

use core::fmt;
use core::hash::{BuildHasher, Hasher};

/// Hashes keys fast, and unpredictably without its seeds.
///
/// It is aHash, a keyed hash that is fast and withstands clients that choose their keys to collide.
/// It is not a cryptographic hash. If you want a proven one, pass std's `RandomState` (`SipHash`)
/// instead. It takes some 10-20 ns more per call with keys of 36 bytes.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use std::hash::BuildHasher;
/// use tidegate::KeyHasher;
///
/// let (one, other) = (KeyHasher::new(), KeyHasher::new());
/// assert_eq!(one.hash_one("alice"), one.hash_one("alice"));
/// assert_ne!(one.hash_one("alice"), other.hash_one("alice"));
/// # }
/// ```
#[derive(Clone)]
pub struct KeyHasher(ahash::RandomState);

impl KeyHasher {
    /// Creates a hash function with random seeds.
    #[cfg(feature = "std")]
    pub fn new() -> Self {
        Self(ahash::RandomState::new())
    }

    /// Creates a hash function with your own seeds, which clients must not be able to guess.
    ///
    /// Use it without a source of randomness, or to get the same hashes in every run of a test.
    pub const fn with_seeds(seeds: [u64; 4]) -> Self {
        let [a, b, c, d] = seeds;
        Self(ahash::RandomState::with_seeds(a, b, c, d))
    }
}

#[cfg(feature = "std")]
impl Default for KeyHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl BuildHasher for KeyHasher {
    type Hasher = KeyHash;

    #[inline]
    fn build_hasher(&self) -> KeyHash {
        KeyHash(self.0.build_hasher())
    }
}

/// Shows nothing of the seeds.
impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// Computes the hash of one key: see [`KeyHasher`].
#[derive(Clone)]
pub struct KeyHash(ahash::AHasher);

macro_rules! forward {
    ($($write:ident($number:ty))*) => {$(
        #[inline]
        fn $write(&mut self, number: $number) {
            self.0.$write(number);
        }
    )*};
}

impl Hasher for KeyHash {
    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    forward! { write_u8(u8) write_u16(u16) write_u32(u32) write_u64(u64) write_u128(u128) write_usize(usize) }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHash").finish_non_exhaustive()
    }
}
