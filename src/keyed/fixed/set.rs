//! A set of entries for the buckets of a few keys, lock-free and without allocation: the unit of
//! [`FixedKeyed`](super::FixedKeyed).
//!
//! # State
//!
//! An entry is two words:
//!
//! * `tat`: with the top bit set, the entry is *occupied*, and the other bits are the TAT of its
//!   owner's bucket, in grains. Otherwise the entry is *vacant*, and the word is the mark as of
//!   which its last owner was evicted, in grains. Every admission writes it.
//! * `owner`: the fingerprint of the key that owns the entry while it is occupied, and the number
//!   of the claim that made it the owner. They are written only while that claim is carried out and
//!   the entry is vacant. The top five bits are the *hold*. They are 0 until the owner's TAT is
//!   lowered for the first time.
//!
//! The set has two more words:
//!
//! * `claim`: *idle*, with the number of the last claim, or *busy*, with a fingerprint, the entry
//!   that it will own, and the number of this claim. Only claims write it. Calls for keys that have
//!   an entry do not touch it.
//! * `mark`: an instant in nanoseconds that only grows. The bucket of every evicted owner was full
//!   before it.
//!
//! # How it works
//!
//! A key that has an entry is charged by an exchange of `tat`, like a single bucket. A key without
//! an entry claims one:
//!
//! 1. *Evict.* If no entry is vacant, the call raises the mark to its clock reading and exchanges
//!    the `tat` of an entry whose bucket was full before the mark. The owner loses nothing, because
//!    a new bucket is full as well. Between the load of the TAT and the exchange, the claim under
//!    which the call searched must still be the last one.
//! 2. *Claim.* The call exchanges `claim`, from the idle value *under which it searched in vain* to
//!    a busy one.
//! 3. *Carry out.* `owner` is exchanged, then `tat` to a bucket that is full as of the mark, then
//!    `claim` to idle. Every call that finds a busy claim carries it out. Each step is an exchange
//!    that succeeds once.
//!
//! A credit, a reset and an undo lower a TAT: see [`lowering`]. When the quota changes, another set
//! takes over: see `takeover.rs`. Then this one is *closed*: `claim` says so, and every entry is
//! vacant for good.
//!
//! # Invariants
//!
//! 1. Without the top bit, the words of an entry only grow, except while they are one owner's. A
//!    charge adds at least a grain. An entry is evicted only with a TAT *below* the mark
//!    (`returned_value`), which becomes its vacant value, and it is occupied at the mark or at that
//!    value, whichever is later. With the hold of an owner whose TAT was lowered, that is later
//!    than every word of that owner. So no occupied value ever comes back for another owner, and
//!    an exchange from one proves that its owner is the one that was loaded after it.
//! 2. While a claim is busy, step 3 occupies its entry once, and the entry stays occupied, because
//!    an entry is evicted only when the claim that occupied it is over. So a call that finds the
//!    entry vacant and then the claim still busy (`unchecked_claim`) has loaded the owner and the
//!    value of the time of the claim. It exchanges them before the claim is over, or fails. If an
//!    entry could be evicted earlier, a late helper would occupy it again for a claim that is over
//!    (`unfinished_claim`).
//! 3. So an entry becomes occupied only while a claim is busy, and the claims of a set come one
//!    after another. A call that finds the claim unchanged after its search has seen all entries
//!    (`unconfirmed_no_room`), and a key never has two entries (`unsearched_claim`).
//! 4. A key that comes back gets a bucket that is full as of the mark, not earlier
//!    (`ignored_mark`). A caller whose clock reading is older sees what its old entry would have
//!    shown, or less. If that refuses the call, it is decided again with its clock clamped to the
//!    mark (`unjudged_mark`). By then the TAT of an earlier owner, which the call may have loaded,
//!    is a full bucket, so only the key's own bucket can refuse it.
//!
//! Claims are numbered modulo 2^19. A thread that stops between two of its steps for a multiple of
//! 2^19 claims of this set takes one claim for the other. Fingerprints have 40 bits, besides the
//! bits that choose the set. A new key has the fingerprint of another key of its set in one of
//! 10^11 cases.
//!
//! # Orderings
//!
//! The idle value that ends a claim is written with Release and loaded with Acquire: a call that
//! searches under it sees the claim's owner and TAT (`unpublished_claim`).
//!
//! Step 3 writes an occupied value with Release, and it is loaded with Acquire, so that the owner
//! that is loaded after it is its own or newer. The exchanges of charges continue that release
//! sequence and need no ordering (`unpublished_owner`).
//!
//! An eviction is a Release, and its value is loaded with Acquire: a call that misses the owner
//! sees the mark, which was raised before (`late_mark`, `unpublished_mark`). The mark itself needs
//! no ordering.
//!
//! A refusal has no exchange that would prove the owner. So owners are written with Release and
//! loaded with Acquire: a call that sees an owner newer than the TAT also sees the mark as of which
//! the older owner was evicted (`unpublished_successor`).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! Lock-free. A call for a key that has an entry is decided again only because the key was charged
//! or evicted meanwhile. A claim starts again only because another claim of this set was made or
//! carried out, or because another call charged, lowered or took the same entry.

