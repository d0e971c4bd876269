//! Permits that are out at the same time over all nodes.

pub(crate) mod hold;
pub(crate) mod hold_deadline;
pub(crate) mod options;
pub(crate) mod permit;
pub(crate) mod redis_semaphore;
pub(crate) mod state;
pub(crate) mod task;
