//! A row of the report: what a limit allows, and what the clients counted.

use std::time::Duration;

use tidegate::Quota;

use crate::cast::KEYS;
use crate::limits::Quotas;
use crate::rules::{RULES, Rule};
use crate::stats::Stats;
use crate::tally::{Answers, Limit};
use crate::tiers::PRO_KEYS;

pub(crate) struct Row {
    pub(crate) limit: Limit,
    pub(crate) answers: Answers,
    pub(crate) allows: Allows,
    /// Permits of this limit that were taken in vain and did not come back, as the server counted them. Those of an address or a
    /// key it counts for all of them together, so that they are not here.
    pub(crate) forfeited: u64,
    /// How many permits may have been missing for a while beyond that: some came back, or were forfeited by any address or key.
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
        let decided = stats.decided(limit.kind());
        let (returned, forfeited) =
            decided.map_or((0, 0), |decided| (decided.returned, decided.forfeited));
        let (forfeited, missing) = match limit {
            Limit::Global | Limit::Route(_) => (forfeited, returned),
            Limit::Address(_) | Limit::Key(_) => (0, returned + forfeited),
        };
        Self {
            limit,
            answers,
            allows,
            forfeited,
            missing,
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
