//! Save and restore of a table of fixed size, entry by entry.

use core::hash::BuildHasher;

use super::FixedKeyed;
use super::set::KeyTag;
use super::state::TableState;
#[cfg(feature = "std")]
use crate::clock::Clock;
use crate::save::{
    BucketLevel, Elapsed, RestoreError, RestoreTableError, TableHeader, TableKind, TableReader,
    TableRecord, TableWriter, UnixTime,
};
use crate::time::Timestamp;

/// What a [`FixedKeyed`] keeps of a key: where it is, and a part of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct FixedKey {
    set: u64,
    entry: u8,
    fingerprint: u64,
}

/// A key whose hash shows that two tables hash alike.
const CHECKED: &str = "tidegate: check of the hasher";

impl<C, S: BuildHasher> FixedKeyed<C, S> {
    fn kind(&self) -> TableKind {
        TableKind::Fixed {
            sets: self.state.sets.len() as u64,
            // Half of a hash: enough to notice another seed, and less to learn about this one.
            check: (self.hasher.hash_one(CHECKED) >> 32) as u32,
        }
    }

    /// `save` as of `now`, which is `wall` by the wall clock.
    ///
    /// # Errors
    ///
    /// As `save`.
    pub fn save_at<E>(
        &self,
        now: Timestamp,
        wall: UnixTime,
        write: impl FnMut(TableRecord<FixedKey, BucketLevel>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let shared = BucketLevel::new(self.shared.level_at(now));
        let shared = (!shared.is_full()).then_some(shared);
        let mut writer = TableWriter::start(write, TableHeader::new(wall, self.kind(), shared))?;
        for number in 0..self.state.sets.len() {
            let (gcra, entries) =
                self.on_set(number, |state, set| Ok((state.gcra, set.occupied()?)));
            let as_of = gcra.now(now.as_nanos());
            for (entry, occupied) in (0..).zip(entries) {
                let Some((fingerprint, tat)) = occupied else {
                    continue;
                };
                let level = BucketLevel::new(gcra.level(tat, as_of));
                if !level.is_full() {
                    let key = FixedKey {
                        set: number as u64,
                        entry,
                        fingerprint,
                    };
                    writer.key(key, level)?;
                }
            }
        }
        writer.end()
    }

    /// `restore` as of `now`, which is `wall` by the wall clock.
    ///
    /// # Errors
    ///
    /// As `restore`.
    pub fn restore_at<E>(
        records: impl IntoIterator<Item = Result<TableRecord<FixedKey, BucketLevel>, E>>,
        fresh: Self,
        now: Timestamp,
        wall: UnixTime,
    ) -> Result<Self, RestoreTableError<E>> {
        let mut reader = TableReader::start(records.into_iter(), wall)?;
        if !matches!(reader.kind, TableKind::Fixed { .. }) {
            return Err(RestoreError::WrongKind.into());
        }
        if reader.kind != fresh.kind() {
            return Err(RestoreError::DifferentTable.into());
        }
        let elapsed = reader.elapsed;
        if let Some(shared) = reader.shared.take() {
            let level = shared.level()?;
            fresh.shared.restore_level_at(level, elapsed.0, now);
        }
        while let Some((key, state)) = reader.next_key()? {
            fresh.restore_key(key, state, elapsed, now)?;
        }
        Ok(fresh)
    }

    fn restore_key(
        &self,
        FixedKey {
            set,
            entry,
            fingerprint,
        }: FixedKey,
        state: BucketLevel,
        Elapsed(elapsed): Elapsed,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        let sets = self.state.sets.len();
        let number = usize::try_from(set).ok().filter(|number| *number < sets);
        let number = number.ok_or(RestoreError::DifferentTable)?;
        let tag = KeyTag::saved(fingerprint, entry.into()).ok_or(RestoreError::DifferentTable)?;
        let level = state.level()?;
        let nanos = now.as_nanos();
        self.on_set(number, |TableState { gcra, .. }, set| {
            if set.holds(tag)? {
                return Ok(Err(RestoreError::DuplicateKey));
            }
            match gcra.restored(level, elapsed, gcra.now(nanos)) {
                Some(tat) if !set.restore(gcra, tag, nanos, tat)? => Ok(Err(RestoreError::NoRoom)),
                _ => Ok(Ok(())),
            }
        })
    }
}

/// Operations as of now.
#[cfg(feature = "std")]
impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// Saves the table: passes its records to `write` one after the other, and returns the number
    /// of keys. Keys whose bucket is full are left out. Nothing is allocated.
    ///
    /// It includes all that was admitted before the call, whatever other threads do meanwhile. See
    /// [`docs::restarts`](crate::docs::restarts).
    ///
    /// # The hasher
    ///
    /// The table does not know its keys, only their hashes. So a save is of use only to a table
    /// with the same hasher and the same seed, and by default each table has a random one. Give
    /// both the same seeds ([`KeyHasher::with_seeds`](crate::KeyHasher::with_seeds)), made once by
    /// a source of randomness and kept like a password. The seeds are not part of the save,
    /// because a client that knows them can choose keys that share a bucket. Keep the save secret
    /// as well: it holds parts of hashes.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use tidegate::{DefaultClock, FixedKeyed, KeyHasher, Quota};
    ///
    /// let seeds = [0x8c1f, 0x03a2, 0x77d0, 0x9e45]; // of 64 random bits each, from a vault
    /// let table = || {
    ///     let hasher = KeyHasher::with_seeds(seeds);
    ///     FixedKeyed::with_clock_and_hasher(Quota::per_hour(10), 1_000, DefaultClock, hasher)
    /// };
    /// let before = table();
    /// before.try_acquire("alice", 7)?;
    /// let mut records = Vec::new();
    /// before.save(|record| Ok::<_, Infallible>(records.push(record)))?;
    ///
    /// let records = records.into_iter().map(Ok::<_, Infallible>);
    /// let after = FixedKeyed::restore(records, table())?;
    /// assert_eq!(after.available("alice"), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of `write`, which ends the save.
    pub fn save<E>(
        &self,
        write: impl FnMut(TableRecord<FixedKey, BucketLevel>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let now = self.clock.now();
        self.save_at(now, UnixTime::now(), write)
    }

    /// Fills `fresh` with the keys of a saved table, record by record.
    ///
    /// `fresh` may have another quota: keys keep their tokens, at most as many as the new capacity.
    /// It must have the same size and an equal [hasher](Self::save). The time since the save counts
    /// by the wall clock.
    ///
    /// # Errors
    ///
    /// The first error of `records`, or the reason why a record cannot be restored.
    pub fn restore<E>(
        records: impl IntoIterator<Item = Result<TableRecord<FixedKey, BucketLevel>, E>>,
        fresh: Self,
    ) -> Result<Self, RestoreTableError<E>> {
        let wall = UnixTime::now();
        let now = fresh.clock.now();
        Self::restore_at(records, fresh, now, wall)
    }
}
