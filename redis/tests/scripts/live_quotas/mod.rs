//! Quotas that change while nodes use them: the level stays in tokens, and no node undoes a change.

pub(crate) mod live_changes;
pub(crate) mod live_leases;
pub(crate) mod node_quota;
