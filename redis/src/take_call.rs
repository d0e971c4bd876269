//! Calls of the script `take`: what it is sent, and what it answers.
//!
//! The usual calls have short ways, with fewer arguments and another reply: those that take from
//! buckets whose tokens take whole microseconds, from any bucket alone, or from a window alone.

use core::time::Duration;
use std::sync::Arc;

use crate::scaled_limit::{LimitState, ScaledLimit};
use crate::scaled_quota::{Amount, MAX_REFILL_US};
use crate::scaled_window::MAX_COUNT;
use crate::script::ScriptArgs;

/// The arguments of a call, and the way that they take.
#[derive(Debug)]
pub(crate) struct TakeArguments {
    pub(crate) arguments: ScriptArgs,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Any,
    Buckets,
    Window,
}

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct TakeReply {
    /// The limit that denies the call, and for how long.
    pub(crate) denial: Option<(usize, Duration)>,
    /// The state of each limit.
    pub(crate) states: Arc<[LimitState]>,
}

impl TakeArguments {
    /// The arguments of any call. `changes` appends what a limit has to say of changes of its
    /// quota, and `empty_for_us` is how long an absent bucket counts as empty.
    pub(crate) fn any(
        operation: &str,
        limits: &[ScaledLimit],
        costs: &[u64],
        unreported: impl Fn(usize) -> u64,
        changes: impl Fn(usize, &mut ScriptArgs),
        empty_for_us: u64,
    ) -> Self {
        let mut arguments = ScriptArgs::default();
        arguments
            .bytes(operation.as_bytes())
            .number(MAX_REFILL_US)
            .number(empty_for_us)
            .number(MAX_COUNT);
        for (index, (limit, &cost)) in limits.iter().zip(costs).enumerate() {
            limit.arguments(&mut arguments, cost, unreported(index));
            changes(index, &mut arguments);
        }
        Self {
            arguments,
            way: Way::Any,
        }
    }

    /// The arguments of a call that takes, if there is a short way for it.
    pub(crate) fn short(limits: &[ScaledLimit], costs: &[u64]) -> Option<Self> {
        costs.iter().any(|cost| *cost > 0).then_some(())?;
        let mut arguments = ScriptArgs::default();
        let way = match (limits, costs) {
            ([ScaledLimit::Window(window)], &[cost]) => {
                arguments
                    .number(cost)
                    .number(window.limit())
                    .number(window.slot())
                    .number(window.reach());
                Way::Window
            }
            ([ScaledLimit::Bucket(quota)], &[cost]) if !quota.is_whole() => {
                arguments
                    .amount(quota.cost(cost))
                    .amount(quota.full())
                    .number(quota.den());
                Way::Buckets
            }
            _ => {
                for (limit, &cost) in limits.iter().zip(costs) {
                    let ScaledLimit::Bucket(quota) = limit else {
                        return None;
                    };
                    quota.is_whole().then_some(())?;
                    arguments
                        .number(quota.cost(cost).us)
                        .number(quota.full().us);
                }
                Way::Buckets
            }
        };
        Some(Self { arguments, way })
    }

    /// Returns the arguments, and what reads the reply to them.
    pub(crate) fn split(self) -> (ScriptArgs, ReplyReader) {
        (self.arguments, ReplyReader(self.way))
    }
}

/// Reads the reply to the arguments that it came with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyReader(Way);

impl ReplyReader {
    /// `None` if the reply has another shape, as that of another version of the script might.
    pub(crate) fn read(
        self,
        numbers: &[i64],
        limits: &[ScaledLimit],
        costs: &[u64],
    ) -> Option<TakeReply> {
        match self.0 {
            Way::Window => read_window(numbers, limits),
            // What the short way leaves to the rest has the reply of any call.
            Way::Buckets if numbers.len() <= 1 + limits.len() => {
                read_buckets(numbers, limits, costs)
            }
            Way::Any | Way::Buckets => read_any(numbers, limits),
        }
    }
}

fn unsigned(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

fn read_any(numbers: &[i64], limits: &[ScaledLimit]) -> Option<TakeReply> {
    let [admitted, index, wait, rest @ ..] = numbers else {
        return None;
    };
    let denial = if *admitted == 1 {
        None
    } else {
        let index = usize::try_from(*index).ok()?.checked_sub(1)?;
        (index < limits.len()).then_some(())?;
        Some((index, Duration::from_micros(unsigned(*wait)?)))
    };
    let mut rest = rest;
    let mut states = Vec::with_capacity(limits.len());
    for limit in limits {
        let (state, after) = limit.read(rest)?;
        states.push(state);
        rest = after;
    }
    rest.is_empty().then_some(TakeReply {
        denial,
        states: states.into(),
    })
}

fn read_window(numbers: &[i64], limits: &[ScaledLimit]) -> Option<TakeReply> {
    let ([wait, counted @ ..], [window]) = (numbers, limits) else {
        return None;
    };
    let (state, rest) = window.read(counted)?;
    let wait = unsigned(*wait)?;
    rest.is_empty().then_some(TakeReply {
        denial: (wait > 0).then_some((0, Duration::from_micros(wait))),
        states: [state].into(),
    })
}

fn read_buckets(numbers: &[i64], limits: &[ScaledLimit], costs: &[u64]) -> Option<TakeReply> {
    let (admitted, ahead): (_, Vec<Amount>) = if limits.len() == 1 {
        let us = *numbers.first()?;
        let ahead = Amount {
            us: unsigned(if us < 0 { -1 - us } else { us })?,
            num: unsigned(numbers.get(1).copied().unwrap_or(0))?,
        };
        (us >= 0, vec![ahead])
    } else {
        let [admitted, ahead @ ..] = numbers else {
            return None;
        };
        let ahead = ahead.iter().map(|us| {
            Some(Amount {
                us: unsigned(*us)?,
                num: 0,
            })
        });
        (*admitted == 1, ahead.collect::<Option<_>>()?)
    };
    (ahead.len() == limits.len()).then_some(())?;
    let denial = if admitted {
        None
    } else {
        Some(longest_wait(limits, costs, &ahead)?)
    };
    Some(TakeReply {
        denial,
        states: ahead.into_iter().map(LimitState::Bucket).collect(),
    })
}

/// The bucket that denies the call for longest; the first of those that do so equally long.
fn longest_wait(
    limits: &[ScaledLimit],
    costs: &[u64],
    ahead: &[Amount],
) -> Option<(usize, Duration)> {
    let each = limits.iter().zip(costs).zip(ahead).enumerate();
    let waits = each.filter_map(|(index, ((limit, &cost), &ahead))| {
        let ScaledLimit::Bucket(quota) = limit else {
            return None;
        };
        (cost > 0).then(|| (index, quota.wait(ahead, cost)))
    });
    // Of equal ones the last would be returned.
    waits.rev().max_by_key(|(_, wait)| *wait)
}
