//! The script of all direct calls, on a clock that the test sets: as the bucket in the process where that is exact, and as exact fractions
//! everywhere.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints do not see that helpers of tests are tests"
)]

mod scripted;
mod support;

use core::cell::RefCell;
use core::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};
use scripted::{MOST_US, Scaled, take_script};
use tidegate::{Denied, ManualClock, Quota, Timestamp, TokenBucket};

use support::admissions::Admission;
use support::bound::Bound;

use scripted::{Answer, Call, Kept, Part, Scripts, fresh_key, numbers, scaled, take_call, whole};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Take,
    Peek,
    Debit,
    Reset,
}

impl Op {
    const fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Peek => "peek",
            Self::Debit => "debit",
            Self::Reset => "reset",
        }
    }
}

/// How the clock moves before a call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Us(u64),
    /// A part of the time in which the first bucket fills up, in thousandths.
    Refill(u64),
    /// To when the last refusal said, or a microsecond before.
    Wait {
        early: bool,
    },
    Back(u64),
}

/// How much of a bucket a call asks for.
#[derive(Clone, Copy, Debug)]
enum Cost {
    Tokens(u64),
    /// A part of the capacity, in thousandths.
    Part(u64),
    /// What is there, and so many more.
    There(u64),
}

#[derive(Clone, Debug)]
struct Act {
    step: Step,
    op: Op,
    costs: [Cost; 3],
    owed: u64,
}

#[derive(Clone, Debug)]
struct Case {
    quotas: Vec<Quota>,
    start_us: u64,
    acts: Vec<Act>,
}

/// What a call should answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    /// The place of the bucket that refuses the longest, from 1, and its wait.
    refusal: Option<(usize, u64)>,
    available: Vec<u64>,
}

/// What the scripts are compared with.
trait Model {
    fn available(&self, index: usize, now_us: u64) -> u64;
    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64>;
    fn take(&mut self, index: usize, cost: u64, now_us: u64);
    fn debit(&mut self, index: usize, cost: u64, now_us: u64);
    fn reset(&mut self, index: usize, now_us: u64);
    /// What a look at the clock finds is written down where it has stepped back; whether it has.
    fn look(&mut self, index: usize, now_us: u64) -> bool;
    /// When it is full, rounded up.
    fn full_us(&self, index: usize, now_us: u64) -> u64;
}

/// The buckets in the process, whose time begins at the start.
struct InProcess {
    buckets: Vec<TokenBucket<ManualClock>>,
    start_us: u64,
}

impl InProcess {
    fn new(case: &Case) -> Self {
        let bucket = |quota: &Quota| TokenBucket::with_clock(*quota, ManualClock::new());
        Self {
            buckets: case.quotas.iter().map(bucket).collect(),
            start_us: case.start_us,
        }
    }

    const fn at(&self, now_us: u64) -> Timestamp {
        Timestamp::from_nanos((now_us - self.start_us) * 1_000)
    }
}

fn us_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap()
}

impl Model for InProcess {
    fn available(&self, index: usize, now_us: u64) -> u64 {
        self.buckets[index].available_at(self.at(now_us))
    }

    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64> {
        match self.buckets[index].peek_at(cost, self.at(now_us)) {
            Ok(()) => None,
            Err(Denied::NotYet { retry_after }) => Some(us_up(retry_after)),
            Err(other) => panic!("{other}"),
        }
    }

    fn take(&mut self, index: usize, cost: u64, now_us: u64) {
        let taken = self.buckets[index].try_acquire_at(cost, self.at(now_us));
        taken.expect("it was there a moment ago");
    }

    fn debit(&mut self, index: usize, cost: u64, now_us: u64) {
        self.buckets[index].debit_at(cost, self.at(now_us));
    }

    fn reset(&mut self, index: usize, now_us: u64) {
        self.buckets[index].reset_at(self.at(now_us));
    }

    fn look(&mut self, _: usize, _: u64) -> bool {
        false
    }

    fn full_us(&self, index: usize, now_us: u64) -> u64 {
        let (bucket, now) = (&self.buckets[index], self.at(now_us));
        let wait = bucket.wait_time_at(bucket.capacity(), now);
        now_us + us_up(wait.expect("it fits when the bucket is full"))
    }
}

/// Buckets in exact fractions: a microsecond is `1000 rate` units, and a token is `period` of them.
struct Exact {
    buckets: Vec<ExactBucket>,
}

