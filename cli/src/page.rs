//! Not there yet.

use crate::report::Report;

/// A page with everything.
pub fn html(report: &Report) -> String {
    format!(
        "<!doctype html><title>tidegate</title>{}",
        crate::picture::timeline_svg(report)
    )
}
