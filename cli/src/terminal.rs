//! Draws charts in a terminal.

pub mod chart;
mod timeline_chart;

pub use chart::Charset;
pub use timeline_chart::timeline;
