//! What the permits that a node holds have in common: all of them are held until the same instant,
//! or lost together.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::hold_deadline::HoldDeadline;

#[derive(Debug)]
pub(crate) struct Hold {
    deadline: HoldDeadline,
    lost: Notify,
}

impl Hold {
    /// Permits that are held until an instant, at least 1.
    pub(crate) fn until(deadline: u64) -> Self {
        Self {
            deadline: HoldDeadline::until(deadline),
            lost: Notify::new(),
        }
    }

    /// Permits that no server knows, so that none can end them.
    pub(crate) fn forever() -> Self {
        Self::until(u64::MAX)
    }

    /// Returns the instant until which the permits are held; `None` if they are lost.
    pub(crate) fn deadline(&self, now: u64) -> Option<u64> {
        self.deadline.get(now)
    }

    /// Extends the hold to a later instant. Returns whether the permits are held.
    pub(crate) fn extend(&self, until: u64, now: u64) -> bool {
        self.deadline.extend(until, now)
    }

    /// Makes the permits lost before their instant.
    pub(crate) fn lose(&self) {
        self.deadline.lose();
        self.lost.notify_waiters();
    }

    /// Is notified when the permits are lost before their instant.
    pub(crate) fn lost_early(&self) -> Notified<'_> {
        self.lost.notified()
    }
}
