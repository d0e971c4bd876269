//! The keys that a table refuses most often, for dashboards.

mod merge;
mod space_saving;
mod track_denied;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::mem;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;

use crossbeam_utils::CachePadded;

pub use merge::{DeniedKey, DeniedKeys};
pub use track_denied::TrackDenied;

use super::keys::KeyHasher;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, lock, thread_number};
use merge::Part;
use space_saving::{MAX_COUNTERS, SpaceSaving};

/// The keys that are refused most often, in bounded memory.
///
/// [`TrackDenied`] puts it behind a table, also in layers. Or call [`record`](Self::record) with
/// the key of each refusal.
///
/// # Accuracy
///
/// Of M refusals, with c counters, for any keys in any order:
///
/// * For each listed key, `at_least` ≤ its refusals ≤ `at_most`. The two differ by at most M / c.
/// * [`top(n)`](Self::top) lists every key with more than M / c + M / n refusals, and
///   `top(usize::MAX)` every key with more than M / c.
///
/// So with ten times as many counters as keys to show, the counts are off by at most a tenth of an
/// average place in the list. A flood of distinct keys adds to M, and evicts no key beyond that
/// bound. For the last minute instead of all time, [`take`](Self::take) the list every minute.
///
/// # Cost
///
/// There is a sketch for each thread that the machine runs at once (4 to 64), so that refused
/// callers do not contend. A caller never waits: if its sketch and the next one are locked, it
/// counts the refusal in [`skipped`](DeniedKeys::skipped) instead. A refusal costs a hash, a lock
/// that is free, and about log₂ c comparisons of numbers.
///
/// A sketch takes up to c keys and about 50 bytes for each, when refusals come. It clones a key
/// that gets a counter into the memory of the one that loses it, so a flood of new keys soon
/// allocates nothing. A counter keeps the capacity of its longest key. Use
/// [`KeyDigest`](crate::KeyDigest)s where clients send long ones.
///
/// ```
/// use tidegate::MostDenied;
///
/// let denied = MostDenied::<String>::new(100);
/// for n in 0..1_000 {
///     denied.record("mallory");
///     denied.record(format!("bot {n}").as_str());
/// }
/// let top = denied.top(3);
/// assert_eq!(top.counted, 2_000);
/// let first = &top.keys[0];
/// assert_eq!(first.key, "mallory");
/// assert!(first.at_least <= 1_000 && 1_000 <= first.at_most);
/// assert!(first.at_most - first.at_least <= 2_000 / 100);
/// ```
pub struct MostDenied<K, S = KeyHasher> {
    sketches: Box<[CachePadded<Sketch<K>>]>,
    /// Of each sketch.
    counters: usize,
    hasher: S,
}

struct Sketch<K> {
    sketch: Mutex<SpaceSaving<K>>,
    /// Refusals that were not counted, because sketches were locked. Guards no other memory.
    skipped: AtomicU64,
}

impl<K> MostDenied<K> {
    /// Creates a list with this many counters, 1 to 1 048 576. Ten for each key that you want to
    /// show are a good choice.
    pub fn new(counters: usize) -> Self {
        Self::with_hasher(counters, KeyHasher::new())
    }
}

impl<K, S> MostDenied<K, S> {
    /// Creates a list with a hash function of your choice. It should be seeded, because clients
    /// that can choose colliding keys make it slow.
    pub fn with_hasher(counters: usize, hasher: S) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let sketch = |_| {
            CachePadded::new(Sketch {
                sketch: Mutex::new(SpaceSaving::new()),
                skipped: AtomicU64::new(0),
            })
        };
        Self {
            sketches: (0..threads.clamp(4, 64).next_power_of_two())
                .map(sketch)
                .collect(),
            counters: counters.clamp(1, MAX_COUNTERS),
            hasher,
        }
    }

    /// Returns the number of counters of each sketch.
    pub const fn counters(&self) -> usize {
        self.counters
    }

    /// Forgets all refusals, and frees the memory of the keys.
    pub fn reset(&self) {
        for sketch in &self.sketches {
            drop(sketch.take());
        }
    }
}

impl<K, S: BuildHasher> MostDenied<K, S> {
    /// Counts a refusal of `key`, or that it was skipped. Never waits.
    pub fn record<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let own = thread_number() & (self.sketches.len() - 1);
        // There are at least 4.
        for sketch in [own, own ^ 1] {
            let mut sketch = match self.sketches[sketch].sketch.try_lock() {
                Ok(sketch) => sketch,
                // A panic of the key's code has left the sketch intact.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            sketch.record(hash, key, self.counters);
            return;
        }
        // Relaxed: see the field. A count of calls cannot reach 2⁶⁴.
        self.sketches[own].skipped.fetch_add(1, Relaxed);
    }
}

impl<K: Eq, S> MostDenied<K, S> {
    /// Returns up to `n` keys, those with the most refusals first, by `at_least`.
    ///
    /// Copies the sketches one after another while other threads go on, and merges the copies. That
    /// takes a time proportional to the counters in use.
    pub fn top(&self, n: usize) -> DeniedKeys<K>
    where
        K: Clone,
    {
        let parts = self.sketches.iter().map(|it| {
            let sketch = lock(&it.sketch);
            // Relaxed: see the field.
            Part::new(&sketch, self.counters, it.skipped.load(Relaxed))
        });
        merge::merge(parts.collect(), n)
    }

    /// Like [`top`](Self::top), and forgets what it returns. Each refusal is in one list.
    ///
    /// ```
    /// use tidegate::MostDenied;
    ///
    /// let last_minute = MostDenied::<u64>::new(100);
    /// last_minute.record(&7);
    /// // Every minute:
    /// assert_eq!(last_minute.take(10).keys[0].key, 7);
    /// assert!(last_minute.take(10).keys.is_empty());
    /// ```
    pub fn take(&self, n: usize) -> DeniedKeys<K> {
        let parts = self.sketches.iter().map(|it| {
            let (sketch, skipped) = it.take();
            Part::from_sketch(sketch, self.counters, skipped)
        });
        merge::merge(parts.collect(), n)
    }
}

impl<K> Sketch<K> {
    fn take(&self) -> (SpaceSaving<K>, u64) {
        let sketch = self.sketch.lock();
        let mut sketch = sketch.unwrap_or_else(PoisonError::into_inner);
        // Relaxed: see the field.
        let skipped = self.skipped.swap(0, Relaxed);
        (mem::replace(&mut *sketch, SpaceSaving::new()), skipped)
    }
}

/// Omits the keys, because they may be personal data.
impl<K, S> fmt::Debug for MostDenied<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MostDenied")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
