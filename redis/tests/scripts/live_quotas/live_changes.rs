//! Buckets whose quota changes, beside an oracle that counts millionths of a token.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tidegate::Quota;

use super::node_quota::{Answer, NodeQuota, record};
use crate::quota_record::QuotaRecord;
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

/// A whole number of these flows in during each microsecond, at any rate per second.
pub(crate) const TOKEN: i64 = 1_000_000;
const NODES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    /// Takes this share of what is there, in quarters, and one more for the fifth.
    Take(usize, i64),
    Debit(usize, u64),
    /// A node changes the quota, knowing the newest or not.
    Change(usize, Quota),
    /// A node is replaced by one with an old configuration.
    Restart(usize),
    /// The server loses the key.
    Lose,
}

#[derive(Clone, Debug)]
pub(crate) struct LiveChanges {
    base: Quota,
    events: Vec<Event>,
}

pub(crate) fn live_changes() -> impl Strategy<Value = LiveChanges> {
    let rates = vec![1_u64, 2, 3, 7, 10, 64, 100, 1_000, 30_000, 999_983];
    let quota = (prop::sample::select(rates), 1_u64..200)
        .prop_map(|(rate, capacity)| Quota::per_second(rate).burst(capacity));
    let node = 0..NODES;
    let wait = prop_oneof![0_u64..10, 0_u64..1_000_000, 0_u64..300_000_000];
    let event = prop_oneof![
        4 => wait.prop_map(Event::Wait),
        6 => (node.clone(), 1_i64..=5).prop_map(|(node, share)| Event::Take(node, share)),
        1 => (node.clone(), 1_u64..300).prop_map(|(node, debit)| Event::Debit(node, debit)),
        4 => (node.clone(), quota.clone()).prop_map(|(node, quota)| Event::Change(node, quota)),
        1 => node.prop_map(Event::Restart),
        1 => Just(Event::Lose),
    ];
    let events = prop::collection::vec(event, 1..25);
    (quota, events).prop_map(|(base, events)| LiveChanges { base, events })
}

pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The bucket as it should be.
pub(crate) struct Oracle {
    pub(crate) level: i64,
    pub(crate) at_us: u64,
    /// The quota that the server has.
    pub(crate) now: QuotaRecord,
    base: Quota,
    /// The capacity at the beginning, and what each quota let flow in while it counted.
    allowed: i64,
    admitted: i64,
}

impl Oracle {
    pub(crate) fn new(base: Quota) -> Self {
        let now = record(0, base);
        Self {
            level: full(base),
            at_us: START_US,
            now,
            base,
            allowed: full(base),
            admitted: 0,
        }
    }

    pub(crate) fn advance(&mut self, now_us: u64) {
        let rate = i64::try_from(self.now.quota.rate()).unwrap();
        let elapsed = i64::try_from(now_us - self.at_us).unwrap();
        self.level = (self.level + rate * elapsed).min(full(self.now.quota));
        self.allowed += rate * elapsed;
        self.at_us = now_us;
    }

    /// The level stays, less than the smallest part that the script counts under the new quota.
    fn change(&mut self, to: QuotaRecord) {
        let part = gcd(TOKEN, i64::try_from(to.quota.rate()).unwrap());
        self.level = self.level.min(full(to.quota)).div_euclid(part) * part;
        self.now = to;
    }

    /// What a call of a node with this quota does to the bucket before it is decided. Returns
    /// whether the node is told a newer quota instead.
    pub(crate) fn meet(&mut self, known: QuotaRecord) -> bool {
        if known.version > self.now.version {
            self.change(known);
        }
        known != self.now && self.now.version > 0
    }

    pub(crate) fn lose(&mut self) {
        (self.level, self.now) = (full(self.base), record(0, self.base));
        self.allowed += full(self.base);
    }

    pub(crate) fn available(&self) -> u64 {
        u64::try_from(self.level.max(0) / TOKEN).unwrap()
    }
}

pub(crate) fn full(quota: Quota) -> i64 {
    i64::try_from(quota.capacity()).unwrap() * TOKEN
}

