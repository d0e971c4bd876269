//! Calls of nodes that die, and messages that are lost, repeated and late: each charge is made and
//! ended once, no limit is exceeded, and nothing that is due is refused.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tidegate::{RateLimitConfig, TokenEstimate, TokenUsage};

use super::call_arguments::{AskedCall, Layout, REMEMBERED_US, renew};
use super::exact_fleet::ExactFleet;
use super::runner::{ALIGNED_US, ApiScript};

/// A message to the server about a call, which is one of some ids that recur.
#[derive(Clone, Copy, Debug)]
enum Message {
    Reserve(TokenUsage, bool),
    Request,
    Settle(TokenUsage),
    Keep,
    Cancel { is_remembered: bool },
    Report(TokenUsage),
    Record(TokenUsage),
    Renew,
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    config: RateLimitConfig,
    start_us: u64,
    /// For each message: how much later it arrives, the call, and how often it arrives.
    messages: Vec<(u64, u8, Message, u8)>,
}

const TTL_US: u64 = 10_000_000;

fn usage() -> impl Strategy<Value = TokenUsage> {
    let split = (0_u64..700, 0_u64..700).prop_map(|(input, output)| TokenUsage::new(input, output));
    prop_oneof![split, (0_u64..1_500).prop_map(TokenUsage::from)]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        6 => (usage(), any::<bool>()).prop_map(|(usage, guess)| Message::Reserve(usage, guess)),
        1 => Just(Message::Request),
        3 => usage().prop_map(Message::Settle),
        1 => Just(Message::Keep),
        2 => any::<bool>().prop_map(|is_remembered| Message::Cancel { is_remembered }),
        1 => usage().prop_map(Message::Report),
        1 => usage().prop_map(Message::Record),
        1 => Just(Message::Renew),
    ]
}

fn later() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(0),
        4 => 0_u64..2_000_000,
        2 => 0_u64..12_000_000,
        1 => Just(TTL_US),
        1 => 55_000_000_u64..65_000_000,
    ]
}

pub(crate) fn lossy_histories() -> impl Strategy<Value = History> {
    let config = (1_u64..12, 8_u64..20, 1_u64..5, 1_u64..4, any::<bool>()).prop_map(
        |(minute, hour, burst, in_flight, split)| RateLimitConfig {
            requests_per_minute: minute,
            requests_per_hour: hour.max(minute),
            requests_per_day: Some(30),
            burst_size: burst,
            tokens_per_minute: 1_400,
            tokens_per_day: Some(7_000),
            input_tokens_per_minute: split.then_some(700),
            output_tokens_per_minute: split.then_some(1_300),
            max_in_flight: Some(in_flight),
            ..RateLimitConfig::DEFAULT
        },
    );
    let messages = vec((later(), 0_u8..8, message(), 1_u8..3), 5..40);
    (config, 0_u64..1_350_000_000, messages).prop_map(|(config, offset, messages)| History {
        config,
        start_us: ALIGNED_US + offset,
        messages,
    })
}

fn is(held: bool) -> i64 {
    held.into()
}

