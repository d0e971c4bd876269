//! The arguments that the crate sends, for a configuration.

use tidegate::__fleet::{self as fleet, Counted, LimitRule};
use tidegate::{LimitKind, RateLimitConfig, TokenEstimate, TokenUsage};

use crate::scaled_quota::{Amount, ScaledQuota};
use crate::script_calls::{number, scaled};

pub(crate) const SLOTS: u64 = 64;

/// How long a record is kept after its call has expired, in microseconds.
pub(crate) const KEPT_US: u64 = 900_000_000;

/// How long a cancellation is remembered.
pub(crate) const REMEMBERED_US: u64 = 120_000_000;

/// The limits of a configuration.
pub(crate) struct Layout {
    pub(crate) config: RateLimitConfig,
    pub(crate) rules: Vec<LimitRule>,
    /// The changed quota of a limit that the node knows, and the one that it began with.
    pub(crate) records: Vec<Option<[Vec<u8>; 2]>>,
    pub(crate) keys: Vec<String>,
}

/// A call that asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedCall<'a> {
    pub(crate) id: &'a [u8],
    /// The node, if it waits, and whether it claims.
    pub(crate) waits: Option<(&'a [u8], bool)>,
    pub(crate) ttl_us: u64,
    /// `None` for a request without tokens.
    pub(crate) estimate: Option<TokenEstimate>,
}

impl Layout {
    pub(crate) fn new(config: RateLimitConfig) -> Self {
        let rules = fleet::limit_rules(&config).unwrap();
        let keys = (0..rules.len() + 3).map(|part| format!("key{part}"));
        Self {
            config,
            keys: keys.collect(),
            records: vec![None; rules.len()],
            rules,
        }
    }

    /// What each limit is charged for an estimate, and what the call is expected to use.
    pub(crate) fn charges(&self, estimate: Option<TokenEstimate>) -> (Vec<u64>, TokenUsage) {
        let is_token = |rule: &&LimitRule| fleet::counts_tokens(rule.kind);
        let tokens = self.rules.iter().filter(is_token);
        let kinds = tokens.map(|rule| (rule.kind, rule.capacity));
        let estimate = estimate.unwrap_or(0.into());
        let (charged, usage) = fleet::charges(estimate, kinds);
        let requests = self.rules.len() - charged.len();
        let all = core::iter::repeat_n(1, requests).chain(charged);
        (all.collect(), usage)
    }

    fn add(&self, arguments: &mut Vec<Vec<u8>>, cost: impl Fn(usize) -> u64, is_ask: bool) {
        for (index, rule) in self.rules.iter().enumerate() {
            let code = match rule.kind {
                LimitKind::Minute => 1,
                LimitKind::Hour => 2,
                LimitKind::Day => 3,
                LimitKind::Burst => 4,
                LimitKind::Tokens => 64,
                LimitKind::TokensPerDay => 65,
                LimitKind::InputTokens => 66,
                _ => 67,
            };
            let cost = cost(index);
            let required = if is_ask { cost.max(1) } else { cost };
            let mut numbers = vec![code];
            let permits = |us| Amount { us, num: 0 };
            let amounts = match rule.counted {
                Counted::Window(length) => {
                    let slot = u64::try_from(length.as_micros()).unwrap() / SLOTS;
                    numbers.extend([0, rule.capacity, slot, SLOTS]);
                    [permits(cost), permits(required)]
                }
                Counted::Bucket(quota) => {
                    let quota: ScaledQuota = scaled(quota);
                    let full = quota.full();
                    numbers.extend([quota.den(), full.us, full.num, quota.token()]);
                    [quota.cost(cost), quota.cost(required)]
                }
            };
            numbers.extend(amounts.iter().flat_map(|amount| [amount.us, amount.num]));
            numbers.extend([0, 0, 0]);
            arguments.extend(numbers.into_iter().map(number));
            match &self.records[index] {
                None => arguments.push(Vec::new()),
                Some(records) => {
                    arguments.extend(records.iter().cloned());
                    arguments.push(number(0));
                }
            }
        }
    }

    fn add_used(&self, arguments: &mut Vec<Vec<u8>>, used: TokenUsage) {
        let share = |index: usize| {
            let kind = self.rules[index].kind;
            if fleet::counts_tokens(kind) {
                fleet::share_of(kind, used)
            } else {
                0
            }
        };
        self.add(arguments, share, false);
    }

    pub(crate) fn decide(&self, operation: &str, call: AskedCall<'_>) -> Vec<Vec<u8>> {
        let mut arguments = vec![operation.into(), call.id.to_vec()];
        let (node, claims) = call.waits.unwrap_or((b"", false));
        arguments.push(node.to_vec());
        arguments.push(number(claims.into()));
        let most = self.config.max_in_flight.unwrap_or(0);
        arguments.extend([call.ttl_us, KEPT_US, most].map(number));
        let (charges, usage) = self.charges(call.estimate);
        let cost = amounts(1, usage);
        let is_guess = call.estimate.is_none_or(TokenEstimate::is_guess);
        let required = if is_guess {
            [1; 4]
        } else {
            cost.map(|amount| amount.max(1))
        };
        arguments.extend(cost.into_iter().chain(required).map(number));
        self.add(&mut arguments, |index| charges[index], true);
        arguments
    }

    /// `settle`, `keep` or `cancel`.
    pub(crate) fn end(
        &self,
        operation: &str,
        id: &[u8],
        used: TokenUsage,
        remembered_us: u64,
    ) -> Vec<Vec<u8>> {
        let mut arguments = vec![operation.into(), id.to_vec()];
        arguments.extend([KEPT_US, remembered_us].map(number));
        arguments.extend(amounts(1, used).map(number));
        self.add_used(&mut arguments, used);
        arguments
    }

    pub(crate) fn report(&self, id: &[u8], used: TokenUsage) -> Vec<Vec<u8>> {
        let mut arguments = vec![b"report".to_vec(), id.to_vec()];
        arguments.extend(amounts(1, used).map(number));
        self.add_used(&mut arguments, used);
        arguments
    }

    pub(crate) fn record(&self, used: TokenUsage) -> Vec<Vec<u8>> {
        let mut arguments = vec![b"record".to_vec()];
        arguments.extend(amounts(0, used).map(number));
        self.add_used(&mut arguments, used);
        arguments
    }

    pub(crate) fn resume(&self) -> Vec<Vec<u8>> {
        let mut arguments = vec![b"resume".to_vec()];
        self.add_used(&mut arguments, TokenUsage::default());
        arguments
    }
}

const fn amounts(requests: u64, tokens: TokenUsage) -> [u64; 4] {
    [requests, tokens.total(), tokens.input(), tokens.output()]
}

pub(crate) fn renew(ttl_us: u64, ids: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut arguments = vec![b"renew".to_vec(), number(ttl_us), number(KEPT_US)];
    arguments.extend(ids.iter().cloned());
    arguments
}

pub(crate) fn pause(us: u64) -> Vec<Vec<u8>> {
    vec![b"pause".to_vec(), number(us)]
}
