//! Writes results to standard output and to files.

pub mod compare_text;
pub mod config_text;
pub mod csv;
pub mod diagnostics;
pub mod file;
pub mod report_text;
pub mod rules_text;
pub mod stdio;
pub mod suggest_text;
pub mod table;
pub mod wrap;
