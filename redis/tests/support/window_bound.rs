//! Checks that no interval of a window's length holds more than its limit.

use core::time::Duration;

use super::admission::Admission;

/// A decision fell at an unknown instant between the start and the end of its call. So an interval
/// counts only admissions that lie entirely within it, and every violation is certain.
#[track_caller]
pub(crate) fn assert_window_bound(limit: u64, window: Duration, admissions: &[Admission]) {
    let window_ns = u64::try_from(window.as_nanos()).unwrap();
    let mut by_end: Vec<&Admission> = admissions.iter().collect();
    by_end.sort_unstable_by_key(|admission| admission.end_ns);
    for first in admissions {
        let to_ns = first.start_ns + window_ns;
        let within = by_end
            .iter()
            .take_while(|admission| admission.end_ns <= to_ns);
        let within = within.filter(|admission| admission.start_ns >= first.start_ns);
        let permits: u64 = within.map(|admission| admission.permits).sum();
        assert!(
            permits <= limit,
            "{permits} of {limit} in {window:?} from {}",
            first.start_ns
        );
    }
}
