//! Futures that are polled only when they were woken. A waiter that is never woken waits forever,
//! and the test fails.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::thread;

use tidegate::{
    Acquire, ApiRateLimiter, Clock, Combined, Denied, ManualClock, ShardedTokenBucket,
    SlidingWindow, Timer, TokenBucket,
};

use crate::manual_timer::ManualTimer;

/// A waker that records that it was woken.
#[derive(Debug, Default)]
pub(crate) struct WakeFlag(AtomicBool);

impl WakeFlag {
    /// Returns whether it was woken since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, SeqCst)
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Returns a waker that unparks the calling thread.
pub(crate) fn unpark_waker() -> Waker {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Parks the thread until the future is ready. Polls only after a wake-up.
pub(crate) fn park_on<F: Future>(future: F, waker: &Waker) -> F::Output {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A boxed future and the waker of its polls.
pub(crate) struct Waiter<'a, O> {
    /// What the future asks for: permits, or tokens.
    pub(crate) n: u64,
    future: Pin<Box<dyn Future<Output = O> + Send + 'a>>,
    flag: Arc<WakeFlag>,
}

impl<'a, O> Waiter<'a, O> {
    pub(crate) fn new(n: u64, future: impl Future<Output = O> + Send + 'a) -> Self {
        Self {
            n,
            future: Box::pin(future),
            flag: Arc::default(),
        }
    }

    /// Returns whether the waiter was woken since the last call.
    pub(crate) fn take_wake_up(&self) -> bool {
        self.flag.take()
    }

    pub(crate) fn poll(&mut self) -> Poll<O> {
        self.poll_with(&Arc::clone(&self.flag))
    }

    /// Polls with another waker.
    pub(crate) fn poll_with<W>(&mut self, waker: &Arc<W>) -> Poll<O>
    where
        W: Wake + Send + Sync + 'static,
    {
        let waker = Waker::from(Arc::clone(waker));
        let mut context = Context::from_waker(&waker);
        self.future.as_mut().poll(&mut context)
    }

    /// Polls, and asserts that the waiter has to wait.
    pub(crate) fn pending(mut self) -> Self {
        assert!(self.poll().is_pending(), "{} is ready", self.n);
        self
    }

    /// Asserts that the waiter was woken and still has to wait.
    pub(crate) fn woken_in_vain(self) -> Self {
        assert!(self.take_wake_up(), "{} was not woken", self.n);
        self.pending()
    }

    /// Asserts that the waiter was woken and is ready.
    pub(crate) fn woken_output(mut self) -> O {
        assert!(self.take_wake_up(), "{} was not woken", self.n);
        self.ready()
    }

    /// Polls, and asserts that the output is ready.
    pub(crate) fn ready(&mut self) -> O {
        let Poll::Ready(output) = self.poll() else {
            unreachable!("{} has to wait", self.n);
        };
        output
    }

    /// Polls the first waiter that was woken, and removes it if it is ready. `None` if no waiter
    /// was woken.
    pub(crate) fn poll_woken(waiters: &mut Vec<Self>) -> Option<Poll<(Self, O)>> {
        let index = waiters.iter().position(Self::take_wake_up)?;
        let outcome = waiters[index].poll();
        Some(outcome.map(|output| (waiters.remove(index), output)))
    }
}

pub(crate) type Outcome = Result<(), Denied>;
pub(crate) type PermitWaiter<'a> = Waiter<'a, Outcome>;

/// A limiter at which tests wait. All waits of these tests begin here, except where a test is about
/// a particular method.
pub(crate) trait WaitFor: Sync {
    /// Returns a future that waits for `n` permits.
    fn wait_for<'a, T>(&'a self, timer: T, n: u64, timeout: Duration) -> PermitWaiter<'a>
    where
        T: Timer<Sleep: Send> + Send + 'a;

    /// Blocks the thread until it has `n` permits.
    fn block_for(&self, n: u64, timeout: Duration) -> Outcome;

    /// Returns the number of waiters.
    fn waiters(&self) -> u64;
}

macro_rules! wait_by {
    ($([$($generics:tt)*] $limiter:ty: |$this:ident, $n:ident| $acquire:expr;)*) => {$(
        impl<$($generics)*> WaitFor for $limiter {
            fn wait_for<'a, T>(&'a self, timer: T, n: u64, timeout: Duration) -> PermitWaiter<'a>
            where
                T: Timer<Sleep: Send> + Send + 'a,
            {
                let ($this, $n) = (self, n);
                Waiter::new(n, $acquire.timeout(timeout).timer(timer))
            }

            fn block_for(&self, n: u64, timeout: Duration) -> Outcome {
                let ($this, $n) = (self, n);
                $acquire.timeout(timeout).wait()
            }

            fn waiters(&self) -> u64 {
                self.waiting()
            }
        }
    )*};
}
wait_by! {
    [C: Clock + Send + Sync] TokenBucket<C>: |this, n| this.acquire(n);
    [C: Clock + Send + Sync] ShardedTokenBucket<C>: |this, n| this.acquire(n);
    [C: Clock + Send + Sync] SlidingWindow<C>: |this, n| this.acquire(n);
    [C: Clock + Send + Sync] Combined<C>: |this, n| this.acquire(n);
    [C: Clock + Send + Sync] ApiRateLimiter<C>: |this, n| Acquire::new(this, n);
    // The waits own a share.
    [C: Clock + Send + Sync] Arc<TokenBucket<C>>: |this, n| Acquire::new(Arc::clone(this), n);
    [C: Clock + Send + Sync] Arc<SlidingWindow<C>>: |this, n| Acquire::new(Arc::clone(this), n);
}