/// Checks each call against the oracle: the decision, what is left, and the exact wait.
pub(crate) fn check_live_changes(scripts: &mut Scripts, case: &LiveChanges) -> TestCaseResult {
    let (key, mut now_us) = (fresh_key(), START_US);
    let mut oracle = Oracle::new(case.base);
    let mut nodes = [NodeQuota::new(case.base); NODES];
    for event in &case.events {
        oracle.advance(now_us);
        match *event {
            Event::Wait(us) => now_us += us,
            Event::Restart(node) => nodes[node] = NodeQuota::new(case.base),
            Event::Lose => {
                scripts.lose(&key);
                oracle.lose();
            }
            Event::Debit(node, n) => {
                let expects_told = oracle.meet(nodes[node].known);
                let call = ("debit", n);
                let (_, told) = nodes[node].call_to_the_end(scripts, &key, call, now_us, false)?;
                prop_assert_eq!(told, expects_told);
                oracle.level -= i64::try_from(n).unwrap() * TOKEN;
            }
            Event::Change(node, quota) => {
                let new = record(nodes[node].known.version + 1, quota);
                let changing = NodeQuota {
                    known: new,
                    ..nodes[node]
                };
                let refused = oracle.now.version >= new.version && oracle.now != new;
                match changing.call(scripts, &key, ("peek", 0), now_us, false)? {
                    Answer::Told(newer) => {
                        prop_assert!(refused, "{newer:?} instead of {new:?}");
                        prop_assert_eq!(newer, oracle.now);
                        nodes[node].known = newer;
                    }
                    Answer::Decided(_) => {
                        prop_assert!(!refused, "{:?} was undone", oracle.now);
                        oracle.meet(new);
                        nodes[node].known = new;
                    }
                }
            }
            Event::Take(node, share) => take(scripts, &key, &mut oracle, &mut nodes[node], share)?,
        }
        let peeked = nodes[0].call_to_the_end(scripts, &key, ("peek", 0), now_us, false);
        let (peeked, _) = peeked?;
        oracle.advance(now_us);
        oracle.meet(nodes[0].known);
        let available = nodes[0].known.scaled.available(peeked.ahead[0]);
        prop_assert_eq!(available, oracle.available(), "after {:?}", event);
        // Otherwise a node with an old configuration would begin again with its quota.
        let ttl: Option<u64> = scripts.query(&["GET", &format!("{key}:ends")]);
        prop_assert!(
            oracle.now.version == 0 || ttl.is_none(),
            "the quota is lost"
        );
    }
    Ok(())
}

fn take(
    scripts: &mut Scripts,
    key: &str,
    oracle: &mut Oracle,
    node: &mut NodeQuota,
    share: i64,
) -> TestCaseResult {
    let now_us = oracle.at_us;
    let expects_told = oracle.meet(node.known);
    let there = i64::try_from(oracle.available()).unwrap();
    let cost = if share == 5 {
        there + 1
    } else {
        there * share / 4
    };
    let cost = u64::try_from(cost)
        .unwrap()
        .min(oracle.now.quota.capacity());
    let (reply, told) = node.call_to_the_end(scripts, key, ("take", cost), now_us, false)?;
    prop_assert_eq!(told, expects_told);
    prop_assert_eq!(node.known, oracle.now);
    let missing = i64::try_from(cost).unwrap() * TOKEN - oracle.level;
    if cost > 0 && missing > 0 {
        prop_assert!(!reply.admitted, "{cost} of {} parts", oracle.level);
        let rate = i64::try_from(oracle.now.quota.rate()).unwrap();
        let wait = (missing + rate - 1) / rate;
        prop_assert_eq!(i64::try_from(reply.wait_us).unwrap(), wait);
    } else {
        prop_assert!(reply.admitted, "{cost} of {} parts", oracle.level);
        oracle.level -= i64::try_from(cost).unwrap() * TOKEN;
        oracle.admitted += i64::try_from(cost).unwrap() * TOKEN;
        prop_assert!(oracle.admitted <= oracle.allowed, "more than the bound");
    }
    Ok(())
}

#[test]
fn level_stays_in_tokens_and_no_node_undoes_a_change() {
    check_property(2, &live_changes(), check_live_changes);
}