pub(super) mod lowering;

mod entry_hold;
#[cfg(any(feature = "std", tidegate_loom))]
mod takeover;

use crate::gcra::Now;
use crate::gcra::WordGcra;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Closed, fence};
use entry_hold::EntryHold;

/// Entries of a set. With the two words of the set they fill four cache lines.
///
/// Most keys own the entry where their search begins, and need one line. With half of the entries
/// in use, hardly any set is full.
#[cfg(not(tidegate_loom))]
pub(super) const ENTRIES: usize = 15;
/// Models need one entry to compete for, and one beside it.
#[cfg(tidegate_loom)]
pub(super) const ENTRIES: usize = 2;

/// See the [module](self) documentation.
#[repr(align(256))]
pub(super) struct Set {
    claim: AtomicU64,
    mark: AtomicU64,
    entries: [SetEntry; ENTRIES],
}

struct SetEntry {
    owner: AtomicU64,
    tat: AtomicU64,
}

/// The top bit of `tat`.
const OCCUPIED: u64 = 1 << 63;

/// What a set stores and derives of a key's hash.
#[derive(Clone, Copy)]
pub(super) struct KeyTag {
    /// 40 bits, never 0, which stands for no key.
    fingerprint: u64,
    /// The entry where searches begin. It differs from key to key, so most keys are found at once.
    start: usize,
}

const FINGERPRINT_BITS: u32 = 40;
const FINGERPRINT: u64 = (1 << FINGERPRINT_BITS) - 1;

impl KeyTag {
    /// Takes the low 40 bits of a hash, and 8 others that seldom choose between sets.
    #[inline]
    pub(super) const fn of(hash: u64) -> Self {
        let low = hash & FINGERPRINT;
        let other = (hash >> FINGERPRINT_BITS) & 0xff;
        Self {
            fingerprint: if low == 0 { 1 } else { low },
            start: (other as usize * ENTRIES) >> 8,
        }
    }

    /// The tag of a saved key, whose search begins at the entry that it had.
    pub(super) const fn saved(fingerprint: u64, entry: usize) -> Option<Self> {
        if fingerprint == 0 || fingerprint > FINGERPRINT || entry >= ENTRIES {
            return None;
        }
        Some(Self {
            fingerprint,
            start: entry,
        })
    }

    #[inline]
    const fn owns(self, owner: u64) -> bool {
        owner & FINGERPRINT == self.fingerprint
    }
}

/// The word `claim`. From the top: a busy bit, 4 bits for the entry, 19 for the number of the
/// claim, 40 for the fingerprint. A closed word is a busy one without a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ClaimWord(u64);

impl ClaimWord {
    const BUSY: u64 = 1 << 63;
    const ENTRY_SHIFT: u32 = 59;
    const NUMBER: u64 = ((1 << 19) - 1) << FINGERPRINT_BITS;

    const fn is_busy(self) -> bool {
        self.0 & Self::BUSY != 0
    }

