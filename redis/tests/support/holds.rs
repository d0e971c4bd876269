//! For how long permits of a semaphore were surely held.

use core::time::Duration;

use tidegate_redis::SemaphorePermit;

use super::admission::now_ns;

/// The permits that one caller held: from when, until when, and how many.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<(u64, u64, u64)>);

impl Holds {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Uses a permit for a while, or until it is lost, and drops it.
    pub(crate) async fn use_for(&mut self, permit: SemaphorePermit, time: Duration) {
        let from_ns = now_ns();
        if !permit.is_held() {
            return;
        }
        let mut until_ns = from_ns;
        let end_ns = from_ns + u64::try_from(time.as_nanos()).unwrap();
        while until_ns < end_ns {
            tokio::time::sleep(Duration::from_micros(200)).await;
            // It was held at this instant if it still is after it.
            let now_ns = now_ns();
            if !permit.is_held() {
                break;
            }
            until_ns = now_ns;
        }
        self.0.push((from_ns, until_ns, permit.permits()));
        drop(permit);
    }
}

/// Checks that at no instant more permits were held, by the holders' own accounts.
#[track_caller]
pub(crate) fn assert_never_more_held(limit: u64, holds: impl IntoIterator<Item = Holds>) {
    let mut steps = Vec::new();
    for (from_ns, until_ns, permits) in holds.into_iter().flat_map(|holds| holds.0) {
        let permits = i64::try_from(permits).unwrap();
        // Ends come before beginnings at the same instant.
        steps.extend([
            (from_ns, 1, permits),
            (until_ns.max(from_ns + 1), 0, -permits),
        ]);
    }
    steps.sort_unstable();
    let mut held = 0;
    for (at_ns, _, permits) in steps {
        held += permits;
        let limit = i64::try_from(limit).unwrap();
        assert!(held <= limit, "{held} of {limit} held at {at_ns}");
    }
}
