//! Requests that wait together with their tokens, in the line of the limiter of an API.

mod in_flight;
#[cfg(feature = "tokio")]
mod on_tokio;
mod storm;

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::thread;

use tidegate::{
    ApiRateLimiter, Clock, LimitKind, ManualClock, RateLimitConfig, RateLimitStatus, Timestamp,
    TokenEstimate, TokenPermit,
};

use crate::SECOND;
use crate::crowd::{Flag, ManualTimer, parked, poll};
use crate::parallel::in_parallel;

type Limiter = ApiRateLimiter<ManualClock>;
type Outcome<'a> = Result<TokenPermit<'a, ManualClock>, RateLimitStatus>;
type Call<'a> = Pin<Box<dyn Future<Output = Outcome<'a>> + Send + 'a>>;

const MILLI: Duration = Duration::from_millis(1);

/// A token each millisecond, a thousand at once, and no other limit that matters.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 1_000_000,
    requests_per_hour: 60_000_000,
    burst_size: 1_000_000,
    tokens_per_minute: 60_000,
    token_burst_size: Some(1_000),
    ..RateLimitConfig::DEFAULT
};

fn limiter(clock: &ManualClock) -> Limiter {
    ApiRateLimiter::with_clock(CONFIG, clock.clone()).expect("valid")
}

/// At most so many calls in flight.
fn narrow(max_in_flight: u64, clock: &ManualClock) -> Limiter {
    let config = RateLimitConfig {
        max_in_flight: Some(max_in_flight),
        ..CONFIG
    };
    ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
}

/// A call that was made, and what it asked for.
struct Waiting<'a> {
    estimate: u64,
    call: Call<'a>,
    flag: Arc<Flag>,
}

impl<'a> Waiting<'a> {
    fn new(estimate: u64, call: Call<'a>) -> Self {
        let flag = Arc::default();
        Self {
            estimate,
            call,
            flag,
        }
    }

    fn at(limiter: &'a Limiter, timer: &ManualTimer, estimate: u64) -> Self {
        let call = limiter.acquire_tokens_with(timer.clone(), estimate);
        Self::new(estimate, Box::pin(call))
    }

    fn timed(limiter: &'a Limiter, timer: &ManualTimer, estimate: u64, timeout: Duration) -> Self {
        let call = limiter.acquire_tokens_timeout_with(timer.clone(), estimate, timeout);
        Self::new(estimate, Box::pin(call))
    }

    fn poll(&mut self) -> Poll<Outcome<'a>> {
        poll(&mut self.call, &self.flag)
    }

    /// It is polled for the first time, and has to wait.
    fn asleep(mut self) -> Self {
        assert!(self.poll().is_pending(), "{}", self.estimate);
        self
    }

    /// What it is told at once.
    fn refusal(mut self) -> RateLimitStatus {
        match self.poll() {
            Poll::Ready(Err(status)) => status,
            other => unreachable!("{other:?}"),
        }
    }

    /// It was woken, and is admitted.
    fn admitted(mut self) -> TokenPermit<'a, ManualClock> {
        assert!(self.flag.take(), "it sleeps");
        match self.poll() {
            Poll::Ready(Ok(permit)) => permit,
            other => unreachable!("{other:?}"),
        }
    }
}

/// Polls the first that was woken; `None` if none was.
fn poll_woken<'a>(waiting: &mut Vec<Waiting<'a>>) -> Option<Poll<(u64, Outcome<'a>)>> {
    let index = waiting.iter().position(|waiting| waiting.flag.take())?;
    let outcome = waiting[index].poll();
    Some(outcome.map(|outcome| (waiting.remove(index).estimate, outcome)))
}

/// Lets time pass until all are through, with a permit that is settled at once for the estimate. In which order, and when.
fn finish(waiting: &mut Vec<Waiting<'_>>, timer: &ManualTimer) -> Vec<(u64, Timestamp)> {
    let mut through = Vec::new();
    while !waiting.is_empty() {
        match poll_woken(waiting) {
            Some(Poll::Ready((estimate, outcome))) => {
                let permit = outcome.expect("nothing is in its way for good");
                through.push((estimate, permit.admitted_at()));
                permit.settle(estimate);
            }
            Some(Poll::Pending) => {}
            None => assert!(timer.advance_to_next(), "{} sleep", waiting.len()),
        }
    }
    through
}

