//! A part of the keys, behind one lock, and its sweep.
//!
//! Every insertion looks at a few buckets of the table, where the last one left off, and drops those keys that nobody could tell from
//! new ones. So the table is walked around again and again without anybody ever walking it whole. Where it finds much it looks at
//! more, up to a bound; where a table has become too large for what is left, it gives memory back.

use core::borrow::Borrow;
use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use super::cell::{Cell, Other, Word};
use super::hand::Hand;
use crate::keyed::rule::Rule;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// Tables with fewer buckets are not worth shrinking.
const SMALL: usize = 64;

/// Some of the keys. Each is in one of two tables, so that the common kind takes no more than it needs.
#[derive(Debug)]
pub(super) struct Shard<K, L> {
    /// Keys with a bucket of the first quota.
    words: HashTable<(K, Word)>,
    /// All others.
    others: HashTable<(K, Other<L>)>,
    words_hand: Hand,
    others_hand: Hand,
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
    Word(Word, &'a Rule),
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
            words: HashTable::new(),
            others: HashTable::new(),
            words_hand: Hand::START,
            others_hand: Hand::START,
            dropped_at: Timestamp::ZERO,
            created: 0,
            dropped: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len() + self.others.len()
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
        first: Option<&'a Rule>,
    ) -> impl Iterator<Item = (&'a K, Cell<'a, L>)> {
        let words = first.into_iter().flat_map(|rule| {
            let cell = move |(key, word): &'a (K, Word)| (key, Cell::Word(word, rule));
            self.words.iter().map(cell)
        });
        words.chain(self.others.iter().map(|(key, other)| (key, other.cell())))
    }
}

impl<K, L> Shard<K, L> {
    /// What is kept for a key.
    #[inline]
    pub(super) fn find<'a, Q: Eq + ?Sized>(
        &'a self,
        first: Option<&'a Rule>,
        hash: u64,
        key: &Q,
    ) -> Option<Cell<'a, L>>
    where
        K: Borrow<Q>,
    {
        if let Some(rule) = first {
            let word = self.words.find(hash, |(known, _)| known.borrow() == key);
            if let Some((_, word)) = word {
                return Some(Cell::Word(word, rule));
            }
        }
        if self.others.is_empty() {
            return None;
        }
        let other = self.others.find(hash, |(known, _)| known.borrow() == key);
        other.map(|(_, other)| other.cell())
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
            New::Word(word, _) => {
                self.words_hand.disturb();
                self.words
                    .insert_unique(hash, (key, word), |(key, _)| hasher(key));
            }
            New::Other(other) => {
                self.others_hand.disturb();
                self.others
                    .insert_unique(hash, (key, other), |(key, _)| hasher(key));
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
        let removed = self.take_out(hash, key);
        self.shrink(hasher);
        removed
    }

    fn take_out<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let word = self
            .words
            .find_entry(hash, |(known, _)| known.borrow() == key);
        if let Ok(entry) = word {
            entry.remove();
            return true;
        }
        let other = self
            .others
            .find_entry(hash, |(known, _)| known.borrow() == key);
        other.map(OccupiedEntry::remove).is_ok()
    }
}

impl<K, L: Limiter> Shard<K, L> {
    /// Looks at a few buckets of each table, and at more while many of them are dropped.
    pub(super) fn sweep(
        &mut self,
        first: Option<&Rule>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let mut dropped = 0;
        if let Some(rule) = first {
            dropped += self.words_hand.walk(&mut self.words, |word| {
                Cell::<L>::Word(word, rule).is_unused_at(now)
            });
        }
        dropped += self
            .others_hand
            .walk(&mut self.others, |other| other.cell().is_unused_at(now));
        self.count(dropped, now, hasher);
        dropped
    }

    /// How long it is known that no key can be dropped. Keys that are added in the meantime, and only those, change that.
    pub(super) fn quiet_for(&self, now: Timestamp) -> Option<Duration> {
        let quiet = |empty: bool, hand: &Hand| {
            if empty {
                Some(Duration::MAX)
            } else {
                hand.quiet_for(now)
            }
        };
        let words = quiet(self.words.is_empty(), &self.words_hand)?;
        let others = quiet(self.others.is_empty(), &self.others_hand)?;
        Some(words.min(others)).filter(|&wait| wait < Duration::MAX)
    }

    /// What [`make_room`](Self::make_room) would say. Changes nothing.
    pub(super) fn would_make_room(
        &self,
        first: Option<&Rule>,
        now: Timestamp,
    ) -> Result<(), Option<Duration>> {
        let word = first.map_or(Err(None), |rule| {
            let as_of = rule.now(now.as_nanos());
            let look = |word: &Word| word.look(as_of);
            let wait = |tat| rule.until_full(tat, as_of);
            self.words_hand.would_find(&self.words, look, wait)
        });
        word.or_else(|word| {
            let look = |other: &Other<L>| other.cell().look_at(now);
            let other = self.others_hand.would_find(&self.others, look, |wait| wait);
            other.map_err(|other| sooner(word, other))
        })
    }

    /// Looks for a key that can be dropped.
    ///
    /// # Errors
    ///
    /// How long until the first of those that were looked at can be: then it is found. `None` if that cannot be told.
    pub(super) fn make_room(
        &mut self,
        first: Option<&Rule>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> Result<(), Option<Duration>> {
        let word = first.map_or(Err(None), |rule| {
            let as_of = rule.now(now.as_nanos());
            let look = |word: &Word| word.look(as_of);
            let wait = |tat| rule.until_full(tat, as_of);
            self.words_hand.find(&mut self.words, now, look, wait)
        });
        let found = word.or_else(|word| {
            let look = |other: &Other<L>| other.cell().look_at(now);
            let other = self
                .others_hand
                .find(&mut self.others, now, look, |wait| wait);
            other.map_err(|other| sooner(word, other))
        });
        if found.is_ok() {
            self.count(1, now, hasher);
        }
        found
    }

    /// Looks at all.
    pub(super) fn sweep_all(
        &mut self,
        first: Option<&Rule>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let before = self.len();
        if let Some(rule) = first {
            self.words
                .retain(|(_, word)| !Cell::<L>::Word(word, rule).is_unused_at(now));
        }
        self.others
            .retain(|(_, other)| !other.cell().is_unused_at(now));
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

impl<K, L> Shard<K, L> {
    fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        if shrink(&mut self.words, |(key, _)| hasher(key)) {
            self.words_hand.start_over();
        }
        if shrink(&mut self.others, |(key, _)| hasher(key)) {
            self.others_hand.start_over();
        }
    }
}

/// The shorter of two waits, of which not both need be known.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// Gives memory back where a table is mostly empty: to twice what it holds, so that it does not grow again at once.
fn shrink<T>(table: &mut HashTable<T>, hasher: impl Fn(&T) -> u64) -> bool {
    let is_mostly_empty = table.num_buckets() > SMALL && table.len() * 8 < table.num_buckets();
    if is_mostly_empty {
        table.shrink_to(table.len() * 2, hasher);
    }
    is_mostly_empty
}
