//! Futures on a manual clock, polled when they were woken and at no other time: whoever is not woken sleeps for ever, and the test
//! sees it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use tidegate::{
    Acquire, Awaitable, Clock, Combined, Denied, ManualClock, SlidingWindow, Timer, Timestamp,
    TokenBucket,
};

/// A timer on a manual clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManualTimer {
    clock: ManualClock,
    sleepers: Arc<Mutex<Sleepers>>,
}

#[derive(Debug, Default)]
struct Sleepers {
    next: u64,
    made: u64,
    asleep: BTreeMap<u64, (Timestamp, Waker)>,
}

#[derive(Debug)]
pub(crate) struct ManualSleep {
    timer: ManualTimer,
    id: u64,
    until: Timestamp,
}

impl ManualTimer {
    pub(crate) fn on(clock: &ManualClock) -> Self {
        Self {
            clock: clock.clone(),
            sleepers: Arc::default(),
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().expect("no panic while it is held")
    }

    /// Moves the time on, and wakes whoever is due.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        let mut sleepers = self.sleepers();
        let mut due = Vec::new();
        sleepers.asleep.retain(|_, (until, waker)| {
            let stays = *until > now;
            if !stays {
                due.push(waker.clone());
            }
            stays
        });
        drop(sleepers);
        due.into_iter().for_each(Waker::wake);
    }

    /// How many sleep, and how many sleeps were begun.
    pub(crate) fn asleep(&self) -> usize {
        self.sleepers().asleep.len()
    }

    pub(crate) fn made(&self) -> u64 {
        self.sleepers().made
    }

    /// Moves on to the next awakening; not if nobody sleeps.
    pub(crate) fn advance_to_next(&self) -> bool {
        let next = {
            let sleepers = self.sleepers();
            sleepers.asleep.values().map(|(until, _)| *until).min()
        };
        if let Some(next) = next {
            self.advance(next - self.clock.now());
        }
        next.is_some()
    }
}

impl Timer for ManualTimer {
    type Sleep = ManualSleep;

    fn sleep(&self, duration: Duration) -> ManualSleep {
        let mut sleepers = self.sleepers();
        sleepers.next += 1;
        sleepers.made += 1;
        ManualSleep {
            timer: self.clone(),
            id: sleepers.next,
            until: self.clock.now() + duration,
        }
    }
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleepers = self.timer.sleepers();
        // Looked at under the lock, which `advance` takes after it has moved the time.
        if self.timer.clock.now() >= self.until {
            sleepers.asleep.remove(&self.id);
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        sleepers.asleep.insert(self.id, (self.until, waker));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.timer.sleepers().asleep.remove(&self.id);
    }
}

/// A waker that notes that it was woken.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Wakes the thread that made it.
pub(crate) fn parked() -> Waker {
    struct Parked(std::thread::Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Parked(std::thread::current())))
}

/// Polls once with that waker.
pub(crate) fn poll<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    flag: &Arc<Flag>,
) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(flag));
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

/// Somebody who waits for so many permits.
pub(crate) struct Waiter<'a> {
    pub(crate) number: usize,
    pub(crate) n: u64,
    future: Waiting<'a>,
    flag: Arc<Flag>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(number: usize, n: u64, future: Waiting<'a>) -> Self {
        let flag = Arc::default();
        Self {
            number,
            n,
            future,
            flag,
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<Result<(), Denied>> {
        poll(&mut self.future, &self.flag)
    }

    /// Polls the first that was woken, and takes it out if it is done; `None` if none was woken.
    pub(crate) fn poll_woken(waiting: &mut Vec<Self>) -> Option<Poll<(Self, Result<(), Denied>)>> {
        let index = waiting.iter().position(|waiter| waiter.flag.take())?;
        Some(
            waiting[index]
                .poll()
                .map(|outcome| (waiting.remove(index), outcome)),
        )
    }
}

pub(crate) type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(), Denied>> + Send + 'a>>;

/// Whatever has waits.
pub(crate) trait Waits: Sync {
    fn wait<'a, T>(&'a self, timer: T, n: u64, timeout: Duration) -> Waiting<'a>
    where
        T: Timer<Sleep: Send> + Send + 'a;
}

