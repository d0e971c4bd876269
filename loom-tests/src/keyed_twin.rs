//! A twin of the table of buckets with one set of two places, with a switch for each thing that can be wrong.

use core::hash::{BuildHasher, Hasher};

use loom::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicU64, fence};
use tidegate::{Denied, FixedKeyed, Overflow, Quota, Timestamp};

use crate::bucket_twin::NoClock;
use crate::keyed_models::Table;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Who carries out a claim stores the TAT: one who is late puts it back.
    StoredTat,
    /// Who carries out a claim stores the owner: one who is late puts it back.
    StoredOwner,
    /// Who carries out a claim does not look at it again after the place.
    UncheckedClaim,
    /// A claim is exchanged from a value under which the key was not searched.
    UnsearchedClaim,
    /// Who sees that a claim is over need not see what it has made.
    UnpublishedClaim,
    /// Who sees a place occupied need not see its owner.
    UnpublishedOwner,
    /// Who sees an owner need not see that the one before was given up.
    UnpublishedSuccessor,
    /// Who sees a place given up need not see the mark.
    UnpublishedMark,
    /// The mark is raised after the place is given up.
    LateMark,
    /// A place is occupied at the value that it was vacant with, not at the mark.
    IgnoredMark,
    /// A refusal is not judged again as of the mark.
    UnjudgedMark,
    /// A place is given up whose TAT is the mark itself, so that the value comes back.
    ReturnedValue,
    /// That there is no room is not confirmed by a claim that has not changed.
    UnconfirmedNoRoom,
    /// A place is given up though the claim that made its owner may not be over.
    UnfinishedClaim,
}

const OCCUPIED: u64 = 1 << 63;
const BUSY: u64 = 1 << 63;
const PLACE: u64 = 1 << 62;
const ONE_CLAIM: u64 = 1 << 32;
const KEY: u64 = ONE_CLAIM - 1;

/// A grain is a nanosecond. A claim is, from the top, a busy bit, a bit for the place, its number, and the key in 32 bits; an
/// owner is the number and the key.
pub struct Twin<const FLAW: u8> {
    claim: AtomicU64,
    mark: AtomicU64,
    /// Owner and TAT.
    places: [(AtomicU64, AtomicU64); 2],
    token: u64,
    limit: u64,
    overflowed: AtomicU64,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn acquire_unless(flaw: Flaw) -> Ordering {
        if Self::is(flaw) { Relaxed } else { Acquire }
    }

    fn release_unless(flaw: Flaw) -> Ordering {
        if Self::is(flaw) { Relaxed } else { Release }
    }

    /// The place of a key and its occupied word.
    fn find(&self, key: u64) -> Option<(&AtomicU64, u64)> {
        self.places.iter().find_map(|(owner, tat)| {
            if owner.load(Relaxed) & KEY != key {
                return None;
            }
            let word = tat.load(Acquire);
            (word & OCCUPIED != 0 && owner.load(Acquire) & KEY == key).then_some((tat, word))
        })
    }

    /// Whether an occupied place may be given up.
    fn is_free(word: u64, mark: u64) -> bool {
        let tat = word & !OCCUPIED;
        tat < mark || (Self::is(Flaw::ReturnedValue) && tat == mark)
    }

    fn admit_at(&self, word: u64, now: u64, cost: u64) -> Option<u64> {
        let tat = (word & !OCCUPIED).max(now);
        (tat + cost <= now + self.limit).then_some(OCCUPIED | (tat + cost))
    }

    /// Whether there is none.
    fn has_no_room(&self, now: u64) -> bool {
        let now = self.mark.load(Relaxed).max(now);
        let is_taken = |word: u64| word & OCCUPIED != 0 && !Self::is_free(word, now);
        self.places
            .iter()
            .all(|(_, tat)| is_taken(tat.load(Acquire)))
    }

    fn is_still(&self, claim: u64) -> bool {
        fence(Acquire);
        self.claim.load(Relaxed) == claim
    }

    /// Returns whether the key may have a place now.
    fn claim(&self, key: u64, now: u64) -> bool {
        loop {
            let claim = self
                .claim
                .load(Self::acquire_unless(Flaw::UnpublishedClaim));
            if claim & BUSY != 0 {
                self.carry_out(claim);
                continue;
            }
            if !Self::is(Flaw::UnsearchedClaim) && self.find(key).is_some() {
                return true;
            }
            let is_vacant = |(_, tat): &(AtomicU64, AtomicU64)| tat.load(Acquire) & OCCUPIED == 0;
            let Some(place) = self.places.iter().position(is_vacant) else {
                if !self.has_no_room(now) {
                    self.give_one_up(claim, now);
                } else if Self::is(Flaw::UnconfirmedNoRoom) || self.is_still(claim) {
                    return false;
                }
                continue;
            };
            let next = BUSY | (place as u64 * PLACE) | (claim + ONE_CLAIM) | key;
            if self
                .claim
                .compare_exchange(claim, next, Release, Relaxed)
                .is_ok()
            {
                self.carry_out(next);
                return true;
            }
        }
    }

