//! The quota of a table and its sets: what a change of the quota replaces.

use alloc::boxed::Box;

use super::set::{KeyTag, Peeked, Set, SetExchange, SetRefusal, Unfound};
use crate::denied::Denied;
use crate::gcra::WordGcra;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::Closed;
use crate::time::Timestamp;

/// See the [module](self) documentation. All states of a table have the same number of sets, and a
/// key has the same place in each.
pub(super) struct TableState {
    pub(super) sets: Box<[Set]>,
    pub(super) gcra: WordGcra,
    pub(super) quota: Quota,
    /// Counts the states of the table. A charge notes it.
    pub(super) number: u64,
}

/// Why a key was charged nothing.
#[derive(Clone, Copy)]
pub(super) enum KeyRefusal {
    Denied(Denied),
    /// There is no room for the key.
    Full,
}

impl TableState {
    pub(super) fn new(quota: Quota, sets: usize) -> Self {
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            gcra: WordGcra::new(quota),
            quota,
            number: 0,
        }
    }

    /// Returns the set that a hash belongs to, and its tag there.
    #[inline]
    pub(super) fn locate(&self, hash: u64) -> (&Set, KeyTag) {
        // The high bits choose the set, the others are the tag. This takes any number of sets,
        // without a division.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the high half of a product with a number of sets is less than that number"
        )]
        let set = ((u128::from(hash) * self.sets.len() as u128) >> 64) as usize;
        (&self.sets[set], KeyTag::of(hash))
    }

    /// The number of a set of this state. Found from its address, so that calls need not keep it.
    pub(super) fn number_of(&self, set: &Set) -> usize {
        let offset = core::ptr::from_ref(set).addr() - self.sets.as_ptr().addr();
        offset / size_of::<Set>()
    }

    /// The cost of `n` tokens in grains. The refusal is that of the quota in force.
    fn cost(&self, set: &Set, n: u64) -> Result<Result<u64, KeyRefusal>, Closed> {
        match self.gcra.cost(n) {
            Ok(cost) => Ok(Ok(cost)),
            Err(never) => {
                set.check_open()?;
                Ok(Err(KeyRefusal::Denied(never)))
            }
        }
    }

    #[inline]
    pub(super) fn charge<'a>(
        &self,
        set: &'a Set,
        tag: KeyTag,
        n: u64,
        now: Timestamp,
    ) -> Result<Result<SetExchange<'a>, KeyRefusal>, Closed> {
        let gcra = &self.gcra;
        let cost = match self.cost(set, n)? {
            Ok(cost) => cost,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let decided = set.decide(gcra, tag, now.as_nanos(), move |now, tat| {
            gcra.admit(tat, now, cost)
                .map_err(|shortfall| (now, shortfall))
        });
        match decided {
            Ok(exchange) => Ok(Ok(exchange)),
            Err(SetRefusal::Denied((now, shortfall))) => {
                Ok(Err(KeyRefusal::Denied(gcra.not_yet(now, shortfall))))
            }
            Err(SetRefusal::Unfound(Unfound::Full)) => Ok(Err(KeyRefusal::Full)),
            Err(SetRefusal::Unfound(Unfound::Closed(closed))) => Err(closed),
        }
    }

    /// Charges a key whether or not that fits. Returns whether there was room for it.
    pub(super) fn debit(
        &self,
        set: &Set,
        tag: KeyTag,
        n: u64,
        now: Timestamp,
    ) -> Result<bool, Closed> {
        let gcra = &self.gcra;
        let cost = gcra.cost_clamped(n);
        let debit = |now, tat| Ok::<_, ()>(gcra.debit(tat, now, cost));
        match set.decide(gcra, tag, now.as_nanos(), debit) {
            Ok(_) => Ok(true),
            Err(SetRefusal::Unfound(Unfound::Closed(closed))) => Err(closed),
            Err(SetRefusal::Denied(()) | SetRefusal::Unfound(Unfound::Full)) => Ok(false),
        }
    }

    /// Whether `n` fits after waiters that ask for `ahead`.
    pub(super) fn peek(
        &self,
        set: &Set,
        tag: KeyTag,
        ahead: u128,
        n: u64,
        at: Timestamp,
    ) -> Result<Result<(), KeyRefusal>, Closed> {
        let gcra = &self.gcra;
        let cost = match self.cost(set, n)? {
            Ok(cost) => cost,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (tat, now) = match set.peek(gcra, tag, at.as_nanos())? {
            Peeked::Known(tat, now) => (tat, now),
            Peeked::New => (0, gcra.now(at.as_nanos())),
            Peeked::Full => return Ok(Err(KeyRefusal::Full)),
        };
        let admitted = gcra.admit_behind(tat, now, ahead, cost);
        Ok(admitted.map_err(|shortfall| KeyRefusal::Denied(gcra.not_yet(now, shortfall))))
    }

    /// What a key's bucket has left; `None` if there is no room for the key.
    pub(super) fn snapshot(
        &self,
        set: &Set,
        tag: KeyTag,
        now: Timestamp,
    ) -> Result<Option<Snapshot>, Closed> {
        let gcra = &self.gcra;
        Ok(match set.peek(gcra, tag, now.as_nanos())? {
            Peeked::Known(tat, now) => Some(gcra.snapshot(tat, now)),
            Peeked::New => Some(gcra.snapshot(0, gcra.now(now.as_nanos()))),
            Peeked::Full => None,
        })
    }

    /// The tokens of a key; `None` if there is no room for it.
    pub(super) fn available(
        &self,
        set: &Set,
        tag: KeyTag,
        now: Timestamp,
    ) -> Result<Option<u64>, Closed> {
        Ok(match set.peek(&self.gcra, tag, now.as_nanos())? {
            Peeked::Known(tat, now) => Some(self.gcra.available(tat, now)),
            Peeked::New => Some(self.quota.capacity()),
            Peeked::Full => None,
        })
    }
}