pub(crate) fn check_lossy(script: &mut ApiScript, history: &History) -> TestCaseResult {
    script.clear();
    let layout = Layout::new(history.config);
    let mut fleet = ExactFleet::new(&layout);
    let mut now_us = history.start_us;
    for (step, &(later_us, call, message, times)) in history.messages.iter().enumerate() {
        now_us += later_us;
        let id = vec![call; 24];
        // Whether a record that may be forgotten is, depends on what else was noticed.
        if fleet.may_be_forgotten(&id, now_us) {
            continue;
        }
        for _ in 0..times {
            let mut run = |arguments: Vec<Vec<u8>>| {
                let reply = script.run(&layout.keys, &arguments, now_us);
                reply.map_err(TestCaseError::fail)
            };
            match message {
                Message::Reserve(..) | Message::Request => {
                    let (id, estimate) = match message {
                        Message::Reserve(usage, true) => (&id[..], TokenEstimate::guess(usage)),
                        Message::Reserve(usage, false) => (&id[..], usage.into()),
                        _ => (&b""[..], TokenEstimate::guess(0)),
                    };
                    let (charges, _) = layout.charges(Some(estimate));
                    let mut limits = charges.iter().zip(&layout.rules);
                    // The crate refuses it without the script.
                    if limits.any(|(charge, rule)| *charge > rule.capacity) {
                        continue;
                    }
                    let call = AskedCall {
                        id,
                        waits: None,
                        ttl_us: TTL_US,
                        estimate: Some(estimate),
                    };
                    let reply = run(layout.decide("reserve", call))?;
                    let decided = fleet.reserve(id, Some(estimate), TTL_US, now_us);
                    let (reason, wait_us) = match decided {
                        Ok(()) => (0, 0),
                        Err(refusal) => (refusal.reason, refusal.wait_us),
                    };
                    let wait_us = i64::try_from(wait_us).unwrap();
                    let expected = [is(reason == 0), reason, wait_us];
                    prop_assert_eq!(&reply[..3], &expected, "step {}: {:?}", step, message);
                }
                Message::Settle(used) => {
                    let reply = run(layout.end("settle", &id, used, 0))?;
                    let open = fleet.settle(&id, Some(used), now_us);
                    prop_assert_eq!(reply[0], is(open), "step {}: {:?}", step, message);
                }
                Message::Keep => {
                    let reply = run(layout.end("keep", &id, TokenUsage::default(), 0))?;
                    let open = fleet.settle(&id, None, now_us);
                    prop_assert_eq!(reply[0], is(open), "step {}: {:?}", step, message);
                }
                Message::Cancel { is_remembered } => {
                    let remembered_us = if is_remembered { REMEMBERED_US } else { 0 };
                    let unused = TokenUsage::default();
                    let reply = run(layout.end("cancel", &id, unused, remembered_us))?;
                    let (open, complete) = fleet.cancel(&id, remembered_us, now_us);
                    let expected = vec![is(open), is(complete)];
                    prop_assert_eq!(reply, expected, "step {}: {:?}", step, message);
                }
                Message::Report(used) => {
                    let reply = run(layout.report(&id, used))?;
                    let open = fleet.report(&id, used, now_us);
                    prop_assert_eq!(reply[0], is(open), "step {}: {:?}", step, message);
                }
                Message::Record(used) => {
                    run(layout.record(used))?;
                    fleet.record(used, now_us);
                }
                Message::Renew => {
                    let ids = [id.clone(), vec![99; 24]];
                    run(renew(TTL_US, &ids))?;
                    fleet.renew(&ids, TTL_US, now_us);
                }
            }
            compare(script, &layout, &fleet, now_us, step, message)?;
        }
    }
    Ok(())
}

/// Compares totals, calls in flight and what is left. Asks for nothing, and so writes nothing.
fn compare(
    script: &mut ApiScript,
    layout: &Layout,
    fleet: &ExactFleet<'_>,
    now_us: u64,
    step: usize,
    message: Message,
) -> TestCaseResult {
    let call = AskedCall {
        id: b"",
        waits: None,
        ttl_us: TTL_US,
        estimate: None,
    };
    let check = layout.decide("check", call);
    let reply = script.run(&layout.keys, &check, now_us);
    let reply = reply.map_err(TestCaseError::fail)?;
    let of = |number: u64| i64::try_from(number).unwrap();
    let in_flight = of(fleet.in_flight(now_us));
    prop_assert_eq!(
        reply[3],
        in_flight,
        "in flight, step {}: {:?}",
        step,
        message
    );
    prop_assert_eq!(
        reply[4],
        of(fleet.requests),
        "requests, step {}: {:?}",
        step,
        message
    );
    prop_assert_eq!(
        reply[6],
        of(fleet.forfeited),
        "forfeited, step {}: {:?}",
        step,
        message
    );
    let left = reply[12..].chunks_exact(2).map(|pair| pair[0]);
    let left: Vec<i64> = left.collect();
    prop_assert_eq!(
        left,
        fleet.left(now_us),
        "left, step {}: {:?}",
        step,
        message
    );
    // Of a call that has expired only once another has cleared it.
    prop_assert!(
        reply[5] <= of(fleet.tokens),
        "tokens, step {step}: {message:?}"
    );
    Ok(())
}

#[test]
fn each_charge_is_made_and_ended_once() {
    super::runner::check_api_property(2, &lossy_histories(), check_lossy);
}