/// Each as soon as its tokens are there, which those before it have not taken.
#[test]
fn first_come_first_served_whatever_the_sizes() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.record_tokens(1_000);
    let sizes = [900, 1, 500, 2, 1_000, 3, 4];
    let mut waiting = sizes
        .map(|n| Waiting::at(&limiter, &timer, n).asleep())
        .into();
    assert_eq!(timer.asleep(), 1, "the first");
    let mut tokens = 0;
    let expected = sizes.map(|n| {
        tokens += n;
        (n, Timestamp::ZERO + Duration::from_millis(tokens))
    });
    assert_eq!(finish(&mut waiting, &timer), expected);
    assert_eq!(timer.made(), 7, "nobody tries in vain");
    assert_eq!(limiter.stats().total_tokens_used, 1_000 + tokens);
}

/// One line for both.
#[test]
fn requests_without_tokens_stand_in_the_same_line() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.record_tokens(1_000);
    let large = Waiting::at(&limiter, &timer, 800).asleep();
    let mut plain = Box::pin(limiter.acquire_with(timer.clone()));
    let flag = Arc::default();
    assert!(poll(&mut plain, &flag).is_pending());
    let last = Waiting::at(&limiter, &timer, 100).asleep();
    timer.advance(799 * MILLI);
    assert!(!flag.take(), "though there are tokens");
    timer.advance(MILLI);
    large.admitted().settle(800);
    assert!(flag.take() && poll(&mut plain, &flag).is_pending());
    timer.advance(MILLI);
    assert!(flag.take());
    assert!(matches!(poll(&mut plain, &flag), Poll::Ready(status) if !status.is_limited));
    let mut last = last;
    assert!(last.flag.take() && last.poll().is_pending());
    timer.advance(99 * MILLI);
    last.admitted().settle(100);
}

/// Small ones come all the time, and would each find enough.
#[test]
fn a_large_one_is_not_starved() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.record_tokens(1_000);
    let large = Waiting::at(&limiter, &timer, 1_000).asleep();
    let mut small = Vec::new();
    for _ in 0..1_000 {
        timer.advance(MILLI);
        small.push(Waiting::at(&limiter, &timer, 1).asleep());
    }
    assert_eq!(large.admitted().admitted_at(), Timestamp::ZERO + SECOND);
    assert_eq!(finish(&mut small, &timer).len(), 1_000);
}

#[test]
fn what_can_never_be_is_told_at_once() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let told = |status: RateLimitStatus| {
        assert!(status.is_permanent && status.is_limited);
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    };
    told(Waiting::at(&limiter, &timer, 1_001).refusal());
    limiter.record_tokens(1_000);
    told(Waiting::at(&limiter, &timer, 1_001).refusal());
    let _first = Waiting::at(&limiter, &timer, 1).asleep();
    told(Waiting::at(&limiter, &timer, 1_001).refusal());
    told(Waiting::timed(&limiter, &timer, 1_001, SECOND).refusal());
    assert_eq!(timer.made(), 1);
    // Unless it is a guess.
    let guess = TokenEstimate::guess(1_001);
    let call = limiter.acquire_tokens_with(timer.clone(), guess);
    let _guess = Waiting::new(1_000, Box::pin(call)).asleep();
}

#[test]
fn what_cannot_be_in_time_is_told_at_once() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let at_once = Waiting::timed(&limiter, &timer, 1_000, Duration::ZERO).poll();
    let Poll::Ready(Ok(permit)) = at_once else {
        panic!("everything is there");
    };
    permit.settle(1_000);
    for timeout in [Duration::ZERO, 499 * MILLI] {
        let status = Waiting::timed(&limiter, &timer, 500, timeout).refusal();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!((status.retry_after, timer.made()), (500 * MILLI, 0));
    }
    let in_time = Waiting::timed(&limiter, &timer, 500, 500 * MILLI).asleep();
    // Behind others too, if what is there is too little for it alone.
    let status = Waiting::timed(&limiter, &timer, 600, 599 * MILLI).refusal();
    assert_eq!(status.retry_after, 600 * MILLI);
    timer.advance(500 * MILLI);
    drop(in_time.admitted());
}

