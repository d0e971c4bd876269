//! The wait queues of a table: one for each key that calls wait for.
//!
//! A queue exists while at least one call waits for its key. It is found by the key's 64-bit hash,
//! so two keys with the same hash share a queue: its order, and the demand by which a timeout is
//! judged. Each is decided by its own limiter. Where the hash function is seeded, that happens by
//! chance only, once in 2^64 pairs.
//!
//! # State
//!
//! * `waiting`: the number of places taken in all queues. It is raised before a queue is looked
//!   for, and lowered after the place was given back.
//! * `parts`: maps from hashes to queues, each behind a mutex.
//!
//! # Invariants
//!
//! 1. A map holds a queue exactly while a [`Place`] or a call of this module does.
//!    Both clone and drop their pointers under the mutex of the map, so the count of pointers says
//!    there whether another one exists.
//! 2. `waiting` never exceeds `max_waiters`.
//!
//! # Order of locks
//!
//! The mutex of a map is held for one lookup, one insertion or one removal. No other lock is taken
//! under it, and no code of the caller runs under it: hashes are computed before, and queues are
//! dropped after. So it comes last in any order of locks. A queue's own mutex and the locks of a
//! table are never held when a place is taken or given back, so the three cannot wait for each
//! other.
//!
//! # Orderings
//!
//! A call that changes a key in favor of its waiters does so first, and then reads `waiting`. A
//! waiter raises `waiting`, joins its queue, and then asks. A `SeqCst` fence between the steps on
//! both sides lets one of them see the other; the waiter's is in
//! [`join`](crate::sync::WaitQueue::join). All else is ordered by the mutexes.
//!
//! # Cost and progress
//!
//! A table at which no call ever waited holds a null pointer here. While none waits, a new caller
//! reads that pointer and one number. Otherwise it takes the mutex of one map. Memory follows the
//! waiters: a map shrinks as queues go, and an empty one is freed.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU64, DEFAULT_SLACK, Lazy, Mutex, WaitQueue, earliest_behind, fence, lock};
use crate::time::Timestamp;

/// Maps of a table, a power of two: enough that threads seldom meet in one.
const PARTS: usize = 32;

/// How many calls may wait at a table, and for how long they may be decided in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitOptions {
    pub(super) max_waiters: u64,
    pub(super) max_waiters_per_key: u64,
    /// `None` for the default of all queues.
    pub(super) slack: Option<Duration>,
}

impl WaitOptions {
    pub(super) const DEFAULT: Self = Self {
        max_waiters: u64::MAX,
        max_waiters_per_key: u64::MAX,
        slack: None,
    };
}

/// See the [module](self) documentation.
pub(super) struct WaitQueues(Lazy<Queues>);

struct Queues {
    options: WaitOptions,
    waiting: AtomicU64,
    parts: [CachePadded<Part>; PARTS],
}

/// Queues by hash.
type Part = Mutex<HashTable<(u64, Arc<WaitQueue>)>>;

/// A share of the queue of a key. It must be [given back](WaitQueues::exit).
#[derive(Debug)]
#[expect(unnameable_types, reason = "a detail of `Awaitable`")]
pub struct Place {
    hash: u64,
    queue: Arc<WaitQueue>,
}

impl Place {
    pub(super) fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

impl Queues {
    fn new(options: WaitOptions) -> Self {
        Self {
            options,
            waiting: AtomicU64::new(0),
            parts: core::array::from_fn(|_| CachePadded::new(Mutex::new(HashTable::new()))),
        }
    }

    fn part(&self, hash: u64) -> &Part {
        // Below the 7 bits that hash tables compare, above the bits by which they choose a bucket.
        const SHIFT: u32 = 57 - PARTS.ilog2();
        &self.parts[(hash >> SHIFT) as usize & (PARTS - 1)]
    }

    fn find(&self, hash: u64) -> Option<Place> {
        let part = lock(self.part(hash));
        let (_, queue) = part.find(hash, |(other, _)| *other == hash)?;
        let queue = queue.clone();
        Some(Place { hash, queue })
    }

    fn find_or_insert(&self, hash: u64) -> Place {
        let mut part = lock(self.part(hash));
        let found = part.entry(hash, |(other, _)| *other == hash, |(hash, _)| *hash);
        let queue = match found {
            Entry::Occupied(known) => known.get().1.clone(),
            Entry::Vacant(free) => {
                let queue = Arc::new(self.new_queue());
                free.insert((hash, queue.clone()));
                queue
            }
        };
        Place { hash, queue }
    }

    fn new_queue(&self) -> WaitQueue {
        let queue = WaitQueue::new();
        if self.options.max_waiters_per_key != u64::MAX {
            queue.set_max_waiters(self.options.max_waiters_per_key);
        }
        if let Some(slack) = self.options.slack {
            queue.set_slack(slack);
        }
        queue
    }

