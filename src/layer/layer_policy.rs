//! The options that both layers have.

use alloc::boxed::Box;
use core::fmt;

use super::layer_stats::{RateLimitLayerStats, RequestOutcome};
use super::observer::Observer;
use super::rejection::Rejection;
use super::request_head::RequestHead;
use super::shadow_gate::ShadowGate;
use super::too_many_requests::TooManyRequests;

/// What all services of a layer share: the options of both layers, the outcome counts, and the
/// options `own` of one layer.
pub(super) struct LayerPolicy<O, R> {
    pub(super) name: Box<str>,
    pub(super) cost: Option<HeadFn<u64>>,
    pub(super) exempt: Option<HeadFn<bool>>,
    pub(super) reject: R,
    pub(super) observer: Observer,
    pub(super) shadow: Option<ShadowGate>,
    pub(super) own: O,
}

/// A function of the request's head.
type HeadFn<T> = Box<dyn Fn(&RequestHead<'_>) -> T + Send + Sync>;

impl<O> LayerPolicy<O, TooManyRequests> {
    pub(super) fn new(own: O) -> Self {
        Self {
            name: Box::from("default"),
            cost: None,
            exempt: None,
            reject: TooManyRequests,
            observer: Observer::new(),
            shadow: None,
            own,
        }
    }
}

impl<O, R> LayerPolicy<O, R> {
    pub(super) fn with_reject<Q>(self, reject: Q) -> LayerPolicy<O, Q> {
        LayerPolicy {
            name: self.name,
            cost: self.cost,
            exempt: self.exempt,
            reject,
            observer: self.observer,
            shadow: self.shadow,
            own: self.own,
        }
    }

    pub(super) fn map_own<P>(self, change: impl FnOnce(O) -> P) -> LayerPolicy<P, R> {
        LayerPolicy {
            name: self.name,
            cost: self.cost,
            exempt: self.exempt,
            reject: self.reject,
            observer: self.observer,
            shadow: self.shadow,
            own: change(self.own),
        }
    }

    pub(super) fn is_exempt(&self, request: &RequestHead<'_>) -> bool {
        self.exempt.as_ref().is_some_and(|exempt| exempt(request))
    }

    pub(super) fn cost(&self, request: &RequestHead<'_>) -> u64 {
        self.cost.as_ref().map_or(1, |cost| cost(request))
    }

    pub(super) fn stats(&self) -> RateLimitLayerStats {
        let shadow = self.shadow.as_ref().map(ShadowGate::stats);
        RateLimitLayerStats {
            shadow: shadow.unwrap_or_default(),
            ..self.observer.stats()
        }
    }

    /// Shows a decided request to the candidate, if there is one.
    pub(super) fn observe_shadow(&self, request: &RequestHead<'_>, cost: u64, live_admits: bool) {
        if let Some(shadow) = &self.shadow {
            shadow.observe(&self.name, request, cost, live_admits);
        }
    }

    /// Records a request that was not rejected.
    pub(super) fn record(&self, outcome: RequestOutcome) {
        self.observer.record(&self.name, outcome);
    }

    pub(super) fn record_rejection(
        &self,
        outcome: RequestOutcome,
        rejection: &Rejection<'_>,
        cost: u64,
        forfeited: u64,
    ) {
        let (observer, layer) = (&self.observer, &self.name);
        let reason = rejection.reason.into();
        observer.record_rejection(layer, outcome, rejection, reason, cost, forfeited);
    }
}

/// Omits closures and `R`, which need not implement `Debug`.
impl<O: fmt::Debug, R> fmt::Debug for LayerPolicy<O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerPolicy")
            .field("name", &self.name)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
