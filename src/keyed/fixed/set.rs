//! A set of places for the buckets of a few keys, lock-free and without allocation: the unit of [`FixedKeyed`](super::FixedKeyed).
//!
//! # State
//!
//! A place is two words:
//!
//! * `tat`: with the top bit, *occupied*: below it the TAT of its owner's bucket, in grains. Without it, *vacant*: the mark as of
//!   which the last owner was given up, in grains. Written by every admission.
//! * `owner`: the fingerprint of the key that the place belongs to while it is occupied, and the number of the claim that made it
//!   so. Written only by those who carry out that claim, and only while the place is vacant.
//!
//! And for all places of the set:
//!
//! * `claim`: *idle*, with the number of the last claim, or *busy*, with a fingerprint, the place it is to have, and the number of
//!   this claim. Written by claims only; keys that are known do not touch it.
//! * `mark`: nanoseconds, only ever raised: no owner was given up whose bucket was not full before that instant.
//!
//! # How it works
//!
//! A key whose place is found is charged by an exchange of `tat`, as a single bucket is. If it has none, one is claimed:
//!
//! 1. *Give up.* Where no place is vacant, one whose bucket was full before the mark is made so, by an exchange of its `tat`
//!    (the mark is raised to the clock first, if need be). Its owner has lost nothing: a new bucket is full as well. Between the
//!    look at the TAT and the exchange, the claim under which the key was searched must still be the last.
//! 2. *Claim.* The exchange of `claim` from the idle value *under which the key was searched in vain* to a busy one.
//! 3. *Carry out*: `owner`, then `tat` to a bucket that is full as of the mark, then `claim` to idle. Everybody who meets a busy
//!    claim carries it out; each step is an exchange that succeeds once.
//!
//! # Invariants
//!
//! 1. The words of a place only grow, leaving the top bit out: a charge adds at least a grain; a place is given up only with a
//!    TAT *below* the mark (`mutants::returned_value`), which becomes its vacant value; it is occupied at the mark or at that
//!    value, whichever is later. So no occupied value ever comes back, and an exchange from one proves that its owner is the one
//!    that was read after it.
//! 2. While a claim is busy, its place is occupied once, by step 3, and stays so: a place is given up only when the claim that
//!    occupied it is over. So who finds the place vacant and then the claim still busy (`mutants::unchecked_claim`) has read the
//!    owner and the value that were there when it was claimed, and exchanges them before the claim is over, or not at all. If a
//!    place could be given up earlier, a late helper would occupy it again for a claim that is over (`mutants::unfinished_claim`).
//! 3. So a place becomes occupied only while a claim is busy, and claims of a set come one after another: whoever finds the claim
//!    unchanged after a search has seen all there is (`mutants::unconfirmed_no_room`), and a key never has two places
//!    (`mutants::unsearched_claim`).
//! 4. A key that comes back gets a bucket that is full as of the mark, not earlier (`mutants::ignored_mark`): a caller whose clock
//!    reading is older sees what its old place would have shown, or less. Who is refused that way is judged again as of the
//!    mark: time stands still for a clock that is behind (`mutants::unjudged_mark`). By then a TAT of an owner before it, which
//!    it may have read, is a full bucket, so it is refused by its own.
//!
//! (Claims are numbered modulo 2^19. A caller who is stopped between two of its steps for a multiple of 2^19 claims of this one set
//! takes one for the other. Fingerprints have 40 bits, besides those that chose the set: a key that comes new meets its double
//! in one of 10^11 cases.)
//!
//! # Orderings
//!
//! The idle value that ends a claim is written with Release and read with Acquire: who searches under it sees the claim's owner
//! and TAT (`mutants::unpublished_claim`). An occupied value is written with Release by step 3 and read with Acquire, so that the
//! owner that is read after it is its own, or newer; the exchanges of charges are links of that release sequence and need nothing
//! (`mutants::unpublished_owner`). A place is given up with Release and read with Acquire: who misses its owner sees the mark, which
//! was raised before (`mutants::late_mark`, `mutants::unpublished_mark`), and needs no ordering of its own. A refusal has no exchange
//! that proves the owner: owners are written with Release and read with Acquire, so that who sees a newer one than the TAT is of sees
//! the mark as of which the older was given up (`mutants::unpublished_successor`).
//!
//! # Progress
//!
//! Lock-free. A known key is decided again only because it was charged or given up meanwhile; a claim starts again only because a
//! claim of this set was made or carried out, or somebody charged or took the very place.

