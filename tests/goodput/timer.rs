//! A timer on simulated time that is late, as real timers are.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{Clock, ManualClock, Timer, Timestamp};

use crate::TICK;
use crate::random::Random;

/// By how much the sleeps of a timer end late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lateness {
    /// Not at all. For what happens in a test, and not for what waits.
    None,
    /// A sleep ends at the first tick at or after its instant.
    Ticks,
    /// At a tick, and a random time later, up to another tick.
    Jitter,
    /// Like `Jitter`, but one of 32 sleeps ends up to 30 ms later, as if the process was suspended.
    Stalls,
}

impl Lateness {
    /// The most that a sleep is late.
    pub(crate) const fn most(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Ticks => TICK,
            Self::Jitter => 2 * TICK,
            Self::Stalls => 32 * TICK,
        }
    }

    const fn end(self, until: u64, random: &mut Random) -> u64 {
        let tick = until.next_multiple_of(TICK);
        match self {
            Self::None => until,
            Self::Ticks => tick,
            Self::Stalls if random.below(32) == 0 => tick + random.below(30 * TICK),
            Self::Jitter | Self::Stalls => tick + random.below(TICK),
        }
    }
}

/// A timer whose sleeps end when the simulation reaches them.
#[derive(Clone)]
pub(crate) struct SimulatedTimer {
    shared: Rc<Shared>,
    lateness: Lateness,
}

struct Shared {
    clock: ManualClock,
    sleeps: RefCell<Sleeps>,
}

struct Sleeps {
    /// By their end and number.
    pending: BTreeMap<(u64, u64), Waker>,
    /// How many were ever started, by timers that are late.
    started: u64,
    next_number: u64,
    random: Random,
}

impl SimulatedTimer {
    pub(crate) fn new(clock: &ManualClock, lateness: Lateness, seed: u64) -> Self {
        let sleeps = Sleeps {
            pending: BTreeMap::new(),
            started: 0,
            next_number: 0,
            random: Random(seed),
        };
        let clock = clock.clone();
        let sleeps = RefCell::new(sleeps);
        Self {
            shared: Rc::new(Shared { clock, sleeps }),
            lateness,
        }
    }

    /// The same timer, but never late.
    pub(crate) fn exact(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
            lateness: Lateness::None,
        }
    }

    /// Sleeps until an instant.
    pub(crate) fn until(&self, nanos: u64) -> Sleep {
        let mut sleeps = self.shared.sleeps.borrow_mut();
        sleeps.next_number += 1;
        if self.lateness != Lateness::None {
            sleeps.started += 1;
        }
        let end = self.lateness.end(nanos, &mut sleeps.random);
        let key = (end, sleeps.next_number);
        drop(sleeps);
        Sleep {
            shared: Rc::clone(&self.shared),
            key,
        }
    }

    /// The number of sleeps that waits have started.
    pub(crate) fn started(&self) -> u64 {
        self.shared.sleeps.borrow().started
    }

    /// Advances the clock to the end of the next sleep, and wakes all sleeps that end there.
    /// Returns false if none ends by `limit`.
    pub(crate) fn advance(&self, limit: u64) -> bool {
        let next = self.shared.sleeps.borrow().pending.keys().next().copied();
        let Some((end, _)) = next.filter(|(end, _)| *end <= limit) else {
            return false;
        };
        self.shared.clock.set(Timestamp::from_nanos(end));
        let later = {
            let mut sleeps = self.shared.sleeps.borrow_mut();
            let later = sleeps.pending.split_off(&(end, u64::MAX));
            core::mem::replace(&mut sleeps.pending, later)
        };
        later.into_values().for_each(Waker::wake);
        true
    }
}

impl Timer for SimulatedTimer {
    type Sleep = Sleep;

    fn sleep(&self, duration: Duration) -> Sleep {
        self.until((self.shared.clock.now() + duration).as_nanos())
    }
}

pub(crate) struct Sleep {
    shared: Rc<Shared>,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.clock.now().as_nanos() >= self.key.0 {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let mut sleeps = self.shared.sleeps.borrow_mut();
        sleeps.pending.insert(self.key, waker);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.shared.sleeps.borrow_mut().pending.remove(&self.key);
    }
}