macro_rules! waits {
    ($($limiter:ident),*) => {$(
        impl<C: Clock + Send + Sync> Waits for $limiter<C> {
            fn wait<'a, T>(&'a self, timer: T, n: u64, timeout: Duration) -> Waiting<'a>
            where
                T: Timer<Sleep: Send> + Send + 'a,
            {
                Box::pin(self.acquire_timeout_with(timer, n, timeout))
            }
        }
    )*};
}
waits!(TokenBucket, SlidingWindow, Combined);

/// Futures that own their limiters.
impl<L: Awaitable + Send + Sync> Waits for Arc<L> {
    fn wait<'a, T>(&'a self, timer: T, n: u64, timeout: Duration) -> Waiting<'a>
    where
        T: Timer<Sleep: Send> + Send + 'a,
    {
        Box::pin(Acquire::new(Arc::clone(self), timer, n, timeout))
    }
}

/// Waiters in order of arrival, by number.
pub(crate) struct Crowd<'a, L> {
    limiter: &'a L,
    pub(crate) timer: ManualTimer,
    waiting: Vec<Waiter<'a>>,
    next: usize,
    done: Vec<(usize, Result<(), Denied>)>,
}

impl<'a, L: Waits> Crowd<'a, L> {
    pub(crate) fn at(limiter: &'a L, clock: &ManualClock) -> Self {
        Self {
            limiter,
            timer: ManualTimer::on(clock),
            waiting: Vec::new(),
            next: 0,
            done: Vec::new(),
        }
    }

    /// Somebody comes, and is polled for the first time.
    pub(crate) fn come(&mut self, n: u64) -> usize {
        self.come_for(n, Duration::MAX)
    }

    pub(crate) fn come_for(&mut self, n: u64, timeout: Duration) -> usize {
        let number = self.next;
        self.next += 1;
        let future = self.limiter.wait(self.timer.clone(), n, timeout);
        let mut waiter = Waiter::new(number, n, future);
        match waiter.poll() {
            Poll::Ready(outcome) => self.done.push((number, outcome)),
            Poll::Pending => self.waiting.push(waiter),
        }
        number
    }

    /// Polls one of those who were woken: the first who came. False if there is none.
    pub(crate) fn settle_one(&mut self) -> bool {
        match Waiter::poll_woken(&mut self.waiting) {
            None => return false,
            Some(Poll::Pending) => {}
            Some(Poll::Ready((waiter, outcome))) => self.done.push((waiter.number, outcome)),
        }
        true
    }

    /// Polls whoever was woken, until nobody is.
    pub(crate) fn settle(&mut self) {
        while self.settle_one() {}
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        self.timer.advance(time);
        self.settle();
    }

    /// Moves on from awakening to awakening until nobody waits.
    pub(crate) fn finish(&mut self) {
        self.settle();
        while !self.waiting.is_empty() {
            let goes_on = self.timer.advance_to_next();
            assert!(goes_on, "{} sleep for ever", self.waiting.len());
            self.settle();
        }
    }

    fn take(&mut self, number: usize) -> Waiter<'a> {
        let mut waiters = self.waiting.iter();
        let index = waiters.position(|waiter| waiter.number == number);
        self.waiting.remove(index.expect("it waits"))
    }

    /// Somebody leaves.
    pub(crate) fn drop(&mut self, number: usize) {
        core::mem::drop(self.take(number));
    }

    /// Somebody is never polled nor dropped again.
    pub(crate) fn forget(&mut self, number: usize) {
        core::mem::forget(self.take(number));
    }

    /// Who was admitted since the last call, in order.
    pub(crate) fn admitted(&mut self) -> Vec<usize> {
        let admitted = |(number, outcome): (usize, Result<(), Denied>)| {
            assert_eq!(outcome, Ok(()), "{number}");
            number
        };
        self.done.drain(..).map(admitted).collect()
    }

    pub(crate) fn outcomes(&mut self) -> Vec<(usize, Result<(), Denied>)> {
        self.done.drain(..).collect()
    }

    pub(crate) fn waiting(&self) -> Vec<usize> {
        self.waiting.iter().map(|waiter| waiter.number).collect()
    }
}
