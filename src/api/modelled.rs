//! The calls in flight for models: hidden from everybody else.

use core::task::{Context, Poll};

use super::in_flight::{InFlight, Waiter};

/// The count that ships.
#[derive(Debug)]
pub struct ModelledInFlight(InFlight);

/// Somebody who waits for a call to end.
#[derive(Debug)]
pub struct ModelledWaiter<'a>(Waiter<'a>);

impl ModelledInFlight {
    pub fn new(most: u64) -> Self {
        Self(InFlight::new(Some(most)))
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
    pub fn finds_full(&mut self) -> bool {
        self.0.finds_full()
    }

    pub fn has_entered(&mut self) {
        self.0.has_entered();
    }

    pub fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_told(context)
    }
}