    /// The claim that follows this idle one.
    const fn next(self, entry: usize, key: KeyTag) -> Self {
        let number = self.0.wrapping_add(1 << FINGERPRINT_BITS) & Self::NUMBER;
        Self(Self::BUSY | (entry as u64) << Self::ENTRY_SHIFT | number | key.fingerprint)
    }

    /// The idle word once this claim is carried out.
    const fn idle(self) -> Self {
        Self(self.0 & Self::NUMBER)
    }

    /// The word `owner` that this claim writes.
    const fn owner(self) -> u64 {
        self.0 & (Self::NUMBER | FINGERPRINT)
    }

    const fn entry(self) -> usize {
        ((self.0 >> Self::ENTRY_SHIFT) & 15) as usize
    }

    /// The word of the set after this idle one, once another set takes over.
    #[cfg(any(feature = "std", tidegate_loom))]
    const fn closed(self) -> Self {
        Self(Self::BUSY | self.0)
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    const fn is_closed(self) -> bool {
        self.is_busy() && self.0 & FINGERPRINT == 0
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    const fn check_open(self) -> Result<(), Closed> {
        if self.is_closed() {
            Err(Closed)
        } else {
            Ok(())
        }
    }

    /// Without std, no set is closed.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the same call as with std"
    )]
    const fn check_open(self) -> Result<(), Closed> {
        Ok(())
    }
}

/// The bits of `owner` that a claim writes.
const CLAIM: u64 = ClaimWord::NUMBER | FINGERPRINT;

/// The exchange that has charged a key.
pub(super) struct SetExchange<'a> {
    entry: &'a SetEntry,
    before: u64,
    pub(super) after: u64,
    /// The instant that decided.
    pub(super) now: Now,
}

/// Why a key got no entry.
#[derive(Clone, Copy)]
pub(super) enum Unfound {
    /// Every entry belongs to a key whose bucket is not full, or is held.
    Full,
    /// Another set has taken over.
    Closed(Closed),
}

/// Why a set did not charge a key.
pub(super) enum SetRefusal<E> {
    Denied(E),
    Unfound(Unfound),
}

/// What a query finds.
pub(super) enum Peeked {
    /// The TAT of the key and the instant to decide by, as of which a TAT of an earlier owner is a
    /// full bucket.
    Known(u64, Now),
    /// The key has no entry but would get one.
    New,
    /// The key has no entry and would get none.
    Full,
}

impl Set {
    pub(super) fn new() -> Self {
        Self {
            claim: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            entries: core::array::from_fn(|_| SetEntry {
                owner: AtomicU64::new(0),
                tat: AtomicU64::new(0),
            }),
        }
    }

    /// All entries, in the order of a search for a key.
    #[inline]
    fn from(&self, key: KeyTag) -> impl Iterator<Item = (usize, &SetEntry)> {
        (0..ENTRIES).map(move |further| {
            let number = key.start + further;
            let number = if number < ENTRIES {
                number
            } else {
                number - ENTRIES
            };
            (number, &self.entries[number])
        })
    }

    /// Returns the entry of a key, and its TAT.
    #[inline]
    fn find(&self, key: KeyTag) -> Option<(&SetEntry, u64)> {
        // The first entry by itself: most searches end there, and so they are straight code.
        self.entries[key.start].found(key).or_else(|| {
            self.from(key)
                .skip(1)
                .find_map(|(_, entry)| entry.found(key))
        })
    }

