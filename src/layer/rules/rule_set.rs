//! The rules of one file, and which limits go on from one file to the next.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::collections::HashSet;

use super::condition::Condition;
use super::config::{LimitConfig, LimitKind, RateKind, RulesConfig};
use super::error::{RulesError, RulesErrorKind as Kind};
use super::keys::{Key, KeySource, Keys};
use super::limit::{RateLimit, RulesClock};
use super::names::interned;
use super::rule::{InFlightLimit, InFlightRule, RateRule, Rule};
use super::tiers::{OwnTiers, Seen, Tiers};
use crate::in_flight::InFlight;
use crate::layer::in_flight_gate::Counts;
use crate::layer::layer_stats::RequestCounts;

/// The rules that are in force together. It never changes, only its limits do.
pub(super) struct RuleSet<C: RulesClock> {
    pub(super) tiers: Tiers,
    pub(super) exempt: Vec<Condition>,
    pub(super) rates: Vec<RateRule<C>>,
    pub(super) in_flight: Vec<InFlightRule>,
}

/// What the program has set, for all files.
pub(super) struct Context<C> {
    pub(super) clock: C,
    pub(super) keys: KeySource,
    pub(super) tiers: Option<OwnTiers>,
}

/// Limits that go on, and their new numbers.
pub(super) struct Changes<C: RulesClock> {
    rates: Vec<(Arc<RateLimit<C>>, RateKind)>,
    in_flight: Vec<(InFlight, u64)>,
}

impl<C: RulesClock> Changes<C> {
    /// Makes the changes. The numbers were tried before.
    pub(super) fn apply(self, clock: &C) {
        for (limit, kind) in self.rates {
            let changed = limit.change_to(kind, clock);
            debug_assert!(changed.is_ok(), "{changed:?}");
        }
        for (limit, most) in self.in_flight {
            limit.set_limit(most);
        }
    }
}

impl<C: RulesClock> RuleSet<C> {
    /// Reads a file. Limits of `previous` go on in the new set; nothing is changed yet.
    pub(super) fn new(
        config: &RulesConfig,
        context: &Context<C>,
        previous: Option<&Self>,
    ) -> Result<(Self, Changes<C>), RulesError> {
        let keys = Keys::new(&context.keys, &config.keys);
        keys.check_names()?;
        // Keys that no limit uses must be right as well.
        for name in config.keys.keys() {
            keys.get(name, &format!("key `{name}`"))?;
        }
        let tiers = Tiers::new(context.tiers.as_ref(), &config.tiers, &keys)?;
        let exempt = config.exempt.iter().map(|condition| {
            if condition.is_empty() {
                let why = "a condition without parts would exempt every request".to_owned();
                return Err(RulesError::new(
                    "exempt".to_owned(),
                    Kind::InvalidCondition,
                    why,
                ));
            }
            Condition::new(condition, &tiers, "exempt")
        });
        let mut set = Self {
            exempt: exempt.collect::<Result<_, _>>()?,
            tiers,
            rates: Vec::new(),
            in_flight: Vec::new(),
        };
        let mut changes = Changes {
            rates: Vec::new(),
            in_flight: Vec::new(),
        };
        let mut names = HashSet::new();
        for limit in &config.limits {
            let place = format!("limit `{}`", limit.name);
            if !names.insert(&limit.name) {
                let why = "there is another one of this name".to_owned();
                return Err(RulesError::new(place, Kind::DuplicateName, why));
            }
            let condition = Condition::new(&limit.condition, &set.tiers, &place)?;
            let key = limit.key.as_deref().map(|name| keys.get(name, &place));
            let key = key.transpose()?;
            set.add(limit, condition, key, context, previous, &mut changes)?;
        }
        set.keep_names(config);
        Ok((set, changes))
    }

