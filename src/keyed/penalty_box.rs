//! Keys that are locked out for a while after several failures.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::overflow::NO_ROOM;
use super::table::Table;
use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::snapshot::{QuotaUnit, Snapshot};
use crate::time::{Timestamp, nanos};

/// Locks a key out for a while once it has failed several times within a period: log-ins of a user,
/// wrong answers of a peer, requests of a client that others have refused.
///
/// It is a table for [`PerKey`](crate#features), beside rates or alone. Each attempt of a key takes
/// a place; what becomes of it is settled by the response: 0 is a success and gives the place back,
/// and any other number is a number of failures. So when a key makes many attempts at once, no more
/// are tried than may fail. An attempt that is never settled, because the client has left or
/// nothing settles, is a failure.
///
/// # Guarantees
///
/// * **Bound.** Of a key, no more attempts than `failures` fail in any interval of the length
///   `within`, or `lockout` if that is shorter. After as many have, none is admitted for `lockout`,
///   and then the count begins anew.
/// * **No false refusal.** An attempt is refused only while the key is locked out, or while as many
///   attempts as may still fail are under way.
///
/// # Memory and progress
///
/// A key is kept while it has attempts under way, failures within the period, or is locked out: 8
/// bytes for each failure, and those of the map. There are [`max_keys`](Self::max_keys) at most,
/// 100 000 by default. A key beyond them takes the place of those that have failed longest ago and
/// are not locked out, and then of others. So a flood of invented keys can make the table forget a
/// real one, at the price of a failure for each key: limit addresses as well. Each operation locks
/// one of 64 shards for a moment.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{ManualClock, PenaltyBox};
///
/// let clock = ManualClock::new();
/// let (minute, quarter) = (Duration::from_secs(60), Duration::from_secs(900));
/// let log_ins = PenaltyBox::with_clock(3, minute, quarter, clock.clone());
/// for _ in 0..3 {
///     assert_eq!(log_ins.locked_out(&"alice"), None);
///     log_ins.fail(&"alice");
/// }
/// assert_eq!(log_ins.locked_out(&"alice"), Some(quarter));
/// assert_eq!(log_ins.locked_out(&"bob"), None);
/// clock.advance(quarter);
/// assert_eq!(log_ins.locked_out(&"alice"), None);
/// ```
///
/// With a layer, and `.settle(|_, response| u64::from(response.status() == 401))`, a failed log-in
/// is one that was answered by 401: see `RateLimitLayerBuilder::settle`.
pub struct PenaltyBox<K, C = DefaultClock> {
    shared: Arc<Shared<K>>,
    clock: C,
}

struct Shared<K> {
    hasher: ahash::RandomState,
    shards: [Mutex<Shard<K>>; SHARDS],
    max_keys: usize,
}

struct Shard<K> {
    numbers: Numbers,
    records: HashMap<K, Record, ahash::RandomState>,
}

/// When a key is locked out, and for how long. Each shard has them, so that a call finds those of
/// one change, under the lock that it takes anyway.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    failures: u64,
    /// Nanoseconds, both.
    within: u64,
    lockout: u64,
}

/// How many locks there are. Attempts of different keys rarely meet at one.
const SHARDS: usize = 64;

const MAX_KEYS: usize = 100_000;

/// What is known of a key. Instants are nanoseconds.
#[derive(Default)]
struct Record {
    /// Of each failure that still counts, the oldest first.
    failed: VecDeque<u64>,
    under_way: u64,
    locked_until: u64,
}

/// Why an attempt is refused.
enum Refusal {
    LockedFor(u64),
    /// As many attempts as may fail are under way.
    Busy,
    /// More failures than are ever allowed.
    Never,
}

impl Record {
    fn forget_old(&mut self, now: u64, within: u64) {
        while self
            .failed
            .front()
            .is_some_and(|at| at.saturating_add(within) <= now)
        {
            self.failed.pop_front();
        }
    }

    fn is_over(&self, now: u64) -> bool {
        self.failed.is_empty() && self.under_way == 0 && self.locked_until <= now
    }

    /// For the choice of what to forget: last the keys that are locked out the longest.
    fn importance(&self) -> (u64, u64) {
        (self.locked_until, self.failed.back().copied().unwrap_or(0))
    }
}

impl Numbers {
    fn new(failures: u64, within: Duration, lockout: Duration) -> Self {
        Self {
            failures: failures.max(1),
            within: nanos(within),
            lockout: nanos(lockout),
        }
    }

