//! Calls of the script `take` for windows and buckets, with the arguments that the crate sends.

use proptest::test_runner::TestCaseError;

use super::cases::LimitCase;
use crate::scaled_quota::Amount;
use crate::scaled_window::{ScaledWindow, WindowUse};
use crate::script_calls::{
    ScriptCall, ScriptReply, amounts, number, numbers, operation, scaled, unsigned,
};

/// One limit's part in a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitCharge {
    pub(crate) limit: LimitCase,
    pub(crate) cost: u64,
    pub(crate) unreported: u64,
}

/// What the script tells of a limit: of a bucket, only what is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitState {
    Bucket(u64),
    Window(WindowUse),
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The limit with the longest wait, counted from 1, and its wait.
    pub(crate) denial: Option<(usize, u64)>,
    pub(crate) states: Vec<LimitState>,
}

/// Whether a call goes the short way for a window.
fn is_short(op: &str, charges: &[LimitCharge], empty_for_us: u64) -> Option<(ScaledWindow, u64)> {
    match charges {
        &[
            LimitCharge {
                limit: LimitCase::Window(window),
                cost: cost @ 1..,
                unreported: 0,
            },
        ] if op == "take" && empty_for_us == 0 => Some((window, cost)),
        _ => None,
    }
}

/// One of the limits is a window.
pub(crate) fn call(
    op: &str,
    keys: &[String],
    charges: &[LimitCharge],
    empty_for_us: u64,
    now_us: u64,
) -> ScriptCall {
    let arguments = if let Some((window, cost)) = is_short(op, charges, empty_for_us) {
        [cost, window.limit(), window.slot(), window.reach()]
            .map(number)
            .to_vec()
    } else {
        let mut all = operation(op, empty_for_us);
        for charge in charges {
            let LimitCharge {
                cost, unreported, ..
            } = *charge;
            match charge.limit {
                LimitCase::Bucket(quota) => {
                    let bucket = scaled(quota);
                    all.push(number(bucket.den()));
                    all.extend(amounts(&[
                        bucket.full(),
                        bucket.cost(cost),
                        bucket.cost(unreported),
                    ]));
                }
                LimitCase::Window(window) => {
                    let (limit, slot, reach) = (window.limit(), window.slot(), window.reach());
                    all.extend([0, limit, slot, reach, cost, unreported, 0].map(number));
                }
            }
        }
        all
    };
    ScriptCall {
        keys: keys.to_vec(),
        arguments,
        now_us,
    }
}

fn window_use(numbers: &[i64]) -> Result<WindowUse, TestCaseError> {
    Ok(WindowUse {
        used: unsigned(numbers[0])?,
        first_us: unsigned(numbers[1])?,
        last_us: unsigned(numbers[2])?,
    })
}

pub(crate) fn outcome(
    op: &str,
    charges: &[LimitCharge],
    reply: &ScriptReply,
) -> Result<Outcome, TestCaseError> {
    let numbers = numbers(reply)?;
    if is_short(op, charges, 0).is_some() {
        let wait = unsigned(numbers[0])?;
        return Ok(Outcome {
            denial: (wait > 0).then_some((1, wait)),
            states: vec![LimitState::Window(window_use(&numbers[1..])?)],
        });
    }
    let (head, mut rest) = numbers.split_at(3);
    let mut states = Vec::new();
    for charge in charges {
        let used = match charge.limit {
            LimitCase::Bucket(quota) => {
                let (us, num) = (unsigned(rest[0])?, unsigned(rest[1])?);
                states.push(LimitState::Bucket(
                    scaled(quota).available(Amount { us, num }),
                ));
                2
            }
            LimitCase::Window(_) => {
                states.push(LimitState::Window(window_use(rest)?));
                3
            }
        };
        rest = &rest[used..];
    }
    assert!(rest.is_empty(), "{numbers:?}");
    let denied_by = usize::try_from(unsigned(head[1])?).unwrap();
    Ok(Outcome {
        denial: (head[0] == 0).then_some((denied_by, unsigned(head[2])?)),
        states,
    })
}