struct ExactBucket {
    us: i128,
    token: i128,
    capacity: i128,
    /// How far the TAT was ahead when it was written, and when that was.
    ahead: i128,
    written_us: Option<u64>,
    /// The last millisecond in which the key is there: from then on it is full, even if the clock steps back.
    ends_ms: u64,
}

impl ExactBucket {
    fn new(quota: Quota) -> Self {
        Self {
            us: i128::from(quota.rate()) * 1_000,
            token: i128::try_from(quota.period().as_nanos()).unwrap(),
            capacity: i128::from(quota.capacity()),
            ahead: 0,
            written_us: None,
            ends_ms: 0,
        }
    }

    /// Time passes only where the clock is after the last write.
    fn ahead(&self, now_us: u64) -> i128 {
        let passed = now_us.saturating_sub(self.written_us.unwrap_or(now_us));
        (self.ahead - i128::from(passed) * self.us).max(0)
    }

    fn write(&mut self, ahead: i128, now_us: u64) {
        self.ahead = ahead;
        self.written_us = Some(now_us);
        let full_us = u64::try_from(ahead / self.us).unwrap();
        self.ends_ms = (now_us + full_us).div_ceil(1_000) + 1;
    }

    const fn full(&self) -> i128 {
        self.capacity * self.token
    }
}

/// Of numbers above zero.
fn div_up(a: i128, b: i128) -> u64 {
    u64::try_from((a + b - 1) / b).unwrap()
}

impl Exact {
    fn new(case: &Case) -> Self {
        Self {
            buckets: case
                .quotas
                .iter()
                .map(|quota| ExactBucket::new(*quota))
                .collect(),
        }
    }
}

impl Model for Exact {
    fn available(&self, index: usize, now_us: u64) -> u64 {
        let bucket = &self.buckets[index];
        let room = (bucket.full() - bucket.ahead(now_us)).max(0);
        u64::try_from(room / bucket.token).unwrap()
    }

    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64> {
        let bucket = &self.buckets[index];
        let over = bucket.ahead(now_us) + i128::from(cost) * bucket.token - bucket.full();
        (cost > 0 && over > 0).then(|| div_up(over, bucket.us))
    }

    fn take(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let ahead = bucket.ahead(now_us) + i128::from(cost) * bucket.token;
        bucket.write(ahead, now_us);
    }

    fn debit(&mut self, index: usize, cost: u64, now_us: u64) {
        let bucket = &mut self.buckets[index];
        let was = bucket.ahead(now_us);
        let most = bucket.full() + i128::from(MOST_US) * bucket.us;
        let ahead = i128::from(cost)
            .saturating_mul(bucket.token)
            .saturating_add(was);
        bucket.write(ahead.min(most.max(was)), now_us);
    }

    fn reset(&mut self, index: usize, now_us: u64) {
        self.buckets[index].write(0, now_us);
    }

    fn look(&mut self, index: usize, now_us: u64) -> bool {
        let bucket = &mut self.buckets[index];
        if now_us / 1_000 > bucket.ends_ms {
            (bucket.ahead, bucket.written_us) = (0, None);
        }
        let stepped_back = bucket.written_us.is_some_and(|written| written > now_us);
        if stepped_back {
            let ahead = bucket.ahead(now_us);
            bucket.write(ahead, now_us);
        }
        stepped_back
    }

    fn full_us(&self, index: usize, now_us: u64) -> u64 {
        let bucket = &self.buckets[index];
        now_us + div_up(bucket.ahead(now_us), bucket.us)
    }
}

/// What a call should do, by the model, to which it is done.
fn act(
    model: &mut dyn Model,
    op: Op,
    (costs, owed): (&[u64], u64),
    now_us: u64,
) -> (Expected, Vec<bool>) {
    let mut writes: Vec<bool> = (0..costs.len())
        .map(|index| {
            let mended = model.look(index, now_us);
            if owed > 0 {
                model.debit(index, owed, now_us);
            }
            mended || owed > 0
        })
        .collect();
    let mut refusal = None;
    if matches!(op, Op::Take | Op::Peek) {
        for (index, &cost) in costs.iter().enumerate() {
            if let Some(wait) = model.wait_us(index, cost, now_us)
                && refusal.is_none_or(|(_, longest)| wait > longest)
            {
                refusal = Some((index + 1, wait));
            }
        }
    }
    for (index, &cost) in costs.iter().enumerate() {
        match op {
            Op::Take if refusal.is_none() && cost > 0 => model.take(index, cost, now_us),
            Op::Debit if cost > 0 => model.debit(index, cost, now_us),
            Op::Reset => model.reset(index, now_us),
            _ => continue,
        }
        writes[index] = true;
    }
    let available = |index| model.available(index, now_us);
    let available = (0..costs.len()).map(available).collect();
    (Expected { refusal, available }, writes)
}

