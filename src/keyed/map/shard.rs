//! A part of the keys, behind one lock, and its sweep.
//!
//! Every insertion looks at a few buckets of the table, where the last one left off, and drops those keys that nobody could tell from
//! new ones. So the table is walked around again and again without anybody ever walking it whole. Where it finds much it looks at
//! more, up to a bound; where a table has become too large for what is left, it gives memory back.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::time::Duration;

use super::cell::{Cell, Other, Word};
use super::table::Table;
use crate::gcra::WordGcra;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// Some of the keys. Each is in one of two tables, so that the common kind takes no more than it needs.
#[derive(Debug)]
pub(super) struct Shard<K, L> {
    /// Keys with a bucket of the first quota.
    words: Table<K, Word>,
    /// All others, as soon as there are any. Boxed, so that a part that has none fits two cache lines.
    others: Option<Box<Table<K, Other<L>>>>,
    /// The latest instant as of which a key was dropped. To every key that comes new, time stands still until then: it may
    /// be one that was dropped, and its caller's reading may be older.
    dropped_at: Timestamp,
    created: u64,
    dropped: u64,
}

/// What is kept for a new key.
#[derive(Debug)]
pub(super) enum New<'a, L> {
    /// A bucket of the first quota, whose rule this is.
    Word(Word, &'a WordGcra),
    Other(Other<L>),
}

impl<L> New<'_, L> {
    pub(super) fn cell(&self) -> Cell<'_, L> {
        match self {
            Self::Word(word, rule) => Cell::Word(word, rule),
            Self::Other(other) => other.cell(),
        }
    }
}

impl<K, L> Shard<K, L> {
    pub(super) const fn new() -> Self {
        Self {
            words: Table::new(),
            others: None,
            dropped_at: Timestamp::ZERO,
            created: 0,
            dropped: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len() + self.others.as_ref().map_or(0, |others| others.len())
    }

    /// Keys that were created and keys that were dropped so far.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.created, self.dropped)
    }

    /// The instant from which on new keys may be decided.
    pub(super) const fn dropped_at(&self) -> Timestamp {
        self.dropped_at
    }

    /// Every key with what is kept for it; `first` is the rule of the first quota.
    pub(super) fn iter<'a>(
        &'a self,
        first: Option<&'a WordGcra>,
    ) -> impl Iterator<Item = (&'a K, Cell<'a, L>)> {
        let words = first.into_iter().flat_map(|rule| {
            let cell = move |(key, word): &'a (K, Word)| (key, Cell::Word(word, rule));
            self.words.iter().map(cell)
        });
        let others = self.others.iter().flat_map(|others| others.iter());
        words.chain(others.map(|(key, other)| (key, other.cell())))
    }

    /// The bucket of a key with the first quota.
    #[expect(clippy::inline_always, reason = "as `Table::get`")]
    #[inline(always)]
    pub(super) fn word<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&Word>
    where
        K: Borrow<Q>,
    {
        self.words.get(hash, key)
    }

    /// What is kept for any other key.
    pub(super) fn other<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Cell<'_, L>>
    where
        K: Borrow<Q>,
    {
        self.others.as_ref()?.get(hash, key).map(Other::cell)
    }

    /// What is kept for a key.
    pub(super) fn find<'a, Q: Eq + ?Sized>(
        &'a self,
        first: Option<&'a WordGcra>,
        hash: u64,
        key: &Q,
    ) -> Option<Cell<'a, L>>
    where
        K: Borrow<Q>,
    {
        let word = first.and_then(|rule| Some(Cell::Word(self.word(hash, key)?, rule)));
        word.or_else(|| self.other(hash, key))
    }

    /// Adds a key that is not there.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: K,
        new: New<'_, L>,
        hasher: impl Fn(&K) -> u64,
    ) {
        self.created += 1;
        match new {
            New::Word(word, _) => self.words.insert(hash, key, word, hasher),
            New::Other(other) => {
                let others = self.others.get_or_insert_with(|| Box::new(Table::new()));
                others.insert(hash, key, other, hasher);
            }
        }
    }

    /// Removes a key, used or not.
    pub(super) fn remove<Q: Eq + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        hasher: impl Fn(&K) -> u64,
    ) -> bool
    where
        K: Borrow<Q>,
    {
        let from_others = |others: &mut Box<Table<K, _>>| others.remove(hash, key);
        let removed = self.words.remove(hash, key) || self.others.as_mut().is_some_and(from_others);
        self.shrink(hasher);
        removed
    }

    fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        self.words.shrink(&hasher);
        if let Some(others) = &mut self.others {
            others.shrink(hasher);
        }
    }
}

