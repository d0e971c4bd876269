//! A bucket whose quota changes while API limiters charge it, beside an oracle that counts
//! millionths of a token: the level stays in tokens, what calls were charged comes back in tokens,
//! and a node that is told a newer quota has changed nothing.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tidegate::__fleet::Counted;
use tidegate::{Quota, RateLimitConfig, TokenUsage};

use super::call_arguments::{AskedCall, Layout};
use super::runner::{ALIGNED_US, ApiScript, check_api_property};
use crate::live_quotas::live_changes::{Oracle, TOKEN, full, gcd};
use crate::live_quotas::node_quota::{NodeQuota, record, told};
use crate::scaled_quota::Amount;

const NODES: usize = 3;

/// A limit on tokens alone: the tests give it any quota.
const CONFIG: RateLimitConfig = RateLimitConfig {
    tokens_per_minute: 1,
    ..RateLimitConfig::UNLIMITED
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    /// Reserves this share of what is there, in quarters, and one token more for the fifth.
    Reserve(usize, u64),
    /// A node ends one of the open calls.
    Settle(usize, usize, u64),
    Keep(usize, usize),
    Cancel(usize, usize),
    Report(usize, usize, u64),
    Record(usize, u64),
    Resume(usize),
    /// A node changes the quota, knowing the newest or not.
    Change(usize, Quota),
    /// A node is replaced by one with an old configuration.
    Restart(usize),
    /// The server loses its data.
    Lose,
}

#[derive(Clone, Debug)]
pub(crate) struct SharedChanges {
    base: Quota,
    events: Vec<Event>,
}

pub(crate) fn shared_changes() -> impl Strategy<Value = SharedChanges> {
    let rates = vec![1_u64, 2, 3, 7, 10, 64, 100, 1_000, 30_000, 999_983];
    let quota = (prop::sample::select(rates), 1_u64..200)
        .prop_map(|(rate, capacity)| Quota::per_second(rate).burst(capacity));
    let (node, call) = (|| 0..NODES, || 0_usize..8);
    let wait = prop_oneof![0_u64..10, 0_u64..1_000_000, 0_u64..100_000_000];
    let event = prop_oneof![
        2 => wait.prop_map(Event::Wait),
        6 => (node(), 0_u64..=5).prop_map(|(node, share)| Event::Reserve(node, share)),
        4 => (node(), call(), 0_u64..250).prop_map(|(node, call, n)| Event::Settle(node, call, n)),
        1 => (node(), call()).prop_map(|(node, call)| Event::Keep(node, call)),
        2 => (node(), call()).prop_map(|(node, call)| Event::Cancel(node, call)),
        2 => (node(), call(), 0_u64..250).prop_map(|(node, call, n)| Event::Report(node, call, n)),
        1 => (node(), 0_u64..100).prop_map(|(node, n)| Event::Record(node, n)),
        1 => node().prop_map(Event::Resume),
        4 => (node(), quota.clone()).prop_map(|(node, quota)| Event::Change(node, quota)),
        1 => node().prop_map(Event::Restart),
        1 => Just(Event::Lose),
    ];
    (quota, vec(event, 1..25)).prop_map(|(base, events)| SharedChanges { base, events })
}

/// The arguments that a node with this quota sends.
fn layout(node: &NodeQuota) -> Layout {
    let mut layout = Layout::new(CONFIG);
    let quota = node.known.quota;
    layout.rules[0].counted = Counted::Bucket(quota);
    layout.rules[0].capacity = quota.capacity();
    layout.records[0] = node.sent();
    layout
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

/// The script, its nodes, and the calls that are open.
struct Fleet<'a> {
    script: &'a mut ApiScript,
    oracle: Oracle,
    nodes: [NodeQuota; NODES],
    /// Their ids, and what they were charged.
    open: Vec<(Vec<u8>, u64)>,
    next: u64,
}

