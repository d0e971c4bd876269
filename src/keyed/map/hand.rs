//! A hand that walks around a hash table, a few buckets at a time.

use core::iter;
use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::time::Timestamp;

/// How many buckets are looked at, and then again while at least a quarter of them are dropped.
const STEP: usize = 8;
/// How many are looked at in the end, which bounds the pause: half a microsecond where they are in the cache.
const MOST: usize = 64;

/// Where a sweep goes on. Tables grow and shrink under it, so that the numbers are no more than where to look.
#[derive(Debug)]
pub(super) struct Hand {
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

impl Hand {
    pub(super) const START: Self = Self {
        at: 0,
        promised: 0,
        in_vain: 0,
        soonest: Timestamp::MAX,
        quiet_until: Timestamp::ZERO,
    };

    /// Drops what is unused among the next few buckets, and returns how many.
    pub(super) fn walk<K, V>(
        &mut self,
        table: &mut HashTable<(K, V)>,
        is_unused: impl Fn(&V) -> bool,
    ) -> u64 {
        self.start_over();
        let most = MOST.min(table.num_buckets());
        let (mut looked, mut dropped) = (0, 0);
        while looked < most {
            let before = dropped;
            for _ in 0..STEP.min(most - looked) {
                let bucket = self.next(table.num_buckets());
                looked += 1;
                let unused = table.get_bucket(bucket).map(|(_, value)| is_unused(value));
                if unused == Some(true) {
                    dropped += u64::from(remove(table, bucket));
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
    pub(super) fn find<K, V, D: Ord>(
        &mut self,
        table: &mut HashTable<(K, V)>,
        now: Timestamp,
        look: impl Fn(&V) -> Look<D>,
        wait: impl FnOnce(D) -> Duration,
    ) -> Result<(), Option<Duration>> {
        let buckets = table.num_buckets();
        let most = MOST.min(buckets);
        let (soonest, is_told) = match self.scan(table, look) {
            Scan::Unused(bucket) => {
                remove(table, bucket);
                self.start_over();
                return Ok(());
            }
            Scan::Used { soonest, is_told } => (soonest, is_told),
        };
        self.at = (self.at + most).checked_rem(buckets).unwrap_or(0);
        let wait = soonest.map(|(due, bucket)| {
            self.promised = bucket;
            wait(due)
        });
        self.in_vain += most;
        self.soonest = self.soonest.min(now + wait.unwrap_or(Duration::MAX));
        if !is_told {
            // That one may be unused any time.
            self.disturb();
        } else if self.in_vain >= buckets && self.soonest < Timestamp::MAX {
            self.quiet_until = self.soonest;
            self.start_over();
        }
        Err(wait)
    }

    /// What [`find`](Self::find) would say. Changes nothing.
    pub(super) fn would_find<K, V, D: Ord>(
        &self,
        table: &HashTable<(K, V)>,
        look: impl Fn(&V) -> Look<D>,
        wait: impl FnOnce(D) -> Duration,
    ) -> Result<(), Option<Duration>> {
        match self.scan(table, look) {
            Scan::Unused(_) => Ok(()),
            Scan::Used { soonest, .. } => Err(soonest.map(|(due, _)| wait(due))),
        }
    }

    /// Looks at the promised bucket and the next few.
    fn scan<K, V, D: Ord>(
        &self,
        table: &HashTable<(K, V)>,
        look: impl Fn(&V) -> Look<D>,
    ) -> Scan<D> {
        let buckets = table.num_buckets();
        let next = (1..=MOST.min(buckets)).map(|further| (self.at + further) % buckets);
        let mut soonest: Option<(D, usize)> = None;
        let mut is_told = true;
        for bucket in iter::once(self.promised).chain(next) {
            match table.get_bucket(bucket).map(|(_, value)| look(value)) {
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

    /// How long it is known that nothing will be unused.
    pub(super) fn quiet_for(&self, now: Timestamp) -> Option<Duration> {
        let quiet = self.quiet_until - now;
        (!quiet.is_zero()).then_some(quiet)
    }

    /// A key was added: what was seen before is no longer all.
    pub(super) const fn disturb(&mut self) {
        self.start_over();
        self.quiet_until = Timestamp::ZERO;
    }

    /// The hand has gone past places without noting when they will be unused, or keys have other places now: what was looked
    /// at in vain is no longer without a gap.
    pub(super) const fn start_over(&mut self) {
        self.in_vain = 0;
        self.soonest = Timestamp::MAX;
    }

    const fn next(&mut self, buckets: usize) -> usize {
        self.at = if self.at + 1 < buckets {
            self.at + 1
        } else {
            0
        };
        self.at
    }
}

fn remove<T>(table: &mut HashTable<T>, bucket: usize) -> bool {
    table
        .get_bucket_entry(bucket)
        .map(OccupiedEntry::remove)
        .is_ok()
}
