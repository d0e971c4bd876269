//! Rules as a gate: those that limit rates.

use alloc::sync::Arc;
use core::fmt;

use arc_swap::Guard;
use smallvec::SmallVec;

use super::limit::{RateCharge, RulesClock};
use super::live::Shared;
use super::rule::{Asked, RateRule};
use super::rule_set::RuleSet;
use super::tiers::Seen;
use crate::all_or_none::lists;
use crate::all_or_none::tuples::Member;
use crate::clock::DefaultClock;
use crate::keyed::KeyDigest;
use crate::layer::gate::{GateDenied, GateOperations, MissingKey};
use crate::layer::request_head::RequestHead;
use crate::layer::response_head::ResponseHead;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// The limits of [`Rules`](super::Rules) in a layer: see [`Rules::layer`](super::Rules::layer).
///
/// A type of its own, because outside of that layer limits on requests at the same time would not
/// be asked, and responses would not be counted by their statuses.
pub struct RulesGate<C: RulesClock = DefaultClock> {
    pub(super) shared: Arc<Shared<C>>,
}

impl<C: RulesClock> fmt::Debug for RulesGate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesGate").finish_non_exhaustive()
    }
}

/// As many rules as are on most requests.
pub(super) type Each<T> = SmallVec<[T; 4]>;

/// The rules that are on a request, with its keys. It holds on to the file that was in force when
/// the request came.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct RuleKeys<C: RulesClock> {
    pub(super) set: Guard<Arc<RuleSet<C>>>,
    /// The number of each rule that is on it.
    pub(super) keys: Each<(usize, KeyDigest)>,
}

/// The charge of each rule that is on a request; `None` for one that was not charged.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct RuleCharges<C: RulesClock>(pub(super) Each<Option<RateCharge<C>>>);

impl<C: RulesClock> RuleKeys<C> {
    pub(super) fn asked(&self, n: u64, now: Timestamp) -> Each<Asked<'_, C>> {
        let keys = self.keys.iter();
        keys.map(|(number, key)| Asked::new(&self.set.rates[*number], key, n, now))
            .collect()
    }
}

impl<C: RulesClock> RuleKeys<C> {
    fn settle_each(
        &self,
        charge: Option<RuleCharges<C>>,
        charged: u64,
        now: Timestamp,
        used: impl Fn(&RateRule<C>) -> u64,
    ) {
        let mut each = charge
            .map(|charge| charge.0)
            .unwrap_or_default()
            .into_iter();
        for (number, key) in &self.keys {
            let rate = &self.set.rates[*number];
            let charge = each.next().flatten().unwrap_or(RateCharge::None);
            let [charged, used] = [charged, used(rate)].map(|n| n.saturating_mul(rate.cost));
            rate.limit.settle_at(key, charge, charged, used, now);
        }
    }
}

impl<C: RulesClock> GateOperations for RulesGate<C> {
    type Clock = C;
    type Key = RuleKeys<C>;
    type Charge = RuleCharges<C>;

    fn find(&self, request: &RequestHead<'_>) -> Result<RuleKeys<C>, MissingKey> {
        let set = self.shared.set.load();
        let mut keys = Each::new();
        let seen = Seen::new(request, &set.tiers);
        if !set.is_exempt(&seen) {
            for (number, rate) in set.rates.iter().enumerate() {
                if let Some(key) = rate.rule.key_of(&seen)? {
                    keys.push((number, key));
                }
            }
        }
        Ok(RuleKeys { set, keys })
    }

    fn now(&self, keys: &RuleKeys<C>) -> Option<Timestamp> {
        let is_limited = !keys.keys.is_empty();
        is_limited.then(|| self.shared.context.clock.now())
    }

    /// Returns the refusal that lasts longest.
    fn peek_at(&self, keys: &RuleKeys<C>, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        lists::refusal(&keys.asked(n, now)).map_or(Ok(()), Err)
    }

    fn headroom_at(&self, keys: &RuleKeys<C>, n: u64, now: Timestamp) -> Option<u64> {
        lists::headroom(&keys.asked(n, now))
    }

    fn charge_at(
        &self,
        keys: &RuleKeys<C>,
        n: u64,
        now: Timestamp,
    ) -> Result<RuleCharges<C>, GateDenied> {
        let mut charges: Each<_> = keys.keys.iter().map(|_| None).collect();
        lists::charge(&keys.asked(n, now), &mut charges)?;
        Ok(RuleCharges(charges))
    }

    fn undo(&self, keys: &RuleKeys<C>, n: u64, mut charges: RuleCharges<C>) -> u64 {
        // No limit reads the time to undo a charge.
        lists::undo(&keys.asked(n, Timestamp::ZERO), &mut charges.0)
    }

    fn settle_at(
        &self,
        keys: &RuleKeys<C>,
        charge: Option<RuleCharges<C>>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        keys.settle_each(charge, charged, now, |_| used);
    }

    fn settles_by_response(&self) -> bool {
        true
    }

    /// A rule that does not count this status gives all back.
    fn settle_by_response_at(
        &self,
        keys: &RuleKeys<C>,
        charge: Option<RuleCharges<C>>,
        (charged, used): (u64, u64),
        response: &ResponseHead<'_>,
        now: Timestamp,
    ) {
        keys.settle_each(charge, charged, now, |rate| {
            if rate.counts(response.status()) {
                used
            } else {
                0
            }
        });
    }

    fn record_peeked_refusal(&self, keys: &RuleKeys<C>, n: u64, now: Timestamp) {
        for asked in keys.asked(n, now) {
            if asked.is_charged() {
                asked.record_peeked_refusal();
            }
        }
    }

    fn snapshot_at(&self, keys: &RuleKeys<C>, now: Timestamp) -> Option<Snapshot> {
        let mut tightest: Option<Snapshot> = None;
        self.each_snapshot_at(keys, now, &mut |snapshot| {
            tightest = match (tightest, snapshot) {
                (Some(tightest), Some(other)) => Some(tightest.tighter(other)),
                (tightest, other) => tightest.or(other),
            };
        });
        tightest
    }

    fn has_several_limits(&self) -> bool {
        true
    }

    /// Clients are told nothing of shadows.
    fn each_snapshot_at(
        &self,
        keys: &RuleKeys<C>,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        for (number, key) in &keys.keys {
            let rate = &keys.set.rates[*number];
            if !rate.rule.is_shadow {
                each(Some(rate.rule.named(rate.limit.snapshot_at(key, now))));
            }
        }
    }
}

/// Omits the keys, which may be personal.
impl<C: RulesClock> fmt::Debug for RuleKeys<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleKeys").finish_non_exhaustive()
    }
}

impl<C: RulesClock> fmt::Debug for RuleCharges<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleCharges").finish_non_exhaustive()
    }
}