impl Fleet<'_> {
    const fn now_us(&self) -> u64 {
        self.oracle.at_us
    }

    fn run(&mut self, node: &NodeQuota, step: &Step<'_>) -> Result<Vec<i64>, TestCaseError> {
        let layout = layout(node);
        let reply = self.script.run(&layout.keys, &step(&layout), self.now_us());
        reply.map_err(TestCaseError::fail)
    }

    /// Runs a step, once more if the node is told a newer quota: then it has changed nothing.
    fn step(&mut self, node: usize, step: &Step<'_>) -> Result<Vec<i64>, TestCaseError> {
        let expects_told = self.oracle.meet(self.nodes[node].known);
        let (asker, before) = (self.nodes[node], self.script.writes());
        let reply = self.run(&asker, step)?;
        let newer = told(&Ok(reply.clone()))?;
        prop_assert_eq!(newer.is_some(), expects_told, "{:?}", reply);
        let Some(newer) = newer else {
            return Ok(reply);
        };
        prop_assert_eq!(newer, self.oracle.now);
        prop_assert_eq!(
            self.script.writes(),
            before,
            "written by a step that is told"
        );
        self.nodes[node].known = newer;
        let asker = self.nodes[node];
        self.run(&asker, step)
    }

    fn reserve(&mut self, node: usize, share: u64) -> TestCaseResult {
        // Those of the quota by which it will be decided.
        self.oracle.meet(self.nodes[node].known);
        let there = self.oracle.available();
        let cost = if share == 5 {
            there + 1
        } else {
            there * share / 4
        };
        let cost = cost.min(self.oracle.now.quota.capacity());
        self.next += 1;
        let id = [&[7; 16][..], &self.next.to_be_bytes()].concat();
        let call = AskedCall {
            id: &id,
            waits: None,
            ttl_us: 1 << 45,
            estimate: Some(cost.into()),
        };
        let reply = self.step(node, &|layout| layout.decide("reserve", call))?;
        let missing = signed(cost.max(1)) * TOKEN - self.oracle.level;
        if missing > 0 {
            let rate = signed(self.oracle.now.quota.rate());
            prop_assert_eq!(&reply[..3], &[0, 1, (missing + rate - 1) / rate]);
        } else {
            prop_assert_eq!(&reply[..3], &[1, 0, 0]);
            self.oracle.level -= signed(cost) * TOKEN;
            self.open.push((id, cost));
        }
        Ok(())
    }

    /// Charges a call this number of tokens instead of what it was charged.
    fn recharge(&mut self, was: u64, is: u64) {
        let full = full(self.oracle.now.quota);
        let level = self.oracle.level + (signed(was) - signed(is)) * TOKEN;
        self.oracle.level = level.min(full);
    }

    /// One of the open calls.
    fn pick(&self, call: usize) -> Option<usize> {
        (!self.open.is_empty()).then(|| call % self.open.len())
    }

    fn end(&mut self, node: usize, call: usize, how: &str, used: Option<u64>) -> TestCaseResult {
        let Some(index) = self.pick(call) else {
            return Ok(());
        };
        let (id, charged) = self.open.remove(index);
        let usage = TokenUsage::from(used.unwrap_or(0));
        let step = |layout: &Layout| layout.end(how, &id, usage, 0);
        prop_assert_eq!(self.step(node, &step)?[0], 1);
        self.recharge(charged, used.unwrap_or(charged));
        // The second of two ends finds no record.
        prop_assert_eq!(self.step(node, &step)?[0], 0);
        Ok(())
    }

    fn report(&mut self, node: usize, call: usize, used: u64) -> TestCaseResult {
        let Some(index) = self.pick(call) else {
            return Ok(());
        };
        let (id, charged) = self.open[index].clone();
        let step = |layout: &Layout| layout.report(&id, used.into());
        for _ in 0..2 {
            prop_assert_eq!(self.step(node, &step)?, [1]);
        }
        if used > charged {
            self.recharge(charged, used);
            self.open[index].1 = used;
        }
        Ok(())
    }

    fn change(&mut self, node: usize, quota: Quota) -> TestCaseResult {
        let changing = NodeQuota {
            known: record(self.nodes[node].known.version + 1, quota),
            ..self.nodes[node]
        };
        let is_refused = self.oracle.meet(changing.known);
        let reply = self.run(&changing, &check)?;
        let newer = told(&Ok(reply))?;
        prop_assert_eq!(newer.is_some(), is_refused, "the first change counts");
        self.nodes[node].known = newer.unwrap_or(changing.known);
        Ok(())
    }

    /// Compares the level with that of the oracle, without what a node knows.
    fn check_level(&mut self) -> TestCaseResult {
        let observer = NodeQuota {
            known: self.oracle.now,
            ..self.nodes[0]
        };
        let reply = self.run(&observer, &check)?;
        let ahead = &reply[reply.len() - 2..];
        let (quota, scaled) = (observer.known.quota, observer.known.scaled);
        // In so many millionths of a token.
        let part = gcd(TOKEN, signed(quota.rate()));
        let ahead = (ahead[0] * signed(scaled.den()) + ahead[1]) * part;
        prop_assert_eq!(full(quota) - ahead, self.oracle.level);
        Ok(())
    }

    fn apply(&mut self, event: Event, base: Quota) -> TestCaseResult {
        match event {
            Event::Wait(us) => self.oracle.advance(self.now_us() + us),
            Event::Reserve(node, share) => self.reserve(node, share)?,
            Event::Settle(node, call, used) => self.end(node, call, "settle", Some(used))?,
            Event::Keep(node, call) => self.end(node, call, "keep", None)?,
            Event::Cancel(node, call) => self.end(node, call, "cancel", Some(0))?,
            Event::Report(node, call, used) => self.report(node, call, used)?,
            Event::Record(node, used) => {
                self.step(node, &|layout| layout.record(used.into()))?;
                self.oracle.level -= signed(used) * TOKEN;
            }
            Event::Resume(node) => {
                self.step(node, &Layout::resume)?;
                self.oracle.level = full(self.oracle.now.quota);
            }
            Event::Change(node, quota) => self.change(node, quota)?,
            Event::Restart(node) => self.nodes[node] = NodeQuota::new(base),
            Event::Lose => {
                self.script.clear();
                self.open.clear();
                self.oracle.lose();
            }
        }
        self.check_level()
    }
}

