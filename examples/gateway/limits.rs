//! The decision: whether a request may pass, and who refused it if not.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate::{
    DefaultClock, Denied, Limiter, Quota, SlidingWindow, Timestamp, TokenBucket, WindowError,
};

/// The name of the limit for all requests together.
pub(crate) const GLOBAL: &str = "global";

/// At most `limit` requests for a route in any interval of `window`.
pub(crate) struct Rule {
    /// A path, except for the last rule.
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    pub(crate) window: Duration,
}

/// The last is for every path that the others do not name, so that nobody gets around the limits by inventing paths.
pub(crate) const RULES: [Rule; 4] = [
    Rule::new("/", 400, Duration::from_secs(1)),
    Rule::new("/search", 150, Duration::from_secs(1)),
    Rule::new("/upload", 20, Duration::from_secs(2)),
    Rule::new("unknown", 50, Duration::from_secs(1)),
];

impl Rule {
    const fn new(name: &'static str, limit: u64, window: Duration) -> Self {
        Self {
            name,
            limit,
            window,
        }
    }

    /// Which rule a path falls under, as an index into [`RULES`].
    fn index_for(path: &str) -> usize {
        let last = RULES.len() - 1;
        RULES[..last]
            .iter()
            .position(|rule| rule.name == path)
            .unwrap_or(last)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in any {:?}", self.limit, self.window)
    }
}

/// A bucket for all requests and a window for each route. A request needs a permit from its window and from the bucket.
pub(crate) struct Limits {
    global: Counted<TokenBucket>,
    /// In the order of [`RULES`].
    routes: Vec<Counted<SlidingWindow>>,
    returned: AtomicU64,
    forfeited: AtomicU64,
}

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

impl Limits {
    pub(crate) fn new(quota: Quota) -> Result<Self, WindowError> {
        // At start-up, so that no request waits for it.
        DefaultClock::calibrate();
        let routes = RULES.iter().map(|rule| {
            let window = SlidingWindow::new(rule.limit, rule.window)?;
            Ok(Counted::new(rule.name, window))
        });
        Ok(Self {
            global: Counted::new(GLOBAL, TokenBucket::new(quota)),
            routes: routes.collect::<Result<_, _>>()?,
            returned: AtomicU64::new(0),
            forfeited: AtomicU64::new(0),
        })
    }

    /// Takes a permit from the bucket and from the path's window, or from neither.
    pub(crate) fn admit(&self, path: &str) -> Result<(), Refusal> {
        let global = &self.global;
        let route = &self.routes[Rule::index_for(path)];
        // One reading: both limits judge the same instant, and the clock costs as much as a decision.
        let now = global.limiter.now();

        // Both are asked before either is charged: a refusal then takes nothing, and tells the longer of two waits.
        let (global_wait, route_wait) = (global.wait(now), route.wait(now));
        if route_wait > global_wait {
            return Err(route.refuse(route_wait));
        }
        if global_wait > Duration::ZERO {
            return Err(global.refuse(global_wait));
        }

        // Other requests may have come in between, so each can still refuse.
        let charge = global.limiter.charge_at(1, now);
        let charge = charge.map_err(|denied| global.denied(denied))?;
        if let Err(denied) = route.limiter.try_acquire_at(1, now) {
            let returned = global.limiter.undo(charge);
            self.returned.fetch_add(returned, Relaxed);
            self.forfeited.fetch_add(1 - returned, Relaxed);
            return Err(route.denied(denied));
        }
        global.admitted.fetch_add(1, Relaxed);
        route.admitted.fetch_add(1, Relaxed);
        Ok(())
    }

    pub(crate) fn stats(&self) -> Stats {
        let now = self.global.limiter.now();
        let routes = self
            .routes
            .iter()
            .zip(&RULES)
            .map(|(route, rule)| route.stats(rule.to_string(), now));
        let quota = self.global.limiter.quota();
        let mut limits = vec![self.global.stats(quota.to_string(), now)];
        limits.extend(routes);
        Stats {
            limits,
            returned: self.returned.load(Relaxed),
            forfeited: self.forfeited.load(Relaxed),
        }
    }
}

/// For a refusal that no wait helps. Nobody is told this, as one permit is never more than a limit can give.
const NEVER: Duration = Duration::MAX;

/// A limit with its name, and the requests that it decided about.
///
/// The counts are Relaxed: each stands for itself, and is raised before the answer that it counts is sent.
struct Counted<L> {
    name: &'static str,
    limiter: L,
    admitted: AtomicU64,
    refused: AtomicU64,
}

impl<L: Limiter> Counted<L> {
    const fn new(name: &'static str, limiter: L) -> Self {
        Self {
            name,
            limiter,
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Zero if a request would be admitted.
    fn wait(&self, now: Timestamp) -> Duration {
        self.limiter.wait_time_at(1, now).unwrap_or(NEVER)
    }

    fn denied(&self, denied: Denied) -> Refusal {
        self.refuse(denied.retry_after().unwrap_or(NEVER))
    }

    fn refuse(&self, wait: Duration) -> Refusal {
        self.refused.fetch_add(1, Relaxed);
        Refusal {
            limit: self.name,
            wait,
        }
    }

    fn stats(&self, quota: String, now: Timestamp) -> LimitStats {
        LimitStats {
            limit: self.name.to_owned(),
            quota,
            available: self.limiter.available_at(now),
            admitted: self.admitted.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// What `/stats` shows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The bucket first, then the windows.
    pub(crate) limits: Vec<LimitStats>,
    /// Permits that went back to the bucket because a window refused after all.
    pub(crate) returned: u64,
    /// Permits that could not, because others had been decided on top of them.
    pub(crate) forfeited: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitStats {
    pub(crate) limit: String,
    pub(crate) quota: String,
    /// How many requests would be admitted now.
    pub(crate) available: u64,
    /// Requests that were admitted, by this limit and by the other.
    pub(crate) admitted: u64,
    /// Requests that this limit refused.
    pub(crate) refused: u64,
}
