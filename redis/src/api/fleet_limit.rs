//! One limit of an API limiter, in the units of the script.
//!
//! The quota of a bucket may change while nodes use it. A [`ApiLimit`] has the newest one that
//! this node knows, and each step of the script is made with the [`FleetLimit`]s of one instant.

use core::time::Duration;
use std::sync::Arc;

use tidegate::__fleet::{self as fleet, Counted, LimitRule};
use tidegate::LimitKind;

use crate::base_key::BaseKey;
use crate::error::BuildError;
use crate::limits::Limits;
use crate::live_quota::LiveQuota;
use crate::local_shares::ApiShares;
use crate::quota_record::QuotaRecord;
use crate::scaled_quota::Amount;
use crate::scaled_window::ScaledWindow;
use crate::script::ScriptArgs;
use crate::sliding_window::RedisSlidingWindow;
use crate::token_bucket::RedisTokenBucket;

/// As many as the window of one process has.
const SLOTS: u64 = 64;

/// The codes of limits on tokens begin here.
pub(crate) const TOKENS: u64 = 64;

/// The ends of keys: of the state, the open calls and their ends.
pub(crate) const STATE: &str = "?api";
pub(crate) const CALLS: &str = "?calls";
pub(crate) const ENDS: &str = "?ends";

/// The names of limits in keys, after `?`: windows on requests, and buckets of tokens in the order
/// of their codes.
pub(crate) const WINDOW_LIMITS: [&str; 3] = ["minute", "hour", "day"];
pub(crate) const TOKEN_LIMITS: [&str; 4] =
    ["tokens", "tokens-day", "input-tokens", "output-tokens"];

/// The codes of shared limits begin so much later.
const SHARED: u64 = 32;

/// A limit as one step of the script is made with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FleetLimit {
    pub(super) kind: LimitKind,
    /// That of a shared limit.
    pub(super) name: Option<&'static str>,
    pub(super) stated: u64,
    pub(super) capacity: u64,
    pub(super) counts_tokens: bool,
    code: u64,
    /// How long an absent one counts as empty; 0 if it counts as full.
    empty_for_us: u64,
    scale: Scale,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    Window {
        slot_us: u64,
        slots: u64,
    },
    Bucket {
        now: QuotaRecord,
        /// That of the configuration.
        base: QuotaRecord,
        of_table: bool,
    },
}

/// A limit with the newest quota that this node knows.
#[derive(Debug)]
pub(super) struct ApiLimit {
    /// As it was built.
    limit: FleetLimit,
    /// `None` for a window.
    quota: Option<Arc<LiveQuota>>,
    /// Those of a shared bucket, which are to learn of changes, too.
    owner: Option<Arc<Limits>>,
    /// What this node admits of a shared limit without the server.
    pub(super) shares: Option<Arc<ApiShares>>,
    pub(super) key: Vec<u8>,
}

/// What a call asks of a limit, in permits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) cost: u64,
    /// What must be left for it.
    pub(super) required: u64,
    /// What was charged without the server.
    pub(super) late: u64,
}

impl Asked {
    pub(super) const fn cost(cost: u64) -> Self {
        Self {
            cost,
            required: cost,
            late: 0,
        }
    }
}

impl ApiLimit {
    pub(super) fn new(rule: LimitRule, base: &BaseKey) -> Result<Self, BuildError> {
        let (place, key) = match rule.kind {
            LimitKind::Minute => (1, WINDOW_LIMITS[0]),
            LimitKind::Hour => (2, WINDOW_LIMITS[1]),
            LimitKind::Day => (3, WINDOW_LIMITS[2]),
            LimitKind::Burst => (4, "burst"),
            LimitKind::Tokens => (TOKENS, TOKEN_LIMITS[0]),
            LimitKind::TokensPerDay => (TOKENS + 1, TOKEN_LIMITS[1]),
            LimitKind::InputTokens => (TOKENS + 2, TOKEN_LIMITS[2]),
            LimitKind::OutputTokens => (TOKENS + 3, TOKEN_LIMITS[3]),
            _ => return Err(BuildError::Unsupported("limit")),
        };
        let (scale, quota) = match rule.counted {
            // The periods of these windows are whole microseconds times 64.
            Counted::Window(length) => {
                let slot_us = micros(length) / SLOTS;
                let slots = SLOTS;
                (Scale::Window { slot_us, slots }, None)
            }
            Counted::Bucket(quota) => {
                let quota = Arc::new(LiveQuota::new(quota)?);
                (Scale::of(&quota, false), Some(quota))
            }
        };
        let limit = FleetLimit {
            kind: rule.kind,
            name: None,
            stated: rule.stated,
            capacity: rule.capacity,
            counts_tokens: fleet::counts_tokens(rule.kind),
            code: place,
            empty_for_us: 0,
            scale,
        };
        Ok(Self {
            limit,
            quota,
            owner: None,
            shares: None,
            key: base.limit_key(Some(&format!("?{key}"))),
        })
    }