    /// Replaces the TAT of a key by the one that `decide` returns. Claims an entry before, if the
    /// key has none.
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub(super) fn decide<E>(
        &self,
        gcra: &WordGcra,
        key: KeyTag,
        nanos: u64,
        decide: impl Fn(Now, u64) -> Result<u64, E>,
    ) -> Result<SetExchange<'_>, SetRefusal<E>> {
        let mut now = gcra.now(nanos);
        let mut judged_at = nanos;
        loop {
            let Some((entry, tat)) = self.find(key) else {
                if let Err(unfound) = self.claim(gcra, key, nanos) {
                    return Err(SetRefusal::Unfound(unfound));
                }
                continue;
            };
            match decide(now, tat) {
                Ok(next) => {
                    if entry.replace(tat, next) {
                        return Ok(SetExchange {
                            entry,
                            before: tat,
                            after: next,
                            now,
                        });
                    }
                }
                Err(refusal) => {
                    // Relaxed: a call that missed the key after its eviction has acquired that
                    // mark, and so has a call that loaded the TAT of an earlier owner.
                    let mark = self.mark.load(Relaxed);
                    if mark <= judged_at {
                        return Err(SetRefusal::Denied(refusal));
                    }
                    judged_at = mark;
                    now = gcra.clamped_by(mark, nanos);
                }
            }
        }
    }

    /// Looks at the bucket of a key.
    pub(super) fn peek(&self, gcra: &WordGcra, key: KeyTag, nanos: u64) -> Result<Peeked, Closed> {
        loop {
            // Acquire: pairs with the Release in `carry_out`, as in `claim`.
            let claim = ClaimWord(self.claim.load(Acquire));
            if let Some((_, tat)) = self.find(key) {
                // Relaxed: as in `decide`.
                let mark = self.mark.load(Relaxed).max(nanos);
                return Ok(Peeked::Known(tat, gcra.clamped_by(mark, nanos)));
            }
            let is_full = self.is_full_at(gcra, nanos);
            if self.is_current(claim) {
                claim.check_open()?;
                return Ok(if is_full { Peeked::Full } else { Peeked::New });
            }
        }
    }

    /// Returns whether no other set has taken over.
    pub(super) fn check_open(&self) -> Result<(), Closed> {
        // Acquire: pairs with the Release of `close`, which publishes the set that takes over.
        ClaimWord(self.claim.load(Acquire)).check_open()
    }

    /// Counts the entries of keys whose bucket is not full.
    pub(super) fn active(&self, gcra: &WordGcra, nanos: u64) -> Result<usize, Closed> {
        let now = gcra.now(nanos);
        let active =
            |entry: &&SetEntry| entry.tat().is_some_and(|tat| !WordGcra::is_full(tat, now));
        let active = self.entries.iter().filter(active).count();
        // After the entries: one that was frozen shows that the set is closed.
        self.check_open()?;
        Ok(active)
    }

    /// The fingerprints and TATs of the entries that keys own, for a save.
    ///
    /// If another key takes an entry meanwhile, its fingerprint may come with the TAT of the
    /// former owner. Then the new owner has spent nothing before the call, and the former one has a
    /// full bucket.
    pub(super) fn occupied(&self) -> Result<[Option<(u64, u64)>; ENTRIES], Closed> {
        let occupied = core::array::from_fn(|number| {
            let entry = &self.entries[number];
            let tat = entry.tat()?;
            // Acquire: as in `tat_of`.
            let owner = entry.owner.load(Acquire) & FINGERPRINT;
            Some((owner, tat))
        });
        // As in `active`.
        self.check_open()?;
        Ok(occupied)
    }

    /// Gives a key a new entry with this TAT, while no other call uses the set. Returns whether
    /// there was room.
    pub(super) fn restore(
        &self,
        gcra: &WordGcra,
        key: KeyTag,
        nanos: u64,
        tat: u64,
    ) -> Result<bool, Closed> {
        match self.decide(gcra, key, nanos, |_, _| Ok::<_, ()>(tat)) {
            Ok(_) => Ok(true),
            Err(SetRefusal::Unfound(Unfound::Closed(closed))) => Err(closed),
            Err(SetRefusal::Denied(()) | SetRefusal::Unfound(Unfound::Full)) => Ok(false),
        }
    }

    /// Whether a key has an entry.
    pub(super) fn holds(&self, key: KeyTag) -> Result<bool, Closed> {
        let found = self.find(key).is_some();
        // As in `active`.
        self.check_open()?;
        Ok(found)
    }

    /// Whether no entry is vacant and none can be evicted.
    fn is_full_at(&self, gcra: &WordGcra, nanos: u64) -> bool {
        // Relaxed: only compared. A call that misses a mark may find a set full if its clock is
        // behind.
        let now = gcra.now(self.mark.load(Relaxed).max(nanos));
        let in_use = |entry: &SetEntry| match entry.tat() {
            Some(tat) => tat >= now.grains() || tat + entry.span(gcra) >= now.grains(),
            None => entry.span(gcra) > 0 && entry.held_until(gcra) > now.grains(),
        };
        self.entries.iter().all(in_use)
    }

    /// Claims an entry for a key that was not found. The caller searches again.
    #[cold]
    #[inline(never)]
    fn claim(&self, gcra: &WordGcra, key: KeyTag, nanos: u64) -> Result<(), Unfound> {
        loop {
            // Acquire: pairs with the Release in `carry_out`, so that the search sees the entries
            // of earlier claims.
            let claim = ClaimWord(self.claim.load(Acquire));
            if claim.is_busy() {
                claim.check_open().map_err(Unfound::Closed)?;
                self.carry_out(claim, gcra);
                continue;
            }
            if self.find(key).is_some() {
                return Ok(());
            }
            let vacant = self
                .from(key)
                .find(|(_, entry)| entry.tat().is_none() && self.is_free(entry, gcra, nanos));
            let Some((entry, _)) = vacant else {
                if !self.is_full_at(gcra, nanos) {
                    self.evict_one(gcra, claim, key, nanos);
                } else if self.is_current(claim) {
                    return Err(Unfound::Full);
                }
                continue;
            };
            let next = claim.next(entry, key);
            // Release: keeps the search before it, and pairs with the Acquire of the thread that
            // carries it out, which then knows the mark that the search has seen. On failure the
            // next turn loads again.
            if self
                .claim
                .compare_exchange(claim.0, next.0, Release, Relaxed)
                .is_ok()
            {
                self.carry_out(next, gcra);
                return Ok(());
            }
        }
    }

    /// Whether an entry that was found vacant is not held. Raises the mark if that shows only by
    /// `nanos`.
    fn is_free(&self, entry: &SetEntry, gcra: &WordGcra, nanos: u64) -> bool {
        if entry.span(gcra) == 0 {
            return true;
        }
        let held_until = entry.held_until(gcra);
        // Relaxed, both: a claim publishes it.
        if held_until <= gcra.now(self.mark.load(Relaxed)).grains() {
            return true;
        }
        let is_over = held_until <= gcra.now(nanos).grains();
        if is_over {
            // Relaxed: as above.
            self.mark.fetch_max(nanos, Relaxed);
        }
        is_over
    }

    /// Whether no claim was made since this one was loaded. Then a search in between saw all
    /// entries.
    fn is_current(&self, claim: ClaimWord) -> bool {
        // Keeps the search before the load.
        fence(Acquire);
        // Relaxed: only compared.
        ClaimWord(self.claim.load(Relaxed)) == claim
    }

    /// Evicts the owner of an entry whose bucket is full, unless a claim was made since this one
    /// was loaded.
    fn evict_one(&self, gcra: &WordGcra, claim: ClaimWord, key: KeyTag, nanos: u64) {
        // Relaxed: the exchange below publishes it. Raised before that exchange, because a call
        // that misses the owner must see the mark.
        let mark = self.mark.fetch_max(nanos, Relaxed).max(nanos);
        let mark = gcra.now(mark).grains();
        for (_, entry) in self.from(key) {
            match entry.tat() {
                Some(tat) if tat >= mark => {}
                Some(tat) => {
                    // Loaded once (`reloaded_span`), because another call may note a longer hold.
                    let span = entry.span(gcra);
                    if tat + span >= mark {
                        continue;
                    }
                    // Less the span, which counts again as long as the entry is vacant.
                    let vacant = mark - span;
                    // The claim that made its owner must be over, or a late helper would occupy the
                    // entry again.
                    if self.is_current(claim) {
                        // Release: pairs with the Acquire of `tat`, which publishes the mark, and
                        // with that of `carry_out`, which publishes the claim. On failure the entry
                        // was charged or evicted, and the caller searches again.
                        let _ =
                            entry
                                .tat
                                .compare_exchange(OCCUPIED | tat, vacant, Release, Relaxed);
                    }
                    return;
                }
                None if self.is_free(entry, gcra, nanos) => return,
                None => {}
            }
        }
    }

    /// Carries out a busy claim. A late thread changes nothing.
    fn carry_out(&self, claim: ClaimWord, gcra: &WordGcra) {
        let entry = &self.entries[claim.entry()];
        loop {
            // Acquire, both: keep the second load of the claim after them.
            let tat = entry.tat.load(Acquire);
            let owner = entry.owner.load(Acquire);
            // Relaxed: only compared. If it is unchanged, both values are from the time of the
            // claim. A late thread returns here, or fails at both exchanges.
            if ClaimWord(self.claim.load(Relaxed)) != claim {
                return;
            }
            if tat & OCCUPIED == 0 {
                // A hold of the new owner must stay.
                if owner & CLAIM != claim.owner() {
                    // Release: pairs with the Acquire in `tat_of`, which publishes the mark, and
                    // with the one above, which publishes the claim.
                    let written =
                        entry
                            .owner
                            .compare_exchange(owner, claim.owner(), Release, Relaxed);
                    if written.is_err() {
                        // Another thread has written the same, or has noted a hold of the owner
                        // before.
                        continue;
                    }
                }
                // Relaxed: at least the mark that the claiming call has seen, and the value with
                // which the entry is vacant. Both were loaded with Acquire.
                let mark = gcra.now(self.mark.load(Relaxed)).grains();
                // Release: pairs with the Acquire of `tat_of`, so that a call that sees it sees its
                // owner.
                let _ = entry
                    .tat
                    .compare_exchange(tat, OCCUPIED | tat.max(mark), Release, Relaxed);
            }
            // Release: pairs with the Acquire in `claim`. On failure another thread was faster.
            let _ = self
                .claim
                .compare_exchange(claim.0, claim.idle().0, Release, Relaxed);
            return;
        }
    }
}