use crate::denied::Denied;
use crate::gcra::Now;
use crate::gcra::WordGcra;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, fence};

/// Places in a set: with the two words of the set itself they are four cache lines. Most keys have the place where their search
/// begins, and need one line; and with half of the places in use, hardly a set has too few.
#[cfg(not(tidegate_loom))]
pub(super) const PLACES: usize = 15;
/// Models need one place to fight for, and one beside it.
#[cfg(tidegate_loom)]
pub(super) const PLACES: usize = 2;

/// See the [module](self) documentation.
#[repr(align(256))]
pub(super) struct Set {
    claim: AtomicU64,
    mark: AtomicU64,
    places: [Place; PLACES],
}

struct Place {
    owner: AtomicU64,
    tat: AtomicU64,
}

/// The top bit of `tat`.
const OCCUPIED: u64 = 1 << 63;

/// What a set knows of a key.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    /// What the key leaves in the words of its set: 40 bits, never 0, which stands for nobody.
    fingerprint: u64,
    /// The place where its search begins: each key its own, so that most are found at once.
    start: usize,
}

const FINGERPRINT_BITS: u32 = 40;
const FINGERPRINT: u64 = (1 << FINGERPRINT_BITS) - 1;

impl Tag {
    /// From the low 40 bits of a hash, and 8 others that seldom choose between sets.
    #[inline]
    pub(super) const fn of(hash: u64) -> Self {
        let low = hash & FINGERPRINT;
        let other = (hash >> FINGERPRINT_BITS) & 0xff;
        Self {
            fingerprint: if low == 0 { 1 } else { low },
            start: (other as usize * PLACES) >> 8,
        }
    }

    #[inline]
    const fn owns(self, owner: u64) -> bool {
        owner & FINGERPRINT == self.fingerprint
    }
}

/// The word `claim`: from the top a busy bit, 4 bits for the place, 19 for the number of the claim, 40 for the fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Claim(u64);

impl Claim {
    const BUSY: u64 = 1 << 63;
    const PLACE_SHIFT: u32 = 59;
    const NUMBER: u64 = ((1 << 19) - 1) << FINGERPRINT_BITS;

    const fn is_busy(self) -> bool {
        self.0 & Self::BUSY != 0
    }

    /// The claim that follows this idle one.
    const fn next(self, place: usize, key: Tag) -> Self {
        let number = self.0.wrapping_add(1 << FINGERPRINT_BITS) & Self::NUMBER;
        Self(Self::BUSY | (place as u64) << Self::PLACE_SHIFT | number | key.fingerprint)
    }

    /// What it becomes when it is carried out.
    const fn idle(self) -> Self {
        Self(self.0 & Self::NUMBER)
    }

    /// The owner that it makes.
    const fn owner(self) -> u64 {
        self.0 & (Self::NUMBER | FINGERPRINT)
    }

    const fn place(self) -> usize {
        ((self.0 >> Self::PLACE_SHIFT) & 15) as usize
    }
}

/// Every place belongs to a key whose bucket is not full.
pub(super) struct Full {
    /// When the first of them will be given up.
    soonest: u64,
    now: Now,
}

impl Full {
    /// The refusal until then.
    pub(super) const fn denied(&self, rule: &WordGcra) -> Denied {
        rule.not_before_full(self.soonest, self.now)
    }
}

/// Why a set did not decide, or refused.
pub(super) enum Refusal<E> {
    Denied(E),
    Full(Full),
}

impl Set {
    pub(super) fn new() -> Self {
        Self {
            claim: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            places: core::array::from_fn(|_| Place {
                owner: AtomicU64::new(0),
                tat: AtomicU64::new(0),
            }),
        }
    }

    /// All places, in the order in which they are searched for a key.
    #[inline]
    fn from(&self, key: Tag) -> impl Iterator<Item = (usize, &Place)> {
        (0..PLACES).map(move |further| {
            let number = key.start + further;
            let number = if number < PLACES {
                number
            } else {
                number - PLACES
            };
            (number, &self.places[number])
        })
    }

    /// The place of a key, and its TAT; none if it has none.
    #[inline]
    fn find(&self, key: Tag) -> Option<(&Place, u64)> {
        // The first place by itself: most searches end there, and so are straight code.
        self.places[key.start].found(key).or_else(|| {
            self.from(key)
                .skip(1)
                .find_map(|(_, place)| place.found(key))
        })
    }