/// Runs the whole case on the model, then on the server, and compares what each call answers, writes, and keeps for how long.
fn compare(scripts: &mut Scripts, case: &Case, model: &mut dyn Model) -> TestCaseResult {
    let scales: Vec<Scaled> = case.quotas.iter().map(|quota| scaled(*quota)).collect();
    let keys: Vec<String> = scales.iter().map(|_| fresh_key()).collect();
    let (mut now_us, mut hint_us) = (case.start_us, 0);
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for Act {
        step,
        op,
        costs,
        owed,
    } in &case.acts
    {
        now_us = match *step {
            Step::Us(us) => now_us + us,
            Step::Refill(thousandths) => now_us + scales[0].full().0 / 1_000 * thousandths,
            Step::Wait { early } => now_us.max((now_us + hint_us).saturating_sub(early.into())),
            Step::Back(us) => now_us.saturating_sub(us).max(case.start_us / 2),
        }
        .min(END_US);
        let cost = |index: usize| {
            let capacity = case.quotas[index].capacity();
            let cost = match costs[index] {
                Cost::Tokens(n) => n,
                Cost::Part(thousandths) => {
                    u64::try_from(u128::from(capacity) * u128::from(thousandths) / 1_000).unwrap()
                }
                Cost::There(more) => model.available(index, now_us).saturating_add(more),
            };
            if *op == Op::Debit {
                cost
            } else {
                cost.min(capacity)
            }
        };
        let costs: Vec<u64> = (0..scales.len()).map(cost).collect();
        let parts: Vec<Part> = scales
            .iter()
            .zip(&costs)
            .map(|(&scaled, &cost)| Part {
                scaled,
                cost,
                owed: *owed,
            })
            .collect();
        calls.push(take_call(op.name(), 0, &keys, &parts, now_us));
        let (answer, writes) = act(model, *op, (&costs, *owed), now_us);
        hint_us = answer.refusal.map_or(0, |(_, wait)| wait);
        let full: Vec<u64> = (0..scales.len())
            .map(|index| model.full_us(index, now_us))
            .collect();
        expected.push((answer, writes, full));
    }
    let answers = scripts.take_all(&calls);
    let mut written = vec![0; keys.len()];
    for ((call, expected), answer) in calls.iter().zip(&expected).zip(&answers) {
        let seen = read(&scales, &answer.0)?;
        prop_assert_eq!(&seen, &expected.0, "{:?}", call);
        for (index, kept) in answer.1.iter().enumerate() {
            written[index] += u64::from(expected.1[index]);
            prop_assert_eq!(kept.writes, written[index], "writes of {:?}", call);
            if expected.1[index] {
                ends_in_time(kept, call.now_us, expected.2[index])?;
            }
        }
    }
    Ok(())
}

fn read(scales: &[Scaled], answer: &Answer) -> Result<Expected, TestCaseError> {
    let answer = numbers(answer)?;
    let place = usize::try_from(whole(answer[1])?).unwrap();
    let refusal = (answer[0] != 1).then_some((place, whole(answer[2])?));
    let ahead = answer[3..].chunks_exact(2);
    let available = scales.iter().zip(ahead).map(|(scaled, ahead)| {
        let ahead = (whole(ahead[0])?, whole(ahead[1])?);
        prop_assert!(ahead.1 < scaled.den(), "{ahead:?} is no proper fraction");
        Ok(scaled.available(ahead))
    });
    Ok(Expected {
        refusal,
        available: available.collect::<Result<_, _>>()?,
    })
}

/// It is there until the bucket is full, and asked for no longer than 3 ms more.
fn ends_in_time(kept: &Kept, now_us: u64, full_us: u64) -> TestCaseResult {
    let ends_ms = kept.ends_ms.unwrap();
    let gone_us = (ends_ms + 1) * 1_000;
    prop_assert!(gone_us >= full_us, "gone at {gone_us}, full at {full_us}");
    let asked_us = (ends_ms - now_us / 1_000) * 1_000;
    prop_assert!(
        now_us + asked_us <= full_us + 3_000,
        "kept for {asked_us} us from {now_us}, full at {full_us}"
    );
    Ok(())
}

