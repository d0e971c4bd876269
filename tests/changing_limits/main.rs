//! Limits that change while they are used: what they keep, and how much they admit.

extern crate alloc;

mod api;
mod bucket;
mod combined;
mod fixed;
mod keys;
mod oracle;
mod threads;
mod waits;
