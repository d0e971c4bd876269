//! Random timelines against slow and obvious limiters in exact arithmetic.

extern crate alloc;

mod bucket;
mod combined;
#[path = "../oracles/mod.rs"]
mod oracles;
mod random_inputs;
#[cfg(feature = "std")]
mod tuples;
mod window;
