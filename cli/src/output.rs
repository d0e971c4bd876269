//! Writes results to standard output and to files.

pub mod csv;
pub mod file;
pub mod report_text;
pub mod stdio;
pub mod table;
