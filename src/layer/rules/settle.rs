//! Rules that count only some responses.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::limit::RulesClock;
use super::live::{Rules, Shared};
use crate::layer::rate_limit_layer::{RateLimitLayer, RateLimitLayerBuilder};
use crate::layer::request_head::RequestHead;
use crate::layer::settle::{Charged, Settle, Settlement};

/// Gives back what was charged for responses whose status does not count.
struct SettleByStatus<C: RulesClock> {
    shared: Arc<Shared<C>>,
}

impl<C: RulesClock> Settle<Rules<C>> for SettleByStatus<C> {
    fn begin(&self, _: &RequestHead<'_>, charged: Charged<Rules<C>>) -> Option<Settlement> {
        let Charged { key, charge, cost } = charged;
        let each = charge?.0;
        let numbers = key.keys.iter().map(|(number, _)| *number);
        let is_settled = |number: usize| !key.set.rates[number].statuses.is_empty();
        if !numbers.into_iter().any(is_settled) {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        Some(Box::new(move |response| {
            let now = shared.context.clock.now();
            for ((number, digest), charge) in key.keys.iter().zip(each) {
                let rate = &key.set.rates[*number];
                let Some(charge) = charge.filter(|_| !rate.statuses.is_empty()) else {
                    continue;
                };
                let charged = cost.saturating_mul(rate.cost);
                let counts = rate.statuses.contains(&response.status());
                let used = if counts { charged } else { 0 };
                rate.limit.settle_at(digest, charge, charged, used, now);
            }
        }))
    }
}

impl<C: RulesClock> Rules<C> {
    /// Starts a layer that limits by these rules: rates, requests at the same time, and what is
    /// known by the response. It has the options of every [`RateLimitLayer`], and can be named:
    /// `RateLimitLayer<Rules, Rules>`.
    ///
    /// Call it once for each service. Layers of the same rules share all limits, so a request that
    /// passes two of them is charged twice.
    pub fn layer(&self) -> RateLimitLayerBuilder<Self, Self> {
        let settle = SettleByStatus {
            shared: Arc::clone(&self.shared),
        };
        RateLimitLayer::builder(self.clone())
            .in_flight(self.clone())
            .settle_with(settle)
    }
}
