//! Changes of a window's limit and length while it is used.

use core::time::Duration;

use super::SlidingWindow;
use super::changed::ChangedState;
use super::charge::Generation;
use super::history::History;
use super::slots::WindowError;
use super::state::Deciding;
use super::windows::{Which, Windows};
use crate::clock::Clock;
use crate::sync::Closed;
use crate::time::Timestamp;

impl<C> SlidingWindow<C> {
    /// [`set_limit`](Self::set_limit) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`set_limit`](Self::set_limit).
    pub fn set_limit_at(
        &self,
        limit: u64,
        window: Duration,
        now: Timestamp,
    ) -> Result<(), WindowError> {
        self.set_limit_of_at(Which::Shorter, limit, window, now)
    }

    /// [`set_limit_at`](Self::set_limit_at) for one of two windows.
    pub(crate) fn set_limit_of_at(
        &self,
        which: Which,
        limit: u64,
        length: Duration,
        now: Timestamp,
    ) -> Result<(), WindowError> {
        let first = &self.core.state;
        let chosen = first.ring.windows();
        let change = |windows: Windows| windows.with(which, limit, length, &chosen);
        let mut result = Ok(());
        let changed = self.changes.replace(first, |latest| {
            let state = ChangedState::replacing(first, latest, change, now);
            state.unwrap_or_else(|error| {
                result = Err(error);
                None
            })
        });
        if changed {
            self.wait_queue.wake_head();
        }
        result
    }

    /// Runs `operation` on the state that has replaced the first one.
    #[cold]
    #[inline(never)]
    pub(super) fn changed<R>(
        &self,
        _: Closed,
        operation: impl Fn(Deciding<'_, &History>) -> Result<R, Closed>,
    ) -> R {
        loop {
            // The first state is closed after its successor was linked, so this never repeats.
            let result = self
                .changes
                .run(&self.core.state, |changed| operation(changed.deciding()?));
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Undoes a charge that was made after a change, if the limit has not changed again.
    #[cold]
    #[inline(never)]
    pub(super) fn undo_changed(&self, slot: u64, permits: u64, generation: Generation) -> u64 {
        let undone = self.changes.run(&self.core.state, |changed| {
            let state = changed.deciding()?;
            if state.generation == generation {
                return Ok(state.ring.undo(slot, permits));
            }
            // The latest state may be a later one.
            state.window()?;
            Ok(0)
        });
        // `None` for a charge of another window.
        undone.unwrap_or(0)
    }
}

impl<C: Clock> SlidingWindow<C> {
    /// Changes the limit and the window's length while other threads use it. No call waits for it.
    ///
    /// What was admitted in the last window still counts. So a lower limit refuses until enough has
    /// aged out, a higher one admits the difference at once, and no change is a free burst. A call
    /// is decided by the old limit and length or by the new ones, never by parts of both. Does
    /// nothing if both are the same.
    ///
    /// The number of [`slots`](Self::slots) stays as the window was made with. Where so many do not
    /// fit the new limit and length, it is less, until a change for which they fit.
    ///
    /// # Errors
    ///
    /// [`WindowError`] as for [`with_clock`](Self::with_clock). Nothing has changed then.
    ///
    /// # Bound
    ///
    /// An interval of the new length that ends with an admission after the change holds at most the
    /// new limit, if the new length is the same or shorter. If it is longer, the part of the
    /// interval that lies more than an old length before the change comes on top: the window no
    /// longer knows what it admitted then. Over several changes, this holds for each.
    ///
    /// What was admitted before the change counts until the window's length after the end of its
    /// old slot, and until the end of the new slot.
    ///
    /// # What goes on
    ///
    /// * Waiters keep their places. The first is woken and decided by the new limit. A waiter that
    ///   asks for more than the new limit is refused with [`Denied::Never`](crate::Denied).
    /// * A charge made before the change can no longer be undone. Its permits count as used.
    ///
    /// # Cost
    ///
    /// A window whose limit was never changed pays nothing. After the first change, each call takes
    /// some 20 nanoseconds more to find the limit, and a [combination](crate::Combined) charges the
    /// window in a step of its own. The change allocates a ring of slots, sums the old one, and
    /// takes a lock that only other changes take.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, SlidingWindow};
    ///
    /// let minute = Duration::from_secs(60);
    /// let window = SlidingWindow::with_clock(10, minute, ManualClock::new())?;
    /// assert!(window.try_acquire(8).is_ok());
    ///
    /// window.set_limit(20, minute)?; // shared: no `mut`
    /// assert_eq!((window.limit(), window.available()), (20, 12));
    /// window.set_limit(5, minute)?;
    /// assert_eq!(window.available(), 0);
    /// window.set_limit(10, minute)?;
    /// assert_eq!(window.available(), 2); // the 8 still count
    /// # Ok::<(), tidegate::WindowError>(())
    /// ```
    pub fn set_limit(&self, limit: u64, window: Duration) -> Result<(), WindowError> {
        self.set_limit_at(limit, window, self.clock().now())
    }
}
