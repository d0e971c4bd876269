//! Requests that wait together with their tokens, in the line of the limiter of an API.

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
            other => panic!("{other:?}"),
        }
    }

    /// It was woken, and is admitted.
    fn admitted(mut self) -> TokenPermit<'a, ManualClock> {
        assert!(self.flag.take(), "it sleeps");
        match self.poll() {
            Poll::Ready(Ok(permit)) => permit,
            other => panic!("{other:?}"),
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
    for timeout in [Duration::ZERO, 500 * MILLI - Duration::from_nanos(1)] {
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
    assert_eq!(status.limited_by, Some(LimitKind::Line));
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

/// However it ends. Time alone wakes nobody, and nobody spins.
#[test]
fn who_waits_for_a_permit_is_woken_by_its_end() {
    let settled: fn(TokenPermit<'_, ManualClock>) = |permit| permit.settle(10);
    let cancelled: fn(TokenPermit<'_, ManualClock>) = |permit| _ = permit.cancel();
    let committed: fn(TokenPermit<'_, ManualClock>) = |mut permit| permit.commit();
    let dropped: fn(TokenPermit<'_, ManualClock>) = |_permit| ();
    for ends in [settled, cancelled, committed, dropped] {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let permit = limiter.reserve_tokens(10).expect("the first");
        let first = Waiting::at(&limiter, &timer, 10).asleep();
        let second = Waiting::at(&limiter, &timer, 10).asleep();
        timer.advance(3_600 * SECOND);
        assert_eq!(timer.made(), 0);
        assert!(!first.flag.take() && !second.flag.take());
        thread::scope(|scope| _ = scope.spawn(|| ends(permit)));
        let permit = first.admitted();
        // Its turn, and no permit.
        let second = {
            assert!(second.flag.take());
            second.asleep()
        };
        assert_eq!(limiter.stats().in_flight, 1);
        drop(permit);
        drop(second.admitted());
        assert_eq!((limiter.stats().in_flight, timer.made()), (0, 0));
    }
}

#[test]
fn a_deadline_ends_the_wait_for_a_permit() {
    let clock = ManualClock::new();
    let limiter = narrow(1, &clock);
    let timer = ManualTimer::on(&clock);
    let permit = limiter.reserve_tokens(10).expect("the first");
    let in_flight = |status: RateLimitStatus| {
        assert_eq!(status.limited_by, Some(LimitKind::InFlight));
        assert!(!status.is_permanent && status.retry_after.is_zero());
    };
    in_flight(Waiting::timed(&limiter, &timer, 10, Duration::ZERO).refusal());
    let mut first = Waiting::timed(&limiter, &timer, 10, SECOND).asleep();
    let mut second = Waiting::timed(&limiter, &timer, 10, SECOND).asleep();
    timer.advance(SECOND - MILLI);
    assert!(!first.flag.take() && !second.flag.take());
    timer.advance(MILLI);
    for late in [&mut second, &mut first] {
        assert!(late.flag.take());
        let Poll::Ready(Err(status)) = late.poll() else {
            panic!("its time is over");
        };
        in_flight(status);
    }
    // In time, and told of both.
    let mut in_time = Waiting::timed(&limiter, &timer, 10, SECOND);
    drop((first, second));
    assert!(in_time.poll().is_pending());
    timer.advance(SECOND);
    drop(permit);
    drop(in_time.admitted());
}

/// Requests that take no permit wait for none.
#[test]
fn plain_requests_do_not_wait_for_permits() {
    let clock = ManualClock::new();
    let limiter = narrow(1, &clock);
    let timer = ManualTimer::on(&clock);
    let _permit = limiter.reserve_tokens(10).expect("the first");
    let mut plain = Box::pin(limiter.acquire_with(timer.clone()));
    let status = poll(&mut plain, &Arc::default());
    assert!(matches!(status, Poll::Ready(status) if !status.is_limited));
}

/// How far the first is when somebody is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// It sleeps until its tokens are there.
    Asleep,
    /// They are, and it was not polled.
    Due,
    /// It is through, and the next was not polled.
    HandedOver,
    WaitsForPermit,
    ToldOfPermit,
    /// It was told of a permit, and found the tokens gone.
    TurnedAway,
}

const POINTS: [Point; 6] = [
    Point::Asleep,
    Point::Due,
    Point::HandedOver,
    Point::WaitsForPermit,
    Point::ToldOfPermit,
    Point::TurnedAway,
];

/// All others are served, in order, and nothing was charged for it.
#[test]
fn each_can_be_dropped_at_each_point() {
    for (point, dropped) in POINTS
        .into_iter()
        .flat_map(|point| (1..=4).map(move |n| (point, n)))
    {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let waits_for_tokens = matches!(point, Point::Asleep | Point::Due | Point::HandedOver);
        let mut held = None;
        if waits_for_tokens {
            limiter.record_tokens(1_000);
        } else {
            held = Some(limiter.reserve_tokens(1).expect("the first"));
        }
        let come = |n| Waiting::at(&limiter, &timer, n).asleep();
        let mut waiting: Vec<_> = (1..=4).map(come).collect();
        let mut used = limiter.stats().total_tokens_used;
        let mut requests = 0;
        match point {
            Point::Asleep | Point::WaitsForPermit => {}
            Point::Due => timer.advance(MILLI),
            Point::HandedOver => {
                timer.advance(MILLI);
                let Some(Poll::Ready((1, Ok(permit)))) = poll_woken(&mut waiting) else {
                    panic!("it is due");
                };
                permit.settle(1);
                (requests, used) = (1, used + 1);
            }
            Point::ToldOfPermit => drop(held.take()),
            Point::TurnedAway => {
                drop(held.take());
                limiter.record_tokens(1_000);
                used += 1_000;
                assert!(matches!(poll_woken(&mut waiting), Some(Poll::Pending)));
            }
        }
        waiting.retain(|waiting| waiting.estimate != dropped);
        drop(held);
        requests += waiting.len() as u64;
        used += waiting.iter().map(|waiting| waiting.estimate).sum::<u64>();
        let through = finish(&mut waiting, &timer);
        assert!(through.is_sorted(), "{point:?}, {dropped}: {through:?}");
        let stats = limiter.stats();
        let counted = (
            stats.total_requests,
            stats.total_tokens_used,
            stats.in_flight,
        );
        assert_eq!(counted, (requests, used, 0), "{point:?}, {dropped}");
    }
}

/// A future that was told of a permit and cannot use it passes it on to a thread.
#[test]
fn what_a_future_cannot_use_a_thread_gets() {
    let yield_often = || (0..20_000).for_each(|_| thread::yield_now());
    for is_dropped in [true, false] {
        let clock = ManualClock::new();
        let limiter = narrow(1, &clock);
        let timer = ManualTimer::on(&clock);
        let permit = limiter.reserve_tokens(10).expect("the first");
        let mut large = Waiting::at(&limiter, &timer, 900).asleep();
        thread::scope(|scope| {
            let small = scope.spawn(|| limiter.reserve_tokens_blocking(10).map(drop));
            yield_often();
            limiter.record_tokens(500);
            permit.settle(10);
            assert!(large.flag.take(), "the first that listens");
            if is_dropped {
                drop(large);
            } else {
                assert!(large.poll().is_pending(), "the tokens are gone");
            }
            // Else it sleeps for ever, as the clock stands still.
            assert_eq!(small.join().expect("no panic"), Ok(()));
        });
    }
}

/// Threads and futures, and few permits.
#[test]
fn threads_and_futures_hand_permits_to_each_other() {
    let clock = ManualClock::new();
    let limiter = narrow(2, &clock);
    let timer = ManualTimer::on(&clock);
    in_parallel(4, |number| {
        for _ in 0..2_000 {
            let permit = if number % 2 == 0 {
                limiter.reserve_tokens_blocking(1).expect("not permanent")
            } else {
                let mut call = core::pin::pin!(limiter.acquire_tokens_with(timer.clone(), 1));
                let waker = parked();
                let mut context = core::task::Context::from_waker(&waker);
                loop {
                    match call.as_mut().poll(&mut context) {
                        Poll::Ready(outcome) => break outcome.expect("not permanent"),
                        Poll::Pending => thread::park(),
                    }
                }
            };
            assert!(limiter.stats().in_flight <= 2);
            permit.settle(0);
        }
    });
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.in_flight), (8_000, 0));
}

mod storm {
    //! A hundred thousand operations of several threads.

    use core::sync::atomic::AtomicU64;
    use core::sync::atomic::Ordering::Relaxed;

    use super::*;

    const THREADS: usize = 4;
    const STEPS: u32 = 25_000;
    const MOST: u64 = 5;

    /// What the limiter must have counted.
    #[derive(Default)]
    struct Sums {
        requests: AtomicU64,
        tokens: AtomicU64,
    }

    /// Numbers that depend on the seed alone.
    struct Random(u64);

    impl Random {
        const fn below(&mut self, end: u64) -> u64 {
            let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = next.wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }

        fn of<T>(&mut self, list: &mut Vec<T>) -> T {
            let index = self.below(list.len() as u64);
            list.swap_remove(usize::try_from(index).expect("a length"))
        }
    }

    type Permit<'a> = TokenPermit<'a, ManualClock>;

    #[derive(Default)]
    struct Mine<'a> {
        waiting: Vec<Waiting<'a>>,
        permits: Vec<(u64, Permit<'a>)>,
    }

    struct Storm<'a> {
        limiter: &'a Limiter,
        timer: ManualTimer,
        sums: Sums,
    }

    impl<'a> Storm<'a> {
        /// Whoever came in time.
        fn take(&self, mine: &mut Mine<'a>, estimate: u64, outcome: Outcome<'a>) {
            assert!(self.limiter.stats().in_flight <= MOST);
            match outcome {
                Ok(permit) => mine.permits.push((estimate, permit)),
                Err(status) => assert_eq!(status.is_permanent, estimate > 1_000),
            }
        }

        fn end(&self, random: &mut Random, (estimate, mut permit): (u64, Permit<'a>)) {
            let way = random.below(4);
            let used = match way {
                0 => random.below(2 * estimate + 1),
                1 => 0,
                2 => estimate,
                _ => {
                    drop(permit);
                    return;
                }
            };
            self.sums.requests.fetch_add(1, Relaxed);
            self.sums.tokens.fetch_add(used, Relaxed);
            if way == 2 {
                permit.commit();
                assert!(!permit.cancel());
            } else {
                permit.settle(used);
            }
        }

        fn step(&self, random: &mut Random, mine: &mut Mine<'a>) {
            let estimate = match random.below(64) {
                0 => 1_001,
                other => 1 + other,
            };
            match random.below(32) {
                0..10 if mine.waiting.len() < 16 => {
                    let timeout = match random.below(3) {
                        0 => Duration::from_millis(random.below(300)),
                        _ => Duration::MAX,
                    };
                    let mut waiting = Waiting::timed(self.limiter, &self.timer, estimate, timeout);
                    match waiting.poll() {
                        Poll::Ready(outcome) => self.take(mine, estimate, outcome),
                        Poll::Pending => mine.waiting.push(waiting),
                    }
                }
                10..13 if !mine.waiting.is_empty() => drop(random.of(&mut mine.waiting)),
                // Woken or not.
                13..17 if !mine.waiting.is_empty() => {
                    let mut waiting = random.of(&mut mine.waiting);
                    match waiting.poll() {
                        Poll::Ready(outcome) => self.take(mine, waiting.estimate, outcome),
                        Poll::Pending => mine.waiting.push(waiting),
                    }
                }
                17 => self.take(mine, estimate, self.limiter.reserve_tokens(estimate)),
                18..21 => self.timer.advance(Duration::from_millis(random.below(30))),
                21..26 if !mine.permits.is_empty() => {
                    let permit = random.of(&mut mine.permits);
                    self.end(random, permit);
                }
                26 if random.below(8) == 0 => self.limiter.resume(),
                26 if random.below(8) == 0 => self.limiter.pause_for(20 * MILLI),
                _ => {
                    if let Some(Poll::Ready((estimate, outcome))) = poll_woken(&mut mine.waiting) {
                        self.take(mine, estimate, outcome);
                    }
                }
            }
        }
    }

    /// In the end all who are left are polled *when they are woken and at no other time*: nobody may be left asleep.
    #[test]
    fn counts_exactly_and_leaves_nobody_asleep() {
        let clock = ManualClock::new();
        let limiter = narrow(MOST, &clock);
        let storm = Storm {
            limiter: &limiter,
            timer: ManualTimer::on(&clock),
            sums: Sums::default(),
        };
        let left = in_parallel(THREADS, |thread| {
            let mut random = Random(thread as u64);
            let mut mine = Mine::default();
            for _ in 0..STEPS {
                storm.step(&mut random, &mut mine);
            }
            mine
        });
        let mut rest = Mine::default();
        for mine in left {
            rest.waiting.extend(mine.waiting);
            rest.permits.extend(mine.permits);
        }
        let mut random = Random(7);
        while !rest.waiting.is_empty() || !rest.permits.is_empty() {
            if let Some(outcome) = poll_woken(&mut rest.waiting) {
                if let Poll::Ready((estimate, outcome)) = outcome {
                    storm.take(&mut rest, estimate, outcome);
                }
            } else if let Some(permit) = rest.permits.pop() {
                storm.end(&mut random, permit);
            } else {
                let goes_on = storm.timer.advance_to_next();
                assert!(goes_on, "{} sleep for ever", rest.waiting.len());
            }
        }
        let stats = limiter.stats();
        let (requests, tokens) = (storm.sums.requests, storm.sums.tokens);
        assert_eq!(stats.total_requests, requests.into_inner());
        assert_eq!(stats.total_tokens_used, tokens.into_inner());
        assert_eq!(stats.in_flight, 0);
        assert!(stats.total_requests > 1_000, "{stats:?}");
        // Nobody is in line any more, and everything comes back.
        clock.advance(86_400 * SECOND);
        assert_eq!(limiter.stats().tokens_remaining_minute, 1_000);
        let first = Waiting::at(&limiter, &storm.timer, 1_000).poll();
        assert!(matches!(first, Poll::Ready(Ok(_))));
    }
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    use tidegate::TokioClock;
    use tokio::task::JoinSet;

    use super::*;

    /// One permit, a thousand tasks, and several threads to run them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_permit_is_handed_through_a_thousand_tasks() {
        let clock = ManualClock::new();
        let limiter = Arc::new(narrow(1, &clock));
        let inside = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..1_000_u64 {
            let (limiter, inside) = (Arc::clone(&limiter), Arc::clone(&inside));
            tasks.spawn(async move {
                let mut permit = limiter.acquire_tokens(1).await.unwrap();
                assert_eq!(inside.fetch_add(1, Relaxed), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Relaxed);
                match number % 3 {
                    0 => permit.settle(0),
                    1 => drop(permit),
                    _ => {
                        permit.commit();
                        permit.settle(0);
                    }
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let stats = limiter.stats();
        assert_eq!((stats.in_flight, stats.total_requests), (0, 667));
    }

    /// In order, 10 tokens each, a hundred seconds in no time.
    #[tokio::test(start_paused = true)]
    async fn ten_thousand_in_order() {
        let api = ApiRateLimiter::with_clock(CONFIG, TokioClock::new()).unwrap();
        api.record_tokens(1_000);
        let api = Arc::new(api);
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..10_000_u32 {
            let (api, served) = (Arc::clone(&api), Arc::clone(&served));
            tasks.spawn(async move {
                let permit = api.acquire_tokens(10).await.unwrap();
                assert_eq!(
                    permit.admitted_at(),
                    Timestamp::ZERO + 10 * MILLI * (number + 1)
                );
                served.lock().unwrap().push(number);
                permit.settle(10);
            });
            // So that they come in this order.
            tokio::task::yield_now().await;
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert!(served.lock().unwrap().iter().copied().eq(0..10_000));
        assert_eq!(api.stats().total_tokens_used, 101_000);
    }

    #[tokio::test(start_paused = true)]
    async fn timeouts_in_paused_time() {
        let config = RateLimitConfig {
            max_in_flight: Some(1),
            ..CONFIG
        };
        let api = ApiRateLimiter::with_clock(config, TokioClock::new()).unwrap();
        let permit = api.acquire_tokens(1_000).await.unwrap();
        let status = api
            .acquire_tokens_timeout(500, 499 * MILLI)
            .await
            .unwrap_err();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(api.clock().now(), Timestamp::ZERO);
        // First for the tokens, and then for the permit.
        let status = api.acquire_tokens_timeout(500, SECOND).await.unwrap_err();
        assert_eq!(status.limited_by, Some(LimitKind::InFlight));
        assert!(api.clock().now() >= Timestamp::ZERO + SECOND);
        permit.settle(1_000);
        drop(api.acquire_tokens_timeout(500, SECOND).await.unwrap());
    }
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
