//! What must hold when a request is charged to the limits of an API, whatever the threads do.

use loom::sync::Arc;
use loom::thread;
use tidegate::{
    ApiRateLimiter, Limiter, Quota, RateLimitConfig, SlidingWindow, Timestamp, TokenBucket,
};

use crate::bucket_twin::NoClock;
use crate::explore;

const MINUTE: u64 = 60_000_000_000;

/// One request per minute and at once.
pub trait Api: Send + Sync + Sized + 'static {
    fn new() -> Self;

    fn admit(&self, now: u64) -> bool;

    /// Requests that the minute has room for.
    fn minute_left(&self, now: u64) -> u64;
}

/// A call has charged the burst and stops; a minute later, when the burst is back, another takes the minute's only request. The
/// first one is refused by it, as the minute it reads includes both (G5, G6). Two threads, an advancing clock. Killed by
/// `AssumedWindow`.
pub fn overtaken_by_a_minute<A: Api>() {
    explore(3, || {
        let api = Arc::new(A::new());
        let (then, now) = (10 * MINUTE, 11 * MINUTE);
        let first = {
            let api = api.clone();
            thread::spawn(move || u64::from(api.admit(then)))
        };
        let second = u64::from(api.admit(now));
        let admitted = first.join().unwrap() + second;
        assert_eq!(admitted, 1, "admitted in one minute");
        assert_eq!(api.minute_left(now), 0);
    });
}

impl Api for ApiRateLimiter<NoClock> {
    fn new() -> Self {
        let config = RateLimitConfig {
            requests_per_minute: 1,
            burst_size: 1,
            enable_backoff: false,
            ..RateLimitConfig::DEFAULT
        };
        Self::with_clock(config, NoClock).expect("valid")
    }

    fn admit(&self, now: u64) -> bool {
        !self.try_acquire_at(Timestamp::from_nanos(now)).is_limited
    }

    fn minute_left(&self, now: u64) -> u64 {
        self.stats_at(Timestamp::from_nanos(now))
            .requests_remaining_minute
    }
}

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// A window that had room at the look is taken to have it still.
    AssumedWindow,
}

/// The burst and the minute.
pub struct Twin<const FLAW: u8> {
    burst: TokenBucket<NoClock>,
    minute: SlidingWindow<NoClock>,
}

impl<const FLAW: u8> Api for Twin<FLAW> {
    fn new() -> Self {
        let minute = core::time::Duration::from_nanos(MINUTE);
        Self {
            burst: TokenBucket::with_clock(Quota::per_minute(1), NoClock),
            minute: SlidingWindow::with_clock(1, minute, NoClock).expect("fits"),
        }
    }

    fn admit(&self, now: u64) -> bool {
        let now = Timestamp::from_nanos(now);
        if self.burst.peek_at(1, now).is_err() || self.minute.peek_at(1, now).is_err() {
            return false;
        }
        let Ok(charge) = self.burst.charge_at(1, now) else {
            return false;
        };
        if self.minute.try_acquire_at(1, now).is_ok() || FLAW == Flaw::AssumedWindow as u8 {
            return true;
        }
        self.burst.undo(charge);
        false
    }

    fn minute_left(&self, now: u64) -> u64 {
        self.minute.available_at(Timestamp::from_nanos(now))
    }
}
