//! Leases of a bucket whose quota changes: what nodes hold stays theirs, in tokens.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::node_quota::{NodeQuota, record, told};
use crate::scaled_quota::Amount;
use crate::script_calls::{ScriptCall, amounts, number, numbers, scaled, unsigned};
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

const TTL_US: u64 = 2_000_000;

#[derive(Clone, Debug)]
pub(crate) struct LiveLeases {
    old: Quota,
    new: Quota,
    taken: u64,
    /// What each of two nodes is granted, and how much of that it spends.
    grants: [(u64, u64); 2],
}

pub(crate) fn live_leases() -> impl Strategy<Value = LiveLeases> {
    let rates = vec![1_u64, 3, 7, 10, 100, 1_000, 30_000];
    let quota = move || {
        (prop::sample::select(rates.clone()), 40_u64..200)
            .prop_map(|(rate, capacity)| Quota::per_second(rate).burst(capacity))
    };
    let grant = || (1_u64..10).prop_flat_map(|granted| (Just(granted), 0..=granted));
    (quota(), quota(), 0_u64..20, [grant(), grant()]).prop_map(|(old, new, taken, grants)| {
        LiveLeases {
            old,
            new,
            taken,
            grants,
        }
    })
}

/// A node's side of the protocol, as far as these cases need it.
struct Leaser {
    quota: NodeQuota,
    name: [u8; 16],
    record: u64,
    seq: u64,
}

impl Leaser {
    fn new(base: Quota, number: u8) -> Self {
        Self {
            quota: NodeQuota::new(base),
            name: [number; 16],
            record: 0,
            seq: 0,
        }
    }

    /// Keeps `hold`, gives `back`, and asks for `more`. Returns what was granted, and whether the
    /// node was told a newer quota first.
    fn renew(
        &mut self,
        scripts: &mut Scripts,
        key: &str,
        [hold, back, more]: [u64; 3],
        now_us: u64,
    ) -> Result<(bool, bool), TestCaseError> {
        let acked = self.seq;
        let mut was_told = false;
        loop {
            self.seq += 1;
            let scaled = self.quota.known.scaled;
            let mut arguments = vec![number(scaled.den())];
            arguments.extend(amounts(&[scaled.full()]));
            arguments.push(number(0));
            arguments.extend(amounts(&[Amount::default()]));
            let records = self.quota.sent().into_iter().flatten().flatten();
            arguments.push(self.name.into_iter().chain(records).collect());
            arguments.extend([self.record, self.seq, acked].map(number));
            let cost = |permits| scaled.cost(permits);
            arguments.extend(amounts(&[cost(hold), cost(back)]));
            arguments.push(number(TTL_US));
            arguments.extend(amounts(&[scaled.full()]));
            if more > 0 {
                arguments.extend(amounts(&[cost(more)]));
            }
            let keys = vec![key.to_owned()];
            let (reply, _) = scripts.lease(ScriptCall {
                keys,
                arguments,
                now_us,
            });
            if let Some(newer) = told(&reply)? {
                prop_assert!(!was_told, "told twice");
                (self.quota.known, was_told) = (newer, true);
                continue;
            }
            let numbers = numbers(&reply)?;
            prop_assert!(numbers[0] >= 0, "{numbers:?}");
            prop_assert!(hold + back == 0 || numbers[1] == 1, "lost what it held");
            self.record = unsigned(numbers[6])?;
            return Ok((numbers[0] == 1, was_told));
        }
    }
}

/// What is held is rounded up to a microsecond, which may cost a token of a quota in fractions.
fn check_left(case: &LiveLeases, available: u64, left: u64) -> TestCaseResult {
    let is_whole = scaled(case.old).den() == 1 && scaled(case.new).den() == 1;
    let least = if is_whole {
        left
    } else {
        left.saturating_sub(1)
    };
    prop_assert!(
        (least..=left).contains(&available),
        "{available}, not {left}"
    );
    Ok(())
}

pub(crate) fn check_live_leases(scripts: &mut Scripts, case: &LiveLeases) -> TestCaseResult {
    let (key, now_us) = (fresh_key(), START_US);
    let mut caller = NodeQuota::new(case.old);
    let mut available = |scripts: &mut Scripts, call, now_us| {
        let (reply, _) = caller.call_to_the_end(scripts, &key, call, now_us, false)?;
        Ok::<_, TestCaseError>(caller.known.scaled.available(reply.ahead[0]))
    };
    available(scripts, ("take", case.taken), now_us)?;
    let mut nodes = [1, 2].map(|number| Leaser::new(case.old, number));
    for (node, (granted, _)) in nodes.iter_mut().zip(case.grants) {
        let renewed = node.renew(scripts, &key, [0, 0, granted], now_us)?;
        prop_assert_eq!(renewed, (true, false));
    }
    let held: u64 = case.grants.iter().map(|(granted, _)| granted).sum();
    let left = case.old.capacity() - case.taken - held;
    check_left(case, available(scripts, ("peek", 0), now_us)?, left)?;

    let changing = NodeQuota {
        known: record(1, case.new),
        ..NodeQuota::new(case.old)
    };
    changing.call(scripts, &key, ("peek", 0), now_us, false)?;
    // What is held does not count as refilled, also under the new quota.
    let left = left.min(case.new.capacity() - held);
    check_left(case, available(scripts, ("peek", 0), now_us)?, left)?;

    // The first node gives back what it has not spent, and the second one keeps it.
    let [(first, first_spent), (second, second_spent)] = case.grants;
    let [one, two] = &mut nodes;
    let renewed = one.renew(scripts, &key, [0, first - first_spent, 0], now_us)?;
    prop_assert!(renewed.1, "the old quota was not replaced");
    let left = left + first - first_spent;
    check_left(case, available(scripts, ("peek", 0), now_us)?, left)?;
    two.renew(scripts, &key, [second - second_spent, 0, 0], now_us)?;
    check_left(case, available(scripts, ("peek", 0), now_us)?, left)?;
    two.renew(scripts, &key, [0, second - second_spent, 0], now_us)?;
    let left = left + second - second_spent;
    check_left(case, available(scripts, ("peek", 0), now_us)?, left)?;

    // The bucket is full again, and its quota is still there.
    let full_us = case.new.refill_time().as_micros();
    let later_us = now_us + 2 * TTL_US + u64::try_from(full_us).unwrap() + 1;
    let all = available(scripts, ("peek", 0), later_us)?;
    prop_assert_eq!(all, case.new.capacity());
    let mut old_node = NodeQuota::new(case.old);
    let (_, was_told) = old_node.call_to_the_end(scripts, &key, ("peek", 0), later_us, false)?;
    prop_assert!(was_told);
    Ok(())
}

#[test]
fn leases_keep_their_tokens() {
    check_property(4, &live_leases(), check_live_leases);
}
