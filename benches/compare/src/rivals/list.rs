//! Lists the limiters, with the configuration of each.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use better_bucket::{Bucket, BucketConfig};
use gcra::{GcraState, RateLimit};
use rate_net::{Algorithm, DirectLimiter};
use tidegate::{Clock, DefaultClock, ShardedTokenBucket, SlidingWindow, TokenBucket};

use super::{ClockSource, Kind, Limit, Rival, RivalVisitor, SharedClock, leaky_bucket};
use crate::{Level, MutexBucket, MutexDeque, asked};

/// Where the form for many keys is measured.
const MEASURED: &str = "measured by keyed.sh";
const NONE: &str = "has no such form";
const IN_KEYED: &str = "Keyed accepts it";
const ABOVE: &str = "as above";

/// Visits every limiter, on tidegate's clock if it takes one, and then the variants.
pub fn for_each(visitor: &mut impl RivalVisitor) {
    for_each_with_clock(DefaultClock, visitor);
    for_each_variant(visitor);
}

/// Visits the limiters that take a clock, with this clock.
pub fn for_each_with_clock<C>(clock: C, visitor: &mut impl RivalVisitor)
where
    C: Clock + Clone + Send + Sync + 'static,
{
    let now = || clock.clone();
    let shared = || SharedClock(clock.clone());
    let rival = |name, kind, setup, keyed| Rival {
        name,
        kind,
        clock: ClockSource::Counter,
        setup,
        keyed,
    };
    let bucket = |name, setup, keyed| rival(name, Kind::Bucket, setup, keyed);
    let window = |name, setup, keyed| rival(name, Kind::Window, setup, keyed);
    // tidegate's buckets differ only in their type.
    macro_rules! ours {
        ($bucket:ident, $keyed:expr) => {
            let name = concat!("tidegate ", stringify!($bucket));
            visitor.visit(&bucket(name, "rate and burst", $keyed), |limit| {
                let bucket = $bucket::with_clock(limit.quota(), now());
                asked(bucket, |bucket| bucket.try_acquire(1))
            });
        };
    }

    ours!(TokenBucket, MEASURED);
    ours!(ShardedTokenBucket, IN_KEYED);

    let row = window("tidegate SlidingWindow", "64 slots, the default", IN_KEYED);
    visitor.visit(&row, |limit| {
        let window = SlidingWindow::with_clock(limit.rate, limit.period, now()).expect("in range");
        asked(window, |window| window.try_acquire(1))
    });

    let setup = "burst, and one interval: it has whole nanoseconds";
    visitor.visit(&bucket("governor", setup, MEASURED), |limit| {
        let limiter = governor::RateLimiter::direct_with_clock(governor_quota(limit), shared());
        asked(limiter, |limiter| limiter.check())
    });

    let setup = "period and burst; starts full (otherwise empty)";
    visitor.visit(&bucket("ratelimit", setup, NONE), |limit| {
        let builder = ratelimit::Builder::with_clock(limit.rate, shared());
        asked(ratelimit(builder, limit), |limiter| limiter.try_wait())
    });

    let row = bucket("better-bucket", "acquire; rate and burst", NONE);
    visitor.visit(&row, |limit| {
        let bucket = Bucket::with_config_and_clock(better_bucket(limit), shared());
        asked(bucket, |bucket| bucket.acquire(1))
    });

    let setup = "DirectLimiter, TokenBucket, otherwise the defaults";
    visitor.visit(&bucket("rate-net", setup, MEASURED), |limit| {
        let limiter = rate_net(limit, Algorithm::TokenBucket).with_clock(shared());
        asked(limiter, |limiter| limiter.check())
    });

    let setup = "DirectLimiter, SlidingWindowCounter: an estimate, behind a mutex of its own";
    let row = window("rate-net counter", setup, "left out: not the same promise");
    visitor.visit(&row, |limit| {
        let limiter = rate_net(limit, Algorithm::SlidingWindowCounter).with_clock(shared());
        asked(limiter, |limiter| limiter.check())
    });

    let setup = "GcraState in a std mutex, which it needs to be shared; its burst is one period, \
                 so a period of `burst` intervals";
    let keyed = "left out: an async fn over a DashMap, which gets the limit with each call";
    visitor.visit(&bucket("gcra", setup, keyed), |limit| {
        let (limit, clock) = (gcra_limit(limit), shared());
        asked(Mutex::new(GcraState::default()), move |state| {
            let now = clock.instant();
            let mut state = state.lock().expect("no panic");
            state.check_and_modify_at(&limit, now, 1)
        })
    });

    let row = bucket("std mutex", "floats in a std::sync::Mutex", MEASURED);
    visitor.visit(&row, |limit| {
        let (rate, burst) = (limit.per_second(), limit.burst as f64);
        MutexBucket::<C, Mutex<Level>>::with_clock(rate, burst, now())
    });

    let setup = "the same in a parking_lot::Mutex";
    let keyed = "left out: std's is measured by keyed.sh";
    visitor.visit(&bucket("parking_lot mutex", setup, keyed), |limit| {
        let (rate, burst) = (limit.per_second(), limit.burst as f64);
        MutexBucket::<C, parking_lot::Mutex<Level>>::with_clock(rate, burst, now())
    });

    let setup = "the times of all admissions, a VecDeque in a std mutex; a window of 1 ms where it \
                 never refuses, so that it does not fill memory";
    let row = rival("mutex deque window", Kind::Log, setup, NONE);
    visitor.visit(&row, |limit| {
        let most = usize::try_from(limit.rate).unwrap_or(usize::MAX);
        MutexDeque::with_clock(most, limit.period, now())
    });
}

