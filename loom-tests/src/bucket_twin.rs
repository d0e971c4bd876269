//! A twin of the token bucket's word and mark, with a switch for each thing that can be wrong.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use tidegate::{BucketCharge, Clock, Limiter, Quota, Timestamp, TokenBucket};

use crate::bucket_models::Bucket;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Load and store instead of a compare-and-swap.
    LostUpdate,
    /// A charge starts at the caller's clock, whatever the TAT: better-bucket 1.0.
    StaleRebase,
    /// A cancel takes the cost off, whatever was charged since.
    FullRefund,
    /// A credit by load and store.
    LostCredit,
    /// The mark is raised without raising the TAT.
    UnraisedTat,
    /// A reading before the mark is used as it is.
    UnclampedReading,
    /// A refusal does not look again whether the TAT is still what it judged.
    UnconfirmedRefusal,
    /// Who sees a TAT need not see the mark that it was made under.
    RelaxedWord,
    /// Who sees a mark need not see the TAT that was raised for it.
    RelaxedMark,
}

/// Half a circle is four half spans, so that loom remembers them all. Sound with the small capacities of the models, and without
/// the debts that the shipped bucket has to have room for.
const SPAN_LOG2: u32 = 62;

/// Whole grains only: what is modelled is the protocol, not the arithmetic.
pub struct Twin<const FLAW: u8> {
    word: AtomicU64,
    mark: AtomicU64,
    grains_per_nano: u64,
    token: u64,
    limit: u64,
    span: u64,
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

    fn replace(&self, tat: u64, next: u64) -> bool {
        if Self::is(Flaw::LostUpdate) {
            self.word.store(next, Relaxed);
            return true;
        }
        self.word
            .compare_exchange_weak(tat, next, Self::release_unless(Flaw::RelaxedWord), Relaxed)
            .is_ok()
    }

    fn grains(&self, nanos: u64) -> u64 {
        nanos.wrapping_mul(self.grains_per_nano)
    }

    fn spans(&self, mark: u64, nanos: u64) -> bool {
        nanos >= mark && nanos - mark < self.span
    }

    fn look(&self, nanos: u64) -> (u64, u64) {
        let tat = self.word.load(Self::acquire_unless(Flaw::RelaxedWord));
        let mark = self.mark.load(Self::acquire_unless(Flaw::RelaxedMark));
        let usable = if self.spans(mark, nanos) {
            nanos
        } else {
            self.raise_mark(nanos)
        };
        (tat, self.grains(usable))
    }

    fn is_still(&self, tat: u64) -> bool {
        Self::is(Flaw::UnconfirmedRefusal) || self.word.load(Relaxed) == tat
    }

    fn raise_mark(&self, nanos: u64) -> u64 {
        loop {
            let mark = self.mark.load(Self::acquire_unless(Flaw::RelaxedMark));
            if nanos < mark {
                return if Self::is(Flaw::UnclampedReading) {
                    nanos
                } else {
                    mark
                };
            }
            if self.spans(mark, nanos) {
                return nanos;
            }
            let next = mark + self.span / 2;
            let then = self.grains(next);
            let tat = self.word.load(Self::acquire_unless(Flaw::RelaxedWord));
            if self.mark.load(Relaxed) != mark {
                continue;
            }
            if !Self::is(Flaw::UnraisedTat) && ahead(tat, then) == 0 {
                let raised = self.word.compare_exchange(
                    tat,
                    then,
                    Self::release_unless(Flaw::RelaxedWord),
                    Relaxed,
                );
                if raised.is_err() {
                    continue;
                }
            }
            let _ = self.mark.compare_exchange(
                mark,
                next,
                Self::release_unless(Flaw::RelaxedMark),
                Relaxed,
            );
        }
    }
}

fn ahead(tat: u64, now: u64) -> u64 {
    let ahead = tat.wrapping_sub(now);
    if ahead > u64::MAX / 2 { 0 } else { ahead }
}

/// What a charge left, and what undoes it.
pub struct TwinCharge {
    before: u64,
    after: u64,
}

impl<const FLAW: u8> Bucket for Twin<FLAW> {
    type Charge = TwinCharge;

