//! The rules that are in force, and the change to others.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::config::RulesConfig;
use super::error::RulesError;
use super::limit::RulesClock;
use super::rule_set::{Context, RuleSet};

use crate::clock::DefaultClock;

/// The limits of a service from a configuration file: any number of them, with names, quotas and
/// conditions that the program does not know, changed while it runs.
///
/// [`docs::rules`](crate::docs::rules) says what a file can contain.
///
/// ```
/// use http::{Request, StatusCode};
/// use tidegate::ManualClock;
/// use tidegate::layer::{RequestHead, Rules};
///
/// let rules = Rules::builder().clock(ManualClock::new()).build(&toml::from_str(
///     r#"
///     [keys]
///     account = { header = "x-account" }
///
///     [[limits]]
///     name = "everyone"
///     rate = "1000/s"
///
///     [[limits]]
///     name = "uploads"
///     window = "2/min"
///     key = "account"
///     routes = ["/upload/{*path}"]
///     methods = ["POST", "PUT"]
///     "#,
/// )?)?;
/// let layer = rules.layer().build(); // for axum, tonic and all other services of tower
/// let ask = |request: http::request::Builder| {
///     let request = request.header("x-account", "alice").body(()).unwrap();
///     layer.decide::<String>(&RequestHead::new(&request)).map_err(|refused| refused.status())
/// };
/// assert!(ask(Request::put("/upload/1")).is_ok());
/// assert!(ask(Request::put("/upload/2")).is_ok());
/// assert_eq!(ask(Request::put("/upload/3")).unwrap_err(), StatusCode::TOO_MANY_REQUESTS);
/// assert!(ask(Request::get("/upload/1")).is_ok());
///
/// let more = "limits = [{ name = 'uploads', window = '3/min', key = 'account' }]";
/// // `account` is not defined there: the whole file is refused, and nothing has changed.
/// assert!(rules.reload(&toml::from_str(more)?).is_err());
/// let more = format!("keys.account.header = 'x-account'\n{more}");
/// rules.reload(&toml::from_str(&more)?)?;
/// assert!(ask(Request::put("/upload/3")).is_ok());
/// assert_eq!(ask(Request::put("/upload/4")).unwrap_err(), StatusCode::TOO_MANY_REQUESTS);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Guarantees
///
/// * Each limit keeps the bound of its type: [`TokenBucket`](crate::TokenBucket),
///   [`SlidingWindow`](crate::SlidingWindow), [`InFlight`](crate::InFlight),
///   [`PenaltyBox`](crate::PenaltyBox), or that of a key in a [`Keyed`](crate::Keyed).
/// * All rates on a request are charged or none, as in a tuple of [gates](crate::layer::Gate).
/// * A reload gives no free burst of a limit that goes on: see [`reload`](Self::reload).
///
/// # Cost
///
/// Each request walks the rules of the file without a lock. With up to four rules on a request, the
/// decision allocates nothing; header fields do, and what a request keeps for `in_flight` and
/// `statuses`. A condition on the method is a comparison, and one on routes the walk of a tree. A
/// key is digested for each rule that has it, and for the tiers.
pub struct Rules<C: RulesClock = DefaultClock> {
    pub(super) shared: Arc<Shared<C>>,
}

pub(super) struct Shared<C: RulesClock> {
    pub(super) context: Context<C>,
    /// The rules in force. A request keeps those that it was decided by.
    pub(super) set: ArcSwap<RuleSet<C>>,
    /// One reload at a time.
    reload: Mutex<()>,
}

/// What a limit of [`Rules`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleStats {
    /// The name of the limit.
    pub name: &'static str,
    /// Requests that it has refused. Where several limits refuse a request, each counts it.
    pub denied: u64,
    /// Requests that it would have refused, while it was a shadow.
    pub shadow_denied: u64,
    /// How many keys it knows.
    pub keys: usize,
}

impl<C: RulesClock> Rules<C> {
    pub(super) fn with_context(
        context: Context<C>,
        config: &RulesConfig,
    ) -> Result<Self, RulesError> {
        let (set, _) = RuleSet::new(config, &context, None)?;
        Ok(Self {
            shared: Arc::new(Shared {
                context,
                set: ArcSwap::from_pointee(set),
                reload: Mutex::new(()),
            }),
        })
    }

    /// Puts another file into force, or changes nothing.
    ///
    /// A limit that has the same name, kind and key as before goes on, with its new numbers and its
    /// old level. A bucket changes as by [`set_quota`](crate::TokenBucket::set_quota), a window as
    /// by [`set_limit`](crate::SlidingWindow::set_limit), those of keys as by
    /// [`set_factory`](crate::Keyed::set_factory), and failures as by
    /// [`set_limits`](crate::PenaltyBox::set_limits). Permits that are out stay out. Conditions,
    /// costs, and whether it is a shadow, change with it.
    ///
    /// Any other limit is a new one, and begins with all that it allows. Two keys are the same if
    /// they are read from the same fields in the same way, or are both addresses: the trusted
    /// proxies, and the names of keys and their parts, may change.
    ///
    /// The rates on a request are decided by one file, and its limits on requests at the same time
    /// by one: those that were in force when it came. For a moment it may find the new numbers of a
    /// limit under its old conditions. A charge comes back, if it does, to the limiter that made
    /// it, whatever was reloaded meanwhile.
    ///
    /// One reload waits for another. It walks all keys of the limits whose numbers change, with the
    /// exclusive lock of one part of their table after the other, for which requests wait as they
    /// do for a new key.
    ///
    /// # Errors
    ///
    /// [`RulesError`], which names the limit, tier or key that is wrong. The `max_keys` of a limit
    /// cannot change while it is in use.
    pub fn reload(&self, config: &RulesConfig) -> Result<(), RulesError> {
        let shared = &self.shared;
        let _turn = shared.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = shared.set.load_full();
        let (set, changes) = RuleSet::new(config, &shared.context, Some(&previous))?;
        changes.apply(&shared.context.clock);
        shared.set.store(Arc::new(set));
        Ok(())
    }

    /// Returns what each limit has done since a file first had one of its name, or had again: rates
    /// first, in the order of the file.
    pub fn stats(&self) -> Vec<RuleStats> {
        let set = self.shared.set.load();
        let rates = set.rates.iter();
        let rates = rates.map(|rate| (&rate.rule, rate.limit.keys()));
        let in_flight = set.in_flight.iter().map(|limit| (&limit.rule, 0));
        let stats = rates.chain(in_flight).map(|(rule, keys)| {
            let refusals = rule.refusals.sum();
            RuleStats {
                name: rule.name,
                denied: refusals.denied,
                shadow_denied: refusals.shadow_denied,
                keys,
            }
        });
        stats.collect()
    }
}

/// Clones share the limits, and what is reloaded.
impl<C: RulesClock> Clone for Rules<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: RulesClock> fmt::Debug for Rules<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.shared.set.load();
        let rates = set.rates.iter().map(|rate| rate.rule.name);
        let in_flight = set.in_flight.iter().map(|limit| limit.rule.name);
        let names: Vec<_> = rates.chain(in_flight).collect();
        f.debug_struct("Rules")
            .field("limits", &names)
            .finish_non_exhaustive()
    }
}
