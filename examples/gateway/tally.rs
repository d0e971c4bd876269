//! What the clients counted, from nothing but the answers they got.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;

use crate::limits::{GLOBAL, RULES};
use crate::server::REFUSED_BY;

/// The answers to some requests.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    /// In the order of [`RULES`].
    pub(crate) routes: [RouteTally; RULES.len()],
    /// Refusals that did not say by whom, or for how long in whole seconds from 1.
    pub(crate) malformed: u64,
    pub(crate) latency_of_admitted: Vec<Duration>,
    pub(crate) latency_of_refused: Vec<Duration>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct RouteTally {
    pub(crate) admitted: u64,
    pub(crate) refused_by_global: Refusals,
    pub(crate) refused_by_window: Refusals,
}

/// Refusals by one limit.
#[derive(Clone, Copy, Default)]
pub(crate) struct Refusals {
    pub(crate) count: u64,
    /// In seconds.
    pub(crate) longest_retry_after: u64,
}

impl Tally {
    pub(crate) fn admitted(&mut self, route: usize, latency: Duration) {
        self.offered += 1;
        self.routes[route].admitted += 1;
        self.latency_of_admitted.push(latency);
    }

    pub(crate) fn refused(&mut self, route: usize, headers: &HeaderMap, latency: Duration) {
        self.offered += 1;
        self.latency_of_refused.push(latency);

        let text = |name: &str| headers.get(name)?.to_str().ok();
        let seconds = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
        let tally = &mut self.routes[route];
        let refusals = match text(REFUSED_BY) {
            Some(GLOBAL) => &mut tally.refused_by_global,
            Some(name) if name == RULES[route].name => &mut tally.refused_by_window,
            _ => {
                self.malformed += 1;
                return;
            }
        };
        refusals.count += 1;
        match seconds {
            None | Some(0) => self.malformed += 1,
            Some(seconds) => {
                refusals.longest_retry_after = refusals.longest_retry_after.max(seconds);
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.offered += other.offered;
        for (route, other) in self.routes.iter_mut().zip(&other.routes) {
            route.admitted += other.admitted;
            route.refused_by_global.add(other.refused_by_global);
            route.refused_by_window.add(other.refused_by_window);
        }
        self.malformed += other.malformed;
        self.latency_of_admitted.extend(other.latency_of_admitted);
        self.latency_of_refused.extend(other.latency_of_refused);
    }

    /// All refusals by the limit for all routes.
    pub(crate) fn refused_by_global(&self) -> Refusals {
        let mut total = Refusals::default();
        for route in &self.routes {
            total.add(route.refused_by_global);
        }
        total
    }
}

impl RouteTally {
    pub(crate) const fn offered(&self) -> u64 {
        self.admitted + self.refused_by_global.count + self.refused_by_window.count
    }
}

impl Refusals {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.longest_retry_after = self.longest_retry_after.max(other.longest_retry_after);
    }
}
