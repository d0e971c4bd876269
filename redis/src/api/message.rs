//! Messages about calls that the server has not taken yet, whatever they say.

use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::api_error::ApiError;
use super::fleet_limit::FleetLimit;
use crate::script::ScriptArgs;
use crate::time;

/// The arguments of a message for the newest limits, at its age.
pub(super) type Arguments = Box<dyn Fn(&[FleetLimit], Duration) -> ScriptArgs + Send + Sync>;

/// A message of which the caller gets the script's reply.
pub(super) struct PendingMessage {
    pub(super) arguments: Arguments,
    /// It is given up when it is older.
    pub(super) patience: Duration,
    /// When it was made, on the node's clock.
    pub(super) since: u64,
    pub(super) reply: oneshot::Sender<Result<Vec<i64>, ApiError>>,
}

impl PendingMessage {
    pub(super) fn age(&self) -> Duration {
        Duration::from_nanos(time::now().saturating_sub(self.since))
    }
}

/// Messages whose runtime has ended before the server has taken them. Another one sends them.
#[derive(Default)]
pub(super) struct Stranded(Mutex<Vec<PendingMessage>>);

impl Stranded {
    fn lock(&self) -> MutexGuard<'_, Vec<PendingMessage>> {
        // No panic is possible while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, message: PendingMessage) {
        self.lock().push(message);
    }

    pub(super) fn take(&self) -> Vec<PendingMessage> {
        core::mem::take(&mut self.lock())
    }
}

impl fmt::Debug for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stranded").field(&self.lock().len()).finish()
    }
}
