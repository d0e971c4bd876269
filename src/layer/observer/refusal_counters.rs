//! The counters of refusals, found by what their labels say.

use alloc::boxed::Box;
use std::sync::OnceLock;

use metrics::Counter;

use super::refusal_reason::RefusalReason;
use crate::layer::layer_stats::RequestOutcome;

/// A list that only grows: an entry for each limit and reason that refused a request so far.
///
/// The names of limits come from the program, not from requests, so they are few. A search compares
/// them one after the other, without a lock. Only the first refusal of its kind allocates, and
/// threads that refuse at the same time wait for it.
pub(crate) struct RefusalCounters(OnceLock<Box<Entry>>);

struct Entry {
    outcome: RequestOutcome,
    reason: RefusalReason,
    limit: Box<str>,
    counter: Counter,
    next: RefusalCounters,
}

impl RefusalCounters {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Returns the counter of refusals by `limit`, which `register` returns when there is none yet.
    pub(crate) fn find(
        &self,
        outcome: RequestOutcome,
        reason: RefusalReason,
        limit: &str,
        register: impl Fn() -> Counter,
    ) -> &Counter {
        let mut rest = self;
        loop {
            // Another thread may have added another limit in between, so what is here is compared
            // in any case.
            let entry = rest.0.get_or_init(|| {
                Box::new(Entry {
                    outcome,
                    reason,
                    limit: limit.into(),
                    counter: register(),
                    next: Self::new(),
                })
            });
            if (entry.outcome, entry.reason, &*entry.limit) == (outcome, reason, limit) {
                return &entry.counter;
            }
            rest = &entry.next;
        }
    }
}