/// The year 2105: with a full bucket, the deepest debt and the largest cost on top, numbers are below 2^53 until then.
const END_US: u64 = 4_260_000_000_000_000;

const YEAR_US: u64 = 31_557_600_000_000;

/// Which the bucket in the process holds without rounding.
fn exact_quotas() -> impl Strategy<Value = Quota> {
    let known = prop_oneof![
        Just(Quota::per_second(3)),
        Just(Quota::per_second(7)),
        Just(Quota::per_second(100_001)),
        Just(Quota::per_second(600_000_000)),
        Just(Quota::per_second(1_000_000_000_000)),
        Just(Quota::per_minute(100).burst(20)),
        Just(Quota::new(1, Duration::from_secs(45 * 86_400)).unwrap()),
        Just(Quota::per_day(1).burst(300)),
    ];
    let rate = prop_oneof![1_u64..20, 1_u64..=1 << 17];
    let period = prop_oneof![
        1_u64..1_000,
        1_u64..10_000_000_000,
        1_u64..100_000_000_000_000
    ];
    let capacity = prop_oneof![1_u64..10, 1_u64..100_000];
    let random = (rate, period, capacity).prop_filter_map(
        "a quota that is exact on both sides",
        |(rate, period, capacity)| {
            let quota = Quota::new(rate, Duration::from_nanos(period)).ok()?;
            let quota = quota.try_burst(capacity).ok()?;
            // The rate is above that in lowest terms, so this is enough.
            let grains = u128::from(capacity) * u128::from(period);
            (grains <= 1 << 60 && Scaled::new(quota).is_ok()).then_some(quota)
        },
    );
    prop_oneof![1 => known, 2 => random]
}

/// Any that the scripts can count in.
fn all_quotas() -> impl Strategy<Value = Quota> {
    let rate = prop_oneof![1_u64..20, 1_u64..2_000_000, 1_u64..=1 << 50];
    let period = prop_oneof![
        1_u64..1_000_000,
        1_u64..100_000_000_000_000,
        1_u64..=u64::MAX
    ];
    let capacity = prop_oneof![1_u64..10, 1_u64..1_000_000, 1_u64..=1 << 60];
    let random = (rate, period, capacity).prop_filter_map(
        "a quota that the scripts can count in",
        |(rate, period, capacity)| {
            let quota = Quota::new(rate, Duration::from_nanos(period)).ok();
            // `new` has a burst of the rate, which may be too much.
            let quota = quota.and_then(|quota| quota.try_burst(capacity).ok())?;
            Scaled::new(quota).is_ok().then_some(quota)
        },
    );
    prop_oneof![
        1 => Just(Quota::per_second(1_000_001)),
        1 => Just(Quota::new(1, Duration::from_micros(50 * YEAR_US)).unwrap()),
        1 => exact_quotas(),
        3 => random,
    ]
}

fn acts(steps_back: bool, most_debt: u64) -> impl Strategy<Value = Vec<Act>> {
    let step = prop_oneof![
        3 => prop_oneof![Just(0), 0_u64..10, 0_u64..1_000_000].prop_map(Step::Us),
        1 => prop_oneof![0..YEAR_US / 365, 0..20 * YEAR_US].prop_map(Step::Us),
        2 => (0_u64..1_200).prop_map(Step::Refill),
        3 => any::<bool>().prop_map(|early| Step::Wait { early }),
        u32::from(steps_back) => prop_oneof![0_u64..1_000, 0_u64..100_000_000, 0..YEAR_US].prop_map(Step::Back),
    ];
    let op = prop_oneof![
        8 => Just(Op::Take),
        3 => Just(Op::Peek),
        1 => Just(Op::Debit),
        1 => Just(Op::Reset),
    ];
    let cost = || {
        prop_oneof![
            3 => (0_u64..5).prop_map(Cost::Tokens),
            2 => (0_u64..=1_000).prop_map(Cost::Part),
            3 => (0_u64..2).prop_map(Cost::There),
        ]
    };
    let owed = prop_oneof![9 => Just(0), 1 => 1_u64..5, 1 => 0..=most_debt];
    let act = (step, op, [cost(), cost(), cost()], owed).prop_map(|(step, op, costs, owed)| Act {
        step,
        op,
        costs,
        owed,
    });
    prop::collection::vec(act, 1..30)
}

