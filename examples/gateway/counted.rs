//! A limit with its name, and what came of the requests that it decided about.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tidegate::Denied;

use crate::stats::Decided;

pub(crate) struct Counted<L> {
    pub(crate) limiter: L,
    pub(crate) counts: Counts,
}

impl<L> Counted<L> {
    pub(crate) const fn new(name: &'static str, limiter: L) -> Self {
        let counts = Counts::new(name);
        Self { limiter, counts }
    }
}

/// They are Relaxed: each stands for itself, and is raised before the answer that it counts is sent.
pub(crate) struct Counts {
    pub(crate) name: &'static str,
    admitted: AtomicU64,
    refused: AtomicU64,
    returned: AtomicU64,
    forfeited: AtomicU64,
}

impl Counts {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            forfeited: AtomicU64::new(0),
        }
    }

    pub(crate) fn admit(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(crate) fn refuse(&self, wait: Duration) -> Refusal {
        self.refused.fetch_add(1, Relaxed);
        Refusal {
            limit: self.name,
            wait,
        }
    }

    pub(crate) fn denied(&self, denied: Denied) -> Refusal {
        self.refuse(denied.retry_after().unwrap_or(NEVER))
    }

    /// A permit was taken in vain, of which so much came back: all or nothing.
    pub(crate) fn taken_in_vain(&self, returned: u64) {
        self.returned.fetch_add(returned, Relaxed);
        self.forfeited.fetch_add(1 - returned, Relaxed);
    }

    pub(crate) fn decided(&self) -> Decided {
        Decided {
            admitted: self.admitted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            returned: self.returned.load(Relaxed),
            forfeited: self.forfeited.load(Relaxed),
        }
    }
}

/// For a refusal that no wait helps. Nobody is told this, as one permit is never more than a limit can give.
pub(crate) const NEVER: Duration = Duration::MAX;

/// Why a request was refused: by which limit, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) limit: &'static str,
    pub(crate) wait: Duration,
}

impl Refusal {
    /// For `Retry-After`, which has whole seconds. Rounded up, since who comes early is refused again; at least 1, since 0
    /// invites a client to come back at once.
    pub(crate) fn retry_after_seconds(self) -> u64 {
        let started = u64::from(self.wait.subsec_nanos() > 0);
        self.wait.as_secs().saturating_add(started).max(1)
    }
}
