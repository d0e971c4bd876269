//! One limit of an API limiter, in the units of the script.

use core::time::Duration;

use tidegate::__fleet::{self as fleet, Counted, LimitRule};
use tidegate::{LimitKind, Quota};

use crate::base_key::BaseKey;
use crate::error::BuildError;
use crate::scaled_quota::{Amount, ScaledQuota};
use crate::script::ScriptArgs;

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

/// See the [module](self) documentation.
#[derive(Debug)]
pub(super) struct FleetLimit {
    pub(super) kind: LimitKind,
    /// That of a shared limit.
    pub(super) name: Option<&'static str>,
    pub(super) stated: u64,
    pub(super) capacity: u64,
    pub(super) key: Vec<u8>,
    pub(super) counts_tokens: bool,
    code: u64,
    scale: Scale,
}

#[derive(Debug)]
enum Scale {
    Window { slot_us: u64 },
    Bucket(ScaledQuota),
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

impl FleetLimit {
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
        let scale = match rule.counted {
            // The periods of these windows are whole microseconds times 64.
            Counted::Window(length) => Scale::Window {
                slot_us: micros(length) / SLOTS,
            },
            Counted::Bucket(quota) => Scale::Bucket(ScaledQuota::new(quota)?),
        };
        Ok(Self {
            kind: rule.kind,
            name: None,
            stated: rule.stated,
            capacity: rule.capacity,
            key: base.limit_key(Some(&format!("?{key}"))),
            counts_tokens: fleet::counts_tokens(rule.kind),
            code: place,
            scale,
        })
    }

    /// A bucket that other limiters use as well: the one with this `index` of its sort.
    pub(super) fn shared(
        name: &'static str,
        quota: Quota,
        key: Vec<u8>,
        counts_tokens: bool,
        index: u64,
    ) -> Result<Self, BuildError> {
        let first = if counts_tokens { TOKENS } else { 0 };
        Ok(Self {
            kind: LimitKind::Shared,
            name: Some(name),
            stated: quota.capacity(),
            capacity: quota.capacity(),
            key,
            counts_tokens,
            code: first + SHARED + index,
            scale: Scale::Bucket(ScaledQuota::new(quota)?),
        })
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
            Scale::Window { slot_us } => arguments
                .number(0)
                .number(self.capacity)
                .number(*slot_us)
                .number(SLOTS)
                .amount(permits(cost))
                .amount(permits(required))
                .amount(permits(late)),
            Scale::Bucket(quota) => arguments
                .number(quota.den())
                .amount(quota.full())
                .number(0)
                .amount(quota.cost(cost))
                .amount(quota.cost(required))
                .amount(quota.cost(late)),
        };
    }

    /// Returns what is left, from the two numbers of a reply.
    pub(super) fn available(&self, us: u64, num: u64) -> u64 {
        match &self.scale {
            Scale::Window { .. } => us,
            Scale::Bucket(quota) => quota.available(Amount { us, num }),
        }
    }
}

/// Microseconds, at most the longest time that the script can count.
pub(super) fn micros(time: Duration) -> u64 {
    let most = crate::scaled_quota::MAX_REFILL_US;
    u64::try_from(time.as_micros()).map_or(most, |us| us.min(most))
}
