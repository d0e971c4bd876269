//! The calls of one node that wait: they go one after another, in the order of their arrival.
//!
//! After a pause, those that waited for its end do not all go at once, here or on other nodes. Each
//! goes a random time after the one before it, at most the interval of the requests, and at most
//! half a second: what has changed meanwhile, such as a limit that was resumed, is to be seen soon.

use core::time::Duration;

use tidegate::__fleet as fleet;
use tidegate::RateLimitConfig;
use tokio::sync::{Mutex, MutexGuard};

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time;

/// The longest time between two calls that waited for the end of a pause.
pub(super) const LONGEST_GAP: Duration = Duration::from_millis(500);

/// See the [module](self) documentation. Instants are on the node's clock.
#[derive(Debug)]
pub(super) struct WaitOrder {
    /// Held by the first of those that wait. It serves the others in order.
    first: Mutex<()>,
    /// The end of the last pause that was met. Relaxed: it guards no memory, and only the first
    /// waiter writes it.
    pause_end: AtomicU64,
    /// The next of those who waited for the end goes then. Relaxed: as above.
    next: AtomicU64,
    longest_gap: u64,
}

impl WaitOrder {
    pub(super) fn new(config: &RateLimitConfig) -> Self {
        let gap = fleet::pace(config).map_or(0, |(rate, period)| time::nanos(period) / rate.max(1));
        Self {
            first: Mutex::new(()),
            pause_end: AtomicU64::new(0),
            next: AtomicU64::new(0),
            longest_gap: gap.min(time::nanos(LONGEST_GAP)),
        }
    }

    /// Waits until those that came before are gone. `None` if the deadline comes first.
    pub(super) async fn first(&self, deadline: u64) -> Option<MutexGuard<'_, ()>> {
        let turn = self.first.lock();
        if deadline == u64::MAX {
            return Some(turn.await);
        }
        tokio::time::timeout(time::until(deadline), turn).await.ok()
    }

    /// Notes a pause that was met, and returns how long to wait: a random time longer.
    pub(super) fn paused_for(&self, pause: Duration) -> Duration {
        let end = time::now().saturating_add(time::nanos(pause));
        // Relaxed: see the field.
        self.pause_end.fetch_max(end, Relaxed);
        pause + self.gap()
    }

    /// How long the first waiter still has to wait after a pause.
    pub(super) fn after_pause(&self, arrival: u64) -> Duration {
        // Relaxed, both: see the fields.
        if arrival >= self.pause_end.load(Relaxed) {
            return Duration::ZERO;
        }
        time::until(self.next.load(Relaxed)).min(Duration::from_nanos(self.longest_gap))
    }

    /// Notes that the first waiter was admitted.
    pub(super) fn gone(&self, arrival: u64) {
        // Relaxed, both: see the fields.
        if arrival < self.pause_end.load(Relaxed) {
            let next = time::now().saturating_add(time::nanos(self.gap()));
            self.next.store(next, Relaxed);
        }
    }

    /// Forgets a pause that was ended early.
    pub(super) fn resumed(&self) {
        // Relaxed: see the field.
        self.pause_end.store(0, Relaxed);
    }

    fn gap(&self) -> Duration {
        Duration::from_nanos(fastrand::u64(0..=self.longest_gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of one request per day is a day.
    #[test]
    fn calls_that_waited_for_a_pause_go_within_half_a_second_of_one_another() {
        let config = RateLimitConfig {
            requests_per_day: Some(1),
            ..RateLimitConfig::UNLIMITED
        };
        let order = WaitOrder::new(&config);
        for _ in 0..100 {
            let pause = Duration::from_millis(100);
            assert!(order.paused_for(pause) <= pause + LONGEST_GAP);
            order.gone(0);
            assert!(order.after_pause(0) <= LONGEST_GAP);
        }
        order.resumed();
        assert_eq!(order.after_pause(0), Duration::ZERO);
    }
}
