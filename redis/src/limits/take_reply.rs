//! The short calls of the script `take`, and the replies to all of them.

use core::time::Duration;
use std::sync::Arc;

use crate::quota_record::QuotaRecord;
use crate::scaled_quota::Amount;
use crate::script::ScriptArgs;

/// The result of the script `take`.
pub(super) struct TakeReply {
    /// The limit that denies the call, and for how long.
    pub(super) denial: Option<(usize, Duration)>,
    /// How far the TAT of each bucket is ahead of the clock.
    pub(super) ahead: Arc<[Amount]>,
}

/// The arguments of a call that takes, if there is a short way for it.
pub(super) fn short_arguments(quotas: &[QuotaRecord], costs: &[u64]) -> Option<ScriptArgs> {
    let mut arguments = ScriptArgs::default();
    let limits = quotas.iter().map(|record| record.scaled).zip(costs);
    if limits.clone().all(|(quota, _)| quota.is_whole()) {
        costs.iter().any(|cost| *cost > 0).then_some(())?;
        for (quota, &cost) in limits {
            arguments
                .number(quota.cost(cost).us)
                .number(quota.full().us);
        }
    } else {
        let ([QuotaRecord { scaled: quota, .. }], &[cost]) = (quotas, costs) else {
            return None;
        };
        (cost > 0).then_some(())?;
        arguments
            .amount(quota.cost(cost))
            .amount(quota.full())
            .number(quota.den());
    }
    Some(arguments)
}

/// The reply to [`short_arguments`].
pub(super) fn read_short(
    numbers: &[i64],
    quotas: &[QuotaRecord],
    costs: &[u64],
) -> Option<TakeReply> {
    let number = |number: i64| u64::try_from(number).ok();
    let (admitted, ahead): (_, Arc<[Amount]>) = if quotas.len() == 1 {
        let us = *numbers.first()?;
        let ahead = Amount {
            us: number(if us < 0 { -1 - us } else { us })?,
            num: number(numbers.get(1).copied().unwrap_or(0))?,
        };
        (us >= 0, [ahead].into())
    } else {
        let [admitted, ahead @ ..] = numbers else {
            return None;
        };
        let ahead = ahead.iter().map(|us| {
            Some(Amount {
                us: number(*us)?,
                num: 0,
            })
        });
        (*admitted == 1, ahead.collect::<Option<_>>()?)
    };
    (ahead.len() == quotas.len()).then_some(())?;
    let waits = || {
        let limits = quotas.iter().zip(costs).zip(&*ahead).enumerate();
        let denying = limits.filter(|(_, ((_, cost), _))| **cost > 0);
        denying.map(|(index, ((quota, cost), ahead))| (index, quota.scaled.wait(*ahead, *cost)))
    };
    // The first of those that last equally long.
    let longest = || waits().rev().max_by_key(|(_, wait)| *wait);
    let denial = if admitted { None } else { Some(longest()?) };
    Some(TakeReply { denial, ahead })
}

impl TakeReply {
    pub(super) fn read(numbers: &[i64], limits: usize) -> Option<Self> {
        let [admitted, index, wait, ahead @ ..] = numbers else {
            return None;
        };
        let number = |n: i64| u64::try_from(n).ok();
        let denial = if *admitted == 1 {
            None
        } else {
            let index = usize::try_from(*index).ok()?.checked_sub(1)?;
            (index < limits).then_some(())?;
            Some((index, Duration::from_micros(number(*wait)?)))
        };
        let ahead = ahead.chunks_exact(2).map(|pair| {
            Some(Amount {
                us: number(pair[0])?,
                num: number(pair[1])?,
            })
        });
        let ahead: Arc<[Amount]> = ahead.collect::<Option<_>>()?;
        (ahead.len() == limits).then_some(Self { denial, ahead })
    }
}
