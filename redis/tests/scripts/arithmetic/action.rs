//! Random sequences of calls on one to three buckets.

use proptest::prelude::*;
use tidegate::Quota;

use super::quotas::YEAR_US;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Take,
    Peek,
    Debit,
    Credit,
    /// Sets how many permits there are.
    Level,
    Reset,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Peek => "peek",
            Self::Debit => "debit",
            Self::Credit => "credit",
            Self::Level => "level",
            Self::Reset => "reset",
        }
    }
}

/// How the clock moves before a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClockStep {
    ForwardUs(u64),
    /// A part of the first bucket's refill time, in thousandths.
    Refill(u64),
    /// To the time that the last denial named, or a microsecond earlier.
    Retry {
        early: bool,
    },
    BackUs(u64),
}

/// How many permits a call requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    Permits(u64),
    /// A part of the capacity, in thousandths.
    OfCapacity(u64),
    /// The available permits, plus this many.
    OverAvailable(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) step: ClockStep,
    pub(crate) operation: Operation,
    pub(crate) costs: [Cost; 3],
    pub(crate) unreported: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) quotas: Vec<Quota>,
    pub(crate) start_us: u64,
    pub(crate) actions: Vec<Action>,
}

/// The year 2105. Until then, all numbers stay below 2^53: even the sum of a full bucket, the
/// deepest debt and the largest cost.
pub(crate) const END_US: u64 = 4_260_000_000_000_000;

pub(crate) fn cases(
    quotas: impl Strategy<Value = Quota> + Clone,
    steps_back: bool,
    max_unreported: u64,
) -> impl Strategy<Value = Case> {
    let quotas = prop_oneof![
        3 => prop::collection::vec(quotas.clone(), 1),
        1 => prop::collection::vec(quotas, 2..=3),
    ];
    let start = prop_oneof![
        Just(1_790_000_000_000_000_u64),
        1_000_000_000_000_000_u64..END_US
    ];
    let actions = prop::collection::vec(action(steps_back, max_unreported), 1..30);
    (quotas, start, actions).prop_map(|(quotas, start_us, actions)| Case {
        quotas,
        start_us,
        actions,
    })
}

fn action(steps_back: bool, max_unreported: u64) -> impl Strategy<Value = Action> {
    let operation = prop_oneof![
        10 => Just(Operation::Take),
        3 => Just(Operation::Peek),
        2 => Just(Operation::Debit),
        1 => Just(Operation::Credit),
        1 => Just(Operation::Level),
        1 => Just(Operation::Reset),
    ];
    action_of(operation, steps_back, max_unreported)
}

/// Calls of any limit: without those that only buckets have.
pub(crate) fn window_action(
    steps_back: bool,
    max_unreported: u64,
) -> impl Strategy<Value = Action> {
    let operation = prop_oneof![
        10 => Just(Operation::Take),
        3 => Just(Operation::Peek),
        2 => Just(Operation::Debit),
        1 => Just(Operation::Reset),
    ];
    action_of(operation, steps_back, max_unreported)
}

fn action_of(
    operation: impl Strategy<Value = Operation>,
    steps_back: bool,
    max_unreported: u64,
) -> impl Strategy<Value = Action> {
    let back = prop_oneof![0_u64..1_000, 0_u64..100_000_000, 0..YEAR_US];
    let step = prop_oneof![
        3 => prop_oneof![Just(0), 0_u64..10, 0_u64..1_000_000].prop_map(ClockStep::ForwardUs),
        1 => prop_oneof![0..YEAR_US / 365, 0..20 * YEAR_US].prop_map(ClockStep::ForwardUs),
        2 => (0_u64..1_200).prop_map(ClockStep::Refill),
        3 => any::<bool>().prop_map(|early| ClockStep::Retry { early }),
        u32::from(steps_back) => back.prop_map(ClockStep::BackUs),
    ];
    let cost = || {
        prop_oneof![
            3 => (0_u64..5).prop_map(Cost::Permits),
            2 => (0_u64..=1_000).prop_map(Cost::OfCapacity),
            3 => (0_u64..2).prop_map(Cost::OverAvailable),
        ]
    };
    let unreported = prop_oneof![9 => Just(0), 1 => 1_u64..5, 1 => 0..=max_unreported];
    let unreported = unreported.prop_map(move |permits| permits.min(max_unreported));
    let all = (step, operation, [cost(), cost(), cost()], unreported);
    all.prop_map(|(step, operation, costs, unreported)| Action {
        step,
        operation,
        costs,
        unreported,
    })
}
