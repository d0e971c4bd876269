//! What the program `tidegate` is made of. It is a program and no library: its modules may change in any version.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a program for machines with an operating system"
)]

pub mod args;
pub mod caret;
pub mod command;
pub mod completions;
pub mod explain;
pub mod failure;
pub mod log;
pub mod man;
pub mod output;
pub mod page;
pub mod picture;
pub mod replay;
pub mod report;
pub mod shape;
pub mod suggest;
pub mod terminal;
