//! What the program `tidegate` is made of.

pub mod report;
