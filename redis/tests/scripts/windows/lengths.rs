//! Nodes that use different limits and lengths for one window.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::cases::{LimitCase, length_us, window};
use super::limit_calls::{LimitCharge, call, outcome};
use crate::scaled_window::ScaledWindow;
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

#[derive(Clone, Debug)]
pub(crate) struct LengthChanges {
    windows: Vec<ScaledWindow>,
    /// The slots of the longer windows begin with slots of the shorter ones.
    nested: bool,
    calls: Vec<LengthCall>,
}

#[derive(Clone, Copy, Debug)]
struct LengthCall {
    /// Index of the caller's window.
    window: usize,
    /// Time since the previous call; `None` waits as long as that call's hint says.
    pause_us: Option<u64>,
    cost: u64,
}

pub(crate) fn length_changes() -> impl Strategy<Value = LengthChanges> {
    let lengths = prop_oneof![
        // Multiples of a slot, and anything.
        (1_u64..100, 1_u64..5, 1_u64..30).prop_map(|(slot, two, three)| {
            (true, [slot * 64, slot * two * 64, slot * two * three * 64])
        }),
        prop::array::uniform3(1_u64..10_000).prop_map(|lengths| (false, lengths)),
    ];
    let pause = prop_oneof![2 => Just(None), 2 => (0_u64..10).prop_map(Some), 2 => (0_u64..5_000).prop_map(Some)];
    let call = (0_usize..3, pause, 1_u64..4).prop_map(|(window, pause_us, cost)| LengthCall {
        window,
        pause_us,
        cost,
    });
    let limits = prop::array::uniform3(1_u64..8);
    let all = (lengths, limits, prop::collection::vec(call, 1..40));
    all.prop_map(|((nested, lengths), limits, calls)| LengthChanges {
        windows: lengths
            .into_iter()
            .zip(limits)
            .map(|(us, limit)| window(limit, us))
            .collect(),
        nested,
        calls,
    })
}

/// Checks four things. An admission is within its own limit, as far back as each call before reached.
/// No call is refused for what was admitted long enough ago, if slots are `nested`. Hints are exact.
/// And what a call tells is what a look right after it finds.
pub(crate) fn check_length_changes(
    scripts: &mut Scripts,
    changes: &LengthChanges,
) -> TestCaseResult {
    let key = fresh_key();
    let (mut now_us, mut hint_us) = (START_US, 0);
    let mut admitted: Vec<(u64, u64)> = Vec::new();
    let known_us = changes
        .windows
        .iter()
        .map(|it| length_us(*it))
        .min()
        .unwrap();
    let longest_slot = changes
        .windows
        .iter()
        .map(ScaledWindow::slot)
        .max()
        .unwrap();
    for &LengthCall {
        window: index,
        pause_us,
        cost,
    } in &changes.calls
    {
        let window = changes.windows[index];
        now_us += pause_us.unwrap_or(hint_us);
        let cost = cost.min(window.limit());
        let charges = [LimitCharge {
            limit: LimitCase::Window(window),
            cost,
            unreported: 0,
        }];
        let mut wait = |op, now_us| {
            let call = call(op, &[key.clone()], &charges, 0, now_us);
            let outcome = outcome(op, &charges, &scripts.take(call).0)?;
            Ok::<_, TestCaseError>(outcome.denial.map(|(_, wait)| wait))
        };
        let denied = wait("take", now_us)?;
        hint_us = denied.unwrap_or(0);
        let sum = |admitted: &[(u64, u64)], span_us: u64| -> u64 {
            let recent = admitted.iter().rev();
            let recent = recent.take_while(|(at_us, _)| now_us - at_us <= span_us);
            recent.map(|(_, permits)| permits).sum()
        };
        if denied.is_none() {
            admitted.push((now_us, cost));
            let sum = sum(&admitted, known_us.min(length_us(window)));
            prop_assert!(sum <= window.limit(), "{sum} at {now_us} in {window:?}");
        } else {
            let reached_us = length_us(window) + 3 * longest_slot;
            let sum = sum(&admitted, reached_us);
            let is_full = sum + cost > window.limit();
            prop_assert!(
                is_full || !changes.nested,
                "{sum} at {now_us} in {window:?}"
            );
            // In this order, because time does not go back.
            prop_assert!(wait("peek", now_us + hint_us - 1)?.is_some());
            prop_assert!(wait("peek", now_us + hint_us)?.is_none());
            now_us += hint_us;
            hint_us = 0;
        }
    }
    Ok(())
}

#[test]
fn no_node_admits_more_than_its_own_limit() {
    check_property(2, &length_changes(), check_length_changes);
}
