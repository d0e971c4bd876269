//! What the waiters of an API limiter ask for together.

use super::limits::MAX_TOKEN_LIMITS;
use crate::sync::Demand;

/// What waiters ask for: requests, and tokens of each token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(unnameable_types, reason = "a detail of the wait queue")]
pub struct ApiDemand {
    pub(super) requests: u128,
    pub(super) tokens: [u128; MAX_TOKEN_LIMITS],
}

impl Demand for ApiDemand {
    fn plus(mut self, other: Self) -> Self {
        self.requests = self.requests.plus(other.requests);
        for (own, other) in self.tokens.iter_mut().zip(other.tokens) {
            *own = own.plus(other);
        }
        self
    }

    fn minus(mut self, other: Self) -> Self {
        self.requests = self.requests.minus(other.requests);
        for (own, other) in self.tokens.iter_mut().zip(other.tokens) {
            *own = own.minus(other);
        }
        self
    }

    fn permits(self) -> u128 {
        self.requests
    }
}
