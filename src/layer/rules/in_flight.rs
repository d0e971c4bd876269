//! Rules as a limit on requests at the same time.

use alloc::sync::Arc;
use core::fmt;

use arc_swap::Guard;
use smallvec::SmallVec;

use super::gate::RulesGate;
use super::limit::RulesClock;
use super::rule::{InFlightLimit, InFlightRule};
use super::rule_set::RuleSet;
use super::tiers::Seen;
use crate::in_flight::InFlightPermit;
use crate::keyed::KeyDigest;
use crate::layer::gate::{GateDenied, MissingKey};
use crate::layer::held::{Kept, hold_until_the_body_ends};
use crate::layer::in_flight_gate::{InFlightOperations, KeyPermit, snapshot};
use crate::layer::request_head::RequestHead;
use crate::snapshot::Snapshot;

/// The rules on requests at the same time that are on a request, with its keys.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct InFlightKeys<C: RulesClock> {
    set: Guard<Arc<RuleSet<C>>>,
    keys: SmallVec<[(usize, KeyDigest); 2]>,
}

impl<C: RulesClock> InFlightKeys<C> {
    fn rules(&self) -> impl Iterator<Item = (&InFlightRule, &KeyDigest)> {
        let keys = self.keys.iter();
        keys.map(|(number, key)| (&self.set.in_flight[*number], key))
    }
}

/// What a request keeps until its response has ended.
#[derive(Debug)]
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct RulePermits(#[expect(dead_code, reason = "to be dropped")] SmallVec<[RulePermit; 2]>);

#[derive(Debug)]
enum RulePermit {
    All(#[expect(dead_code, reason = "to be dropped")] InFlightPermit),
    OfKey(#[expect(dead_code, reason = "to be dropped")] KeyPermit<KeyDigest>),
}

impl Kept for RulePermits {}

hold_until_the_body_ends!(RulePermits);

impl InFlightRule {
    fn enter(&self, key: &KeyDigest) -> Result<RulePermit, GateDenied> {
        match &self.limit {
            InFlightLimit::All(limit) => limit
                .try_acquire()
                .map(RulePermit::All)
                .map_err(|denied| GateDenied::new(denied, snapshot(limit.limit(), 0))),
            InFlightLimit::PerKey(counts) => {
                KeyPermit::take(counts, key, self.most).map(RulePermit::OfKey)
            }
        }
    }

    fn in_flight(&self, key: &KeyDigest) -> u64 {
        match &self.limit {
            InFlightLimit::All(limit) => limit.in_flight(),
            InFlightLimit::PerKey(counts) => counts.count(key),
        }
    }
}

impl<C: RulesClock> InFlightOperations for RulesGate<C> {
    type Key = InFlightKeys<C>;
    type Held = RulePermits;

    fn find(&self, request: &RequestHead<'_>) -> Result<InFlightKeys<C>, MissingKey> {
        let set = self.shared.set.load();
        let mut keys = SmallVec::new();
        if !set.in_flight.is_empty() {
            let seen = Seen::new(request, &set.tiers);
            if !set.is_exempt(&seen) {
                for (number, limit) in set.in_flight.iter().enumerate() {
                    if let Some(key) = limit.rule.key_of(&seen)? {
                        keys.push((number, key));
                    }
                }
            }
        }
        Ok(InFlightKeys { set, keys })
    }

    fn is_limited(&self, keys: &InFlightKeys<C>) -> bool {
        !keys.keys.is_empty()
    }

    /// If a later rule refuses, the permits of the earlier ones come back.
    fn enter(&self, keys: &InFlightKeys<C>) -> Result<RulePermits, GateDenied> {
        let mut permits = SmallVec::new();
        for (limit, key) in keys.rules() {
            match limit.enter(key) {
                Ok(permit) => permits.push(permit),
                Err(denied) => {
                    limit.rule.refused();
                    if !limit.rule.is_shadow {
                        return Err(GateDenied {
                            snapshot: limit.rule.named(denied.snapshot),
                            ..denied
                        });
                    }
                }
            }
        }
        Ok(RulePermits(permits))
    }

    fn each_snapshot(
        &self,
        keys: &InFlightKeys<C>,
        own: u64,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        for (limit, key) in keys.rules() {
            if !limit.rule.is_shadow {
                let others = limit.in_flight(key).saturating_sub(own);
                let left = limit.most.saturating_sub(others);
                each(Some(limit.rule.named(snapshot(limit.most, left))));
            }
        }
    }
}

/// Omits the keys, which may be personal.
impl<C: RulesClock> fmt::Debug for InFlightKeys<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightKeys").finish_non_exhaustive()
    }
}