    fn add(
        &mut self,
        config: &LimitConfig,
        condition: Condition,
        key: Option<Key>,
        context: &Context<C>,
        previous: Option<&Self>,
        changes: &mut Changes<C>,
    ) -> Result<(), RulesError> {
        let old = previous.and_then(|previous| previous.find(&config.name));
        let is_same_key = old.as_ref().is_some_and(|(old, _)| {
            let identity = |key: &Option<Key>| key.as_ref().map(|key| key.identity.clone());
            identity(&old.key) == identity(&key)
        });
        let rule = Rule {
            // Given later.
            name: "",
            condition,
            without_key: config.without_key,
            is_shadow: config.is_shadow,
            refusals: match &old {
                Some((old, _)) => Arc::clone(&old.refusals),
                None => Arc::new(RequestCounts::new()),
            },
            key,
        };
        let has_key = rule.key.is_some();
        let old = old.filter(|_| is_same_key);
        match config.kind {
            LimitKind::InFlight(most) => {
                let limit = match old.map(|(_, limit)| limit) {
                    Some(OldLimit::InFlight(limit)) => limit.clone(),
                    _ if has_key => InFlightLimit::PerKey(Arc::new(Counts::new())),
                    _ => InFlightLimit::All(InFlight::new(most)),
                };
                if let InFlightLimit::All(limit) = &limit {
                    changes.in_flight.push((limit.clone(), most));
                }
                self.in_flight.push(InFlightRule { rule, most, limit });
            }
            LimitKind::Rate(kind) => {
                let fresh = RateLimit::new(kind, has_key, config.max_keys, &context.clock);
                let fresh =
                    fresh.map_err(|why| error(config, Kind::InvalidLimit, why.to_string()))?;
                let limit = match old.map(|(_, limit)| limit) {
                    Some(OldLimit::Rate(old)) if old.limit.is_like(&fresh) => {
                        if old.max_keys != config.max_keys {
                            let why = "its `max_keys` cannot change while it is in use; another \
                                       name makes it another limit, which begins anew";
                            return Err(error(config, Kind::FixedInUse, why.to_owned()));
                        }
                        // A table has all its keys walked for a change.
                        if old.kind != kind {
                            changes.rates.push((Arc::clone(&old.limit), kind));
                        }
                        Arc::clone(&old.limit)
                    }
                    _ => Arc::new(fresh),
                };
                self.rates.push(RateRule {
                    rule,
                    kind,
                    cost: config.cost,
                    max_keys: config.max_keys,
                    statuses: Box::from(&*config.statuses),
                    limit,
                });
            }
        }
        Ok(())
    }

    /// Gives each rule its name. Last, so that no name of a wrong file is kept.
    fn keep_names(&mut self, config: &RulesConfig) {
        let mut rates = self.rates.iter_mut();
        let mut in_flight = self.in_flight.iter_mut();
        for limit in &config.limits {
            let rule = match limit.kind {
                LimitKind::Rate(_) => rates.next().map(|rate| &mut rate.rule),
                LimitKind::InFlight(_) => in_flight.next().map(|limit| &mut limit.rule),
            };
            if let Some(rule) = rule {
                rule.name = interned(&limit.name);
            }
        }
    }

    /// The rule of a name, and its limit.
    fn find(&self, name: &str) -> Option<(&Rule, OldLimit<'_, C>)> {
        let rate = self.rates.iter().find(|rate| rate.rule.name == name);
        let in_flight = || self.in_flight.iter().find(|limit| limit.rule.name == name);
        if let Some(rate) = rate {
            return Some((&rate.rule, OldLimit::Rate(rate)));
        }
        in_flight().map(|old| (&old.rule, OldLimit::InFlight(&old.limit)))
    }

    /// Whether no rule is on a request.
    pub(super) fn is_exempt(&self, seen: &Seen<'_>) -> bool {
        self.exempt.iter().any(|condition| condition.holds(seen))
    }
}

/// The limit of a rule before a reload.
enum OldLimit<'a, C: RulesClock> {
    Rate(&'a RateRule<C>),
    InFlight(&'a InFlightLimit),
}

fn error(config: &LimitConfig, kind: Kind, why: String) -> RulesError {
    RulesError::new(format!("limit `{}`", config.name), kind, why)
}
