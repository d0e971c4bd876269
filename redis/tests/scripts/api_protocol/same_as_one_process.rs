//! The same history at a `tidegate::ApiRateLimiter` and at the script: the same decisions, waits,
//! remainders and totals.
//!
//! A call is canceled here only at the instant at which it was admitted: later, one process and a
//! fleet know different things about what was decided on top of it.

use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use tidegate::{
    ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig, RateLimitStatus, TokenEstimate,
    TokenPermit, TokenUsage,
};

use super::call_arguments::{AskedCall, Layout, pause};
use super::runner::{ALIGNED_US, ApiScript};

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Reserve(TokenUsage, bool),
    ReserveAndCancel(TokenUsage),
    Request,
    Settle(usize, TokenUsage),
    Keep(usize),
    Report(usize, TokenUsage),
    Record(TokenUsage),
    Pause(u64),
    Resume,
    Told(#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "not read"))] ToldFields),
}

/// A response, with the call that it is of, if that ends with it.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "not read"))]
pub(crate) struct ToldFields {
    call: Option<usize>,
    status: u16,
    fields: Vec<(&'static str, String)>,
}

/// A configuration, and events that come so much later than the one before.
pub(crate) type SharedHistory = (RateLimitConfig, Vec<(u64, Event)>);

fn usage() -> impl Strategy<Value = TokenUsage> {
    let split = (0_u64..900, 0_u64..900).prop_map(|(input, output)| TokenUsage::new(input, output));
    prop_oneof![split, (0_u64..2_500).prop_map(TokenUsage::from)]
}

fn told() -> impl Strategy<Value = ToldFields> {
    // Mostly of one limit and of few seconds, so that responses compete.
    let field = prop_oneof![
        5 => (0_u64..3_000).prop_map(|n| ("x-ratelimit-remaining-tokens", n.to_string())),
        1 => (0_u64..20).prop_map(|n| ("x-ratelimit-remaining-requests", n.to_string())),
        1 => (0_u64..900)
            .prop_map(|n| ("anthropic-ratelimit-input-tokens-remaining", n.to_string())),
        2 => (1_u64..90).prop_map(|n| ("x-ratelimit-reset-tokens", format!("{n}s"))),
        1 => (1_u64..90).prop_map(|n| ("x-ratelimit-reset-requests", format!("{n}s"))),
        5 => (1_u64..3).prop_map(|n| ("date", format!("Sun, 06 Nov 1994 08:49:3{n} GMT"))),
        1 => (1_u64..40).prop_map(|n| ("retry-after", n.to_string())),
    ];
    // A refusal always tells a wait: without one its pause is random.
    let status = prop_oneof![3 => Just(200_u16), 1 => Just(429), 1 => Just(404)];
    let call = proptest::option::weighted(0.7, 0_usize..6);
    (call, status, vec(field, 2..6)).prop_map(|(call, status, mut fields)| {
        if status == 429 {
            fields.push(("retry-after", "7".into()));
        }
        ToldFields {
            call,
            status,
            fields,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let call = || 0_usize..6;
    prop_oneof![
        6 => (usage(), any::<bool>()).prop_map(|(usage, guess)| Event::Reserve(usage, guess)),
        1 => usage().prop_map(Event::ReserveAndCancel),
        3 => Just(Event::Request),
        4 => (call(), usage()).prop_map(|(call, usage)| Event::Settle(call, usage)),
        1 => call().prop_map(Event::Keep),
        2 => (call(), usage()).prop_map(|(call, usage)| Event::Report(call, usage)),
        1 => usage().prop_map(Event::Record),
        1 => (0_u64..30_000_000).prop_map(Event::Pause),
        1 => Just(Event::Resume),
        5 => told().prop_map(Event::Told),
    ]
}

pub(crate) fn shared_histories() -> impl Strategy<Value = SharedHistory> {
    let config = (1_u64..12, 8_u64..30, 1_u64..6, 0_u64..4, any::<bool>()).prop_map(
        |(minute, hour, burst, in_flight, split)| RateLimitConfig {
            requests_per_minute: minute,
            requests_per_hour: hour.max(minute),
            requests_per_day: Some(40),
            burst_size: burst,
            tokens_per_minute: 2_000,
            tokens_per_day: split.then_some(9_000),
            input_tokens_per_minute: split.then_some(800),
            output_tokens_per_minute: split.then_some(1_400),
            max_in_flight: (in_flight > 0).then_some(in_flight),
            enable_backoff: false,
            ..RateLimitConfig::DEFAULT
        },
    );
    let later = prop_oneof![
        2 => Just(0),
        4 => 0_u64..3_000_000,
        2 => 0_u64..20_000_000,
        1 => 55_000_000_u64..65_000_000,
    ];
    (config, vec((later, event()), 5..40))
}

/// Both limiters, and the calls that are open in both.
struct Both<'a> {
    script: &'a mut ApiScript,
    layout: Layout,
    one: ApiRateLimiter<ManualClock>,
    clock: ManualClock,
    now_us: u64,
    open: Vec<(Vec<u8>, TokenPermit<ManualClock>, Reported)>,
    next: u64,
}

/// What a call has been charged, and what it has reported.
struct Reported {
    estimate: TokenEstimate,
    charged: TokenUsage,
    so_far: TokenUsage,
}

impl Both<'_> {
    fn run(&mut self, arguments: &[Vec<u8>]) -> Result<Vec<i64>, TestCaseError> {
        let reply = self.script.run(&self.layout.keys, arguments, self.now_us);
        reply.map_err(TestCaseError::fail)
    }

    fn decide(
        &mut self,
        operation: &str,
        id: &[u8],
        estimate: Option<TokenEstimate>,
    ) -> Result<Vec<i64>, TestCaseError> {
        let call = AskedCall {
            id,
            waits: None,
            ttl_us: 1 << 45,
            estimate,
        };
        let arguments = self.layout.decide(operation, call);
        self.run(&arguments)
    }

    /// Compares a refusal, or that there is none.
    fn compare(&self, reply: &[i64], status: Option<&RateLimitStatus>) -> TestCaseResult {
        let kind = match reply[1] {
            0 => None,
            -1 => Some(LimitKind::Pause),
            -2 => Some(LimitKind::Provider),
            -3 => Some(LimitKind::InFlight),
            index => Some(self.layout.rules[usize::try_from(index).unwrap() - 1].kind),
        };
        prop_assert_eq!(kind, status.and_then(|status| status.limited_by));
        if let Some(status) = status {
            let wait_us = status.retry_after().as_nanos().div_ceil(1_000);
            prop_assert_eq!(i128::from(reply[2]), i128::try_from(wait_us).unwrap());
        }
        Ok(())
    }

    fn remainders(&mut self) -> TestCaseResult {
        let status = self.one.check();
        let reply = self.decide("check", b"", None)?;
        let limited = status.is_limited.then_some(&status);
        self.compare(&reply, limited)?;
        let totals = self.one.stats();
        let of = |number: u64| i64::try_from(number).unwrap();
        prop_assert_eq!(reply[3], of(totals.in_flight), "in flight");
        prop_assert_eq!(reply[4], of(totals.total_requests), "requests");
        prop_assert_eq!(reply[5], of(totals.total_tokens_used), "tokens");
        let told = |unit: usize| u64::try_from(reply[8 + unit]).unwrap_or(u64::MAX);
        let left = |kind: LimitKind| {
            let mut rules = self.layout.rules.iter();
            let index = rules.position(|rule| rule.kind == kind)?;
            let [us, num] = [12 + 2 * index, 13 + 2 * index].map(|at| reply[at]);
            let [us, num] = [us, num].map(|number| u64::try_from(number).unwrap());
            Some(match self.layout.rules[index].counted {
                tidegate::__fleet::Counted::Window(_) => us,
                tidegate::__fleet::Counted::Bucket(quota) => {
                    let ahead = crate::scaled_quota::Amount { us, num };
                    crate::script_calls::scaled(quota).available(ahead)
                }
            })
        };
        let with_told = |kind, unit| left(kind).unwrap_or(u64::MAX).min(told(unit));
        prop_assert_eq!(
            with_told(LimitKind::Minute, 0),
            totals.requests_remaining_minute
        );
        prop_assert_eq!(
            left(LimitKind::Hour).unwrap(),
            totals.requests_remaining_hour
        );
        prop_assert_eq!(with_told(LimitKind::Burst, 0), totals.burst_remaining);
        prop_assert_eq!(
            with_told(LimitKind::Tokens, 1),
            totals.tokens_remaining_minute
        );
        prop_assert_eq!(left(LimitKind::TokensPerDay), totals.tokens_remaining_day);
        Ok(())
    }

    fn reserve(&mut self, estimate: TokenEstimate) -> Result<bool, TestCaseError> {
        let (charges, usage) = self.layout.charges(Some(estimate));
        let mut limits = charges.iter().zip(&self.layout.rules);
        if limits.any(|(charge, rule)| *charge > rule.capacity) {
            // The crate refuses it without the script.
            prop_assert!(self.one.reserve_tokens(estimate).unwrap_err().is_permanent);
            return Ok(false);
        }
        self.next += 1;
        let id = [&[7; 16][..], &self.next.to_be_bytes()].concat();
        let reply = self.decide("reserve", &id, Some(estimate))?;
        match self.one.reserve_tokens(estimate) {
            Ok(permit) => {
                self.compare(&reply, None)?;
                let reported = Reported {
                    estimate,
                    charged: usage,
                    so_far: TokenUsage::default(),
                };
                self.open.push((id, permit, reported));
                Ok(true)
            }
            Err(status) => {
                self.compare(&reply, Some(&status))?;
                Ok(false)
            }
        }
    }

    fn apply(&mut self, event: &Event) -> TestCaseResult {
        let unused = TokenUsage::default();
        let open = |calls: usize, call: usize| (calls > 0).then(|| call % calls);
        match *event {
            Event::Reserve(usage, true) => {
                self.reserve(TokenEstimate::guess(usage))?;
            }
            Event::Reserve(usage, false) => {
                self.reserve(usage.into())?;
            }
            Event::ReserveAndCancel(usage) => {
                if self.reserve(usage.into())? {
                    let (id, permit, _) = self.open.pop().unwrap();
                    let complete = permit.cancel();
                    let arguments = self.layout.end("cancel", &id, unused, 0);
                    let reply = self.run(&arguments)?;
                    prop_assert_eq!(reply, [1, i64::from(complete)]);
                }
            }
            Event::Request => {
                let reply = self.decide("reserve", b"", None)?;
                // During a pause, `try_acquire` of one process does not tell of a longer view.
                let status = self.one.check();
                prop_assert_eq!(self.one.try_acquire().is_limited, status.is_limited);
                let limited = status.is_limited.then_some(&status);
                self.compare(&reply, limited)?;
            }
            Event::Settle(call, used) => {
                if let Some(call) = open(self.open.len(), call) {
                    let (id, permit, _) = self.open.remove(call);
                    permit.settle(used);
                    let arguments = self.layout.end("settle", &id, used, 0);
                    self.run(&arguments)?;
                }
            }
            Event::Keep(call) => {
                if let Some(call) = open(self.open.len(), call) {
                    let (id, mut permit, reported) = self.open.remove(call);
                    permit.commit();
                    drop(permit);
                    let so_far = reported.so_far;
                    let arguments = if so_far == unused {
                        self.layout.end("keep", &id, unused, 0)
                    } else {
                        let used = reported.used();
                        self.layout.end("settle", &id, used, 0)
                    };
                    self.run(&arguments)?;
                }
            }
            Event::Report(call, more) => {
                if let Some(call) = open(self.open.len(), call).filter(|_| more != unused) {
                    let (id, permit, reported) = &mut self.open[call];
                    permit.report(more);
                    reported.so_far = tidegate::__fleet::plus(reported.so_far, more);
                    let used = reported.used();
                    reported.charged = tidegate::__fleet::at_least(reported.charged, used);
                    let arguments = self.layout.report(id, used);
                    self.run(&arguments)?;
                }
            }
            Event::Record(used) => {
                self.one.record_tokens(used);
                let arguments = self.layout.record(used);
                self.run(&arguments)?;
            }
            Event::Pause(us) => {
                self.one.pause_for(Duration::from_micros(us));
                self.run(&pause(us))?;
            }
            Event::Resume => {
                self.one.resume();
                let arguments = self.layout.resume();
                self.run(&arguments)?;
            }
            #[cfg(feature = "http")]
            Event::Told(ref told) => self.told(told)?,
            #[cfg(not(feature = "http"))]
            Event::Told(_) => {}
        }
        Ok(())
    }

    #[cfg(feature = "http")]
    fn told(&mut self, told: &ToldFields) -> TestCaseResult {
        use std::time::SystemTime;

        use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

        let mut headers = HeaderMap::new();
        for (name, value) in &told.fields {
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert(HeaderName::from_static(name), value);
        }
        let status = StatusCode::from_u16(told.status).unwrap();
        let (now, wall) = (self.one.clock().clone(), SystemTime::UNIX_EPOCH);
        let now = tidegate::Clock::now(&now);
        let read = tidegate::__fleet::read_response(status, &headers, &self.layout.config, wall);
        let call = told.call.filter(|_| !self.open.is_empty());
        let mut arguments = vec![b"observe".to_vec()];
        if let Some(call) = call.map(|call| call % self.open.len()) {
            let (id, permit, _) = &mut self.open[call];
            permit.observe_response_at(status, &headers, now, wall);
            arguments.extend([
                id.clone(),
                u64::from(status.is_success()).to_string().into(),
            ]);
        } else {
            self.one.observe_response_at(status, &headers, now, wall);
            arguments.extend([Vec::new(), b"0".to_vec()]);
        }
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap();
        let kind: &[u8] = if read.is_refusal {
            b"refusal"
        } else {
            b"answer"
        };
        arguments.push(kind.to_vec());
        let pause = read.pause.map_or(0, us);
        let numbers = [pause, 0, 0, 0, read.unreadable, read.date.unwrap_or(0)];
        let all = numbers.into_iter().chain([read.limits.len() as u64]);
        arguments.extend(all.map(crate::script_calls::number));
        for limit in read.limits {
            let (amount, period) = limit
                .flow
                .map_or((0, 1), |flow| (flow.amount, us(flow.period)));
            let unit = limit.unit as u64 + 1;
            let numbers = [unit, limit.remaining, us(limit.lasts), amount, period];
            arguments.extend(numbers.map(crate::script_calls::number));
            arguments.push(limit.name.as_bytes().to_vec());
        }
        self.run(&arguments)?;
        Ok(())
    }
}

impl Reported {
    fn used(&self) -> TokenUsage {
        tidegate::__fleet::used_so_far(self.estimate, self.so_far, self.charged)
    }
}

pub(crate) fn check_same(script: &mut ApiScript, history: &SharedHistory) -> TestCaseResult {
    script.clear();
    let (config, events) = history;
    let clock = ManualClock::new();
    let mut both = Both {
        script,
        layout: Layout::new(*config),
        one: ApiRateLimiter::with_clock(*config, clock.clone()).unwrap(),
        clock,
        now_us: ALIGNED_US,
        open: Vec::new(),
        next: 0,
    };
    for (later_us, event) in events {
        both.clock.advance(Duration::from_micros(*later_us));
        both.now_us += later_us;
        let applied = both.apply(event).and_then(|()| both.remainders());
        applied.map_err(|error| TestCaseError::fail(format!("{event:?}: {error}")))?;
    }
    Ok(())
}

#[test]
fn script_decides_as_one_process() {
    super::runner::check_api_property(2, &shared_histories(), check_same);
}
