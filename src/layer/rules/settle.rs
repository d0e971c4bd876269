//! Rules that count only some responses.

use alloc::boxed::Box;
use alloc::sync::Arc;

use arc_swap::Guard;

use super::gate::{RuleKeys, RulesGate};
use super::limit::RulesClock;
use super::live::{Rules, Shared};
use crate::layer::rate_limit_layer::{RateLimitLayer, RateLimitLayerBuilder};
use crate::layer::request_head::RequestHead;
use crate::layer::settle::{Charged, Settle, Settlement};

/// Gives back what was charged for responses whose status does not count.
struct SettleByStatus<C: RulesClock> {
    shared: Arc<Shared<C>>,
}

impl<C: RulesClock> Settle<RulesGate<C>> for SettleByStatus<C> {
    fn begin(&self, _: &RequestHead<'_>, charged: Charged<RulesGate<C>>) -> Option<Settlement> {
        let Charged { key, charge, cost } = charged;
        let (RuleKeys { set, keys }, each) = (key, charge?.0);
        let is_settled = |number: usize| !set.rates[number].statuses.is_empty();
        if !keys.iter().any(|(number, _)| is_settled(*number)) {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        // A thread has few guards that need no count.
        let set = Guard::into_inner(set);
        Some(Box::new(move |response| {
            let now = shared.context.clock.now();
            for ((number, key), charge) in keys.iter().zip(each) {
                let rate = &set.rates[*number];
                let Some(charge) = charge.filter(|_| !rate.statuses.is_empty()) else {
                    continue;
                };
                let charged = cost.saturating_mul(rate.cost);
                let used = if rate.counts(response.status()) {
                    charged
                } else {
                    0
                };
                rate.limit.settle_at(key, charge, charged, used, now);
            }
        }))
    }
}

impl<C: RulesClock> Rules<C> {
    /// Starts a layer that limits by these rules: rates, requests at the same time, and what is
    /// known by the response. It has the options of every [`RateLimitLayer`], and can be named:
    /// `RateLimitLayer<RulesGate, RulesGate>`.
    ///
    /// Call it once for each service. Layers of the same rules share all limits, so a request that
    /// passes two of them is charged twice.
    ///
    /// What [`settle`](RateLimitLayerBuilder::settle) returns is used up of every limit that counts
    /// the status of the response.
    pub fn layer(&self) -> RateLimitLayerBuilder<RulesGate<C>, RulesGate<C>> {
        let gate = || RulesGate {
            shared: Arc::clone(&self.shared),
        };
        let settle = SettleByStatus {
            shared: Arc::clone(&self.shared),
        };
        RateLimitLayer::builder(gate())
            .in_flight(gate())
            .settle_with(settle)
    }
}