/// The waiters of one limiter, numbered in order of arrival.
pub(crate) struct Waiters<'a, L> {
    limiter: &'a L,
    pub(crate) timer: ManualTimer,
    waiting: Vec<(usize, PermitWaiter<'a>)>,
    joined: usize,
    outcomes: Vec<(usize, Outcome)>,
}

impl<'a, L: WaitFor> Waiters<'a, L> {
    pub(crate) fn at(limiter: &'a L, clock: &ManualClock) -> Self {
        Self {
            limiter,
            timer: ManualTimer::on(clock),
            waiting: Vec::new(),
            joined: 0,
            outcomes: Vec::new(),
        }
    }

    /// Adds a waiter, polls it once and returns its number.
    pub(crate) fn join(&mut self, n: u64) -> usize {
        self.join_for(n, Duration::MAX)
    }

    /// Adds a waiter with a timeout, polls it once and returns its number.
    pub(crate) fn join_for(&mut self, n: u64, timeout: Duration) -> usize {
        let number = self.joined;
        self.joined += 1;
        let mut waiter = self.limiter.wait_for(self.timer.clone(), n, timeout);
        match waiter.poll() {
            Poll::Ready(outcome) => self.outcomes.push((number, outcome)),
            Poll::Pending => self.waiting.push((number, waiter)),
        }
        number
    }

    /// Adds `count` waiters for one permit each.
    pub(crate) fn join_all(&mut self, count: usize) {
        (0..count).for_each(|_| _ = self.join(1));
    }

    /// Polls the oldest waiter that was woken. Returns false if no waiter was woken.
    pub(crate) fn poll_one_woken(&mut self) -> bool {
        let mut waiting = self.waiting.iter();
        let Some(index) = waiting.position(|(_, waiter)| waiter.take_wake_up()) else {
            return false;
        };
        if let Poll::Ready(outcome) = self.waiting[index].1.poll() {
            let (number, _) = self.waiting.remove(index);
            self.outcomes.push((number, outcome));
        }
        true
    }

    /// Polls woken waiters until none is woken.
    pub(crate) fn poll_woken(&mut self) {
        while self.poll_one_woken() {}
    }

    /// Advances the time and polls woken waiters.
    pub(crate) fn advance(&mut self, time: Duration) {
        self.timer.advance(time);
        self.poll_woken();
    }

    /// Advances from one deadline to the next until no waiter is left.
    pub(crate) fn finish(&mut self) {
        self.poll_woken();
        while !self.waiting.is_empty() {
            let advanced = self.timer.advance_to_next();
            assert!(advanced, "{} wait forever", self.waiting.len());
            self.poll_woken();
        }
    }

    fn remove(&mut self, number: usize) -> PermitWaiter<'a> {
        let mut waiting = self.waiting.iter();
        let index = waiting.position(|(other, _)| *other == number);
        self.waiting.remove(index.expect("it waits")).1
    }

    pub(crate) fn drop_waiter(&mut self, number: usize) {
        drop(self.remove(number));
    }

    /// Leaks a waiter: it is neither polled nor dropped again.
    pub(crate) fn forget(&mut self, number: usize) {
        core::mem::forget(self.remove(number));
    }

    /// Returns the waiters admitted since the last call, in order. None may have been refused.
    pub(crate) fn admitted(&mut self) -> Vec<usize> {
        let admitted = |(number, outcome)| {
            assert_eq!(outcome, Ok(()), "{number}");
            number
        };
        self.outcomes().into_iter().map(admitted).collect()
    }

    /// Returns the outcomes since the last call, in order.
    pub(crate) fn outcomes(&mut self) -> Vec<(usize, Outcome)> {
        core::mem::take(&mut self.outcomes)
    }

    /// Returns the numbers of the waiters that are left.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        self.waiting.iter().map(|(number, _)| *number).collect()
    }
}
