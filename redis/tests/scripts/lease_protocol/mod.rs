//! Nodes with leases share a bucket with direct callers.
//!
//! Requests arrive late, replies are lost, nodes crash, the server's clock steps back, and its key
//! is lost. No history may exceed the bound.

mod histories;
mod history;
mod mutants;
mod node;
mod returned_grants;
mod scenes;
mod simulation;
