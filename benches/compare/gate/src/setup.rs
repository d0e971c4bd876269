//! The clock, the limiters and the loops of the paths.

use std::convert::Infallible;
use std::future::{Future, Pending, Ready, pending, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use tidegate::layer::{Gate, HeaderStyle, RateLimitLayer};
use tidegate::{
    ApiRateLimiter, Clock, Combined, Denied, FixedKeyed, KeyHasher, Keyed, Quota, RateLimitConfig,
    Reservation, ShardedTokenBucket, SlidingWindow, Timestamp, TokenBucket,
};
use tower_layer::Layer;
use tower_service::Service;

pub const HOUR: Duration = Duration::from_secs(3_600);
/// Keys in the tables before the calls.
pub const KEYS: u64 = 1_000;
/// A limit that the calls do not reach.
pub const HIGH: u64 = 1 << 31;

/// The same for one key, whose permits come back at one per hour.
pub const MANY: u64 = 1_000_000;

/// 1 000 per second, and a burst that the calls do not use up. The bucket is never full.
pub const PLENTY: Quota = Quota::per_second(1_000).burst(u32::MAX as u64);

/// A clock whose every reading is a microsecond later than the one before, on every machine.
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

/// Makes calls that all return `answer`.
#[inline(always)]
fn all(answer: bool, calls: u64, mut call: impl FnMut(u64) -> bool) {
    let mut others = 0;
    for number in 0..calls {
        others += u64::from(call(number) != answer);
    }
    assert_eq!(others, 0, "calls with the other outcome");
}

/// Makes calls that all return true.
#[inline(always)]
pub fn admitted(calls: u64, call: impl FnMut(u64) -> bool) {
    all(true, calls, call);
}

/// Makes calls that all return false.
#[inline(always)]
pub fn refused(calls: u64, call: impl FnMut(u64) -> bool) {
    all(false, calls, call);
}

/// Makes calls, and uses what they return.
#[inline(always)]
pub fn each<R>(calls: u64, mut call: impl FnMut(u64) -> R) {
    for number in 0..calls {
        black_box(call(number));
    }
}

/// Polls a future that is ready at once.
#[inline(always)]
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("ready at once"),
    }
}

/// A timer that no call needs.
pub fn never(_: Duration) -> Pending<()> {
    pending()
}

pub fn bucket_of(quota: Quota) -> TokenBucket<Ticks> {
    TokenBucket::with_clock(quota, Ticks)
}

pub fn bucket() -> TokenBucket<Ticks> {
    bucket_of(PLENTY)
}

/// Owes more tokens than the calls give back.
pub fn indebted_bucket() -> TokenBucket<Ticks> {
    let bucket = bucket();
    bucket.debit(HIGH);
    bucket
}

/// Used up for an hour.
pub fn empty_bucket() -> TokenBucket<Ticks> {
    let bucket = bucket_of(Quota::per_hour(1));
    assert!(bucket.try_acquire(1).is_ok());
    bucket
}

pub fn window(limit: u64, length: Duration) -> SlidingWindow<Ticks> {
    SlidingWindow::with_clock(limit, length, Ticks).expect("in range")
}

/// Used up for an hour.
pub fn empty_window() -> SlidingWindow<Ticks> {
    let window = window(1_000, HOUR);
    assert!(window.try_acquire(1_000).is_ok());
    window
}

/// A window with a slot per microsecond.
pub fn brief_window() -> SlidingWindow<Ticks> {
    window(1_000, Duration::from_micros(64)).slots(64)
}

/// A window whose slots hold equal parts of its limit. It is used up until an hour has passed.
pub fn evenly_used_window() -> SlidingWindow<Ticks> {
    let window = window(64, HOUR);
    for slot in 0..64 {
        let at = Timestamp::ZERO + HOUR / 64 * slot;
        assert!(window.try_acquire_at(1, at).is_ok());
    }
    window
}

pub fn sharded(quota: Quota) -> ShardedTokenBucket<Ticks> {
    ShardedTokenBucket::with_clock(quota, Ticks)
}

/// Used up for an hour. It had leases before.
pub fn empty_sharded() -> ShardedTokenBucket<Ticks> {
    let bucket = sharded(Quota::per_hour(1).burst(1_000));
    while bucket.try_acquire(1).is_ok() {}
    bucket
}

/// Commits a reservation, and returns whether it was made.
#[inline(always)]
pub fn settled(reserved: Result<Reservation<'_, Ticks>, Denied>) -> bool {
    reserved.map(black_box).is_ok_and(|reserved| {
        reserved.commit();
        true
    })
}

/// Limits per minute and hour, and a burst.
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

/// Its hour is used up.
pub fn empty_combined() -> Combined<Ticks> {
    let combined = combined(1);
    assert!(combined.try_acquire(1).is_ok());
    combined
}

/// Limits per minute and hour, burst and tokens.
pub fn api(per_hour: u64) -> ApiRateLimiter<Ticks> {
    let config = RateLimitConfig {
        // A limit per minute that is set must not be above that of an hour. The default may be.
        requests_per_minute: if per_hour == HIGH { HIGH } else { 50 },
        requests_per_hour: per_hour,
        tokens_per_minute: HIGH,
        burst_size: HIGH,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, Ticks).expect("in range")
}

/// After so long the minute of [`empty_api`] is empty again, and its hour is not.
pub const MINUTES: Duration = Duration::from_secs(150);

/// Its hour is used up.
pub fn empty_api() -> ApiRateLimiter<Ticks> {
    let api = api(1);
    assert!(!api.try_acquire().is_limited);
    api
}

/// Each key has `burst` calls, and stays in use for an hour.
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

/// Makes names as long as a UUID.
pub fn names() -> Vec<String> {
    (0..KEYS).map(|number| format!("{number:036}")).collect()
}

/// Returns the name of a call. After the last name, the first follows again.
#[inline(always)]
pub fn name_of(names: &[String], call: u64) -> &str {
    &names[(call % KEYS) as usize]
}

/// A service that answers at once.
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

/// Sends requests to a service behind `gate`, without header fields.
#[inline(always)]
pub fn requests<G: Gate>(admitted: bool, calls: u64, gate: G) {
    requests_with(HeaderStyle::None, admitted, calls, gate);
}

/// Sends requests to a service behind `gate`.
#[inline(always)]
pub fn requests_with<G: Gate>(style: HeaderStyle, admitted: bool, calls: u64, gate: G) {
    let layer = RateLimitLayer::builder(gate).headers(style).build();
    let mut service = layer.layer(Answer);
    all(admitted, calls, |_| {
        let request = black_box(Request::new(()));
        match at_once(service.call(request)) {
            Ok(response) => response.status().is_success(),
            Err(never) => match never {},
        }
    });
}