/// Quotas whose common parts are too many for exact numbers lose less than a part in 2^46.
#[test]
fn long_numbers_are_rounded_down() {
    let day = core::time::Duration::from_secs(86_400);
    let mut scripts = Scripts::start();
    let old = Quota::new(999_999_999_989, 30 * day).unwrap();
    for new in [
        Quota::new(999_999_999_961, 31 * day).unwrap(),
        Quota::new(7, day).unwrap(),
    ] {
        for spent in [0, 1, 400_000_000_007, 999_999_999_989] {
            let (key, mut node) = (fresh_key(), NodeQuota::new(old));
            let call = ("debit", spent);
            let (_, _) = node
                .call_to_the_end(&mut scripts, &key, call, START_US, false)
                .unwrap();
            node.known = record(1, new);
            let (reply, _) = node
                .call_to_the_end(&mut scripts, &key, ("peek", 0), START_US, false)
                .unwrap();
            let level = (old.capacity() - spent).min(new.capacity());
            let available = node.known.scaled.available(reply.ahead[0]);
            let least = level - level.min((level >> 46) + 1);
            assert!(
                (least..=level).contains(&available),
                "{available} of {level}"
            );
        }
    }
}

/// A lost bucket is empty for the whole time, whether the new rate is higher or lower, and also if
/// a node with an old configuration finds it first.
pub(crate) fn check_lost_changed_bucket(scripts: &mut Scripts) -> TestCaseResult {
    const EMPTY_US: u64 = 10_000_000;
    let [slow, fast] = [1, 100].map(|rate| Quota::per_second(rate).burst(50));
    for (old, new) in [(slow, fast), (fast, slow)] {
        let key = fresh_key();
        let mut node = NodeQuota::new(old);
        node.empty_for_us = EMPTY_US;
        node.known = record(1, new);
        let mut take = |now_us| {
            let reply = node.call_to_the_end(scripts, &key, ("take", 1), now_us, false);
            Ok::<_, TestCaseError>(reply?.0)
        };
        let wait_us = EMPTY_US + 1_000_000 / new.rate();
        prop_assert_eq!(take(START_US)?.wait_us, wait_us);
        prop_assert_eq!(take(START_US + wait_us - 1)?.wait_us, 1);
        prop_assert!(take(START_US + wait_us)?.admitted);
        prop_assert!(!take(START_US + wait_us)?.admitted, "more than one token");
    }
    let key = fresh_key();
    let mut node = NodeQuota::new(slow);
    node.empty_for_us = EMPTY_US;
    for (known, token_us) in [(record(0, slow), 1_000_000), (record(1, fast), 10_000)] {
        node.known = known;
        let reply = node.call_to_the_end(scripts, &key, ("take", 1), START_US, false);
        prop_assert_eq!(reply?.0.wait_us, EMPTY_US + token_us);
    }
    Ok(())
}

#[test]
fn lost_bucket_of_a_changed_quota_is_empty_for_the_whole_time() {
    check_lost_changed_bucket(&mut Scripts::start()).unwrap();
}

/// A key of a table that is full takes no memory, so it is full under any quota. One in use keeps
/// its level, and ends when it is full.
#[test]
fn keys_of_tables_end_and_keep_their_levels() {
    let mut scripts = Scripts::start();
    let (old, new) = (Quota::per_second(10), Quota::per_second(100));
    let (used, unused) = (fresh_key(), fresh_key());
    let mut node = NodeQuota::new(old);
    let mut call = |node: &mut NodeQuota, key: &str, call, now_us| {
        let reply = node.call_to_the_end(&mut scripts, key, call, now_us, true);
        let (reply, told) = reply.unwrap();
        (node.known.scaled.available(reply.ahead[0]), told)
    };
    assert_eq!(call(&mut node, &used, ("take", 4), START_US), (6, false));
    node.known = record(1, new);
    assert_eq!(call(&mut node, &used, ("take", 1), START_US), (5, false));
    assert_eq!(call(&mut node, &unused, ("take", 1), START_US), (99, false));
    let mut old_node = NodeQuota::new(old);
    let half_us = START_US + 500_000;
    assert_eq!(call(&mut old_node, &used, ("take", 5), half_us), (50, true));
    assert_eq!(old_node.known, node.known);
    for key in [&used, &unused] {
        let ends: Option<u64> = scripts.query(&["GET", &format!("{key}:ends")]);
        assert!(ends.is_some(), "{key} stays for ever");
    }
}
