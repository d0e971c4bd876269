//! What the paths have in common: the clock, the limiters and the loops.

use std::convert::Infallible;
use std::future::{Future, Pending, Ready, pending, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use tidegate::tower::{Gate, HeaderStyle, RateLimitLayer};
use tidegate::{
    ApiRateLimiter, Clock, Combined, FixedKeyed, KeyHasher, Keyed, Quota, RateLimitConfig,
    SlidingWindow, Timestamp, TokenBucket,
};
use tower_layer::Layer;
use tower_service::Service;

pub const HOUR: Duration = Duration::from_secs(3_600);
/// Keys that are in the tables beforehand.
pub const KEYS: u64 = 1_000;
/// A limit that is not reached.
pub const HIGH: u64 = 1 << 31;

/// The same for one key, whose permits come back one per hour.
pub const MANY: u64 = 1_000_000;

/// Each reading is a microsecond later than the one before, on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Ticks;

impl Clock for Ticks {
    #[inline]
    fn now(&self) -> Timestamp {
        static NOW: AtomicU64 = AtomicU64::new(0);
        let now = NOW.load(Relaxed);
        NOW.store(now + 1_000, Relaxed);
        Timestamp::from_nanos(now)
    }
}

/// Calls that all answer `answer`.
#[inline(always)]
pub fn all(answer: bool, calls: u64, mut call: impl FnMut(u64) -> bool) {
    let mut others = 0;
    for number in 0..calls {
        others += u64::from(call(number) != answer);
    }
    assert_eq!(others, 0, "calls with the other outcome");
}

#[inline(always)]
pub fn each<R>(calls: u64, mut call: impl FnMut(u64) -> R) {
    for number in 0..calls {
        black_box(call(number));
    }
}

/// Polls once what is ready at once.
#[inline(always)]
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("ready at once"),
    }
}

/// A timer that is not needed.
pub fn never(_: Duration) -> Pending<()> {
    pending()
}

/// 1 000 per second, and a burst that is not used up; it is not full either.
pub fn bucket() -> TokenBucket<Ticks> {
    TokenBucket::with_clock(Quota::per_second(1_000).burst(u32::MAX.into()), Ticks)
}

/// Used up for an hour.
pub fn empty_bucket() -> TokenBucket<Ticks> {
    let bucket = TokenBucket::with_clock(Quota::per_hour(1), Ticks);
    assert!(bucket.try_acquire(1).is_ok());
    bucket
}

pub fn window(limit: u64, length: Duration) -> SlidingWindow<Ticks> {
    SlidingWindow::with_clock(limit, length, Ticks).expect("fits")
}

/// Used up for an hour.
pub fn empty_window() -> SlidingWindow<Ticks> {
    let window = window(1_000, HOUR);
    assert!(window.try_acquire(1_000).is_ok());
    window
}

/// Used up by as much in each slot, and the instant when that is so.
pub fn evenly_used_window() -> (SlidingWindow<Ticks>, Timestamp) {
    let window = window(64, HOUR);
    for slot in 0..64 {
        let at = Timestamp::ZERO + HOUR / 64 * slot;
        assert!(window.try_acquire_at(1, at).is_ok());
    }
    (window, Timestamp::ZERO + HOUR)
}

/// A minute, an hour of `per_hour`, and a burst.
pub fn combined(per_hour: u64) -> Combined<Ticks> {
    Combined::builder()
        .limit("minute", window(HIGH, HOUR / 60))
        .limit("hour", window(per_hour, HOUR))
        .limit(
            "burst",
            TokenBucket::with_clock(Quota::per_minute(HIGH), Ticks),
        )
        .build()
}

/// Minute, an hour of `per_hour`, burst and tokens.
pub fn api(per_hour: u64) -> ApiRateLimiter<Ticks> {
    let config = RateLimitConfig {
        requests_per_minute: HIGH,
        requests_per_hour: per_hour,
        tokens_per_minute: HIGH,
        burst_size: HIGH,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, Ticks).expect("fits")
}

/// Its hour is used up.
pub fn empty_api() -> ApiRateLimiter<Ticks> {
    let api = api(1);
    assert!(!api.try_acquire().is_limited);
    api
}

/// Keys that are in use for an hour; `burst` calls each.
fn per_key(burst: u64) -> Quota {
    Quota::per_hour(1).burst(burst)
}

const SEEDS: KeyHasher = KeyHasher::with_seeds([1, 2, 3, 4]);

pub fn keyed<K: Clone + Eq + std::hash::Hash>(burst: u64) -> Keyed<K, TokenBucket<Ticks>> {
    Keyed::builder(move |_: &K| TokenBucket::with_clock(per_key(burst), Ticks))
        .hasher(SEEDS)
        .shared(TokenBucket::with_clock(per_key(burst), Ticks))
        .build()
}

pub fn fixed(burst: u64, keys: usize) -> FixedKeyed<Ticks> {
    FixedKeyed::with_clock_and_hasher(per_key(burst), keys, Ticks, SEEDS)
}

/// As long as a UUID.
pub fn names() -> Vec<String> {
    (0..KEYS).map(|number| format!("{number:036}")).collect()
}

/// The name of a call, round and round.
#[inline(always)]
pub fn name_of(names: &[String], call: u64) -> &str {
    &names[(call % KEYS) as usize]
}

/// Answers at once.
#[derive(Clone, Copy, Debug)]
pub struct Answer;

impl Service<Request<()>> for Answer {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

/// Requests to a service behind `gate`, without header fields.
#[inline(always)]
pub fn requests<G: Gate>(admitted: bool, calls: u64, gate: G) {
    let layer = RateLimitLayer::builder(gate)
        .headers(HeaderStyle::None)
        .build();
    let mut service = layer.layer(Answer);
    all(admitted, calls, |_| {
        let request = black_box(Request::new(()));
        match at_once(service.call(request)) {
            Ok(response) => response.status().is_success(),
            Err(never) => match never {},
        }
    });
}
