//! Names what was not counted, or counted at another time.

use crate::picture::numbers::{counted, grouped};

/// The numbers of skipped and late lines and of requests that were left out, without those that are
/// zero.
pub fn diagnostics(skipped: u64, late: u64, left_out: u64) -> String {
    let counts = [(skipped, "skipped"), (late, "late"), (left_out, "left out")].into_iter();
    let counts = counts.filter(|(count, _)| *count > 0);
    counts
        .map(|(count, name)| format!(", {} {name}", grouped(count)))
        .collect()
}

/// Says that an earlier limit refused requests; `None` if it did not.
pub fn earlier_refusals(answered_429: u64) -> Option<String> {
    let requests = counted(answered_429, "request");
    (answered_429 > 0).then(|| {
        format!(
            "{requests} answered 429 by an earlier limit are among them; `--not-status 429` leaves \
             them out."
        )
    })
}
