//! Not there yet.

use crate::report::Report;

/// Admissions and refusals over time.
pub fn timeline_svg(_report: &Report) -> String {
    "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_owned()
}
