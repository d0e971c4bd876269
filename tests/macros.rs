//! The attribute `#[rate_limited]`. Limited calls use a clock that `on_limited` advances, so they
//! do not sleep.
#![cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]

extern crate alloc;

use alloc::sync::Arc;
use core::cell::Cell;
use core::fmt::Display;
use core::future::Future;
use core::num::ParseIntError;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use std::sync::LazyLock;
use std::thread;

use tidegate::{
    ApiRateLimiter, Clock, ManualClock, RateLimitConfig, RateLimitStatus, get_rate_limiter,
    rate_limited,
};

type Manual = ApiRateLimiter<ManualClock>;

fn limiter(burst_size: u64) -> Manual {
    let config = RateLimitConfig {
        burst_size,
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, ManualClock::new()).expect("a valid configuration")
}

fn calls<C: Clock>(limiter: &ApiRateLimiter<C>) -> u64 {
    limiter.stats().total_requests
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

#[test]
fn functions_with_any_number_of_arguments() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));

    #[rate_limited(LIMITER)]
    fn none() {}

    #[rate_limited(LIMITER)]
    fn one(text: &str) -> &str {
        text.trim()
    }

    #[rate_limited(LIMITER)]
    fn several(mut list: Vec<u32>, (a, b): (u32, u32), [c, ..]: [u32; 3], _: ()) -> Vec<u32> {
        list.extend([a, b, c]);
        list
    }

    none();
    assert_eq!(one(" tide "), "tide");
    assert_eq!(several(vec![1], (2, 3), [4, 5, 6], ()), [1, 2, 3, 4]);
    assert_eq!(calls(&LIMITER), 3);
}

#[test]
fn all_parts_of_a_function_are_kept() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));

    /// Has generics, lifetimes, bounds, a constant parameter, and attributes on both sides.
    #[inline]
    #[rate_limited(LIMITER)]
    #[must_use]
    fn generic<'a, T, const N: usize>(first: &'a T, _: [u8; N]) -> (&'a T, String, usize)
    where
        T: Display + ?Sized + 'a,
    {
        (first, first.to_string(), N)
    }

    #[rate_limited(LIMITER)]
    fn hidden(words: &[&str]) -> impl Iterator<Item = usize> {
        #![allow(clippy::needless_collect, reason = "an inner attribute")]
        let lengths: Vec<usize> = words.iter().map(|word| word.len()).collect();
        lengths.into_iter()
    }

    #[rate_limited(LIMITER)]
    extern "C" fn foreign(x: i32) -> i32 {
        x + 1
    }

    #[rate_limited(LIMITER)]
    fn items_first() -> u32 {
        const ONE: u32 = 1;
        fn two() -> u32 {
            2
        }
        ONE + two()
    }

    #[rate_limited(LIMITER)]
    fn never() -> ! {
        panic!("out at sea");
    }

    assert_eq!(generic("7", [1, 2]), ("7", "7".into(), 2));
    assert_eq!(hidden(&["ebb", "flow"]).sum::<usize>(), 7);
    let foreign: extern "C" fn(i32) -> i32 = foreign;
    assert_eq!(foreign(1), 2);
    assert_eq!(items_first(), 3);
    assert!(thread::spawn(|| never()).join().is_err());
    assert_eq!(calls(&LIMITER), 5);
}

#[test]
fn body_may_return_early() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));

    #[rate_limited(LIMITER)]
    fn parse(text: &str) -> Result<u32, ParseIntError> {
        if text.is_empty() {
            return Ok(0);
        }
        let number: u32 = text.parse()?;
        Ok(number + 1)
    }

    #[rate_limited(LIMITER)]
    async fn parse_later(text: &str) -> Result<u32, ParseIntError> {
        if text.is_empty() {
            return Ok(0);
        }
        let number: u32 = text.parse()?;
        Ok(number + 1)
    }

    assert_eq!(parse(""), Ok(0));
    assert_eq!(parse("41"), Ok(42));
    assert!(parse("x").is_err());
    assert_eq!(block_on(parse_later("")), Ok(0));
    assert_eq!(block_on(parse_later("41")), Ok(42));
    assert!(block_on(parse_later("x")).is_err());
    assert_eq!(calls(&LIMITER), 6);
}

struct Client {
    limiter: Manual,
    sent: u32,
}

impl Client {
    const LIMITER: &'static LazyLock<Manual> = {
        static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));
        &LIMITER
    };

    fn new() -> Self {
        Self {
            limiter: limiter(10),
            sent: 0,
        }
    }

    #[rate_limited(Self::LIMITER)]
    fn connect() -> Self {
        Self::new()
    }

    #[rate_limited(self.limiter)]
    pub(crate) fn peek(&self) -> u32 {
        self.sent
    }

    #[rate_limited(self.limiter)]
    fn send(&mut self, n: u32) -> u32 {
        self.sent += n;
        self.sent
    }

    #[rate_limited(self.limiter)]
    async fn send_later(&mut self, n: u32) -> u32 {
        self.sent += n;
        self.sent
    }

    #[rate_limited(self.limiter)]
    fn shared(self: Arc<Self>) -> u64 {
        calls(&self.limiter)
    }

    #[rate_limited(self.limiter)]
    fn close(self) -> u64 {
        calls(&self.limiter)
    }
}

