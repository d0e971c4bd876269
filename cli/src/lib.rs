//! The modules of the program `tidegate`. This is not a library: any version may change them.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "the program needs an operating system"
)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "unlike `write!`, `format!` gives no result to ignore, and the texts are short"
)]

pub mod args;
pub mod config;
pub mod explain;
pub mod failure;
pub mod log;
pub mod manual;
pub mod output;
pub mod page;
pub mod picture;
#[cfg(feature = "redis")]
pub mod redis;
pub mod replay;
pub mod report;
pub mod shape;
pub mod suggest;
pub mod terminal;
pub mod values;
