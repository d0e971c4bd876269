//! The wait queue for models; not part of the public interface.

use core::task::{Context, Poll};

pub use crate::sync::{Event, EventListener};
use crate::sync::{TicketGuard, WaitQueue};

/// The shipped queue, on a list that models can inspect.
#[derive(Debug)]
pub struct ModelledQueue(WaitQueue);

/// A ticket of a [`ModelledQueue`].
#[derive(Debug)]
pub struct ModelledTicket<'a>(TicketGuard<'a>);

impl ModelledQueue {
    #[allow(clippy::new_without_default, reason = "for models")]
    pub fn new() -> Self {
        Self(WaitQueue::new())
    }

    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    pub fn join(&self) -> ModelledTicket<'_> {
        ModelledTicket(self.0.join().expect("the queue is unbounded"))
    }
}

impl ModelledTicket<'_> {
    pub fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_head(context)
    }
}
