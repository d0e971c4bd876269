//! The most denied keys: bounds for any stream, threads, memory, and every way to refuse a key.

extern crate alloc;

#[path = "../parallel/mod.rs"]
mod parallel;
mod sketch;
mod tables;
mod threads;
