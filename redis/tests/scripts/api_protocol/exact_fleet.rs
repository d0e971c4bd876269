//! What the script must do: exact limits, and a table of calls.

use std::collections::BTreeMap;

use tidegate::__fleet::{self as fleet, Counted};
use tidegate::{TokenEstimate, TokenUsage};

use super::call_arguments::{KEPT_US, Layout, SLOTS};

enum ModelLimit {
    Window {
        limit: u64,
        slot_us: u64,
        counts: BTreeMap<u64, u64>,
    },
    /// A microsecond is `us` units, and a token is `token` units.
    Bucket {
        us: i128,
        token: i128,
        full: i128,
        /// When it is full, in units.
        tat: i128,
    },
}

struct ModelCall {
    /// Of each limit; and the slot of a window.
    charged: Vec<(u64, u64)>,
    usage: TokenUsage,
    ends_us: u64,
    /// It has expired, and its estimate is in the total.
    is_counted: bool,
}

/// See the [module](self) documentation.
pub(crate) struct ExactFleet<'a> {
    layout: &'a Layout,
    limits: Vec<ModelLimit>,
    calls: BTreeMap<Vec<u8>, ModelCall>,
    /// Canceled before they arrived, and until when that is remembered.
    canceled: BTreeMap<Vec<u8>, u64>,
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    pub(crate) forfeited: u64,
}

/// Why a call is refused: as the script tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelRefusal {
    pub(crate) reason: i64,
    pub(crate) wait_us: u64,
}

impl ModelLimit {
    fn new(rule: &tidegate::__fleet::LimitRule) -> Self {
        match rule.counted {
            Counted::Window(length) => Self::Window {
                limit: rule.capacity,
                slot_us: u64::try_from(length.as_micros()).unwrap() / SLOTS,
                counts: BTreeMap::new(),
            },
            Counted::Bucket(quota) => {
                let token = i128::try_from(quota.period().as_nanos()).unwrap();
                Self::Bucket {
                    us: i128::from(quota.rate()) * 1_000,
                    token,
                    full: i128::from(quota.capacity()) * token,
                    tat: 0,
                }
            }
        }
    }

    /// The wait for so much; 0 if it fits.
    fn wait_us(&self, required: u64, now_us: u64) -> u64 {
        match self {
            Self::Window {
                limit,
                slot_us,
                counts,
            } => {
                let gone_us = |slot: u64| (slot + SLOTS + 1) * slot_us;
                let mut used: u64 = self.used(now_us);
                let live = counts.iter().filter(|(slot, _)| gone_us(**slot) > now_us);
                let mut wait = 0;
                for (slot, count) in live {
                    if used + required <= *limit {
                        break;
                    }
                    (used, wait) = (used - count, gone_us(*slot) - now_us);
                }
                wait
            }
            Self::Bucket {
                us,
                token,
                full,
                tat,
            } => {
                let now = i128::from(now_us) * us;
                let over = (*tat).max(now) + i128::from(required) * token - now - full;
                u64::try_from((over.max(0) + us - 1) / us).unwrap()
            }
        }
    }

    fn used(&self, now_us: u64) -> u64 {
        let Self::Window {
            slot_us, counts, ..
        } = self
        else {
            return 0;
        };
        let first = (now_us / slot_us).saturating_sub(SLOTS);
        counts.range(first..).map(|(_, count)| count).sum()
    }

    /// Returns what is noted of the charge.
    fn charge(&mut self, cost: u64, now_us: u64) -> (u64, u64) {
        match self {
            Self::Window {
                slot_us, counts, ..
            } => {
                let slot = now_us / *slot_us;
                *counts.entry(slot).or_default() += cost;
                (cost, slot)
            }
            Self::Bucket { us, token, tat, .. } => {
                *tat = (*tat).max(i128::from(now_us) * *us) + i128::from(cost) * *token;
                (cost, 0)
            }
        }
    }

    /// Returns what does not come back.
    fn undo(&mut self, (cost, slot): (u64, u64), now_us: u64) -> u64 {
        match self {
            Self::Window {
                slot_us, counts, ..
            } => {
                if now_us / *slot_us != slot {
                    return cost;
                }
                *counts.get_mut(&slot).unwrap() -= cost;
                0
            }
            Self::Bucket { us, token, tat, .. } => {
                let now = i128::from(now_us) * *us;
                *tat = (*tat - i128::from(cost) * *token).max(now);
                0
            }
        }
    }
}