impl<K, L: Limiter> Shard<K, L> {
    /// Looks at a few buckets of each table, and at more while many of them are dropped.
    pub(super) fn sweep(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let mut dropped = 0;
        if let Some(rule) = first {
            let as_of = rule.now(now.as_nanos());
            dropped += self.words.walk(|word| word.is_full(as_of));
        }
        if let Some(others) = &mut self.others {
            dropped += others.walk(|other| other.cell().is_unused_at(now));
        }
        self.count(dropped, now, hasher);
        dropped
    }

    /// Whether it is known that none of its keys can be dropped; not of no keys.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        let others = self.others.as_ref();
        self.len() > 0
            && self.words.is_quiet(now)
            && others.is_none_or(|others| others.is_quiet(now))
    }

    /// What [`make_room`](Self::make_room) would say. Changes nothing.
    pub(super) fn would_make_room(
        &self,
        first: Option<&WordGcra>,
        now: Timestamp,
    ) -> Result<(), Option<Duration>> {
        let word = first.map_or(Err(None), |rule| {
            let as_of = rule.now(now.as_nanos());
            let wait = |tat| rule.until_full(tat, as_of);
            self.words.would_drop_one(|word| word.look(as_of), wait)
        });
        match (word, &self.others) {
            (Err(word), Some(others)) => others
                .would_drop_one(|other| other.cell().look_at(now), |wait| wait)
                .map_err(|other| sooner(word, other)),
            (word, _) => word,
        }
    }

    /// Looks for a key that can be dropped.
    ///
    /// # Errors
    ///
    /// How long until the first of those that were looked at can be: then it is found. `None` if that cannot be told.
    pub(super) fn make_room(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> Result<(), Option<Duration>> {
        let word = first.map_or(Err(None), |rule| {
            let as_of = rule.now(now.as_nanos());
            let wait = |tat| rule.until_full(tat, as_of);
            self.words.drop_one(now, |word| word.look(as_of), wait)
        });
        let found = match (word, &mut self.others) {
            (Err(word), Some(others)) => others
                .drop_one(now, |other| other.cell().look_at(now), |wait| wait)
                .map_err(|other| sooner(word, other)),
            (word, _) => word,
        };
        if found.is_ok() {
            self.count(1, now, hasher);
        }
        found
    }

    /// Looks at all.
    pub(super) fn sweep_all(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let before = self.len();
        if let Some(rule) = first {
            let as_of = rule.now(now.as_nanos());
            self.words.walk_all(|word| word.is_full(as_of));
        }
        if let Some(others) = &mut self.others {
            others.walk_all(|other| other.cell().is_unused_at(now));
        }
        let dropped = (before - self.len()) as u64;
        self.count(dropped, now, hasher);
        dropped
    }

    /// After so many were dropped.
    fn count(&mut self, dropped: u64, now: Timestamp, hasher: impl Fn(&K) -> u64) {
        if dropped == 0 {
            return;
        }
        self.dropped += dropped;
        self.dropped_at = self.dropped_at.max(now);
        self.shrink(hasher);
    }
}

/// The shorter of two waits, of which not both need be known.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
