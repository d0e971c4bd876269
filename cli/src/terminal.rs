//! Draws charts in a terminal.

pub mod chart;
mod curve_chart;
mod stacked;
mod timeline_chart;

pub use chart::Charset;
pub use curve_chart::curve;
pub use timeline_chart::timeline;