    /// Replaces the TAT of a key by what `decide` makes of it, and returns what else it says, unless it refuses. Claims a place
    /// first if the key has none.
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub(super) fn decide<E>(
        &self,
        rule: &WordGcra,
        key: Tag,
        nanos: u64,
        decide: impl Fn(Now, u64) -> Result<u64, E>,
    ) -> Result<(), Refusal<E>> {
        let mut now = rule.now(nanos);
        let mut judged_at = nanos;
        loop {
            let Some((place, tat)) = self.find(key) else {
                self.claim(rule, key, nanos).map_err(Refusal::Full)?;
                continue;
            };
            match decide(now, tat) {
                Ok(next) => {
                    if place.replace(tat, next) {
                        return Ok(());
                    }
                }
                Err(refusal) => {
                    // Relaxed: whoever missed the key when it was given up has acquired that mark, and so has who read the TAT of
                    // an owner before it.
                    let mark = self.mark.load(Relaxed);
                    if mark <= judged_at {
                        return Err(Refusal::Denied(refusal));
                    }
                    judged_at = mark;
                    now = rule.clamped_by(mark, nanos);
                }
            }
        }
    }

    /// The TAT of a key as of `nanos`, and the instant to judge it by, as of which a TAT that is no longer the key's is a full
    /// bucket; `Ok(None)` if it has none and would get one.
    pub(super) fn peek(
        &self,
        rule: &WordGcra,
        key: Tag,
        nanos: u64,
    ) -> Result<Option<(u64, Now)>, Full> {
        loop {
            // Acquire: meets the Release in `carry_out`, as in `claim`.
            let claim = Claim(self.claim.load(Acquire));
            if let Some((_, tat)) = self.find(key) {
                // Relaxed: as in `decide`.
                let mark = self.mark.load(Relaxed).max(nanos);
                return Ok(Some((tat, rule.clamped_by(mark, nanos))));
            }
            let full = self.full_at(rule, nanos);
            if self.is_current(claim) {
                return full.map_or(Ok(None), Err);
            }
        }
    }

    /// How many places belong to a key whose bucket is not full.
    pub(super) fn active(&self, rule: &WordGcra, nanos: u64) -> usize {
        let now = rule.now(nanos);
        let active = |place: &&Place| place.tat().is_some_and(|tat| !WordGcra::is_full(tat, now));
        self.places.iter().filter(active).count()
    }

    /// What it is full of, if no place is vacant or can be given up.
    fn full_at(&self, rule: &WordGcra, nanos: u64) -> Option<Full> {
        // Relaxed: only compared; a mark that is missed makes a set seem full whose clock is behind.
        let mark = self.mark.load(Relaxed).max(nanos);
        let now = rule.clamped_by(mark, nanos);
        let mut soonest = u64::MAX;
        for place in &self.places {
            let tat = place.tat()?;
            if tat < now.grains() {
                return None;
            }
            soonest = soonest.min(tat);
        }
        Some(Full { soonest, now })
    }

    /// Gets a place for a key that was not found. Returns when it may have one: look again.
    #[cold]
    #[inline(never)]
    fn claim(&self, rule: &WordGcra, key: Tag, nanos: u64) -> Result<(), Full> {
        loop {
            // Acquire: meets the Release in `carry_out`, so that the search sees what earlier claims have made.
            let claim = Claim(self.claim.load(Acquire));
            if claim.is_busy() {
                self.carry_out(claim, rule);
                continue;
            }
            if self.find(key).is_some() {
                return Ok(());
            }
            let vacant = self.from(key).find(|(_, place)| place.tat().is_none());
            let Some((place, _)) = vacant else {
                match self.full_at(rule, nanos) {
                    Some(full) if self.is_current(claim) => return Err(full),
                    Some(_) => {}
                    None => self.give_one_up(rule, claim, key, nanos),
                }
                continue;
            };
            let next = claim.next(place, key);
            // Release: keeps the search before it, and meets the Acquire of whoever carries it out, who then knows the mark
            // that the search has seen. On failure the next turn loads again.
            if self
                .claim
                .compare_exchange(claim.0, next.0, Release, Relaxed)
                .is_ok()
            {
                self.carry_out(next, rule);
                return Ok(());
            }
        }
    }

