//! Leases: tokens of a shared bucket that this node holds and spends without a round trip.
//!
//! Users call [`leased_token_bucket`]. The lock-free part is [`local_lease`]: tokens and their
//! deadline. [`refill_task`] renews them, and [`lease_state`] is what calls and the task share.

pub(crate) mod last_refusal;
pub(crate) mod lease_options;
pub(crate) mod lease_state;
pub(crate) mod leased_token_bucket;
pub(crate) mod local_lease;
pub(crate) mod refill_task;
