//! The last denial, so that repeated calls cost no round trips.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use super::call_costs::CallCosts;
use super::decision::{Refused, Remaining};
use crate::time;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(super) struct LastDenial {
    denial: Mutex<Option<Denial>>,
    max_age: Duration,
}

#[derive(Debug)]
struct Denial {
    costs: CallCosts,
    refused: Refused,
    remaining: Remaining,
    /// On the node's clock.
    until: u64,
    /// The server is asked again from then on.
    forgotten_at: u64,
}

impl LastDenial {
    /// Keeps a denial for at most `max_age`; zero keeps none.
    pub(super) const fn new(max_age: Duration) -> Self {
        Self {
            denial: Mutex::new(None),
            max_age,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Denial>> {
        // No panic is possible while it is locked.
        self.denial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the denial that still holds for a call, as it is now.
    pub(super) fn get(&self, costs: &CallCosts) -> Option<(Refused, Remaining)> {
        let last = self.lock();
        let denial = last.as_ref()?;
        let now = time::now();
        let holds = now < denial.until.min(denial.forgotten_at);
        if !holds || !costs.is_at_least(&denial.costs) {
            return None;
        }
        let wait = Duration::from_nanos(denial.until - now);
        let refused = match denial.refused {
            Refused::Limit(index, _) => Refused::Limit(index, wait),
            Refused::Pause(_) => Refused::Pause(wait),
            Refused::Provider(_) => Refused::Provider(wait),
            Refused::InFlight | Refused::Canceled => return None,
        };
        Some((refused, denial.remaining))
    }

    /// Keeps the denial of a call that was sent at `sent`, if it tells a wait.
    pub(super) fn keep(
        &self,
        costs: &CallCosts,
        sent: u64,
        refused: Refused,
        remaining: Remaining,
    ) {
        let Some(wait) = refused.wait().filter(|_| !self.max_age.is_zero()) else {
            return;
        };
        // From when the call was sent, so that it ends no later than the server's own.
        let after = |time| sent.saturating_add(time::nanos(time));
        *self.lock() = Some(Denial {
            costs: costs.clone(),
            refused,
            remaining,
            until: after(wait),
            forgotten_at: after(self.max_age),
        });
    }

    pub(super) fn forget(&self) {
        *self.lock() = None;
    }
}
