//! The calls in flight for models; not part of the public interface.

use core::task::{Context, Poll};

use super::in_flight::{InFlight, InFlightWaiter};

/// The shipped count.
#[derive(Debug)]
pub struct ModelledInFlight(InFlight);

/// A waiter for a call to end.
#[derive(Debug)]
pub struct ModelledWaiter<'a>(InFlightWaiter<'a>);

impl ModelledInFlight {
    pub fn new(limit: u64) -> Self {
        Self(InFlight::new(Some(limit)))
    }

    pub fn enter(&self) -> bool {
        self.0.enter().is_ok()
    }

    pub fn leave(&self) {
        self.0.leave();
    }

    pub fn waiter(&self) -> ModelledWaiter<'_> {
        ModelledWaiter(self.0.waiter())
    }
}

impl ModelledWaiter<'_> {
    pub fn may_sleep(&mut self) -> bool {
        self.0.may_sleep()
    }

    pub fn entered(&mut self) {
        self.0.entered();
    }

    pub fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_woken(context)
    }
}