    /// Places that are taken: by failures, and by attempts that may still fail.
    fn used(record: &Record) -> u64 {
        record.under_way.saturating_add(record.failed.len() as u64)
    }

    fn left(&self, record: &Record) -> u64 {
        self.failures.saturating_sub(Self::used(record))
    }

    fn refusal(&self, record: &Record, n: u64, now: u64) -> Option<Refusal> {
        if n > self.failures {
            return Some(Refusal::Never);
        }
        if record.locked_until > now {
            return Some(Refusal::LockedFor(record.locked_until - now));
        }
        // More may be used than may fail, after the number was lowered.
        let wanted = Self::used(record).saturating_add(n);
        let excess = wanted.saturating_sub(self.failures);
        if excess == 0 {
            return None;
        }
        // Those under way may turn out well at any time.
        if excess <= record.under_way {
            return Some(Refusal::Busy);
        }
        let oldest = usize::try_from(excess - record.under_way - 1).unwrap_or(usize::MAX);
        let until = record
            .failed
            .get(oldest)
            .map_or(now, |at| at.saturating_add(self.within));
        Some(Refusal::LockedFor(until.saturating_sub(now).max(1)))
    }

    fn fail(&self, record: &mut Record, n: u64, now: u64) {
        record.forget_old(now, self.within);
        // A clock that steps back must not disorder them.
        let at = record.failed.back().map_or(now, |last| now.max(*last));
        for _ in 0..n.min(self.failures) {
            record.failed.push_back(at);
        }
        if record.failed.len() as u64 >= self.failures {
            record.failed.clear();
            record.locked_until = record.locked_until.max(at.saturating_add(self.lockout));
        }
    }
}

const fn denied(refusal: &Refusal, capacity: u64) -> Denied {
    match refusal {
        Refusal::LockedFor(wait) => Denied::not_yet(*wait),
        Refusal::Busy => NO_ROOM,
        Refusal::Never => Denied::Never { capacity },
    }
}

impl<K: Hash + Eq + Clone> Shared<K> {
    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        // A panic of a key's `Clone` or `Eq` leaves the map whole.
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the record of a key, or an empty one.
    fn read<R>(&self, key: &K, now: u64, read: impl FnOnce(&Numbers, &Record) -> R) -> R {
        let mut shard = self.shard(key);
        let Shard { numbers, records } = &mut *shard;
        match records.get_mut(key) {
            Some(record) => {
                record.forget_old(now, numbers.within);
                read(numbers, record)
            }
            None => read(numbers, &Record::default()),
        }
    }

    /// Changes the record of a key, which is added if need be, and forgotten if it is over.
    fn change<R>(&self, key: &K, now: u64, change: impl FnOnce(&Numbers, &mut Record) -> R) -> R {
        let mut shard = self.shard(key);
        let Shard { numbers, records } = &mut *shard;
        if !records.contains_key(key) {
            self.make_room(records, numbers.within, now);
        }
        let record = records.entry_ref(key).or_default();
        record.forget_old(now, numbers.within);
        let result = change(numbers, record);
        // Again, because failures may not count at all.
        record.forget_old(now, numbers.within);
        if record.is_over(now) {
            records.remove(key);
        }
        result
    }

    /// Forgets what is over, and if that is not enough a quarter of the rest at once, so that not
    /// each new key has to look at all of them.
    fn make_room(
        &self,
        records: &mut HashMap<K, Record, ahash::RandomState>,
        within: u64,
        now: u64,
    ) {
        let most = self.max_keys.div_ceil(SHARDS).max(1);
        if records.len() < most {
            return;
        }
        records.retain(|_, record| {
            record.forget_old(now, within);
            !record.is_over(now)
        });
        if records.len() < most {
            return;
        }
        let mut left = (records.len() / 4).max(1);
        let mut all: Vec<_> = records.values().map(Record::importance).collect();
        let (_, &mut most_important, _) = all.select_nth_unstable(left - 1);
        records.retain(|_, record| {
            let is_kept = left == 0 || record.importance() > most_important;
            left -= usize::from(!is_kept);
            is_kept
        });
    }
}

/// A place that an attempt has taken. Dropped unsettled, it is a failure.
pub struct PenaltyCharge<K: Hash + Eq + Clone> {
    shared: Arc<Shared<K>>,
    key: K,
    /// 0 once it is settled.
    n: u64,
    at: Timestamp,
}

