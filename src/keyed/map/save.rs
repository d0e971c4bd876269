//! Save and restore of a table, key by key.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use super::key_limiter::{KeyLimiter, KeyTat, NewLimiter, StoredLimiter};
use super::key_shard::KeyShard;
use super::{Keyed, read, write};
use crate::gcra::WordGcra;
use crate::limiter::Limiter;
use crate::save::{
    BucketLevel, Elapsed, RestoreError, RestoreTableError, Savable, TableHeader, TableKind,
    TableReader, TableRecord, TableWriter, UnixTime,
};
use crate::time::Timestamp;

impl KeyTat {
    fn state_at(&self, gcra: &WordGcra, now: Timestamp) -> BucketLevel {
        BucketLevel::new(gcra.level(self.load(), gcra.now(now.as_nanos())))
    }
}

impl<L: Limiter + Savable> KeyLimiter<'_, L> {
    /// The state at `now`; `None` if the limiter is unused.
    fn state_at(&self, now: Timestamp) -> Option<L::State> {
        match self {
            Self::Bucket(tat, gcra) => {
                let state = tat.state_at(gcra, now);
                if state.is_full() {
                    None
                } else {
                    L::state_of_word(state)
                }
            }
            Self::Whole(limiter) => (!limiter.is_unused_at(now)).then(|| limiter.state_at(now)),
        }
    }
}

impl<L: Limiter + Savable> StoredLimiter<L> {
    /// As [`KeyLimiter::state_at`]. But a quota that was set is not saved, and a full bucket of it
    /// may hold less than a full one of the factory's.
    fn state_at(&self, now: Timestamp) -> Option<L::State> {
        match self {
            Self::Bucket(tat, common) if common.set_at.is_some() => {
                L::state_of_word(tat.state_at(&common.gcra, now))
            }
            Self::Whole {
                limiter,
                is_set: true,
            } => Some(limiter.state_at(now)),
            other => other.limiter().state_at(now),
        }
    }
}

impl<K: Clone, L: Limiter + Savable> KeyShard<K, L> {
    fn states_at(&self, first: Option<&WordGcra>, now: Timestamp) -> Vec<(K, L::State)> {
        let mut states = Vec::new();
        if let Some(gcra) = first {
            states.extend(self.buckets.iter().filter_map(|(key, tat)| {
                let state = KeyLimiter::<L>::Bucket(tat, gcra).state_at(now)?;
                Some((key.clone(), state))
            }));
        }
        let others = self.others.iter().flat_map(|others| others.iter());
        states.extend(others.filter_map(|(key, other)| Some((key.clone(), other.state_at(now)?))));
        states
    }
}

/// The bucket of a word that had a state `elapsed` ago; `None` if it is full by now.
fn restored_word<L: Savable>(
    state: &L::State,
    gcra: &WordGcra,
    Elapsed(elapsed): Elapsed,
    now: Timestamp,
) -> Result<Option<KeyTat>, RestoreError> {
    let state = L::word_state(state).ok_or(RestoreError::WrongKind)?;
    let tat = gcra.restored(state.level()?, elapsed, gcra.now(now.as_nanos()));
    Ok(tat.map(KeyTat::with_tat))
}