#[test]
fn methods_use_the_limiter_in_self() {
    let mut client = Client::connect();
    assert_eq!(calls(Client::LIMITER), 1);
    assert_eq!(client.send(2), 2);
    assert_eq!(block_on(client.send_later(3)), 5);
    assert_eq!(client.peek(), 5);
    assert_eq!(client.close(), 4);
    assert_eq!(Arc::new(Client::new()).shared(), 1);
}

trait Ask {
    fn limiter(&self) -> &Manual;

    fn ask(&self, question: &str) -> usize;

    #[rate_limited(self.limiter())]
    fn ask_twice(&self, question: &str) -> usize {
        2 * self.ask(question)
    }
}

impl Ask for Client {
    fn limiter(&self) -> &Manual {
        &self.limiter
    }

    #[rate_limited(self.limiter)]
    fn ask(&self, question: &str) -> usize {
        question.len()
    }
}

trait AskLater {
    fn ask(&self, question: &str) -> impl Future<Output = usize> + Send;
}

impl AskLater for Client {
    #[rate_limited(self.limiter)]
    async fn ask(&self, question: &str) -> usize {
        question.len()
    }
}

#[test]
fn trait_methods_are_limited() {
    let client = Client::new();
    assert_eq!(Ask::ask(&client, "why?"), 4);
    assert_eq!(client.ask_twice("why?"), 8);
    assert_eq!(block_on(AskLater::ask(&client, "why?")), 4);
    assert_eq!(calls(&client.limiter), 4);
}

#[test]
fn limiter_is_any_expression_that_dereferences_to_one() {
    #[rate_limited(limiter)]
    fn owned(limiter: Manual) -> Manual {
        limiter
    }

    #[rate_limited(limiter)]
    fn borrowed(limiter: &mut &Manual) -> u64 {
        calls(limiter)
    }

    #[rate_limited(*limiter)]
    fn dereferenced(limiter: &Manual) -> u64 {
        calls(limiter)
    }

    #[rate_limited(limiter)]
    fn counted(limiter: Arc<Manual>) -> Arc<Manual> {
        limiter
    }

    #[rate_limited(limiter)]
    fn generic<L: Deref<Target = ApiRateLimiter<C>>, C: Clock>(limiter: L) -> u64 {
        calls(&limiter)
    }

    #[rate_limited(if first { pair.0 } else { pair.1 })]
    fn chosen(pair: (&Manual, &Manual), first: bool) -> (u64, u64) {
        (calls(pair.0), calls(pair.1))
    }

    #[rate_limited(get_rate_limiter())]
    fn global() -> u64 {
        calls(&get_rate_limiter())
    }

    assert_eq!(calls(&owned(limiter(5))), 1);
    assert_eq!(borrowed(&mut &limiter(5)), 1);
    assert_eq!(dereferenced(&limiter(5)), 1);
    assert_eq!(calls(&counted(Arc::new(limiter(5)))), 1);
    assert_eq!(generic(&limiter(5)), 1);
    assert_eq!(generic(Box::new(limiter(5))), 1);
    assert_eq!(chosen((&limiter(5), &limiter(5)), false), (0, 1));
    assert!(global() >= 1);
}

#[test]
fn function_waits_for_two_limiters() {
    #[rate_limited(upper, on_limited = |status| {
        assert_eq!(calls(lower), 2);
        upper.clock().advance(status.wait_time());
    })]
    #[rate_limited(lower, on_limited = |status| {
        assert_eq!(calls(upper), 1);
        lower.clock().advance(status.wait_time());
    })]
    fn both(upper: &Manual, lower: &Manual) {}

    let (upper, lower) = (limiter(1), limiter(1));
    both(&upper, &lower);
    both(&upper, &lower);
    assert_eq!((calls(&upper), calls(&lower)), (2, 2));
}

#[test]
fn on_limited_is_called_before_each_wait() {
    static TIDE: LazyLock<(Manual, ManualClock)> = LazyLock::new(|| {
        let limiter = limiter(1);
        let clock = limiter.clock().clone();
        (limiter, clock)
    });
    static WAITS: AtomicU32 = AtomicU32::new(0);

    fn advance(status: &RateLimitStatus) {
        assert!(status.is_limited);
        WAITS.fetch_add(1, Relaxed);
        TIDE.1.advance(status.wait_time());
    }

    #[rate_limited(TIDE.0, on_limited = advance)]
    fn path(n: u32) -> u32 {
        n
    }

    #[rate_limited(TIDE.0, on_limited = |status| advance(status))]
    fn closure(n: u32) -> u32 {
        n
    }

    /// The closure borrows an argument, and the body moves it.
    #[rate_limited(TIDE.0, on_limited = |status: &RateLimitStatus| {
        seen.set(seen.get() + 1);
        advance(status);
    })]
    fn with_arguments(seen: Cell<u32>) -> u32 {
        seen.into_inner()
    }

    assert_eq!(path(1), 1);
    assert_eq!(WAITS.load(Relaxed), 0);
    assert_eq!(path(2), 2);
    assert_eq!(closure(3), 3);
    assert_eq!(with_arguments(Cell::new(0)), 1);
    assert_eq!(WAITS.load(Relaxed), 3);
    assert_eq!(calls(&TIDE.0), 4);
}