impl<K: Hash + Eq + Clone> PenaltyCharge<K> {
    /// Ends the attempt, `failed` times a failure.
    fn end(&mut self, failed: u64, now: Timestamp) -> u64 {
        let n = core::mem::take(&mut self.n);
        if n > 0 || failed > 0 {
            let shared = &self.shared;
            shared.change(&self.key, now.as_nanos(), |numbers, record| {
                record.under_way = record.under_way.saturating_sub(n);
                if failed > 0 {
                    numbers.fail(record, failed, now.as_nanos());
                }
            });
        }
        n
    }
}

impl<K: Hash + Eq + Clone> Drop for PenaltyCharge<K> {
    fn drop(&mut self) {
        if self.n > 0 {
            let (failed, at) = (self.n, self.at);
            self.end(failed, at);
        }
    }
}

impl<K: Hash + Eq + Clone> PenaltyBox<K> {
    /// Creates a box that locks a key out for `lockout` once `failures` of its attempts, at least
    /// 1, have failed in an interval of the length `within`.
    pub fn new(failures: u64, within: Duration, lockout: Duration) -> Self {
        Self::with_clock(failures, within, lockout, DefaultClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock> PenaltyBox<K, C> {
    /// [`new`](PenaltyBox::new) on a clock of your choice.
    pub fn with_clock(failures: u64, within: Duration, lockout: Duration, clock: C) -> Self {
        let hasher = ahash::RandomState::new();
        let empty = |_| {
            Mutex::new(Shard {
                numbers: Numbers::new(failures, within, lockout),
                records: HashMap::with_hasher(hasher.clone()),
            })
        };
        let shared = Shared {
            shards: core::array::from_fn(empty),
            hasher,
            max_keys: MAX_KEYS,
        };
        Self {
            shared: Arc::new(shared),
            clock,
        }
    }

    /// Sets how many keys are kept at most, rounded up to a multiple of 64.
    ///
    /// # Panics
    ///
    /// If the box is shared already, by a clone or an attempt.
    #[must_use]
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        let shared = Arc::get_mut(&mut self.shared);
        shared.expect("the box is not shared yet").max_keys = max_keys;
        self
    }

    /// Changes the numbers while the box is used. What counts stays: failures that are still within
    /// the period, places of attempts under way, and lock-outs, which end as they were announced. A
    /// key that has failed as often as the new number says, or more, is refused until enough of its
    /// failures are older than the period. An attempt that was under way and fails locks it out.
    ///
    /// Each key changes at one moment during the call, which takes one lock after the other.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, PenaltyBox};
    ///
    /// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    /// let log_ins = PenaltyBox::with_clock(5, minute, minute, ManualClock::new());
    /// log_ins.fail(&"alice");
    /// log_ins.set_limits(2, minute, hour);
    /// log_ins.fail(&"alice");
    /// assert_eq!(log_ins.locked_out(&"alice"), Some(hour));
    /// ```
    pub fn set_limits(&self, failures: u64, within: Duration, lockout: Duration) {
        for shard in &self.shared.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.numbers = Numbers::new(failures, within, lockout);
        }
    }

    /// Returns the clock that the box reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Returns for how long a key is still locked out; `None` if it is not.
    pub fn locked_out(&self, key: &K) -> Option<Duration> {
        let now = self.clock.now().as_nanos();
        let until = self.shared.read(key, now, |_, record| record.locked_until);
        (until > now).then(|| Duration::from_nanos(until - now))
    }

    /// Returns how many failures of a key count now. A lock-out begins anew from 0.
    pub fn failures(&self, key: &K) -> u64 {
        let now = self.clock.now().as_nanos();
        self.shared
            .read(key, now, |_, record| record.failed.len() as u64)
    }

    /// Counts a failure of a key that was not an attempt here, such as a refusal of another limit.
    pub fn fail(&self, key: &K) {
        let now = self.clock.now().as_nanos();
        let shared = &self.shared;
        shared.change(key, now, |numbers, record| numbers.fail(record, 1, now));
    }

    /// Forgives a key: it is not locked out, and its failures do not count. Returns whether there
    /// was something to forgive. Attempts under way stay.
    pub fn forgive(&self, key: &K) -> bool {
        let now = self.clock.now().as_nanos();
        self.shared.change(key, now, |_, record| {
            let had_some = !record.failed.is_empty() || record.locked_until > now;
            (record.failed, record.locked_until) = (VecDeque::new(), 0);
            had_some
        })
    }

    /// Returns how many keys are kept. Some of them may be over.
    pub fn len(&self) -> usize {
        let shards = self.shared.shards.iter();
        shards
            .map(|shard| {
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard.records.len()
            })
            .sum()
    }

    /// Returns whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, C> Table<K> for PenaltyBox<K, C>
where
    K: Hash + Eq + Clone + Send + Sync,
    C: Clock,
{
    type Clock = C;
    type Charge = PenaltyCharge<K>;

    fn clock_for(&self, _: &K) -> &C {
        &self.clock
    }

    fn capacity_for(&self, key: &K) -> u64 {
        self.shared.shard(key).numbers.failures
    }

    fn peek_for(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        let (shared, now) = (&self.shared, now.as_nanos());
        shared.read(key, now, |numbers, record| {
            let refusal = numbers.refusal(record, n, now);
            refusal.map_or(Ok(()), |refusal| Err(denied(&refusal, numbers.failures)))
        })
    }

    /// An attempt that nothing settles is a failure.
    fn try_acquire_for(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.charge_for(key, n, now).map(drop)
    }

    fn charge_for(&self, key: &K, n: u64, now: Timestamp) -> Result<PenaltyCharge<K>, Denied> {
        let (shared, nanos) = (&self.shared, now.as_nanos());
        shared.change(key, nanos, |numbers, record| {
            if let Some(refusal) = numbers.refusal(record, n, nanos) {
                return Err(denied(&refusal, numbers.failures));
            }
            record.under_way += n;
            Ok(())
        })?;
        Ok(PenaltyCharge {
            shared: Arc::clone(shared),
            key: key.clone(),
            n,
            at: now,
        })
    }

    /// Always exact: places do not come back with time.
    fn undo_for(&self, _: &K, mut charge: PenaltyCharge<K>) -> u64 {
        let at = charge.at;
        charge.end(0, at)
    }

    fn settle_for(
        &self,
        key: &K,
        charge: Option<PenaltyCharge<K>>,
        _: u64,
        used: u64,
        now: Timestamp,
    ) {
        if let Some(mut charge) = charge {
            charge.end(used, now);
        } else if used > 0 {
            let (shared, now) = (&self.shared, now.as_nanos());
            shared.change(key, now, |numbers, record| numbers.fail(record, used, now));
        }
    }

    fn available_for(&self, key: &K, now: Timestamp) -> u64 {
        let (shared, now) = (&self.shared, now.as_nanos());
        shared.read(key, now, |numbers, record| {
            if record.locked_until > now {
                0
            } else {
                numbers.left(record)
            }
        })
    }

    fn refill_time_for(&self, key: &K) -> Duration {
        Duration::from_nanos(self.shared.shard(key).numbers.within)
    }

    fn snapshot_for(&self, key: &K, now: Timestamp) -> Snapshot {
        let (shared, nanos) = (&self.shared, now.as_nanos());
        shared.read(key, nanos, |numbers, record| {
            let locked = (record.locked_until > nanos).then_some(record.locked_until);
            let oldest = record.failed.front();
            let oldest = oldest.map(|at| at.saturating_add(numbers.within));
            let available = if locked.is_some() {
                0
            } else {
                numbers.left(record)
            };
            let next = locked.or(oldest);
            Snapshot {
                limit: None,
                capacity: numbers.failures,
                refill_time: Duration::from_nanos(numbers.within),
                available,
                next_permit_in: next.map(|at| Duration::from_nanos(at.saturating_sub(nanos))),
                unit: QuotaUnit::Requests,
            }
        })
    }

    fn is_unused_for(&self, key: &K, now: Timestamp) -> bool {
        let nanos = now.as_nanos();
        self.shared
            .read(key, nanos, |_, record| record.is_over(nanos))
    }
}

/// Clones share the keys.
impl<K, C: Clone> Clone for PenaltyBox<K, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            clock: self.clock.clone(),
        }
    }
}

/// Omits the keys, which may be personal.
impl<K, C> fmt::Debug for PenaltyBox<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.shared.shards[0].lock();
        let numbers = first.unwrap_or_else(PoisonError::into_inner).numbers;
        f.debug_struct("PenaltyBox")
            .field("failures", &numbers.failures)
            .field("within", &Duration::from_nanos(numbers.within))
            .field("lockout", &Duration::from_nanos(numbers.lockout))
            .finish_non_exhaustive()
    }
}

/// Omits the key, which may be personal.
impl<K: Hash + Eq + Clone> fmt::Debug for PenaltyCharge<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PenaltyCharge")
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}
