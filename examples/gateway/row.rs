//! A row of the report: what a limit allows, and what the clients counted.

use std::time::Duration;

use tidegate::Quota;

use crate::cast::KEYS;
use crate::rules::{RULES, Rule};
use crate::server::{GLOBAL, Quotas};
use crate::stats::Stats;
use crate::tally::{Answers, Limit};
use crate::tiers::PRO_KEYS;

pub(crate) struct Row {
    pub(crate) limit: Limit,
    pub(crate) answers: Answers,
    pub(crate) allows: Allows,
    /// How many permits of this limit may have been missing at some time without an admitted request that has them.
    pub(crate) missing: u64,
}

/// What a limit allows.
pub(crate) struct Allows {
    pub(crate) quota: String,
    /// The most that it can give at once.
    pub(crate) burst: u64,
    /// The most that it can give in the time that the requests took.
    pub(crate) most: u64,
    /// The longest that it lets one request wait, if the request is judged at once.
    pub(crate) longest_wait: Duration,
}

impl Row {
    pub(crate) fn new(
        limit: Limit,
        answers: Answers,
        quotas: &Quotas,
        elapsed: Duration,
        stats: &Stats,
    ) -> Self {
        let allows = match limit {
            Limit::Global => Allows::bucket(quotas.global, elapsed),
            Limit::Route(route) => Allows::window(&RULES[route], elapsed),
            Limit::Address(_) => Allows::bucket(quotas.address, elapsed),
            Limit::Key(key) if PRO_KEYS.contains(&KEYS[key].text) => {
                Allows::bucket(quotas.key.pro, elapsed)
            }
            Limit::Key(_) => Allows::bucket(quotas.key.free, elapsed),
        };
        // A request that is refused after it took from one limit has forfeited a permit at least: the address's. So no limit
        // can have missed more permits than are forfeited, whether it got them back or not.
        let missing = match limit {
            // It is charged last.
            Limit::Global => Some(0),
            Limit::Route(_) => stats.limit(limit.kind()).map(|limit| limit.forfeited),
            Limit::Address(_) | Limit::Key(_) => stats.limit(GLOBAL).map(|all| all.forfeited),
        };
        Self {
            limit,
            answers,
            allows,
            missing: missing.unwrap_or(0),
        }
    }
}

impl Allows {
    fn bucket(quota: Quota, elapsed: Duration) -> Self {
        let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
        let refill = saturate(rate * elapsed.as_nanos() / period);
        Self {
            quota: quota.to_string(),
            burst: quota.capacity(),
            most: quota.capacity().saturating_add(refill),
            longest_wait: Duration::from_nanos(saturate(period.div_ceil(rate))),
        }
    }

    fn window(rule: &Rule, elapsed: Duration) -> Self {
        // So many windows, one after the other, cover the whole time.
        let windows = saturate(elapsed.as_nanos() / rule.window.as_nanos() + 1);
        Self {
            quota: rule.to_string(),
            burst: rule.limit,
            most: rule.limit.saturating_mul(windows),
            // A window and one of its slots.
            longest_wait: 2 * rule.window,
        }
    }
}

pub(crate) fn saturate(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
