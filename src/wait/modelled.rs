//! The line for models: hidden from everybody else.

use core::task::{Context, Poll};

use super::line::{Line, PlaceGuard};
pub use crate::sync::{Event, EventListener};

/// The line that ships, on a list that models can look into.
#[derive(Debug)]
pub struct ModelledLine(Line);

/// A place in it.
#[derive(Debug)]
pub struct ModelledPlace<'a>(PlaceGuard<'a>);

impl ModelledLine {
    #[allow(clippy::new_without_default, reason = "for models")]
    pub fn new() -> Self {
        Self(Line::new())
    }

    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    pub fn join(&self) -> ModelledPlace<'_> {
        ModelledPlace(self.0.join().expect("any number"))
    }
}

impl ModelledPlace<'_> {
    pub fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_head(context)
    }
}
