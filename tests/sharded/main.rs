//! The bucket of many shards against the plain one, step by step, and in real threads.

mod oracle;
mod stale;
mod threads;

#[path = "../parallel/mod.rs"]
mod parallel;