/// Makes the arguments of a step.
type Step<'a> = dyn Fn(&Layout) -> Vec<Vec<u8>> + 'a;

fn check(layout: &Layout) -> Vec<Vec<u8>> {
    let call = AskedCall {
        id: b"",
        waits: None,
        ttl_us: 1,
        estimate: None,
    };
    layout.decide("check", call)
}

pub(crate) fn check_shared_changes(
    script: &mut ApiScript,
    history: &SharedChanges,
) -> TestCaseResult {
    script.clear();
    let mut oracle = Oracle::new(history.base);
    oracle.at_us = ALIGNED_US;
    let mut fleet = Fleet {
        script,
        oracle,
        nodes: [NodeQuota::new(history.base); NODES],
        open: Vec::new(),
        next: 0,
    };
    for &event in &history.events {
        let applied = fleet.apply(event, history.base);
        applied.map_err(|error| TestCaseError::fail(format!("{event:?}: {error}")))?;
    }
    Ok(())
}

#[test]
fn shared_buckets_follow_their_quotas() {
    check_api_property(2, &shared_changes(), check_shared_changes);
}

/// Quotas whose common parts are too many for exact numbers: what comes back is rounded down.
#[test]
fn long_numbers_give_back_no_more_than_was_charged() {
    let day = core::time::Duration::from_secs(86_400);
    let mut script = ApiScript::start();
    let old = Quota::new(999_999_999_989, 30 * day).unwrap();
    for new in [
        Quota::new(999_999_999_961, 31 * day).unwrap(),
        Quota::new(999_999_999_989, 31 * day).unwrap(),
    ] {
        for spent in [1, 7, 400_000_000_007, 900_000_000_000] {
            script.clear();
            let mut node = NodeQuota::new(old);
            let mut step = |node: &NodeQuota, step: &Step<'_>| {
                let layout = layout(node);
                let reply = script.run(&layout.keys, &step(&layout), ALIGNED_US);
                reply.unwrap()
            };
            // Some are used, so that nothing is lost at the capacity.
            step(&node, &|layout| layout.record(50_000_000_000.into()));
            let call = AskedCall {
                id: &[7; 24],
                waits: None,
                ttl_us: 1 << 45,
                estimate: Some(spent.into()),
            };
            assert_eq!(step(&node, &|layout| layout.decide("reserve", call))[0], 1);
            node.known = record(1, new);
            let available = |reply: Vec<i64>| {
                let [us, num] = [2, 1].map(|back| reply[reply.len() - back].unsigned_abs());
                node.known.scaled.available(Amount { us, num })
            };
            let before = available(step(&node, &check));
            let unused = TokenUsage::default();
            step(&node, &|layout| layout.end("cancel", &[7; 24], unused, 0));
            let back = available(step(&node, &check)) - before;
            let least = spent - (spent >> 46) - 1;
            assert!((least..=spent).contains(&back), "{back} of {spent}");
        }
    }
}

/// A token of the old quota takes as long as ten of the new one.
#[test]
fn calls_of_an_old_quota_give_back_their_tokens_and_no_more() {
    let mut script = ApiScript::start();
    let history = |event| SharedChanges {
        base: Quota::per_second(10).burst(100),
        events: vec![
            Event::Reserve(0, 4),
            Event::Change(1, Quota::per_second(100).burst(1_000)),
            event,
        ],
    };
    // Each node is told first, and 40 of 100 tokens come back, or all.
    for event in [
        Event::Settle(0, 0, 60),
        Event::Settle(2, 0, 130),
        Event::Cancel(2, 0),
        Event::Keep(0, 0),
        Event::Report(0, 0, 70),
        Event::Report(2, 0, 107),
    ] {
        check_shared_changes(&mut script, &history(event)).unwrap();
    }
}
