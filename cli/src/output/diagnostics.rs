//! Names what was not counted, or counted at another time.

use crate::picture::numbers::grouped;

/// The numbers of skipped and late lines, without those that are zero.
pub fn diagnostics(skipped: u64, late: u64) -> String {
    let counts = [(skipped, "skipped"), (late, "late")].into_iter();
    let counts = counts.filter(|(count, _)| *count > 0);
    counts
        .map(|(count, name)| format!(", {} {name}", grouped(count)))
        .collect()
}
