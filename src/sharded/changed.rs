//! Changes of a sharded bucket's quota while it is used.
//!
//! A later state is a whole sharded bucket with its own TAT, leases and count of held tokens. The
//! TAT moves as that of a plain bucket does (see [`Handover`]). Each thread that takes part does
//! this between the freeze of the old TAT and the first exchange of the new one:
//!
//! 1. It closes all leases of the old state, and adds up what they had left. No lease in a shard
//!    can be used from then on (`open_leases`), and none can be put back (`added_to_closed`). So
//!    all threads find the same sum.
//! 2. It loads `held` of the old state, which then was raised for each lease that ever was in a
//!    shard (`held_before_freeze`). A lease that comes too late for its shard is never used.
//!
//! The new state starts with the old capacity, less what is charged to the TAT or held, whichever
//! is more, plus what the leases had left (`lost_leases`). That is what
//! [`available`](crate::ShardedTokenBucket::available) returned before, in grains.
//!
//! # The bound
//!
//! Let a be any instant, and U the tokens that are used at or after a, plus those left in leases
//! that come to a shard before it is closed. At every exchange of the TAT, U · T is at most
//! max(TAT − a, `held` · T):
//!
//! * At a, U is what leases have left, which is at most `held`.
//! * A call at now ≥ a that charges b tokens raises the TAT to at least now + `held` · T, and then
//!   by b · T. U grows by b.
//! * A call with a reading before a counts as used before a. What it leases adds the same to U and
//!   to `held`. What it lowers `held` by was used before its reading, or is no longer in U.
//!
//! After the freeze no exchange succeeds. So the old state admits at most that much, less what the
//! closed leases had left: those are in U and are never used. With a change at s, an interval that
//! begins at a ≤ s admits on the old state at most C + r (s − a) less the level that moves, for
//! each value of `held` that is loaded then. The new state admits that level and r' (b − s). So the
//! sum is C + r (s − a) + r' (b − s), as for a plain bucket.
//!
//! `held` is not frozen. A call that had raised it may fail, and a call that was admitted may lower
//! it late. So threads may compute different levels, all of which are sound. The first exchange of
//! the new word decides, and the others fail, because the unset word does not come back.
//!
//! # What is lost
//!
//! A lease in transit is counted in `held`, and its call may find its shard closed. What it has
//! left is then lost. It cannot be credited to the new state: that may have been full meanwhile, so
//! a late credit would be a burst.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use super::state::{ShardedCore, ShardedState};
use crate::gcra::{Gcra, Handover, Leased};
use crate::quota::Quota;
use crate::sync::Ordering::Acquire;
use crate::sync::{Closed, Successor};
use crate::time::Timestamp;

/// The state of a sharded bucket after a change of its quota.
pub(super) struct ChangedState {
    state: ShardedState,
    handover: Handover,
}

impl ChangedState {
    /// The successor of the `latest` state, or of the `first` if there is none. `None` if that has
    /// this quota.
    pub(super) fn after(
        latest: Option<&Self>,
        first: &ShardedState,
        quota: Quota,
        now: Timestamp,
    ) -> Option<Self> {
        let old = latest.map_or(first, Successor::state);
        if old.core.quota == quota {
            return None;
        }
        let handover = Handover::at(now.as_nanos(), latest.map(|latest| &latest.handover));
        let gcra = Gcra::new(quota);
        let tat = handover.unopened(&gcra);
        Some(Self {
            state: ShardedState::new(tat, gcra, quota, old.shards.len()),
            handover,
        })
    }

    pub(super) fn run<R>(
        &self,
        operation: impl Fn(&ShardedState) -> Result<R, Closed>,
    ) -> Result<R, Closed> {
        operation(&self.state)
    }
}

impl Successor for ChangedState {
    type State = ShardedState;

    fn state(&self) -> &ShardedState {
        &self.state
    }

    fn close(&self, old: &ShardedState) {
        self.handover.close(&old.core.tat);
    }

    fn take_over(&self, old: &ShardedState) {
        let ShardedCore { tat, gcra, .. } = &*self.state.core;
        let ShardedCore {
            tat: old_tat,
            gcra: old_gcra,
            ..
        } = &*old.core;
        self.handover
            .take_over(tat, gcra, old_tat, old_gcra, || old.close_leases());
    }
}

impl ShardedState {
    /// Closes all leases of a bucket whose TAT is frozen.
    fn close_leases(&self) -> Leased {
        let ShardedCore { held, gcra, .. } = &*self.core;
        let left = self.shards.iter().map(|shard| shard.close()).sum();
        // Acquire: pairs with the Release in `lower`, as in a charge. After the leases were closed,
        // with Acquire, so that it was raised for each of them.
        let held = held.load(Acquire);
        Leased {
            held: gcra.cost_clamped(held),
            unused: gcra.cost_clamped(left),
        }
    }
}
