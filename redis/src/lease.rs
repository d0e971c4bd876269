//! Leases: tokens of a shared bucket that this node holds, and spends without a round trip.

pub(crate) mod last_refusal;
pub(crate) mod lease_options;
pub(crate) mod leased_token_bucket;
pub(crate) mod local_lease;
pub(crate) mod refill_task;
