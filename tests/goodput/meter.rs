//! Measures what a bucket loses: the time in which it stays full although a call waits for it.

use tidegate::{Limiter, Timestamp};

use crate::oracle::Stated;
use crate::record::{Refusal, Service};
use crate::timer::Lateness;

/// Returns the instant at which a bucket is full if no call comes. As of an instant so far in the
/// past that it may be past too: waiters are decided as of when they were due.
pub(crate) fn full_at<L: Limiter>(bucket: &L, now: u64) -> u64 {
    let past = now.saturating_sub(2 * Lateness::Stalls.most());
    let refill = bucket.wait_time_at(bucket.capacity(), Timestamp::from_nanos(past));
    let refill = refill.expect("the capacity can be admitted").as_nanos();
    past + u64::try_from(refill).expect("centuries")
}

/// What was lost and admitted, in tokens times nanoseconds of the period.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) lost: i128,
    pub(crate) admitted: i128,
}

/// After a service, the bucket would be full at some instant. If it was still full when the next
/// call was decided, what would have flowed in between is lost, from the arrival of that call on.
/// A token that was charged for a call that left counts as lost, too.
pub(crate) fn measure(services: &[Service], stated: Stated) -> Measure {
    let (rate, period) = (i128::from(stated.rate), i128::from(stated.period));
    let mut measure = Measure {
        lost: 0,
        admitted: 0,
    };
    let mut last_full = 0;
    for service in services {
        let tokens = i128::from(service.n) * period;
        let full_at = i128::from(service.full_at);
        let wanted_from = last_full.max(i128::from(service.arrived));
        // Instants are rounded by up to 4 ns in all.
        let lost = (full_at - wanted_from - 4) * rate - tokens;
        measure.lost += lost.max(0);
        measure.admitted += tokens;
        last_full = full_at;
    }
    measure
}

/// Asserts that at least 98 percent are used of what is there for calls that wait.
pub(crate) fn check(services: &[Service], stated: Stated) {
    let measure = measure(services, stated);
    let earned = measure.lost + measure.admitted;
    assert!(measure.lost * 50 <= earned, "{measure:?}");
}

/// Asserts that no call was refused that could have been served within its timeout. Those ahead of
/// it may be decided as of up to `slack` ago.
pub(crate) fn check_refusals(refusals: &[Refusal], stated: Stated, slack: u64) {
    for refusal in refusals {
        let missing = refusal.demand.saturating_sub(stated.capacity);
        let free = u128::from(stated.capacity.saturating_sub(refusal.demand));
        let nanos = |tokens: u128| tokens * u128::from(stated.period) / u128::from(stated.rate);
        let from = u128::from(refusal.full_at.max(refusal.at.saturating_sub(slack)));
        let due = (from + nanos(missing.into())).saturating_sub(nanos(free));
        // Instants are rounded by up to 4 ns in all.
        assert!(
            due + 4 > u128::from(refusal.deadline),
            "{refusal:?} could be served at {due}"
        );
    }
}