    const RAISES: u64 = 1 << (64 - SPAN_LOG2);

    fn new(quota: Quota) -> Self {
        let period = quota.period().as_nanos() as u64;
        let (grains_per_nano, token) = if period >= quota.rate() {
            assert_eq!(period % quota.rate(), 0, "whole grains");
            (1, period / quota.rate())
        } else {
            assert_eq!(quota.rate() % period, 0, "whole grains");
            (quota.rate() / period, 1)
        };
        Self {
            word: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            grains_per_nano,
            token,
            limit: quota.capacity() * token,
            span: (1 << SPAN_LOG2) / grains_per_nano,
        }
    }

    fn reserve(&self, n: u64, now: u64, max_wait: u64) -> Option<(TwinCharge, u64)> {
        loop {
            let (before, grains) = self.look(now);
            let start = if Self::is(Flaw::StaleRebase) || ahead(before, grains) == 0 {
                grains
            } else {
                before
            };
            let after = start.wrapping_add(n * self.token);
            let level = ahead(before, grains) + n * self.token;
            let shortfall = level.saturating_sub(self.limit);
            let wait = shortfall.div_ceil(self.grains_per_nano);
            if wait > max_wait {
                if self.is_still(before) {
                    return None;
                }
                continue;
            }
            if self.replace(before, after) {
                return Some((TwinCharge { before, after }, now + wait));
            }
        }
    }

    fn undo(&self, charge: TwinCharge) -> bool {
        if Self::is(Flaw::FullRefund) {
            self.word.fetch_sub(charge.after - charge.before, Relaxed);
            return true;
        }
        self.word
            .compare_exchange(
                charge.after,
                charge.before,
                Self::release_unless(Flaw::RelaxedWord),
                Relaxed,
            )
            .is_ok()
    }

    fn credit(&self, n: u64, now: u64) {
        loop {
            let (tat, grains) = self.look(now);
            let next = tat - ahead(tat, grains).min(n * self.token);
            if Self::is(Flaw::LostCredit) {
                self.word.store(next, Relaxed);
                return;
            }
            if self.replace(tat, next) {
                return;
            }
        }
    }
}

/// The shipped bucket never reads this: the models pass every instant.
#[derive(Clone)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        unreachable!("models pass every instant")
    }
}

impl Bucket for TokenBucket<NoClock> {
    type Charge = ShippedCharge;

    const RAISES: u64 = 16;

    fn new(quota: Quota) -> Self {
        Self::with_clock(quota, NoClock)
    }

    fn reserve(&self, n: u64, now: u64, max_wait: u64) -> Option<(ShippedCharge, u64)> {
        let at = Timestamp::from_nanos(now);
        if max_wait == 0 {
            let charge = self.charge_at(n, at).ok()?;
            return Some((ShippedCharge::Now(charge), now));
        }
        let max_wait = core::time::Duration::from_nanos(max_wait);
        let reservation = self.reserve_at(n, max_wait, at).ok()?;
        let ready_at = reservation.ready_at().as_nanos();
        // A reservation borrows the bucket; what a model cancels it cancels at once, and else it keeps the charge.
        Some((ShippedCharge::Reserved, {
            reservation.commit();
            ready_at
        }))
    }

    fn reserve_and_cancel(&self, n: u64, now: u64, max_wait: u64, later: impl Fn()) -> bool {
        let at = Timestamp::from_nanos(now);
        let max_wait = core::time::Duration::from_nanos(max_wait);
        match self.reserve_at(n, max_wait, at) {
            Ok(reservation) => {
                later();
                reservation.cancel_at(at) == n
            }
            Err(_) => false,
        }
    }

    fn undo(&self, charge: ShippedCharge) -> bool {
        match charge {
            ShippedCharge::Now(charge) => Limiter::undo(self, charge) > 0,
            ShippedCharge::Reserved => unreachable!("cancelled by `reserve_and_cancel`"),
        }
    }

    fn credit(&self, n: u64, now: u64) {
        self.credit_at(n, Timestamp::from_nanos(now));
    }
}

pub enum ShippedCharge {
    Now(BucketCharge),
    Reserved,
}
