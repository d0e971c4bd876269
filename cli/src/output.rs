//! What is written, and where.

pub mod file;
pub mod stdout;
