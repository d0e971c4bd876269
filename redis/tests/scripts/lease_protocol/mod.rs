//! Nodes with leases share a bucket with direct callers.
//!
//! Requests arrive late, replies are lost, nodes crash, the server's clock steps back, and its key
//! is lost. No history may exceed the bound.

pub(crate) mod fairness;
pub(crate) mod histories;
mod history;
mod node;
pub(crate) mod returned_grants;
mod scenes;
pub(crate) mod simulation;
pub(crate) mod times_to_live;
