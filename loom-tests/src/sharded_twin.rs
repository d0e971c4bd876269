//! A twin of the bucket of shards, with a switch for each thing that can be wrong.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use tidegate::{Clock, Quota, ShardedTokenBucket, Timestamp};

use crate::SharedClock;
use crate::sharded_models::{CAPACITY, LARGEST, SHARDS, Sharded, T};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// What is held is read before the TAT.
    HeldBeforeTat,
    /// What is held is raised after the exchange of the time line.
    RaisedTooLate,
    /// What is held is lowered without charging the time line for what was used.
    ForgottenUse,
    /// What was used of a lease is charged as of the instant that the caller has brought, which may be before it was used.
    StaleSettlement,
    /// What is held is lowered before the lease is taken away.
    LoweredTooEarly,
    /// What is held is lowered before the exchange of the time line.
    LoweredBeforeExchange,
    /// A lease is taken away by load and store.
    TakeWithoutSwap,
    /// A lease is put in the place of what is there.
    PutOverwrites,
    /// Tokens are used by load and store.
    SpendWithoutExchange,
    /// What is held counts on top of what was charged, though it was charged as well.
    HeldOnTop,
    /// A refused caller tries until it can settle what was used, be its reading ever so old.
    EndlessSettlement,
    /// Who is overtaken is refused.
    OneTry,
    /// Who has not enough does not look for what others have.
    NotGathered,
    /// A refused caller keeps nothing of what it has taken away.
    DroppedHand,
    /// Who sees a charge need not see what it holds.
    RelaxedTat,
    /// Who sees `held` lowered need not come after that. It need not indeed: the models pass.
    RelaxedHeld,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Lease {
    counted: u64,
    left: u64,
}

impl Lease {
    const fn of(tokens: u64) -> Self {
        Self {
            counted: tokens,
            left: tokens,
        }
    }

    const fn unpacked(word: u64) -> Self {
        Self {
            counted: word >> 32,
            left: word & 0xFFFF_FFFF,
        }
    }

    const fn packed(self) -> u64 {
        self.counted << 32 | self.left
    }

    const fn and(self, other: Self) -> Self {
        Self {
            counted: self.counted + other.counted,
            left: self.left + other.left,
        }
    }
}

/// A grain is a nanosecond, and there is no mark: what is modelled is the protocol of the leases.
pub struct Twin<const FLAW: u8> {
    tat: AtomicU64,
    held: AtomicU64,
    shards: [AtomicU64; SHARDS],
    clock: Arc<SharedClock>,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn unless(flaw: Flaw, ordering: Ordering) -> Ordering {
        if Self::is(flaw) { Relaxed } else { ordering }
    }

    fn replace(&self, seen: u64, next: u64) -> bool {
        let release = Self::unless(Flaw::RelaxedTat, Release);
        self.tat
            .compare_exchange(seen, next, release, Relaxed)
            .is_ok()
    }

    /// The TAT, and what is held beside it in grains.
    fn look(&self) -> (u64, u64) {
        let tat = || self.tat.load(Self::unless(Flaw::RelaxedTat, Acquire));
        let held = || self.held.load(Self::unless(Flaw::RelaxedHeld, Acquire)) * T;
        if Self::is(Flaw::HeldBeforeTat) {
            let beside = held();
            (tat(), beside)
        } else {
            let seen = tat();
            (seen, held())
        }
    }

    fn admit_beside(seen: u64, now: u64, beside: u64, tokens: u64) -> Option<u64> {
        let base = if Self::is(Flaw::HeldOnTop) {
            seen.max(now) + beside
        } else {
            seen.max(now + beside)
        };
        let after = base + tokens * T;
        (after <= now + CAPACITY * T).then_some(after)
    }