    /// A bucket that other limiters use as well: the one with this `index` of its sort.
    pub(super) fn shared(
        name: &'static str,
        bucket: &RedisTokenBucket,
        (counts_tokens, index): (bool, u64),
    ) -> Self {
        let first = if counts_tokens { TOKENS } else { 0 };
        let (owner, quota) = (bucket.limits(), bucket.live_quota());
        let capacity = quota.base().quota.capacity();
        let limit = FleetLimit {
            kind: LimitKind::Shared,
            name: Some(name),
            stated: capacity,
            capacity,
            counts_tokens,
            code: first + SHARED + index,
            empty_for_us: owner.empty_for_us(),
            scale: Scale::of(quota, owner.is_table()),
        };
        Self {
            limit,
            quota: Some(Arc::clone(quota)),
            owner: Some(Arc::clone(owner)),
            shares: Some(Arc::clone(owner.api_shares())),
            key: bucket.buckets().keys[0].clone(),
        }
    }

    /// A window on requests that other limiters use as well, with this `index` among them.
    pub(super) fn shared_window(
        name: &'static str,
        window: &RedisSlidingWindow,
        index: u64,
    ) -> Result<Self, BuildError> {
        let scaled = ScaledWindow::new(window.limit(), window.window())?;
        let limit = FleetLimit {
            kind: LimitKind::Shared,
            name: Some(name),
            stated: window.limit(),
            capacity: window.limit(),
            counts_tokens: false,
            code: SHARED + index,
            empty_for_us: window.limits().empty_for_us(),
            scale: Scale::Window {
                slot_us: scaled.slot(),
                slots: scaled.reach(),
            },
        };
        Ok(Self {
            limit,
            quota: None,
            owner: None,
            shares: Some(Arc::clone(window.limits().api_shares())),
            key: window.buckets().keys[0].clone(),
        })
    }

    pub(super) const fn as_built(&self) -> &FleetLimit {
        &self.limit
    }

    /// The limit with the newest quota.
    pub(super) fn now(&self) -> FleetLimit {
        let mut limit = self.limit;
        if let (Scale::Bucket { now, .. }, Some(quota)) = (&mut limit.scale, &self.quota) {
            *now = quota.get();
            if now.version > 0 {
                limit.capacity = now.quota.capacity();
                limit.stated = limit.capacity;
            }
        }
        limit
    }

    /// Takes the quota that the server has told.
    pub(super) fn adopt(&self, told: QuotaRecord) {
        match (&self.owner, &self.quota) {
            (Some(owner), _) => owner.adopt(&[(0, told)]),
            (None, Some(quota)) => drop(quota.adopt(told)),
            (None, None) => {}
        }
    }

    /// Asks for changed quotas of a table, if this is a key of one and it is time to.
    pub(super) async fn follow_changes(&self) {
        if let Some(owner) = &self.owner {
            owner.follow_changes().await;
        }
    }
}

impl Scale {
    fn of(quota: &LiveQuota, of_table: bool) -> Self {
        Self::Bucket {
            now: quota.get(),
            base: *quota.base(),
            of_table,
        }
    }
}

impl FleetLimit {
    /// The quota of a bucket.
    pub(super) const fn quota(&self) -> Option<tidegate::Quota> {
        match &self.scale {
            Scale::Window { .. } => None,
            Scale::Bucket { now, .. } => Some(now.quota),
        }
    }

    /// The length of a window; zero for a bucket.
    pub(super) const fn length(&self) -> Duration {
        match &self.scale {
            Scale::Window { slot_us, slots } => Duration::from_micros(*slot_us * *slots),
            Scale::Bucket { .. } => Duration::ZERO,
        }
    }

    /// Adds the arguments of this limit.
    pub(super) fn add_to(&self, arguments: &mut ScriptArgs, asked: Asked) {
        let Asked {
            cost,
            required,
            late,
        } = asked;
        let permits = |us| Amount { us, num: 0 };
        arguments.number(self.code);
        match &self.scale {
            Scale::Window { slot_us, slots } => arguments
                .number(0)
                .number(self.capacity)
                .number(*slot_us)
                .number(*slots)
                .amount(permits(cost))
                .amount(permits(required))
                .amount(permits(late))
                .number(self.empty_for_us)
                .bytes(b""),
            Scale::Bucket {
                now,
                base,
                of_table,
            } => {
                let quota = now.scaled;
                arguments
                    .number(quota.den())
                    .amount(quota.full())
                    .number(quota.token())
                    .amount(quota.cost(cost))
                    .amount(quota.cost(required))
                    .amount(quota.cost(late))
                    .number(self.empty_for_us);
                if now.version == 0 {
                    arguments.bytes(b"")
                } else {
                    arguments
                        .bytes(&now.to_bytes())
                        .bytes(&base.to_bytes())
                        .number((*of_table).into())
                }
            }
        };
    }

    /// Returns what is left, from the two numbers of a reply.
    pub(super) fn available(&self, us: u64, num: u64) -> u64 {
        match &self.scale {
            Scale::Window { .. } => us,
            Scale::Bucket { now, .. } => now.scaled.available(Amount { us, num }),
        }
    }
}

/// Microseconds, at most the longest time that the script can count.
pub(super) fn micros(time: Duration) -> u64 {
    let most = crate::scaled_quota::MAX_REFILL_US;
    u64::try_from(time.as_micros()).map_or(most, |us| us.min(most))
}
