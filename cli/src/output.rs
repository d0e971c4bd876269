//! What is written: to standard output, and to files that are whole or not there.

pub mod csv;
pub mod file;
pub mod stdout;
pub mod table;
pub mod text;
