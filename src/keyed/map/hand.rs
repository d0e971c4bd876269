//! A hand that walks around a hash table, a few buckets at a time.

use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

/// How many buckets are looked at, and then again while at least a quarter of them are dropped.
const STEP: usize = 8;
/// How many are looked at in the end, which bounds the pause: half a microsecond where they are in the cache.
const MOST: usize = 64;

/// Where a sweep goes on. Tables grow and shrink under it, so that the numbers are no more than where to look.
#[derive(Debug)]
pub(super) struct Hand {
    /// The bucket that was looked at last.
    at: usize,
    /// The bucket that somebody who was refused was told to wait for.
    promised: usize,
}

impl Hand {
    pub(super) const START: Self = Self { at: 0, promised: 0 };

    /// Drops what is unused among the next few buckets, and returns how many.
    pub(super) fn walk<K, V>(
        &mut self,
        table: &mut HashTable<(K, V)>,
        is_unused: impl Fn(&V) -> bool,
    ) -> u64 {
        let most = MOST.min(table.num_buckets());
        let (mut looked, mut dropped) = (0, 0);
        while looked < most {
            let before = dropped;
            for _ in 0..STEP.min(most - looked) {
                let bucket = self.next(table.num_buckets());
                looked += 1;
                if table
                    .get_bucket(bucket)
                    .is_some_and(|(_, value)| is_unused(value))
                {
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
    /// The shortest time until one of those is unused, which is promised: whoever comes back then gets it.
    pub(super) fn find<K, V>(
        &mut self,
        table: &mut HashTable<(K, V)>,
        unused_in: impl Fn(&V) -> Option<Duration>,
    ) -> Result<(), Option<Duration>> {
        let mut soonest = None;
        let mut bucket = self.promised;
        for _ in 0..=MOST.min(table.num_buckets()) {
            if let Some(wait) = table
                .get_bucket(bucket)
                .and_then(|(_, value)| unused_in(value))
            {
                if wait.is_zero() {
                    remove(table, bucket);
                    return Ok(());
                }
                if soonest.is_none_or(|soonest| wait < soonest) {
                    soonest = Some(wait);
                    self.promised = bucket;
                }
            }
            bucket = self.next(table.num_buckets());
        }
        Err(soonest)
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
