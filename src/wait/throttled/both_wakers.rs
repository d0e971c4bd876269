//! The wakers of a reader and of a writer that wait for the same payment.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;
use std::sync::Mutex;

use crate::sync::lock;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

/// Wakes the tasks of both sides. They may be two: a connection can be split into halves.
#[derive(Default)]
pub(super) struct BothWakers(Mutex<[Option<Waker>; 2]>);

impl BothWakers {
    /// Stores the task of one side.
    pub(super) fn store(&self, side: Side, waker: &Waker) {
        let is_stored = {
            let wakers = lock(&self.0);
            let own = wakers[side as usize].as_ref();
            own.is_some_and(|own| own.will_wake(waker))
        };
        if !is_stored {
            // Cloned and dropped without the lock, because that may run any code.
            let new = waker.clone();
            let old = lock(&self.0)[side as usize].replace(new);
            drop(old);
        }
    }

    /// Wakes one side, if it waits.
    pub(super) fn wake_side(&self, side: Side) {
        let waker = lock(&self.0)[side as usize].take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for BothWakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_side(Side::Read);
        self.wake_side(Side::Write);
    }
}
