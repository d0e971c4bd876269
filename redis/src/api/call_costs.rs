//! What one call asks of the limits and of the provider.

use tidegate::__fleet as fleet;
use tidegate::{TokenEstimate, TokenUsage};

use super::decision::UNITS;
use super::fleet_limit::{Asked, FleetLimit};
use crate::script::ScriptArgs;

/// More than any provider allows in a day. The script's sums are exact for a thousand open calls of
/// so much.
const MOST: u64 = 1 << 42;

/// An amount of each unit, as the script takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amounts([u64; UNITS]);

impl Amounts {
    pub(super) fn new(requests: u64, tokens: TokenUsage) -> Self {
        let amounts = [requests, tokens.total(), tokens.input(), tokens.output()];
        Self(amounts.map(|amount| amount.min(MOST)))
    }

    pub(super) fn add_to(self, arguments: &mut ScriptArgs) {
        for amount in self.0 {
            arguments.number(amount);
        }
    }
}

/// Cuts what a response tells to what the script can count.
#[cfg(feature = "http")]
pub(super) fn countable(amount: u64) -> u64 {
    amount.min(MOST)
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct CallCosts {
    /// What each token limit is charged, in the order of the limits.
    pub(super) tokens: Vec<u64>,
    /// What the call is expected to use: of a guess no more than the limits can give.
    pub(super) usage: TokenUsage,
    is_guess: bool,
}

impl CallCosts {
    /// A request that has no tokens of its own, but needs that some are left.
    pub(super) fn request(limits: &[FleetLimit]) -> Self {
        let token_limits = limits.iter().filter(|limit| limit.counts_tokens);
        Self {
            tokens: token_limits.map(|_| 0).collect(),
            usage: TokenUsage::default(),
            is_guess: true,
        }
    }

    pub(super) fn new(estimate: TokenEstimate, limits: &[FleetLimit]) -> Self {
        let token_limits = limits.iter().filter(|limit| limit.counts_tokens);
        let kinds = token_limits.map(|limit| (limit.kind, limit.capacity));
        let (tokens, usage) = fleet::charges(estimate, kinds);
        Self {
            tokens,
            usage,
            is_guess: estimate.is_guess(),
        }
    }

    /// The first limit that can never give what the call asks for.
    pub(super) fn never<'l>(&self, limits: &'l [FleetLimit]) -> Option<&'l FleetLimit> {
        let token_limits = limits.iter().filter(|limit| limit.counts_tokens);
        let mut all = token_limits.zip(&self.tokens);
        let (limit, _) = all.find(|(limit, tokens)| **tokens > limit.capacity)?;
        Some(limit)
    }

    /// Whether it asks for at least as much as another call.
    pub(super) fn is_at_least(&self, other: &Self) -> bool {
        let mut each = self.tokens.iter().zip(&other.tokens);
        let usage = |usage: TokenUsage| [usage.total(), usage.input(), usage.output()];
        let mut units = usage(self.usage).into_iter().zip(usage(other.usage));
        each.all(|(own, other)| own >= other)
            && units.all(|(own, other)| own >= other)
            && (self.is_guess == other.is_guess || other.is_guess)
    }

    /// Adds the amounts that the call is charged, and those that must be left.
    pub(super) fn add_amounts(&self, arguments: &mut ScriptArgs) {
        let cost = Amounts::new(1, self.usage);
        // A guess goes as long as there are some tokens.
        let required = if self.is_guess {
            Amounts::new(1, TokenUsage::from(1))
        } else {
            Amounts(cost.0.map(|amount| amount.max(1)))
        };
        cost.add_to(arguments);
        required.add_to(arguments);
    }

    /// Adds what the call asks of each limit, with what was charged without the server.
    pub(super) fn add_limits(
        &self,
        arguments: &mut ScriptArgs,
        limits: &[FleetLimit],
        late: impl Fn(usize) -> u64,
    ) {
        let mut tokens = self.tokens.iter();
        for (index, limit) in limits.iter().enumerate() {
            let (cost, required) = if limit.counts_tokens {
                let cost = tokens.next().copied().unwrap_or(0);
                (cost, cost.max(1))
            } else {
                (1, 1)
            };
            let late = late(index);
            limit.add_to(
                arguments,
                Asked {
                    cost,
                    required,
                    late,
                },
            );
        }
    }
}

/// Adds what each token limit is charged for a usage, and nothing for the others.
pub(super) fn add_used(arguments: &mut ScriptArgs, limits: &[FleetLimit], used: TokenUsage) {
    for limit in limits {
        let cost = if limit.counts_tokens {
            fleet::share_of(limit.kind, used)
        } else {
            0
        };
        limit.add_to(arguments, Asked::cost(cost));
    }
}