fn cases(
    quotas: impl Strategy<Value = Quota> + Clone,
    steps_back: bool,
    most_debt: u64,
) -> impl Strategy<Value = Case> {
    let quotas = prop_oneof![
        3 => prop::collection::vec(quotas.clone(), 1),
        1 => prop::collection::vec(quotas, 2..=3),
    ];
    let start = prop_oneof![
        Just(1_790_000_000_000_000_u64),
        1_000_000_000_000_000_u64..END_US
    ];
    (quotas, start, acts(steps_back, most_debt)).prop_map(|(quotas, start_us, acts)| Case {
        quotas,
        start_us,
        acts,
    })
}

fn run<S: Strategy>(
    share: u32,
    strategy: &S,
    check: impl Fn(&mut Scripts, &S::Value) -> TestCaseResult,
) {
    let scripts = RefCell::new(Scripts::start());
    let config = ProptestConfig::default();
    let config = ProptestConfig {
        cases: (config.cases / share).max(1),
        failure_persistence: None,
        ..config
    };
    TestRunner::new(config)
        .run(strategy, |case| check(&mut scripts.borrow_mut(), &case))
        .unwrap_or_else(|error| panic!("{error}"));
}

fn as_in_the_process(scripts: &mut Scripts, case: &Case) -> TestCaseResult {
    compare(scripts, case, &mut InProcess::new(case))
}

fn as_exact_fractions(scripts: &mut Scripts, case: &Case) -> TestCaseResult {
    compare(scripts, case, &mut Exact::new(case))
}

#[test]
fn decides_as_the_bucket_in_the_process() {
    // Debts of which it forgets nothing.
    run(
        4,
        &cases(exact_quotas().boxed(), false, 20),
        as_in_the_process,
    );
}

#[test]
fn decides_as_exact_fractions() {
    run(
        4,
        &cases(all_quotas().boxed(), true, u64::MAX),
        as_exact_fractions,
    );
}

/// Nodes that name other limits for one bucket.
#[derive(Clone, Debug)]
struct Changes {
    quotas: Vec<Quota>,
    /// Which of them, how long after the call before or after what it said, and what is asked for.
    calls: Vec<(usize, Option<u64>, Cost)>,
}

/// Tokens of limits that are as long as whole parts of a microsecond, each so long.
const FRACTIONS: u64 = 3 * 7 * 11 * 13;

fn changes(quotas: impl Strategy<Value = Quota>) -> impl Strategy<Value = Changes> {
    let cost = prop_oneof![
        1 => (1_u64..5).prop_map(Cost::Tokens),
        2 => (0_u64..2).prop_map(Cost::There),
    ];
    let pause = prop_oneof![
        2 => Just(None),
        2 => (0_u64..10).prop_map(Some),
        1 => (0_u64..1_000_000).prop_map(Some),
    ];
    let calls = prop::collection::vec((0_usize..3, pause, cost), 1..40);
    (prop::collection::vec(quotas, 3), calls).prop_map(|(quotas, calls)| Changes { quotas, calls })
}

/// While one limit stands nothing is admitted beyond it, whatever others left; its hints are honest; and over all of them no more time is
/// spent than there is, but for fractions of a microsecond if they are not `as_long` as whole parts of it.
fn check_changes(scripts: &mut Scripts, changes: &Changes, as_long: bool) -> TestCaseResult {
    let keys = [fresh_key()];
    let (mut now_us, mut hint_us) = (START_US, 0);
    let (mut which_before, mut ahead) = (0, (0, 0));
    let (mut phase, mut times) = (Vec::new(), Vec::new());
    for &(which, pause, cost) in &changes.calls {
        let quota = changes.quotas[which];
        let scaled = scaled(quota);
        now_us += pause.unwrap_or(hint_us);
        let mut call = |op, cost, now_us| {
            let part = Part {
                scaled,
                cost,
                owed: 0,
            };
            let (answer, _) = scripts.take(take_call(op, 0, &keys, &[part], now_us));
            let answer = numbers(&answer)?;
            let ahead = (whole(answer[3])?, whole(answer[4])?);
            Ok::<_, TestCaseError>((answer[0] == 1, whole(answer[2])?, ahead))
        };
        if which != which_before {
            Bound::new(changes.quotas[which_before]).judge(&phase)?;
            phase.clear();
            which_before = which;
        }
        if let Cost::There(_) = cost {
            (_, _, ahead) = call("peek", 0, now_us)?;
        }
        let cost = match cost {
            Cost::Tokens(n) => n,
            Cost::There(more) => scaled.available(ahead) + more,
            Cost::Part(_) => 1,
        };
        let cost = cost.min(quota.capacity());
        let (admitted, wait, after) = call("take", cost, now_us)?;
        (ahead, hint_us) = (after, wait);
        let at = (now_us - START_US) * 1_000;
        if admitted {
            phase.push(Admission {
                start_ns: at,
                end_ns: at,
                permits: cost,
            });
            let (us, num) = scaled.cost(cost);
            let fractions = if as_long {
                num * (FRACTIONS / scaled.den())
            } else {
                0
            };
            times.push(Admission {
                start_ns: at,
                end_ns: at,
                permits: us * FRACTIONS + fractions,
            });
        } else {
            let (then, _, _) = call("peek", cost, now_us + wait)?;
            prop_assert!(then, "{cost} should be there after {wait} us");
        }
    }
    Bound::new(changes.quotas[which_before]).judge(&phase)?;
    let full = changes.quotas.iter().map(|quota| scaled(*quota).full());
    let longest = full.map(|(us, num)| us + u64::from(num > 0)).max();
    let time = Bound {
        capacity: longest.unwrap() * FRACTIONS,
        tokens: FRACTIONS,
        period_ns: 1_000,
    };
    time.judge(&times)
}

