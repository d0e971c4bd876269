//! Waits for keys of one table, which are polled only when they were woken. A waiter that is never
//! woken waits forever, and the test fails.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use tidegate::{Acquire, Awaitable, Denied, KeyView, ManualClock, OwnedKey, Timer, Timestamp};

use crate::manual_timer::ManualTimer;

/// A table that can be waited at, by a key of its own.
pub(crate) trait Table: Sync {
    /// Waits for `n` permits of a key.
    fn wait_for<'a, T>(&'a self, key: u64, n: u64, timeout: Duration, timer: T) -> Wait<'a>
    where
        T: Timer<Sleep: Send> + Send + 'a;
}

pub(crate) type Wait<'a> = Pin<Box<dyn Future<Output = Result<(), Denied>> + Send + 'a>>;

impl<A: Sync> Table for A
where
    for<'a> KeyView<&'a A, OwnedKey<u64>>: Awaitable<Place: Send> + Send,
{
    fn wait_for<'a, T>(&'a self, key: u64, n: u64, timeout: Duration, timer: T) -> Wait<'a>
    where
        T: Timer<Sleep: Send> + Send + 'a,
    {
        let view = KeyView::owned(self, key);
        Box::pin(Acquire::new(view, n).timeout(timeout).timer(timer))
    }
}

/// The numbers of the waiters that were woken, in order.
type Woken = Arc<Mutex<VecDeque<usize>>>;

struct WakeUp {
    number: usize,
    woken: Woken,
}

impl Wake for WakeUp {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.push_back(self.number);
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) number: usize,
    pub(crate) key: u64,
    pub(crate) outcome: Result<(), Denied>,
    pub(crate) at: Timestamp,
}

/// The waiters of a table, numbered in order of arrival.
pub(crate) struct Waiters<'a, T> {
    table: &'a T,
    pub(crate) timer: ManualTimer,
    waiting: BTreeMap<usize, (u64, Wait<'a>)>,
    woken: Woken,
    joined: usize,
    ended: Vec<Ended>,
}

impl<'a, T: Table> Waiters<'a, T> {
    pub(crate) fn at(table: &'a T, clock: &ManualClock) -> Self {
        Self {
            table,
            timer: ManualTimer::on(clock),
            waiting: BTreeMap::new(),
            woken: Arc::default(),
            joined: 0,
            ended: Vec::new(),
        }
    }

    /// Adds a waiter, polls it once and returns its number.
    pub(crate) fn join(&mut self, key: u64, n: u64) -> usize {
        self.join_for(key, n, Duration::MAX)
    }

    /// Adds a waiter with a timeout, polls it once and returns its number.
    pub(crate) fn join_for(&mut self, key: u64, n: u64, timeout: Duration) -> usize {
        let number = self.joined;
        self.joined += 1;
        let wait = self.table.wait_for(key, n, timeout, self.timer.clone());
        self.waiting.insert(number, (key, wait));
        self.poll(number);
        number
    }

    /// Polls a waiter, unless it has ended.
    fn poll(&mut self, number: usize) {
        let Some((key, wait)) = self.waiting.get_mut(&number) else {
            return;
        };
        let woken = Arc::clone(&self.woken);
        let waker = Waker::from(Arc::new(WakeUp { number, woken }));
        if let Poll::Ready(outcome) = wait.as_mut().poll(&mut Context::from_waker(&waker)) {
            let at = self.timer.now();
            self.ended.push(Ended {
                number,
                key: *key,
                outcome,
                at,
            });
            self.waiting.remove(&number);
        }
    }

    /// Polls woken waiters until none is woken.
    pub(crate) fn poll_woken(&mut self) {
        loop {
            let woken = self.woken.lock().expect("no panic").pop_front();
            match woken {
                Some(number) => self.poll(number),
                None => return,
            }
        }
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

    /// Drops a waiter.
    pub(crate) fn leave(&mut self, number: usize) {
        drop(self.waiting.remove(&number).expect("it waits"));
    }

    /// Returns the numbers of the waiters that are left.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        self.waiting.keys().copied().collect()
    }

    /// Returns how waits ended since the last call, in order.
    pub(crate) fn ended(&mut self) -> Vec<Ended> {
        core::mem::take(&mut self.ended)
    }

    /// Returns the waiters admitted since the last call, in order. None may have been refused.
    pub(crate) fn admitted(&mut self) -> Vec<usize> {
        let admitted = |ended: Ended| {
            assert_eq!(ended.outcome, Ok(()), "{}", ended.number);
            ended.number
        };
        self.ended().into_iter().map(admitted).collect()
    }

    /// Returns the only outcome since the last call.
    pub(crate) fn outcome(&mut self) -> Result<(), Denied> {
        let ended = self.ended();
        assert_eq!(ended.len(), 1, "{ended:?}");
        ended[0].outcome
    }
}