impl<K: Hash + Eq + Clone, L: Limiter + Savable, S: BuildHasher> Keyed<K, L, S> {
    /// Saves the table: passes its records to `write` one after the other, and returns the number
    /// of keys.
    ///
    /// Keys whose limiter is unused are left out. Of a key whose quota was set
    /// ([`KeyView::set_quota`](crate::KeyView::set_quota)), the level is saved and not the quota:
    /// set it again after the restore. Memory stays flat: the keys of one part of the table after
    /// the other are copied, and no lock is held during `write`.
    ///
    /// It includes all that was admitted before the call, whatever other threads do meanwhile. See
    /// [`docs::restarts`](crate::docs::restarts).
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use tidegate::{Keyed, Quota, TableRecord, TokenBucket};
    ///
    /// let table = || Keyed::new(|_: &String| TokenBucket::new(Quota::per_hour(10)));
    /// let before = table();
    /// before.try_acquire("alice", 7)?;
    ///
    /// // A program writes each record to a file: with `serde_json`, one in each line.
    /// let mut records: Vec<TableRecord<_, _>> = Vec::new();
    /// let saved = before.save(|record| Ok::<_, Infallible>(records.push(record)))?;
    /// assert_eq!((saved, records.len()), (1, 3)); // a header, a key, and the end
    ///
    /// let records = records.into_iter().map(Ok::<_, Infallible>);
    /// let after = Keyed::restore(records, table())?;
    /// assert_eq!(after.available("alice"), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of `write`, which ends the save.
    pub fn save<E>(
        &self,
        write: impl FnMut(TableRecord<K, L::State>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let now = self.first.get().map(|first| first.limiter().now());
        self.save_at(now.unwrap_or_default(), UnixTime::now(), write)
    }

    /// [`save`](Self::save) as of `now`, which is `wall` by the wall clock.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn save_at<E>(
        &self,
        now: Timestamp,
        wall: UnixTime,
        write: impl FnMut(TableRecord<K, L::State>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let shared = self.shared.get();
        let used = shared.filter(|shared| !shared.is_unused_at(now));
        let shared = used.map(|shared| shared.state_at(now));
        let header = TableHeader::new(wall, TableKind::Keyed, shared);
        let mut writer = TableWriter::start(write, header)?;
        let gcra = self.first.get().and_then(|first| first.gcra());
        for shard in &self.shards {
            let states = read(shard).states_at(gcra, now);
            for (key, state) in states {
                writer.key(key, state)?;
            }
        }
        writer.end()
    }

    /// Fills `fresh` with the keys of a saved table, record by record.
    ///
    /// `fresh` may have another factory, hasher or size. A key gets the limiter that the factory
    /// makes for it, with what it had spent. The time since the save counts by the wall clock, and
    /// keys whose limiters are unused by now are left out. So a key whose quota was set has the
    /// factory's quota again, with as many tokens as it had, at most the capacity.
    ///
    /// # Errors
    ///
    /// The first error of `records`, or the reason why a record cannot be restored.
    pub fn restore<E>(
        records: impl IntoIterator<Item = Result<TableRecord<K, L::State>, E>>,
        fresh: Self,
    ) -> Result<Self, RestoreTableError<E>> {
        Self::restore_with(records, fresh, None, UnixTime::now())
    }

    /// [`restore`](Self::restore) as of `now`, which is `wall` by the wall clock.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_at<E>(
        records: impl IntoIterator<Item = Result<TableRecord<K, L::State>, E>>,
        fresh: Self,
        now: Timestamp,
        wall: UnixTime,
    ) -> Result<Self, RestoreTableError<E>> {
        Self::restore_with(records, fresh, Some(now), wall)
    }

    /// Without `now`, reads the clock when the first key comes, whose limiter has it.
    fn restore_with<E>(
        records: impl IntoIterator<Item = Result<TableRecord<K, L::State>, E>>,
        mut fresh: Self,
        mut now: Option<Timestamp>,
        wall: UnixTime,
    ) -> Result<Self, RestoreTableError<E>> {
        let mut reader = TableReader::start(records.into_iter(), wall)?;
        if reader.kind != TableKind::Keyed {
            return Err(RestoreError::WrongKind.into());
        }
        while let Some((key, state)) = reader.next_key()? {
            let now = *now.get_or_insert_with(|| fresh.first(&key).limiter().now());
            if let Some(shared) = reader.shared.take() {
                fresh.shared(&key);
                fresh.restore_shared(&shared, reader.elapsed, now)?;
            }
            fresh.restore_key(key, &state, reader.elapsed, now)?;
        }
        if let Some(shared) = reader.shared.take() {
            let own = fresh.shared.get().ok_or(RestoreError::NoSharedLimiter)?;
            let now = now.unwrap_or_else(|| own.now());
            fresh.restore_shared(&shared, reader.elapsed, now)?;
        }
        Ok(fresh)
    }

    fn restore_shared(
        &mut self,
        state: &L::State,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        if let Some(shared) = self.shared.take() {
            let restored = shared.restored_at(state, elapsed, now)?;
            // Just emptied.
            let _ = self.shared.set(restored);
        }
        Ok(())
    }

    fn restore_key(
        &self,
        key: K,
        state: &L::State,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        let first = self.first(&key);
        let hash = self.hasher.hash_one(&key);
        if read(self.shard(hash))
            .find(first.gcra(), hash, &key)
            .is_some()
        {
            return Err(RestoreError::DuplicateKey);
        }
        let restored = match self.new_limiter(first, self.factory.make(&key), now) {
            NewLimiter::Bucket(_, gcra) => restored_word::<L>(state, gcra, elapsed, now)?
                .map(|tat| NewLimiter::Bucket(tat, gcra)),
            NewLimiter::Other(StoredLimiter::Bucket(_, common)) => {
                restored_word::<L>(state, &common.gcra, elapsed, now)?
                    .map(|tat| NewLimiter::Other(StoredLimiter::Bucket(tat, common)))
            }
            NewLimiter::Other(StoredLimiter::Whole {
                mut limiter,
                is_set,
            }) => {
                *limiter = limiter.restored_at(state, elapsed, now)?;
                let used = !limiter.is_unused_at(now);
                used.then_some(NewLimiter::Other(StoredLimiter::Whole { limiter, is_set }))
            }
        };
        let Some(restored) = restored else {
            return Ok(());
        };
        if !self.take_room() {
            return Err(RestoreError::NoRoom);
        }
        let hasher = |key: &K| self.hasher.hash_one(key);
        write(self.shard(hash)).insert(hash, key, restored, hasher);
        Ok(())
    }
}
