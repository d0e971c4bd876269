//! Random timelines against slow and obvious limiters in exact arithmetic.

extern crate alloc;

mod bucket;
mod combined;
mod oracle;
mod script;
mod window;
