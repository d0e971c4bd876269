//! The sharded bucket against the plain one: step by step, with stale readings, and on real
//! threads.

mod changes;
mod oracle;
mod stale;
mod threads;

#[path = "../../tests/parallel/mod.rs"]
mod parallel;