    fn spend(&self, shard: usize, n: u64) -> bool {
        let word = &self.shards[shard];
        let enough = |word: u64| Lease::unpacked(word).left >= n;
        if Self::is(Flaw::SpendWithoutExchange) {
            let seen = word.load(Relaxed);
            if enough(seen) {
                word.store(seen - n, Relaxed);
            }
            return enough(seen);
        }
        word.fetch_update(Relaxed, Relaxed, |word| enough(word).then(|| word - n))
            .is_ok()
    }

    fn look_at(&self, shard: usize) -> Lease {
        Lease::unpacked(self.shards[shard].load(Relaxed))
    }

    fn take(&self, shard: usize) -> Lease {
        let lease = self.look_at(shard);
        if lease == Lease::of(0) {
            return lease;
        }
        if Self::is(Flaw::TakeWithoutSwap) {
            self.shards[shard].store(0, Release);
            return lease;
        }
        Lease::unpacked(self.shards[shard].swap(0, AcqRel))
    }

    fn keep(&self, shard: usize, lease: Lease) {
        if lease.counted == 0 {
            return;
        }
        if Self::is(Flaw::PutOverwrites) {
            self.shards[shard].store(lease.packed(), Release);
            return;
        }
        let both = |word| Some(Lease::unpacked(word).and(lease).packed());
        let put = self.shards[shard].fetch_update(AcqRel, Relaxed, both);
        put.expect("always put");
    }

    fn raise(&self, tokens: u64) {
        if tokens > 0 {
            self.held.fetch_add(tokens, Relaxed);
        }
    }

    fn lower(&self, tokens: u64) {
        if tokens > 0 {
            let release = Self::unless(Flaw::RelaxedHeld, Release);
            let before = self.held.fetch_sub(tokens, release);
            assert!(before >= tokens, "more than is held");
        }
    }

    /// The instant as of which what was used of a lease in hand is charged.
    fn settled_as_of(&self, hand: Lease, now: u64) -> u64 {
        if hand.counted == hand.left || Self::is(Flaw::StaleSettlement) {
            now
        } else {
            now.max(self.clock.latest())
        }
    }

    fn all_leases(&self) -> Lease {
        (0..SHARDS).fold(Lease::of(0), |all, shard| all.and(self.look_at(shard)))
    }

    fn beyond(&self, own: usize, n: u64, now: u64) -> bool {
        loop {
            let lease = self.look_at(own);
            let seen = self.tat.load(Acquire);
            let counted = self.held.load(Relaxed);
            let fits = |left: u64, counted: u64| {
                Self::admit_beside(seen, now, counted * T, n.saturating_sub(left)).is_some()
            };
            if fits(lease.left, counted) {
                if self.lease(own, n, now) {
                    return true;
                }
                if Self::is(Flaw::OneTry) {
                    return false;
                }
                continue;
            }
            let all = if counted > 0 && !Self::is(Flaw::NotGathered) {
                self.all_leases()
            } else {
                lease
            };
            if fits(all.left, all.counted) || all.counted != all.left {
                return self.gather(own, n, now);
            }
            if self.tat.load(Relaxed) == seen {
                return false;
            }
        }
    }

    fn lease(&self, own: usize, n: u64, now: u64) -> bool {
        let mine = self.take(own);
        let Some(missing) = n.checked_sub(mine.left) else {
            self.keep(own, mine);
            return self.spend(own, n);
        };
        let now = self.settled_as_of(mine, now);
        let (seen, beside) = self.look();
        let room = (CAPACITY * T).saturating_sub(seen.saturating_sub(now).max(beside)) / T;
        let extra = (room.saturating_sub(missing) / SHARDS as u64).min(LARGEST);
        let raised = extra.saturating_sub(mine.counted);
        let counted = mine.counted + raised;
        if !Self::is(Flaw::RaisedTooLate) {
            self.raise(raised);
        }
        let charged = Self::admit_beside(seen, now, beside, missing + extra);
        let charged = charged.is_some_and(|after| self.replace(seen, after));
        if Self::is(Flaw::RaisedTooLate) {
            self.raise(raised);
        }
        if charged {
            self.lower(counted - extra);
            self.keep(own, Lease::of(extra));
        } else {
            let left = mine.left;
            self.keep(own, Lease { counted, left });
        }
        charged
    }

