//! A hash table, and a hand that walks around it a few buckets at a time.

use core::borrow::Borrow;
use core::iter;
use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::time::Timestamp;

/// How many buckets are looked at, and then again while at least a quarter of them are dropped.
const STEP: usize = 8;
/// How many are looked at in the end, which bounds the pause: half a microsecond where they are in the cache.
const MOST: usize = 64;

/// Tables with fewer buckets are not worth shrinking.
const SMALL: usize = 64;

/// Keys, what is kept for them, and the hand that sweeps them.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: HashTable<(K, V)>,
    hand: Hand,
}

/// Where a sweep goes on. Tables grow and shrink under it, so that the numbers are no more than where to look.
#[derive(Debug)]
struct Hand {
    /// The bucket that was looked at last.
    at: usize,
    /// The bucket that will be unused first, as far as was seen: somebody may have been told to wait for it.
    promised: usize,
    /// How many buckets were looked at in vain, one after another, since a key was added.
    in_vain: usize,
    /// When the first of those will be unused.
    soonest: Timestamp,
    /// Nothing is unused before: all were looked at, and who is charged again is unused later.
    quiet_until: Timestamp,
}

/// What is seen in a bucket.
pub(super) enum Look<D> {
    Unused,
    /// Unused some time, which later ones are greater than.
    Due(D),
    Unknown,
}

impl<D> Look<D> {
    /// The same with its time told otherwise.
    pub(super) fn map<E>(self, tell: impl FnOnce(D) -> E) -> Look<E> {
        match self {
            Self::Unused => Look::Unused,
            Self::Due(due) => Look::Due(tell(due)),
            Self::Unknown => Look::Unknown,
        }
    }
}

/// What a few buckets hold.
enum Scan<D> {
    /// This one is unused.
    Unused(usize),
    Used {
        /// Which will be unused first, and when.
        soonest: Option<(D, usize)>,
        /// Whether that is known of all of them.
        is_told: bool,
    },
}

impl<K, V> Table<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            entries: HashTable::new(),
            hand: Hand::START,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub(super) fn get<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let found = self.entries.find(hash, |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, hash: u64, key: K, value: V, hasher: impl Fn(&K) -> u64) {
        self.hand.disturb();
        self.entries
            .insert_unique(hash, (key, value), |(key, _)| hasher(key));
    }

    pub(super) fn remove<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let entry = self
            .entries
            .find_entry(hash, |(known, _)| known.borrow() == key);
        entry.map(OccupiedEntry::remove).is_ok()
    }

    /// Drops what is unused among the next few buckets, and returns how many.
    pub(super) fn walk(&mut self, is_unused: impl Fn(&V) -> bool) -> u64 {
        let Self { entries, hand } = self;
        hand.start_over();
        let buckets = entries.num_buckets();
        let most = MOST.min(buckets);
        let (mut looked, mut dropped) = (0, 0);
        while looked < most {
            let before = dropped;
            for _ in 0..STEP.min(most - looked) {
                let bucket = hand.next(buckets);
                looked += 1;
                let unused = entries
                    .get_bucket(bucket)
                    .map(|(_, value)| is_unused(value));
                if unused == Some(true) {
                    dropped += u64::from(remove(entries, bucket));
                }
            }
            if (dropped - before) * 4 < STEP as u64 {
                break;
            }
        }
        dropped
    }

    /// Drops the first that is unused: the promised one, or one of the next few.
    ///
    /// # Errors
    ///
    /// The shortest time until one of those is unused, which is promised: whoever comes back then gets it. `None` if that cannot
    /// be told.
    pub(super) fn drop_one<D: Ord>(
        &mut self,
        now: Timestamp,
        look: impl Fn(&V) -> Look<D>,
        wait: impl FnOnce(D) -> Duration,
    ) -> Result<(), Option<Duration>> {
        let scan = self.scan(look);
        let Self { entries, hand } = self;
        let (soonest, is_told) = match scan {
            Scan::Unused(bucket) => {
                remove(entries, bucket);
                hand.start_over();
                return Ok(());
            }
            Scan::Used { soonest, is_told } => (soonest, is_told),
        };
        let wait = soonest.map(|(due, bucket)| {
            hand.promised = bucket;
            wait(due)
        });
        hand.looked_in_vain(
            entries.num_buckets(),
            is_told,
            now + wait.unwrap_or(Duration::MAX),
        );
        Err(wait)
    }

    /// What [`drop_one`](Self::drop_one) would say. Changes nothing.
    pub(super) fn would_drop_one<D: Ord>(
        &self,
        look: impl Fn(&V) -> Look<D>,
        wait: impl FnOnce(D) -> Duration,
    ) -> Result<(), Option<Duration>> {
        match self.scan(look) {
            Scan::Unused(_) => Ok(()),
            Scan::Used { soonest, .. } => Err(soonest.map(|(due, _)| wait(due))),
        }
    }

    /// Looks at the promised bucket and the next few.
    fn scan<D: Ord>(&self, look: impl Fn(&V) -> Look<D>) -> Scan<D> {
        let Self { entries, hand } = self;
        let buckets = entries.num_buckets();
        let next = (1..=MOST.min(buckets)).map(|further| (hand.at + further) % buckets);
        let mut soonest: Option<(D, usize)> = None;
        let mut is_told = true;
        for bucket in iter::once(hand.promised).chain(next) {
            match entries.get_bucket(bucket).map(|(_, value)| look(value)) {
                Some(Look::Unused) => return Scan::Unused(bucket),
                Some(Look::Due(due))
                    if soonest.as_ref().is_none_or(|(soonest, _)| due < *soonest) =>
                {
                    soonest = Some((due, bucket));
                }
                Some(Look::Unknown) => is_told = false,
                Some(Look::Due(_)) | None => {}
            }
        }
        Scan::Used { soonest, is_told }
    }

    /// Drops everything that is unused.
    pub(super) fn walk_all(&mut self, is_unused: impl Fn(&V) -> bool) {
        self.entries.retain(|(_, value)| !is_unused(value));
    }

    /// Whether it is known that nothing is unused.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        self.entries.is_empty() || now < self.hand.quiet_until
    }

    /// Gives memory back where the table is mostly empty: to twice what it holds, so that it does not grow again at once.
    pub(super) fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        let Self { entries, hand } = self;
        if entries.num_buckets() > SMALL && entries.len() * 8 < entries.num_buckets() {
            entries.shrink_to(entries.len() * 2, |(key, _)| hasher(key));
            hand.start_over();
        }
    }
}

