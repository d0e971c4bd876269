//! What a gateway tells at `/stats`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidegate_redis::{LeasedTokenBucket, RedisKeyed, RedisStore};

/// What became of requests. Relaxed: counters, which guard nothing.
#[derive(Default)]
pub(crate) struct Answers {
    admitted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl Answers {
    pub(crate) fn count(&self, status: StatusCode) {
        let counter = match status {
            StatusCode::OK => &self.admitted,
            StatusCode::SERVICE_UNAVAILABLE => &self.unavailable,
            _ => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        Counts {
            admitted: self.admitted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            unavailable: self.unavailable.load(Relaxed),
        }
    }
}

/// Requests by their answers: 200, 429, 503.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    pub(crate) unavailable: u64,
}

impl Counts {
    pub(crate) const fn offered(&self) -> u64 {
        self.admitted + self.refused + self.unavailable
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.admitted += other.admitted;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
    }
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Stats {
    pub(crate) requests: Counts,
    pub(crate) global: Global,
    pub(crate) users: Users,
    pub(crate) redis: Redis,
}

/// The limit of all requests, in tokens but for the calls.
#[derive(Deserialize, Serialize)]
pub(crate) struct Global {
    pub(crate) calls: u64,
    pub(crate) granted: u64,
    pub(crate) returned: u64,
    pub(crate) expired: u64,
    pub(crate) held: u64,
    pub(crate) unavailable: u64,
}

/// The limits of users: who decided about how many calls.
#[derive(Deserialize, Serialize)]
pub(crate) struct Users {
    pub(crate) admitted_by_server: u64,
    pub(crate) refused_by_server: u64,
    pub(crate) refused_from_memory: u64,
    pub(crate) admitted_by_share: u64,
    pub(crate) refused_by_share: u64,
}

/// What was sent to the server.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
pub(crate) struct Redis {
    pub(crate) calls: u64,
    /// Waited in vain.
    pub(crate) timeouts: u64,
    /// Stopped waiting because another had waited in vain.
    pub(crate) released: u64,
    pub(crate) errors: u64,
    /// How often it was found gone.
    pub(crate) outages: u64,
    pub(crate) answers: bool,
}

impl Stats {
    pub(crate) fn new(
        requests: Counts,
        global: &LeasedTokenBucket,
        users: &RedisKeyed,
        store: &RedisStore,
    ) -> Self {
        let (lease, limit, keyed, sent) = (
            global.stats(),
            global.limit_stats(),
            users.stats(),
            store.stats(),
        );
        Self {
            requests,
            global: Global {
                calls: lease.refills,
                granted: lease.granted,
                returned: lease.returned,
                expired: lease.expired,
                held: lease.held,
                unavailable: limit.unavailable,
            },
            users: Users {
                admitted_by_server: keyed.admitted,
                refused_by_server: keyed.denied,
                refused_from_memory: keyed.denied_from_cache,
                admitted_by_share: keyed.local_admitted,
                refused_by_share: keyed.local_denied,
            },
            redis: Redis {
                calls: sent.calls,
                timeouts: sent.timeouts,
                released: sent.released,
                errors: sent.errors,
                outages: sent.outages,
                answers: sent.is_available(),
            },
        }
    }
}