trait Judge {
    fn judge(&self, admissions: &[Admission]) -> TestCaseResult;
}

impl Judge for Bound {
    fn judge(&self, admissions: &[Admission]) -> TestCaseResult {
        let excess = self.excess(admissions);
        prop_assert!(excess.permits_over <= 0, "{self}: {excess}");
        Ok(())
    }
}

const START_US: u64 = 1_790_000_000_123_456;

fn limits_as_long() -> impl Strategy<Value = Changes> {
    let n = prop::sample::select(vec![1_u64, 3, 7, 11, 13, 21, 33, 77, 91, 3_003]);
    // All fill up in a second.
    changes(n.prop_map(Quota::per_second))
}

fn any_limits() -> impl Strategy<Value = Changes> {
    // Each call in the test may move the clock, and 40 of them at most a few periods.
    let random =
        (1_u64..2_000, 1_000_u64..100_000_000_000, 1_u64..100).prop_map(|(n, nanos, capacity)| {
            Quota::new(n, Duration::from_nanos(nanos))
                .unwrap()
                .burst(capacity)
        });
    changes(random)
}

#[test]
fn limits_that_change_give_no_time_away() {
    run(8, &limits_as_long(), |scripts, changes| {
        check_changes(scripts, changes, true)
    });
}

#[test]
fn limits_that_change_each_hold_while_they_stand() {
    run(8, &any_limits(), |scripts, changes| {
        check_changes(scripts, changes, false)
    });
}

fn call(
    scripts: &mut Scripts,
    op: &str,
    key: &str,
    quota: Quota,
    cost: u64,
    now_us: u64,
) -> (bool, u64, (u64, u64)) {
    let part = Part {
        scaled: scaled(quota),
        cost,
        owed: 0,
    };
    let (answer, _) = scripts.take(take_call(op, 0, &[key.to_owned()], &[part], now_us));
    let answer = answer.unwrap();
    let number = |index: usize| u64::try_from(answer[index]).unwrap();
    (answer[0] == 1, number(2), (number(3), number(4)))
}

/// Or a call by a node that knows the lower one would give everything back to those that do not.
#[test]
fn a_lowered_limit_waits_for_what_was_taken_before() {
    let mut scripts = Scripts::start();
    let (day, second) = (Quota::per_day(10), Quota::per_second(10));
    let (key, day_us) = (fresh_key(), 86_400_000_000);
    assert!(call(&mut scripts, "take", &key, day, 10, START_US).0);
    let refused = call(&mut scripts, "take", &key, second, 1, START_US);
    let wait_us = day_us - 900_000;
    assert_eq!(refused, (false, wait_us, (day_us, 0)));
    assert!(!call(&mut scripts, "take", &key, day, 1, START_US).0);
    let then_us = START_US + wait_us;
    assert!(!call(&mut scripts, "take", &key, second, 1, then_us - 1).0);
    assert!(call(&mut scripts, "take", &key, second, 1, then_us).0);
}