    fn gather(&self, own: usize, n: u64, now: u64) -> bool {
        let early = if Self::is(Flaw::LoweredTooEarly) {
            let counted = self.all_leases().counted;
            self.lower(counted);
            counted
        } else {
            0
        };
        let hand = (0..SHARDS).fold(Lease::of(0), |hand, shard| hand.and(self.take(shard)));
        // What was taken beyond what had been seen, and what had been seen beyond what could be taken.
        self.raise(early.saturating_sub(hand.counted));
        let mut lowered = early.min(hand.counted);
        let Some(missing) = n.checked_sub(hand.left) else {
            self.raise(lowered);
            let left = hand.left - n;
            self.keep(own, Lease { left, ..hand });
            return true;
        };
        if Self::is(Flaw::LoweredBeforeExchange) {
            lowered = hand.counted;
            self.lower(lowered);
        }
        let now = self.settled_as_of(hand, now);
        loop {
            let (seen, mut beside) = self.look();
            if Self::is(Flaw::ForgottenUse) {
                beside -= hand.counted * T;
            } else {
                beside += lowered * T;
            }
            if let Some(after) = Self::admit_beside(seen, now, beside, missing) {
                if self.replace(seen, after) {
                    self.lower(hand.counted - lowered);
                    return true;
                }
            } else {
                let Some(settled) = Self::admit_beside(seen, now, beside, 0) else {
                    if Self::is(Flaw::EndlessSettlement) || self.tat.load(Relaxed) != seen {
                        continue;
                    }
                    self.raise(lowered);
                    self.keep(own, hand);
                    return false;
                };
                if self.replace(seen, settled) {
                    self.raise(lowered);
                    if Self::is(Flaw::DroppedHand) {
                        self.lower(hand.counted);
                    } else {
                        self.lower(hand.counted - hand.left);
                        self.keep(own, Lease::of(hand.left));
                    }
                    return false;
                }
            }
        }
    }
}

impl<const FLAW: u8> Sharded for Twin<FLAW> {
    fn new(clock: Arc<SharedClock>) -> Self {
        Self {
            tat: AtomicU64::new(0),
            held: AtomicU64::new(0),
            shards: [AtomicU64::new(0), AtomicU64::new(0)],
            clock,
        }
    }

    fn admit(&self, shard: usize, n: u64, now: u64) -> bool {
        self.spend(shard, n) || self.beyond(shard, n, now)
    }

    fn available(&self, now: u64) -> u64 {
        let all = self.all_leases();
        let ahead = self.tat.load(Acquire).saturating_sub(now);
        let room = (CAPACITY * T).saturating_sub(ahead.max(all.counted * T));
        (all.left + room / T).min(CAPACITY)
    }

    fn held_and_counted(&self) -> (u64, u64) {
        (self.held.load(Acquire), self.all_leases().counted)
    }
}

/// The model's clock, as the world has it: a reading is never older than what has happened.
pub struct Present(Arc<SharedClock>);

impl Clock for Present {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.latest())
    }
}

impl Sharded for ShardedTokenBucket<Present> {
    fn new(clock: Arc<SharedClock>) -> Self {
        let quota = Quota::new(1, core::time::Duration::from_nanos(T))
            .and_then(|quota| quota.try_burst(CAPACITY))
            .expect("representable");
        Self::with_shards(quota, Present(clock), SHARDS)
    }

    fn admit(&self, shard: usize, n: u64, now: u64) -> bool {
        self.try_acquire_on(shard, n, Timestamp::from_nanos(now))
            .is_ok()
    }

    fn available(&self, now: u64) -> u64 {
        self.available_at(Timestamp::from_nanos(now))
    }

    fn held_and_counted(&self) -> (u64, u64) {
        self.held_and_counted()
    }
}