/// As soon as its turn comes, or when its time is over.
#[test]
fn a_timeout_may_end_in_line() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.record_tokens(1_000);
    let first = Waiting::at(&limiter, &timer, 500).asleep();
    let mut second = Waiting::timed(&limiter, &timer, 500, 900 * MILLI).asleep();
    let mut third = Waiting::timed(&limiter, &timer, 1, 600 * MILLI).asleep();
    timer.advance(500 * MILLI);
    first.admitted().settle(500);
    assert!(second.flag.take());
    let Poll::Ready(Err(status)) = second.poll() else {
        panic!("400 ms are not enough");
    };
    assert_eq!(status.retry_after, 500 * MILLI);
    drop(second);
    // Its turn has come. It was not polled, and somebody else waits behind it.
    let mut fourth = Waiting::timed(&limiter, &timer, 1, 50 * MILLI).asleep();
    timer.advance(50 * MILLI);
    assert!(fourth.flag.take());
    let Poll::Ready(Err(status)) = fourth.poll() else {
        panic!("its time is over");
    };
    assert_eq!(status.limited_by, Some(LimitKind::Queue));
    assert!(third.flag.take() && matches!(third.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn resume_wakes_the_first() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.pause_for(60 * SECOND);
    let first = Waiting::at(&limiter, &timer, 1_000).asleep();
    let mut second = Waiting::at(&limiter, &timer, 1).asleep();
    limiter.resume();
    assert!(!second.flag.take());
    first.admitted().settle(1_000);
    assert!(second.flag.take() && second.poll().is_pending());
    timer.advance(MILLI);
    drop(second.admitted());
}

/// What comes back is there for the first in line at once, and not when it would have flowed in.
#[test]
fn tokens_that_come_back_wake_the_first() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let settled: fn(TokenPermit<'_, ManualClock>) = |permit| permit.settle(100);
    let cancelled: fn(TokenPermit<'_, ManualClock>) = |permit| assert!(permit.cancel());
    let dropped: fn(TokenPermit<'_, ManualClock>) = |_permit| ();
    for gives_back in [settled, cancelled, dropped] {
        limiter.resume();
        let permit = limiter.reserve_tokens(1_000).expect("all");
        let tokens = Waiting::at(&limiter, &timer, 900).asleep();
        gives_back(permit);
        drop(tokens.admitted());
        // Requests wait for tokens as well.
        let permit = limiter.reserve_tokens(900).expect("the rest");
        limiter.record_tokens(100);
        let mut plain = Box::pin(limiter.acquire_with(timer.clone()));
        let flag = Arc::default();
        assert!(poll(&mut plain, &flag).is_pending());
        permit.settle(0);
        assert!(flag.take() && poll(&mut plain, &flag).is_ready());
    }
    assert_eq!(clock.now(), Timestamp::ZERO);
}

/// A charge that is taken back is not of tokens: the first may wait for the request.
#[test]
fn a_request_that_is_taken_back_wakes_the_first() {
    use tidegate::Limiter as _;
    let clock = ManualClock::new();
    let config = RateLimitConfig {
        burst_size: 1,
        ..CONFIG
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let timer = ManualTimer::on(&clock);
    let charge = limiter.charge_at(1, clock.now()).expect("the first");
    let first = Waiting::at(&limiter, &timer, 1).asleep();
    limiter.undo(charge);
    drop(first.admitted());
}

const fn is_spawned<T: Future + Send + 'static>(_: &T) {}

#[test]
fn futures_are_send() {
    let timer = |_: Duration| core::future::ready(());
    let api = Arc::new(ApiRateLimiter::default());
    is_spawned(&async move {
        let permit = api.acquire_tokens_with(timer, 1).await.unwrap();
        let timeout = api.acquire_tokens_timeout_with(timer, 1, SECOND);
        drop((permit, timeout.await));
        #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
        drop((
            api.acquire_tokens(1).await,
            api.acquire_tokens_timeout(1, SECOND).await,
        ));
    });
}