impl Hand {
    const START: Self = Self {
        at: 0,
        promised: 0,
        in_vain: 0,
        soonest: Timestamp::MAX,
        quiet_until: Timestamp::ZERO,
    };

    const fn next(&mut self, buckets: usize) -> usize {
        self.at = if self.at + 1 < buckets {
            self.at + 1
        } else {
            0
        };
        self.at
    }

    /// The next few buckets hold nothing that is unused before `soonest`, as far as `is_told`.
    fn looked_in_vain(&mut self, buckets: usize, is_told: bool, soonest: Timestamp) {
        let looked = MOST.min(buckets);
        self.at = (self.at + looked).checked_rem(buckets).unwrap_or(0);
        self.in_vain += looked;
        self.soonest = self.soonest.min(soonest);
        if !is_told {
            // That one may be unused any time.
            self.disturb();
        } else if self.in_vain >= buckets && self.soonest < Timestamp::MAX {
            self.quiet_until = self.soonest;
            self.start_over();
        }
    }

    /// A key was added: what was seen before is no longer all.
    const fn disturb(&mut self) {
        self.start_over();
        self.quiet_until = Timestamp::ZERO;
    }

    /// The hand has gone past places without noting when they will be unused, or keys have other places now: what was looked
    /// at in vain is no longer without a gap.
    const fn start_over(&mut self) {
        self.in_vain = 0;
        self.soonest = Timestamp::MAX;
    }
}

fn remove<T>(table: &mut HashTable<T>, bucket: usize) -> bool {
    table
        .get_bucket_entry(bucket)
        .map(OccupiedEntry::remove)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Look, Table};
    use crate::time::Timestamp;

    /// Keys that are unused from an instant on, in microseconds.
    struct Keys {
        table: Table<u64, u64>,
        now: u64,
    }

    impl Keys {
        fn new(count: u64, due: impl Fn(u64) -> u64) -> Self {
            let mut table = Table::new();
            for key in 0..count {
                let hasher = |key: &u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                table.insert(hasher(&key), key, due(key), hasher);
            }
            Self { table, now: 0 }
        }

        fn now(&self) -> Timestamp {
            Timestamp::ZERO + Duration::from_micros(self.now)
        }

        /// Looks for one to drop. Where it says that nothing is unused for a while, nothing is.
        fn drop_one(&mut self) -> bool {
            let now = self.now;
            let look = |&due: &u64| {
                if due <= now {
                    Look::Unused
                } else {
                    Look::Due(due)
                }
            };
            let wait = |due| Duration::from_micros(due - now);
            let at = self.now();
            let found = self.table.drop_one(at, look, wait).is_ok();
            if self.table.is_quiet(at) {
                let quiet = self.table.hand.quiet_until - at;
                let soonest = self.table.iter().map(|&(_, due)| due).min();
                assert!(
                    soonest.is_none_or(|soonest| quiet <= wait(soonest)),
                    "{quiet:?} at {now}, {soonest:?} is due"
                );
            }
            found
        }
    }

    #[test]
    fn quiet_is_quiet() {
        let mut turns_of_quiet = 0;
        for round in 0..400_u64 {
            let due = |key: u64| 1 + key.wrapping_mul(7_919 + round * 2) % 1_009;
            let mut keys = Keys::new(60 + round % 200, due);
            let mut random = fastrand::Rng::with_seed(round);
            for _ in 0..2_000 {
                let pick = random.u64(..12);
                if keys.table.len() == 0 {
                    break;
                }
                if pick == 0 {
                    keys.now += random.u64(..6);
                } else if pick == 1 && round % 2 == 0 {
                    let now = keys.now;
                    keys.table.walk(|&due| due <= now);
                } else if pick == 2 {
                    // Whoever is the first is charged again.
                    if let Some((_, due)) =
                        keys.table.entries.iter_mut().min_by_key(|(_, due)| *due)
                    {
                        *due += 500;
                    }
                } else if !keys.table.is_quiet(keys.now()) {
                    keys.drop_one();
                } else {
                    turns_of_quiet += 1;
                }
            }
        }
        assert!(turns_of_quiet > 0, "or nothing was tested");
    }
}
