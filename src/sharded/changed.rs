//! Changes of a sharded bucket's quota while it is used.

use super::ShardedTokenBucket;
use super::state::{ShardedCore, ShardedState};
use crate::clock::Clock;
use crate::gcra::{Gcra, Handover, Leased};
use crate::quota::Quota;
use crate::sync::Ordering::Acquire;
use crate::sync::{Closed, Successor, fence};
use crate::time::Timestamp;

/// The state of a sharded bucket after a change of its quota.
pub(super) struct ChangedState {
    state: ShardedState,
    handover: Handover,
}

impl ChangedState {
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
        // Acquire, of the frozen TAT: pairs with the Release in `replace`, so that `held` was raised
        // for each charge before the freeze.
        fence(Acquire);
        let left = self.shards.iter().map(|shard| shard.close()).sum();
        // Acquire: pairs with the Release in `lower`, as in a charge.
        let held = held.load(Acquire);
        Leased {
            held: gcra.cost_clamped(held),
            unused: gcra.cost_clamped(left),
        }
    }
}

impl<C> ShardedTokenBucket<C> {
    /// [`set_quota`](Self::set_quota) as of `now`.
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) {
        let changed = self.changes.replace(&self.state, |latest| {
            let state = latest.map_or(&self.state, |latest| &latest.state);
            let handover = Handover::at(now.as_nanos());
            let gcra = Gcra::new(quota);
            let tat = handover.unopened(&gcra);
            (state.core.quota != quota).then(|| ChangedState {
                state: ShardedState::new(tat, gcra, quota, state.shards.len()),
                handover,
            })
        });
        if changed {
            self.wait_queue.wake_head();
        }
    }
}

impl<C: Clock> ShardedTokenBucket<C> {
    /// Changes the quota while other threads use the bucket.
    pub fn set_quota(&self, quota: Quota) {
        self.set_quota_at(quota, self.clock.now());
    }
}