/// Visits governor with its hint read, and the limiters on their own clocks.
fn for_each_variant(visitor: &mut impl RivalVisitor) {
    let bucket = |name, setup| Rival {
        name,
        kind: Kind::Bucket,
        clock: ClockSource::System,
        setup,
        keyed: ABOVE,
    };

    let mut row = bucket(
        "governor, hint read",
        "as above, and the hint, which it computes when asked",
    );
    row.clock = ClockSource::Counter;
    visitor.visit(&row, |limit| {
        let clock = SharedClock(DefaultClock);
        let limiter = governor::RateLimiter::direct_with_clock(governor_quota(limit), clock);
        asked(limiter, |limiter| {
            let now = || governor::clock::Clock::now(limiter.clock());
            let decision = limiter.check();
            decision.map_err(|not_until| not_until.wait_time_from(now()))
        })
    });

    let mut row = bucket("governor, own clock", "as above");
    row.clock = ClockSource::Quanta;
    visitor.visit(&row, |limit| {
        let limiter = governor::RateLimiter::direct(governor_quota(limit));
        asked(limiter, |limiter| limiter.check())
    });

    visitor.visit(&bucket("ratelimit, own clock", "as above"), |limit| {
        let builder = ratelimit::Ratelimiter::builder(limit.rate);
        asked(ratelimit(builder, limit), |limiter| limiter.try_wait())
    });

    let row = bucket("better-bucket, own clock", "as above");
    visitor.visit(&row, |limit| {
        let bucket = Bucket::from_config(better_bucket(limit));
        asked(bucket, |bucket| bucket.acquire(1))
    });

    visitor.visit(&bucket("rate-net, own clock", "as above"), |limit| {
        let limiter = rate_net(limit, Algorithm::TokenBucket);
        asked(limiter, |limiter| limiter.check())
    });

    let setup = "as above, through check_and_modify, which reads the clock in the mutex";
    visitor.visit(&bucket("gcra, own clock", setup), |limit| {
        let limit = gcra_limit(limit);
        asked(Mutex::new(GcraState::default()), move |state| {
            let mut state = state.lock().expect("no panic");
            state.check_and_modify(&limit, 1)
        })
    });

    visitor.visit(&leaky_bucket::RIVAL, leaky_bucket::make);

    let row = Rival {
        name: "pingora-limits",
        kind: Kind::Window,
        clock: ClockSource::System,
        setup: "Rate::observe(1) against a limit: a fixed window that counts refused calls; its \
                sketch of 4 x 1024 counters, one key",
        keyed: "left out: keys share counters, so no key has a limit of its own",
    };
    visitor.visit(&row, |limit| {
        let rate = pingora_limits::rate::Rate::new(limit.period);
        if limit.period < Duration::from_secs(1) {
            age_pingora();
        }
        let most = isize::try_from(limit.rate).expect("in range");
        asked(rate, move |rate| rate.observe(&(), 1) <= most)
    });
}

/// Waits for pingora-limits' second second.
///
/// In its first second it panics when threads meet at the end of a window shorter than a second.
#[expect(
    clippy::disallowed_methods,
    reason = "its clock is that of the operating system"
)]
fn age_pingora() {
    std::thread::sleep(Duration::from_millis(1_100));
}

fn governor_quota(limit: Limit) -> governor::Quota {
    let quota = if limit.period == Duration::from_secs(1) {
        governor::Quota::per_second(NonZeroU32::new(limit.rate32()).expect("not zero"))
    } else {
        governor::Quota::with_period(limit.period / limit.rate32()).expect("not zero")
    };
    quota.allow_burst(NonZeroU32::new(limit.burst32()).expect("not zero"))
}

fn ratelimit<C: ratelimit::Clock>(
    builder: ratelimit::Builder<C>,
    limit: Limit,
) -> ratelimit::Ratelimiter<C> {
    builder
        .period(limit.period)
        .max_tokens(limit.burst)
        .initial_available(limit.burst)
        .build()
        .expect("in range")
}

fn better_bucket(limit: Limit) -> BucketConfig {
    let burst = limit.burst32();
    BucketConfig::new(burst, limit.rate32(), limit.period, burst).expect("in range")
}

fn rate_net(limit: Limit, algorithm: Algorithm) -> DirectLimiter {
    let builder = rate_net::RateLimiter::builder()
        .algorithm(algorithm)
        .quota(limit.rate32(), limit.period);
    let builder = if algorithm == Algorithm::TokenBucket {
        builder.burst(limit.burst32())
    } else {
        builder
    };
    builder.try_build_direct().expect("in range")
}

/// Makes a period that admits the burst, which gcra takes as its burst.
fn gcra_limit(limit: Limit) -> RateLimit {
    let period = limit.period.as_nanos() * u128::from(limit.burst) / u128::from(limit.rate);
    let period = Duration::from_nanos(u64::try_from(period).expect("in range"));
    RateLimit::new(limit.burst32(), period)
}