impl<'a> ExactFleet<'a> {
    pub(crate) fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            limits: layout.rules.iter().map(ModelLimit::new).collect(),
            calls: BTreeMap::new(),
            canceled: BTreeMap::new(),
            requests: 0,
            tokens: 0,
            forfeited: 0,
        }
    }

    pub(crate) fn in_flight(&self, now_us: u64) -> u64 {
        let open = self.calls.values().filter(|call| call.ends_us > now_us);
        open.count() as u64
    }

    /// Ends calls that have expired, and forgets those that have for long.
    fn advance(&mut self, now_us: u64) {
        for call in self.calls.values_mut() {
            if call.ends_us <= now_us && !call.is_counted {
                call.is_counted = true;
                self.tokens += call.usage.total();
            }
        }
        self.canceled.retain(|_, until_us| *until_us > now_us);
    }

    /// A record is forgotten so long after a script has noticed that its call has expired.
    pub(crate) fn may_be_forgotten(&self, id: &[u8], now_us: u64) -> bool {
        self.calls
            .get(id)
            .is_some_and(|call| call.ends_us + KEPT_US <= now_us)
    }

    /// Admits a call.
    pub(crate) fn reserve(
        &mut self,
        id: &[u8],
        estimate: Option<TokenEstimate>,
        ttl_us: u64,
        now_us: u64,
    ) -> Result<(), ModelRefusal> {
        self.advance(now_us);
        let (costs, usage) = self.layout.charges(estimate);
        if !id.is_empty() && (self.calls.contains_key(id) || self.canceled.contains_key(id)) {
            return Err(ModelRefusal {
                reason: -4,
                wait_us: 0,
            });
        }
        let mut refusal = ModelRefusal {
            reason: 0,
            wait_us: 0,
        };
        for (index, (limit, cost)) in self.limits.iter().zip(&costs).enumerate() {
            let wait_us = limit.wait_us((*cost).max(1), now_us);
            if wait_us > refusal.wait_us {
                let reason = i64::try_from(index).unwrap() + 1;
                refusal = ModelRefusal { reason, wait_us };
            }
        }
        let most = self.layout.config.max_in_flight.unwrap_or(u64::MAX);
        if refusal.reason == 0 && !id.is_empty() && self.in_flight(now_us) >= most {
            refusal.reason = -3;
        }
        if refusal.reason != 0 {
            return Err(refusal);
        }
        let limits = self.limits.iter_mut().zip(&costs);
        let charged = limits.map(|(limit, cost)| limit.charge(*cost, now_us));
        let charged = charged.collect();
        self.requests += 1;
        if !id.is_empty() {
            let call = ModelCall {
                charged,
                usage,
                ends_us: now_us + ttl_us,
                is_counted: false,
            };
            self.calls.insert(id.to_vec(), call);
        }
        Ok(())
    }

    /// Ends a call with what it used; `None` for its estimate. Returns whether it was open.
    pub(crate) fn settle(&mut self, id: &[u8], used: Option<TokenUsage>, now_us: u64) -> bool {
        let Some(call) = self.calls.remove(id) else {
            self.advance(now_us);
            return false;
        };
        if let Some(used) = used {
            for (index, limit) in self.limits.iter_mut().enumerate() {
                let kind = self.layout.rules[index].kind;
                if fleet::counts_tokens(kind) {
                    let (was, share) = (call.charged[index].0, fleet::share_of(kind, used));
                    if share > was {
                        limit.charge(share - was, now_us);
                    } else if was > share {
                        limit.undo((was - share, 0), now_us);
                    }
                }
            }
        }
        if !call.is_counted {
            self.tokens += used.unwrap_or(call.usage).total();
        } else if let Some(used) = used {
            self.tokens = self.tokens + used.total() - call.usage.total();
        }
        self.advance(now_us);
        true
    }

    /// Charges what a call has used so far.
    pub(crate) fn report(&mut self, id: &[u8], used: TokenUsage, now_us: u64) -> bool {
        self.advance(now_us);
        let Some(call) = self.calls.get_mut(id) else {
            return false;
        };
        for (index, limit) in self.limits.iter_mut().enumerate() {
            let kind = self.layout.rules[index].kind;
            let share = fleet::share_of(kind, used);
            let charged = &mut call.charged[index].0;
            if fleet::counts_tokens(kind) && share > *charged {
                limit.charge(share - *charged, now_us);
                *charged = share;
            }
        }
        let usage = fleet::at_least(call.usage, used);
        if call.is_counted {
            self.tokens += usage.total() - call.usage.total();
        }
        call.usage = usage;
        true
    }

    /// Returns whether the call was open, and whether all came back.
    pub(crate) fn cancel(&mut self, id: &[u8], remembered_us: u64, now_us: u64) -> (bool, bool) {
        let call = self.calls.remove(id);
        self.advance(now_us);
        let Some(call) = call else {
            if remembered_us > 0 {
                self.canceled.insert(id.to_vec(), now_us + remembered_us);
            }
            return (false, false);
        };
        let mut forfeited = 0;
        for (limit, charged) in self.limits.iter_mut().zip(call.charged) {
            forfeited += limit.undo(charged, now_us);
        }
        self.requests -= 1;
        self.forfeited += forfeited;
        if call.is_counted {
            self.tokens -= call.usage.total();
        }
        (true, forfeited == 0)
    }

    pub(crate) fn record(&mut self, used: TokenUsage, now_us: u64) {
        self.advance(now_us);
        for (index, limit) in self.limits.iter_mut().enumerate() {
            let kind = self.layout.rules[index].kind;
            if fleet::counts_tokens(kind) {
                limit.charge(fleet::share_of(kind, used), now_us);
            }
        }
        self.tokens += used.total();
    }

    pub(crate) fn renew(&mut self, ids: &[Vec<u8>], ttl_us: u64, now_us: u64) {
        for id in ids {
            if let Some(call) = self.calls.get_mut(id) {
                call.ends_us = call.ends_us.max(now_us + ttl_us);
            }
        }
        self.advance(now_us);
    }

    /// What each limit has left, in the two numbers of the script's reply: the first of them for a
    /// bucket rounded down.
    pub(crate) fn left(&self, now_us: u64) -> Vec<i64> {
        let left = self.limits.iter().map(|limit| match limit {
            ModelLimit::Window { limit: most, .. } => {
                i64::try_from(most.saturating_sub(limit.used(now_us))).unwrap()
            }
            ModelLimit::Bucket { us, tat, .. } => {
                let ahead = (*tat - i128::from(now_us) * us).max(0);
                i64::try_from(ahead / us).unwrap()
            }
        });
        left.collect()
    }
}
