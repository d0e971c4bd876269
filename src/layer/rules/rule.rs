//! One rule: a limit, and which requests it is on.

use alloc::boxed::Box;
use alloc::sync::Arc;

use http::StatusCode;

use super::condition::Condition;
use super::config::{RateKind, WithoutKey};
use super::keys::Key;
use super::limit::{RateCharge, RateLimit, RulesClock};
use super::tiers::Seen;
use crate::all_or_none::tuples::Member;
use crate::denied::Denied;
use crate::in_flight::InFlight;
use crate::keyed::KeyDigest;
use crate::layer::gate::{GateDenied, MissingKey};
use crate::layer::in_flight_gate::Counts;
use crate::layer::layer_stats::{RequestCounts, RequestOutcome};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// What rules of all kinds have.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) condition: Condition,
    pub(super) key: Option<Key>,
    pub(super) without_key: WithoutKey,
    pub(super) is_shadow: bool,
    /// Counts of refusals, also of those that a shadow would have made. They outlive reloads.
    pub(super) refusals: Arc<RequestCounts>,
}

impl Rule {
    /// The key of a request that the rule is on. `None` if it is not on it.
    pub(super) fn key_of(&self, seen: &Seen<'_>) -> Result<Option<KeyDigest>, MissingKey> {
        if !self.condition.holds(seen) {
            return Ok(None);
        }
        let Some(key) = &self.key else {
            return Ok(Some(KeyDigest::NONE));
        };
        match (key.find)(seen.request) {
            Ok(key) => Ok(Some(key)),
            // A shadow refuses no one.
            Err(_) if self.is_shadow => Ok(None),
            Err(why) if self.without_key == WithoutKey::Skip && why.is_absent() => Ok(None),
            Err(why) => Err(MissingKey {
                why,
                limit: Some(self.name),
            }),
        }
    }

    /// Counts a refusal.
    pub(super) fn refused(&self) {
        let outcome = if self.is_shadow {
            RequestOutcome::ShadowDenied
        } else {
            RequestOutcome::Denied
        };
        self.refusals.add(outcome, 0);
    }

    pub(super) const fn named(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot {
            limit: Some(self.name),
            ..snapshot
        }
    }
}

/// A rule that limits a rate.
pub(super) struct RateRule<C: RulesClock> {
    pub(super) rule: Rule,
    pub(super) kind: RateKind,
    pub(super) cost: u64,
    pub(super) max_keys: usize,
    /// The statuses of responses that count. Empty if all do.
    pub(super) statuses: Box<[StatusCode]>,
    pub(super) limit: Arc<RateLimit<C>>,
}

impl<C: RulesClock> RateRule<C> {
    /// Whether a response with this status counts.
    pub(super) fn counts(&self, status: StatusCode) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// A rule that limits requests at the same time.
pub(super) struct InFlightRule {
    pub(super) rule: Rule,
    pub(super) most: u64,
    pub(super) limit: InFlightLimit,
}

#[derive(Clone)]
pub(super) enum InFlightLimit {
    All(InFlight),
    PerKey(Arc<Counts<KeyDigest>>),
}

/// What a request of cost `n` asks of a rule.
pub(super) struct Asked<'a, C: RulesClock> {
    pub(super) rule: &'a RateRule<C>,
    pub(super) key: &'a KeyDigest,
    n: u64,
    now: Timestamp,
}

#[expect(clippy::expl_impl_clone_on_copy, reason = "clocks need not be `Copy`")]
impl<C: RulesClock> Clone for Asked<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: RulesClock> Copy for Asked<'_, C> {}

impl<'a, C: RulesClock> Asked<'a, C> {
    pub(super) const fn new(
        rule: &'a RateRule<C>,
        key: &'a KeyDigest,
        n: u64,
        now: Timestamp,
    ) -> Self {
        let n = n.saturating_mul(rule.cost);
        Self { rule, key, n, now }
    }

    fn denied(&self, denied: Denied) -> GateDenied {
        let limit = &self.rule.limit;
        let snapshot = limit.snapshot_of_refusal_at(self.key, self.n, self.now);
        GateDenied::new(denied, self.rule.rule.named(snapshot))
    }
}

/// A shadow is charged with the others, and has room for all of them.
impl<C: RulesClock> Member for Asked<'_, C> {
    type Charge = RateCharge<C>;
    type Refusal = GateDenied;

    fn is_charged(self) -> bool {
        self.n > 0
    }

    fn headroom(self) -> Option<u64> {
        if self.rule.rule.is_shadow {
            return Some(u64::MAX);
        }
        self.rule.limit.headroom_at(self.key, self.n, self.now)
    }

    fn refusal(self) -> Option<GateDenied> {
        if self.rule.rule.is_shadow {
            return None;
        }
        let peeked = self.rule.limit.peek_at(self.key, self.n, self.now);
        peeked.err().map(|denied| self.denied(denied))
    }

    fn record_peeked_refusal(self) {
        if self.refusal().is_some() {
            self.rule.rule.refused();
        }
    }

    fn charge(self) -> Result<RateCharge<C>, GateDenied> {
        let charged = self.rule.limit.charge_at(self.key, self.n, self.now);
        charged.or_else(|denied| {
            self.rule.rule.refused();
            if self.rule.rule.is_shadow {
                return Ok(RateCharge::None);
            }
            Err(self.denied(denied))
        })
    }

    fn undo(self, charge: RateCharge<C>) -> u64 {
        let returned = self.rule.limit.undo(self.key, charge);
        // What a shadow forfeits, no one has lost.
        if self.rule.rule.is_shadow {
            return 0;
        }
        self.n.saturating_sub(returned)
    }
}
