//! The script of the API limiter, at times that the tests choose: the same decisions as those of
//! one process, and one effect of each message, whatever is lost, repeated or late.

mod backoff;
mod call_arguments;
mod claims;
mod exact_fleet;
pub(crate) mod live_shared;
pub(crate) mod lost_messages;
pub(crate) mod runner;
pub(crate) mod same_as_one_process;