    /// Whether no claim was made since this one was read: a search in between has seen all there was.
    fn is_current(&self, claim: Claim) -> bool {
        // Keeps the search before the load.
        fence(Acquire);
        // Relaxed: only compared.
        Claim(self.claim.load(Relaxed)) == claim
    }

    /// Makes a place vacant whose bucket is full, if there still is one and no claim was made since this one was read.
    fn give_one_up(&self, rule: &WordGcra, claim: Claim, key: Tag, nanos: u64) {
        // Relaxed: the exchange below publishes it. Before that, as nobody may miss the key and not see it.
        let mark = self.mark.fetch_max(nanos, Relaxed).max(nanos);
        let mark = rule.now(mark).grains();
        for (_, place) in self.from(key) {
            match place.tat() {
                Some(tat) if tat < mark => {
                    // The claim that made its owner must be over, or who helps it late would occupy the place again.
                    if self.is_current(claim) {
                        // Release: meets the Acquire of `tat`, for the sake of the mark, and that of `carry_out`, for the sake of
                        // the claim. On failure it was charged or given up: either way the caller looks again.
                        let _ = place
                            .tat
                            .compare_exchange(OCCUPIED | tat, mark, Release, Relaxed);
                    }
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Carries out a busy claim. Whoever comes late changes nothing.
    fn carry_out(&self, claim: Claim, rule: &WordGcra) {
        let place = &self.places[claim.place()];
        // Acquire, twice: keep the claim's second look after them.
        let tat = place.tat.load(Acquire);
        let owner = place.owner.load(Acquire);
        // Relaxed: only compared. If it is unchanged, both are from while the claim was busy: who is late leaves here, or
        // fails at both exchanges.
        if Claim(self.claim.load(Relaxed)) != claim {
            return;
        }
        if tat & OCCUPIED == 0 {
            if owner != claim.owner() {
                // Release: meets the Acquire in `tat_of`, for the sake of the mark, and the one above, for the sake of the claim. On
                // failure another helper has written the same.
                let _ = place
                    .owner
                    .compare_exchange(owner, claim.owner(), Release, Relaxed);
            }
            // Relaxed: at least the mark that the claimer has seen, and the value that the place is vacant with; both were read
            // with Acquire.
            let mark = rule.now(self.mark.load(Relaxed)).grains();
            // Release: meets the Acquire of `tat_of`, so that who sees it sees its owner.
            let _ = place
                .tat
                .compare_exchange(tat, OCCUPIED | tat.max(mark), Release, Relaxed);
        }
        // Release: meets the Acquire in `claim`. On failure another helper was faster.
        let _ = self
            .claim
            .compare_exchange(claim.0, claim.idle().0, Release, Relaxed);
    }
}

impl Place {
    /// The TAT, if it is occupied.
    #[inline]
    fn tat(&self) -> Option<u64> {
        // Acquire: meets the Release in `give_one_up`, so that who misses the owner sees the mark, and that in `carry_out`.
        let word = self.tat.load(Acquire);
        (word & OCCUPIED != 0).then_some(word & !OCCUPIED)
    }

    /// This place and the TAT, if it is this key's.
    #[inline]
    fn found(&self, key: Tag) -> Option<(&Self, u64)> {
        // Relaxed: only says where to look; the claim under which it is not found was read with Acquire.
        if !key.owns(self.owner.load(Relaxed)) {
            return None;
        }
        self.tat_of(key).map(|tat| (self, tat))
    }

    /// The TAT, if it is this key's.
    #[inline]
    fn tat_of(&self, key: Tag) -> Option<u64> {
        // The TAT first: its Acquire meets the Release in `carry_out`, so that the owner is not older than it. If it is newer, the
        // exchange fails, and to who asks the TAT is a full bucket.
        let tat = self.tat()?;
        // Acquire: meets the Release in `carry_out`, so that who sees a newer owner sees the mark that the TAT is before.
        key.owns(self.owner.load(Acquire)).then_some(tat)
    }

    #[inline]
    fn replace(&self, tat: u64, next: u64) -> bool {
        // Relaxed: nothing is published; the exchange is a link in the release sequence of the claim. Weak: every caller
        // looks again on failure.
        self.tat
            .compare_exchange_weak(OCCUPIED | tat, OCCUPIED | next, Relaxed, Relaxed)
            .is_ok()
    }
}