    fn give_one_up(&self, claim: u64, now: u64) {
        let mark = if Self::is(Flaw::LateMark) {
            self.mark.load(Relaxed).max(now)
        } else {
            self.mark.fetch_max(now, Relaxed).max(now)
        };
        for (_, tat) in &self.places {
            let word = tat.load(Acquire);
            if word & OCCUPIED == 0 {
                return;
            }
            if Self::is_free(word, mark) {
                if Self::is(Flaw::UnfinishedClaim) || self.is_still(claim) {
                    let release = Self::release_unless(Flaw::UnpublishedMark);
                    let _ = tat.compare_exchange(word, mark, release, Relaxed);
                    if Self::is(Flaw::LateMark) {
                        self.mark.fetch_max(now, Relaxed);
                    }
                }
                return;
            }
        }
    }

    fn carry_out(&self, claim: u64) {
        let (owner, tat) = &self.places[usize::from(claim & PLACE != 0)];
        let next = claim & !(BUSY | PLACE);
        let word = tat.load(Acquire);
        let last = owner.load(Acquire);
        if !Self::is(Flaw::UncheckedClaim) && self.claim.load(Relaxed) != claim {
            return;
        }
        if word & OCCUPIED == 0 {
            let release = Self::release_unless(Flaw::UnpublishedSuccessor);
            if Self::is(Flaw::StoredOwner) {
                owner.store(next, release);
            } else if last != next {
                let _ = owner.compare_exchange(last, next, release, Relaxed);
            }
            let full = if Self::is(Flaw::IgnoredMark) {
                OCCUPIED | word
            } else {
                OCCUPIED | word.max(self.mark.load(Relaxed))
            };
            if Self::is(Flaw::StoredTat) {
                tat.store(full, Release);
            } else {
                let release = Self::release_unless(Flaw::UnpublishedOwner);
                let _ = tat.compare_exchange(word, full, release, Relaxed);
            }
        }
        let idle = claim & !(BUSY | PLACE | KEY);
        let release = Self::release_unless(Flaw::UnpublishedClaim);
        let _ = self.claim.compare_exchange(claim, idle, release, Relaxed);
    }
}

impl<const FLAW: u8> Table for Twin<FLAW> {
    fn new(quota: Quota) -> Self {
        let token = u64::try_from(quota.period().as_nanos()).expect("short") / quota.rate();
        Self {
            claim: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            places: core::array::from_fn(|_| (AtomicU64::new(0), AtomicU64::new(0))),
            token,
            limit: quota.capacity() * token,
            overflowed: AtomicU64::new(0),
        }
    }

    fn admit(&self, key: u64, n: u64, now: u64) -> bool {
        let mut judged_at = now;
        loop {
            let Some((tat, word)) = self.find(key) else {
                if !self.claim(key, now) {
                    self.overflowed.fetch_add(1, Relaxed);
                    return false;
                }
                continue;
            };
            if let Some(next) = self.admit_at(word, judged_at, n * self.token) {
                if tat.compare_exchange(word, next, Relaxed, Relaxed).is_ok() {
                    return true;
                }
                continue;
            }
            let mark = self.mark.load(Relaxed);
            if mark > judged_at && !Self::is(Flaw::UnjudgedMark) {
                judged_at = mark;
            } else {
                return false;
            }
        }
    }

    fn would_admit(&self, key: u64, n: u64, now: u64) -> bool {
        loop {
            let claim = self.claim.load(Acquire);
            if let Some((_, word)) = self.find(key) {
                let mark = if Self::is(Flaw::UnjudgedMark) {
                    0
                } else {
                    self.mark.load(Relaxed)
                };
                return self.admit_at(word, mark.max(now), n * self.token).is_some();
            }
            let room = !self.has_no_room(now);
            if self.is_still(claim) {
                return room;
            }
        }
    }

    fn overflowed(&self) -> u64 {
        self.overflowed.fetch_add(0, AcqRel)
    }
}

/// Hashes a number to itself: it is the fingerprint, and there is but one set.
pub struct Same;

pub struct SameHash(u64);

impl BuildHasher for Same {
    type Hasher = SameHash;

    fn build_hasher(&self) -> SameHash {
        SameHash(0)
    }
}

impl Hasher for SameHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Table for FixedKeyed<NoClock, Same> {
    fn new(quota: Quota) -> Self {
        Self::with_clock_and_hasher(quota, 1, NoClock, Same).overflow(Overflow::Refuse)
    }

    fn admit(&self, key: u64, n: u64, now: u64) -> bool {
        match self.try_acquire_at(&key, n, Timestamp::from_nanos(now)) {
            Ok(()) => true,
            Err(Denied::NotYet { .. }) => false,
            Err(denied) => unreachable!("{denied}"),
        }
    }

    fn would_admit(&self, key: u64, n: u64, now: u64) -> bool {
        self.peek_at(&key, n, Timestamp::from_nanos(now)).is_ok()
    }

    fn overflowed(&self) -> u64 {
        self.stats_at(Timestamp::from_nanos(0)).overflowed
    }
}