impl SetEntry {
    /// Returns the TAT, if the entry is occupied.
    #[inline]
    fn tat(&self) -> Option<u64> {
        // Acquire: pairs with the Release in `evict_one`, so that a call that misses the owner sees
        // the mark, and with that in `carry_out`.
        let word = self.tat.load(Acquire);
        (word & OCCUPIED != 0).then_some(word & !OCCUPIED)
    }

    /// Returns this entry and the TAT, if it is this key's.
    #[inline]
    fn found(&self, key: KeyTag) -> Option<(&Self, u64)> {
        // Relaxed: only says where to search. The claim under which the key is not found was loaded
        // with Acquire.
        if !key.owns(self.owner.load(Relaxed)) {
            return None;
        }
        self.tat_of(key).map(|tat| (self, tat))
    }

    /// Returns the TAT, if it is this key's.
    #[inline]
    fn tat_of(&self, key: KeyTag) -> Option<u64> {
        // The TAT first: its Acquire pairs with the Release in `carry_out`, so that the owner is
        // not older than it. If the owner is newer, an exchange fails, and a query takes the TAT
        // for a full bucket.
        let tat = self.tat()?;
        // Acquire: pairs with the Release in `carry_out`, so that a call that sees a newer owner
        // sees the mark that the TAT is before.
        key.owns(self.owner.load(Acquire)).then_some(tat)
    }

    /// The span for which the entry is held after its TAT, or after the value with which it is
    /// vacant. That value must have been loaded before.
    fn span(&self, gcra: &WordGcra) -> u64 {
        // Relaxed: the Acquire of that load publishes the hold.
        EntryHold::of(self.owner.load(Relaxed)).span(gcra)
    }

    /// Until when a vacant entry is held, in grains.
    fn held_until(&self, gcra: &WordGcra) -> u64 {
        // Acquire: as in `tat`, and so that the hold is seen.
        let vacant = self.tat.load(Acquire) & !OCCUPIED;
        vacant + self.span(gcra)
    }

    #[inline]
    fn replace(&self, tat: u64, next: u64) -> bool {
        // Relaxed: publishes nothing. The exchange continues the release sequence of the claim.
        // Weak: every caller searches again on failure.
        self.tat
            .compare_exchange_weak(OCCUPIED | tat, OCCUPIED | next, Relaxed, Relaxed)
            .is_ok()
    }
}