#[test]
fn the_deepest_debt_is_50_years_and_is_not_forgiven() {
    let mut scripts = Scripts::start();
    for quota in [
        Quota::per_second(3),
        Quota::new(1, Duration::from_micros(MOST_US)).unwrap(),
    ] {
        let (key, full) = (fresh_key(), scaled(quota).full());
        let mut now_us = START_US;
        for (pause, cost) in [(0, u64::MAX), (0, 1), (1_000_000, u64::MAX)] {
            now_us += pause;
            let debt = call(&mut scripts, "debit", &key, quota, cost, now_us).2;
            assert_eq!(debt, (full.0 + MOST_US, full.1));
        }
        // A look at it by a lower limit neither.
        let lower = Quota::per_second(10);
        let (_, _, (ahead_us, _)) = call(&mut scripts, "peek", &key, lower, 1, now_us);
        assert!(ahead_us >= full.0 + MOST_US);
        let then = now_us + full.0 + MOST_US;
        assert!(
            !call(
                &mut scripts,
                "peek",
                &key,
                quota,
                quota.capacity(),
                then - 1
            )
            .0
        );
        assert!(call(&mut scripts, "peek", &key, quota, quota.capacity(), then).0);
    }
}

/// Of a key that holds something else, neither it nor another in the same call is changed.
#[test]
fn what_is_no_bucket_is_an_error_and_stays() {
    let mut scripts = Scripts::start();
    let part = Part {
        scaled: scaled(Quota::per_second(3)),
        cost: 1,
        owed: 1,
    };
    let bucket = "1 1790000000456789 1 3 1790000000123456";
    let leased = format!("{bucket} z1 1 333333 1 0 0 1790000001123456");
    let words: Vec<&str> = leased.split(' ').collect();
    let mut values: Vec<String> = [
        "",
        "hello",
        "2",
        "12345",
        "{}",
        "\n",
        "1 nan 0 3 0",
        "1 inf 0 3 0",
        "1 9007199254740992 0 3 0",
        "1 -1 0 3 0",
        "1 5 0 3 x",
        "1 5 0 3 0 0",
    ]
    .map(String::from)
    .to_vec();
    values.push(bucket.replacen('1', "2", 1));
    // All but a whole bucket without leases.
    let parts = (1..words.len()).filter(|count| *count != 5);
    values.extend(parts.map(|count| words[..count].join(" ")));
    for value in values {
        for (broken, well) in [(0, 1), (1, 0)] {
            let keys = [fresh_key(), fresh_key()];
            let set = |scripts: &mut Scripts, key: &str, value: &str| {
                let () = redis::cmd("SET")
                    .arg(key)
                    .arg(value)
                    .query(scripts.connection())
                    .unwrap();
            };
            set(&mut scripts, &keys[broken], &value);
            set(&mut scripts, &keys[well], bucket);
            for op in ["take", "peek", "debit", "reset"] {
                let (answer, kept) = scripts.take(take_call(op, 0, &keys, &[part; 2], START_US));
                let error = answer.expect_err(&value);
                assert!(error.contains("user_script"), "{error}");
                assert_eq!(kept[broken].value.as_deref(), Some(&*value));
                assert_eq!(kept[well].value.as_deref(), Some(bucket));
            }
            // The same of a lease: a token every second, up to 2, for a second.
            let numbers = "1 2000000 0 9 0 0 0 z2 1 0 0 0 0 0 1000000 1000000 0 1000000 0";
            let (answer, kept) = scripts.lease(Call {
                keys: vec![keys[broken].clone()],
                arguments: numbers.split(' ').map(str::to_owned).collect(),
                now_us: START_US,
            });
            assert!(answer.expect_err(&value).contains("user_script"));
            assert_eq!(kept[0].value.as_deref(), Some(&*value));
        }
    }
    for command in ["LPUSH", "SADD"] {
        let key = fresh_key();
        let mut push = redis::cmd(command);
        let _: i64 = push.arg(&key).arg("x").query(scripts.connection()).unwrap();
        let dump = |scripts: &mut Scripts| -> Vec<u8> {
            redis::cmd("DUMP")
                .arg(&key)
                .query(scripts.connection())
                .unwrap()
        };
        let before = dump(&mut scripts);
        let (answer, _) = scripts.take(take_call(
            "take",
            0,
            core::slice::from_ref(&key),
            &[part],
            START_US,
        ));
        let error = answer.unwrap_err();
        assert!(error.contains("WRONGTYPE"), "{error}");
        assert_eq!(dump(&mut scripts), before);
    }
}