#[test]
fn blocked_call_sleeps_until_it_is_admitted() {
    #[rate_limited(limiter)]
    fn pass(limiter: &Manual) {}

    let limiter = limiter(1);
    thread::scope(|scope| {
        pass(&limiter);
        let second = scope.spawn(|| pass(&limiter));
        while !second.is_finished() {
            limiter.clock().advance(Duration::from_millis(100));
            thread::yield_now();
        }
    });
    assert_eq!(calls(&limiter), 2);
    assert!(limiter.clock().now().as_nanos() >= 1_200_000_000);
}

#[test]
fn async_fn_waits_when_awaited() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(1));
    static WAITS: AtomicU32 = AtomicU32::new(0);

    #[rate_limited(LIMITER, on_limited = |status| {
        WAITS.fetch_add(1, Relaxed);
        LIMITER.clock().advance(status.wait_time());
    })]
    async fn later(n: u32) -> u32 {
        n
    }

    const fn is_send<T: Send>(future: T) -> T {
        future
    }

    assert!(!LIMITER.try_acquire().is_limited);
    let future = is_send(later(7));
    assert_eq!((calls(&LIMITER), WAITS.load(Relaxed)), (1, 0));
    assert_eq!(block_on(future), 7);
    assert_eq!((calls(&LIMITER), WAITS.load(Relaxed)), (2, 1));
    assert_eq!(LIMITER.clock().now().as_nanos(), 1_200_000_000);
}

#[test]
fn future_dropped_during_its_wait_is_not_charged() {
    #[rate_limited(limiter)]
    async fn later(limiter: &Manual) {}

    let limiter = limiter(1);
    limiter.pause_for(Duration::from_secs(60));
    let given_up = block_on(async { tokio::time::timeout(Duration::ZERO, later(&limiter)).await });
    assert!(given_up.is_err());
    limiter.clock().advance(Duration::from_secs(60));
    assert!(!limiter.check().is_limited);
    assert_eq!(calls(&limiter), 0);
}

#[test]
fn fn_that_returns_a_future_waits_when_called() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(1));

    #[rate_limited(LIMITER)]
    fn later(n: u32) -> impl Future<Output = u32> {
        async move { n }
    }

    let future = later(7);
    assert_eq!(calls(&LIMITER), 1);
    assert_eq!(block_on(future), 7);
    assert_eq!(calls(&LIMITER), 1);
}

#[test]
fn user_names_do_not_clash() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));

    mod elsewhere {
        pub(super) mod tide {
            pub(crate) use tidegate::*;
        }
    }

    mod tidegate {}

    trait Between {
        fn pass_blocking(&self, _: u8) {}
    }
    impl<T> Between for T {}

    #[rate_limited(LIMITER)]
    fn shadows(limiter: u8, on_limited: u8, status: u8) -> u8 {
        LIMITER.pass_blocking(1);
        limiter + on_limited + status
    }

    #[rate_limited(LIMITER, crate = elsewhere::tide, on_limited = |_| ())]
    fn renamed() {}

    assert_eq!(shadows(1, 2, 3), 6);
    renamed();
    assert_eq!(calls(&LIMITER), 2);
}

#[test]
fn attribute_works_inside_macros() {
    static LIMITER: LazyLock<Manual> = LazyLock::new(|| limiter(10));

    macro_rules! limited {
        (
            $(#[$attribute:meta])*
            $visibility:vis $name:ident($argument:ident: $type:ty) $body:block, $by:expr
        ) => {
            #[rate_limited($by)]
            $(#[$attribute])*
            $visibility fn $name($argument: $type) -> $type $body
        };
    }

    macro_rules! whole {
        ($function:item) => {
            #[rate_limited(LIMITER)]
            $function
        };
    }

    limited! {
        /// Documented.
        pub(crate) double(x: u32) { x * 2 }, &*LIMITER
    }
    whole! {
        fn triple(x: u32) -> u32 { x * 3 }
    }

    assert_eq!(double(2), 4);
    assert_eq!(triple(2), 6);
    assert_eq!(calls(&LIMITER), 2);
}

/// The attribute and the function have the same name, in two namespaces.
#[test]
fn attribute_and_function_coexist() {
    #[rate_limited(limiter)]
    fn attribute(limiter: &Manual) {}

    let limiter = limiter(10);
    attribute(&limiter);
    rate_limited(&limiter, |()| ()).call(());
    assert_eq!(calls(&limiter), 2);
}