    /// Drops a pointer to a queue, and the queue with the last one.
    fn release(&self, Place { hash, queue }: Place) {
        let mut part = lock(self.part(hash));
        drop(queue);
        let Ok(entry) = part.find_entry(hash, |(other, _)| *other == hash) else {
            // Not reached: the map holds a queue for as long as there is a place.
            return;
        };
        if Arc::strong_count(&entry.get().1) > 1 {
            return;
        }
        let (last, _) = entry.remove();
        if part.is_empty() {
            *part = HashTable::new();
        // At an eighth, to a quarter, so that shrinking and growing stay rare.
        } else if part.len() < part.capacity() / 8 {
            let most = part.len() * 2;
            part.shrink_to(most, |(hash, _)| *hash);
        }
        drop(part);
        drop(last);
    }
}

impl WaitQueues {
    /// Allocates nothing unless there are options to keep.
    pub(super) fn new(options: WaitOptions) -> Self {
        let queues = Self(Lazy::new());
        if options != WaitOptions::DEFAULT {
            queues.0.get_or_init(|| Box::new(Queues::new(options)));
        }
        queues
    }

    pub(super) fn options(&self) -> WaitOptions {
        self.0
            .get()
            .map_or(WaitOptions::DEFAULT, |queues| queues.options)
    }

    /// Changes the options of a table that is owned, where no call waits yet.
    pub(super) fn set_options(&mut self, set: impl FnOnce(&mut WaitOptions)) {
        let mut options = self.options();
        set(&mut options);
        *self = Self::new(options);
    }

    /// As of when a bucket may decide a call behind waiters that ask for `ahead`: see
    /// [`WaitQueue::earliest_behind`].
    pub(super) fn earliest_behind(&self, ahead: u128, now: Timestamp) -> Timestamp {
        let slack = self.options().slack.unwrap_or(DEFAULT_SLACK);
        earliest_behind(slack, ahead, now)
    }

    /// The number of waiters, those included that are about to join or leave a queue.
    #[inline]
    pub(super) fn waiting(&self) -> u64 {
        // Relaxed: a thread that knows of a waiter sees the count that the waiter raised, and
        // concurrent callers have no order.
        self.0
            .get()
            .map_or(0, |queues| queues.waiting.load(Relaxed))
    }

    /// The number of waiters in the queue of a hash.
    pub(super) fn waiting_for(&self, hash: impl FnOnce() -> u64) -> u64 {
        if self.waiting() == 0 {
            return 0;
        }
        self.waiting_for_slow(hash())
    }

    #[cold]
    #[inline(never)]
    fn waiting_for_slow(&self, hash: u64) -> u64 {
        let Some(queues) = self.0.get() else { return 0 };
        let part = lock(queues.part(hash));
        let queue = part.find(hash, |(other, _)| *other == hash);
        queue.map_or(0, |(_, queue)| queue.waiting())
    }

    /// What the waiters in the queue of a hash ask for.
    pub(super) fn queued(&self, hash: impl FnOnce() -> u64) -> u128 {
        if self.waiting() == 0 {
            return 0;
        }
        let Some(queues) = self.0.get() else { return 0 };
        let Some(place) = queues.find(hash()) else {
            return 0;
        };
        let demand = place.queue.demand();
        queues.release(place);
        demand
    }

    /// Takes a place in the queue of a hash; `None` if too many calls wait in the table.
    pub(super) fn enter(&self, hash: u64) -> Option<Place> {
        let new = || Box::new(Queues::new(WaitOptions::DEFAULT));
        let queues = self.0.get_or_init(new);
        let most = queues.options.max_waiters;
        let one_more = |waiting| (waiting < most).then_some(waiting + 1);
        // Relaxed: the number guards nothing; the fence in `join` orders it for `wake`.
        queues
            .waiting
            .fetch_update(Relaxed, Relaxed, one_more)
            .ok()?;
        Some(queues.find_or_insert(hash))
    }

    /// Gives a place back, after its ticket has left the queue.
    pub(super) fn exit(&self, place: Place) {
        if let Some(queues) = self.0.get() {
            queues.release(place);
            // Relaxed: a caller that still counts this waiter takes a mutex for nothing.
            queues.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Lets the head of a queue ask again, after something has changed in its favor.
    pub(super) fn wake(&self, hash: u64) {
        // Pairs with the fence in `join`: either this thread sees the waiter, or the waiter sees
        // the change.
        fence(SeqCst);
        if self.waiting() == 0 {
            return;
        }
        let Some(queues) = self.0.get() else { return };
        if let Some(place) = queues.find(hash) {
            // Without the mutex, because it may run code of an executor.
            place.queue.wake_head();
            queues.release(place);
        }
    }

    /// [`wake`](Self::wake) for all queues.
    pub(super) fn wake_all(&self) {
        // As in `wake`.
        fence(SeqCst);
        let Some(queues) = self.0.get() else { return };
        for part in &queues.parts {
            let place = |(hash, queue): &(u64, Arc<WaitQueue>)| Place {
                hash: *hash,
                queue: queue.clone(),
            };
            let places: Vec<_> = lock(part).iter().map(place).collect();
            for place in places {
                place.queue.wake_head();
                queues.release(place);
            }
        }
    }
}

impl fmt::Debug for WaitQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueues")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