/// The script as it is, on the server's own clock.
#[test]
fn refusals_and_looks_write_nothing_and_a_key_ends_when_it_is_full() {
    let mut scripts = Scripts::start();
    let key = fresh_key();
    let mut real = |op: &str, cost: u64| {
        let part = Part {
            scaled: scaled(Quota::per_hour(10)),
            cost,
            owed: 0,
        };
        let Call {
            keys, arguments, ..
        } = take_call(op, 0, core::slice::from_ref(&key), &[part], 0);
        let changes = "rdb_changes_since_last_save";
        let before = scripts.server().info(changes).unwrap();
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("EVAL")
            .arg(take_script())
            .arg(1)
            .arg(keys)
            .arg(arguments);
        pipeline.cmd("PTTL").arg(&key);
        let (answer, ttl_ms): (Vec<i64>, i64) = pipeline.query(scripts.connection()).unwrap();
        let wrote = scripts.server().info(changes).unwrap() != before;
        (answer, ttl_ms, wrote)
    };
    let (answer, _, wrote) = real("peek", 3);
    assert_eq!((answer, wrote), (vec![1, 0, 0, 0, 0], false));
    let (answer, ttl_ms, wrote) = real("take", 7);
    let full_us = 7 * 360_000_000;
    assert_eq!((answer, wrote), (vec![1, 0, 0, full_us, 0], true));
    // The server may take its time between the two.
    assert!(
        (full_us / 1_000 - 1_000..=full_us / 1_000 + 3).contains(&ttl_ms),
        "{ttl_ms}"
    );
    for op in ["take", "peek"] {
        let (answer, _, wrote) = real(op, 4);
        assert_eq!((answer[0], answer[1], wrote), (0, 1, false));
        assert!((1..=360_000_000).contains(&answer[2]), "{}", answer[2]);
    }
}

/// Single changes of the script, each of which some case must show.
const MUTANTS: [(&str, [&str; 2]); 15] = [
    (
        "another limit's fractions are dropped",
        [
            "if num > 0 then return us + 1, 0 end return us, 0",
            "return us, 0",
        ],
    ),
    (
        "a lowered limit cuts the bucket down, and gives the rest to nodes that do not know it",
        [
            "  if leases == '' then return b end\n",
            "  if above(b.us, b.num, now + cap_us, cap_num) then
  b.us, b.num, b.dirty = now + cap_us, cap_num, true end\n  if leases == '' then return b end\n",
        ],
    ),
    (
        "the shortest wait",
        ["wait > worst_wait", "wait < worst_wait"],
    ),
    (
        "a fraction does not count",
        [
            "if not above(to_us, to_num, 0, 0) then",
            "if to_us <= 0 then",
        ],
    ),
    (
        "hints are rounded down",
        ["to_num > 0 and to_us + 1 or to_us", "to_us"],
    ),
    (
        "time does not stand still",
        ["    b.us = b.us - (last - now)\n", "\n"],
    ),
    (
        "a clock that has stepped back is not written",
        [
            "    b.dirty = true\n  end\n  if leases",
            "  end\n  if leases",
        ],
    ),
    (
        "a key ends too early",
        ["math.ceil(full / 1000) + 1)", "math.ceil(full / 1000) - 2)"],
    ),
    (
        "a key ends late",
        ["math.ceil(full / 1000) + 1)", "math.ceil(full / 1000) + 4)"],
    ),
    (
        "nothing is carried",
        ["  if num >= den then return us + 1, num - den end\n", "\n"],
    ),
    (
        "debts start long ago",
        ["  raise(b, now)\n  local was_us", "  local was_us"],
    ),
    (
        "debts have no end",
        [
            "  if above(b.us, b.num, end_us, b.cap_num) then",
            "  if false then",
        ],
    ),
    (
        "a debt refuses even none",
        ["  if b.costs and (op == ", "  if (op == "],
    ),
    ("all is written", ["if b.dirty then save(b) end", "save(b)"]),
    (
        "what is refused by one is charged to the others",
        [
            "if op == 'take' and worst == 0 and b.costs then",
            "if op == 'take' and b.costs then",
        ],
    ),
];

fn found(scripts: &mut Scripts, most: u32) -> Option<u32> {
    let mut runner = TestRunner::deterministic();
    let (any, same) = (any_limits(), limits_as_long());
    let cases = cases(all_quotas().boxed(), true, u64::MAX);
    for tried in 1..=most {
        let case = cases.new_tree(&mut runner).unwrap().current();
        let any = any.new_tree(&mut runner).unwrap().current();
        let same = same.new_tree(&mut runner).unwrap().current();
        if as_exact_fractions(scripts, &case).is_err()
            || check_changes(scripts, &any, false).is_err()
            || check_changes(scripts, &same, true).is_err()
        {
            return Some(tried);
        }
    }
    None
}

#[test]
fn mutants() {
    scripted::assert_all_found(&MUTANTS, 200, found);
}
