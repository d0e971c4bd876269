//! A timer on a manual clock.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use tidegate::{Clock, ManualClock, Timer, Timestamp};

/// A timer whose sleeps end when [`advance`](Self::advance) reaches their deadlines.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManualTimer {
    clock: ManualClock,
    sleeps: Arc<Mutex<Sleeps>>,
}

#[derive(Debug, Default)]
struct Sleeps {
    started: u64,
    pending: BTreeMap<u64, (Timestamp, Waker)>,
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
            sleeps: Arc::default(),
        }
    }

    fn sleeps(&self) -> MutexGuard<'_, Sleeps> {
        self.sleeps.lock().expect("no panic while it is held")
    }

    /// Advances the clock and wakes the sleeps that are due.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        let mut sleeps = self.sleeps();
        let mut due = Vec::new();
        sleeps.pending.retain(|_, (until, waker)| {
            let stays = *until > now;
            if !stays {
                due.push(waker.clone());
            }
            stays
        });
        drop(sleeps);
        due.into_iter().for_each(Waker::wake);
    }

    /// Advances to the next deadline. Returns false if no sleep is pending.
    pub(crate) fn advance_to_next(&self) -> bool {
        let next = {
            let sleeps = self.sleeps();
            sleeps.pending.values().map(|(until, _)| *until).min()
        };
        if let Some(next) = next {
            self.advance(next - self.clock.now());
        }
        next.is_some()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the number of sleeps that are pending.
    pub(crate) fn pending(&self) -> usize {
        self.sleeps().pending.len()
    }

    /// Returns the number of sleeps that were ever started.
    pub(crate) fn started(&self) -> u64 {
        self.sleeps().started
    }
}

impl Timer for ManualTimer {
    type Sleep = ManualSleep;

    fn sleep(&self, duration: Duration) -> ManualSleep {
        let mut sleeps = self.sleeps();
        sleeps.started += 1;
        ManualSleep {
            timer: self.clone(),
            id: sleeps.started,
            until: self.clock.now() + duration,
        }
    }
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleeps = self.timer.sleeps();
        // Read under the lock, which `advance` takes after it has advanced the clock. So a sleep
        // that is inserted here is seen there.
        if self.timer.clock.now() >= self.until {
            sleeps.pending.remove(&self.id);
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        sleeps.pending.insert(self.id, (self.until, waker));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.timer.sleeps().pending.remove(&self.id);
    }
}
