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
    /// Time since the previous call, or since its hint if it was denied.
    pause_us: u64,
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
    let pause = prop_oneof![Just(0), 0_u64..10, 0_u64..5_000];
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

/// Checks four things. An admission is within its own limit, as far back as each call before
/// reached. No call is refused for what was admitted long enough ago, if slots are `nested`. Hints
/// are exact. And what a call tells is what a look right after it finds.
pub(crate) fn check_length_changes(
    scripts: &mut Scripts,
    changes: &LengthChanges,
) -> TestCaseResult {
    let key = fresh_key();
    let mut now_us = START_US;
    let mut admitted: Vec<(u64, u64)> = Vec::new();
    // What is older may have been forgotten by a call with a shorter window, or with its key.
    let (mut known_from_us, mut kept_us) = (0, u64::MAX);
    let slots = changes.windows.iter().map(ScaledWindow::slot);
    let longest_slot = slots.max().expect("three windows");
    for &LengthCall {
        window: index,
        pause_us,
        cost,
    } in &changes.calls
    {
        let window = changes.windows[index];
        now_us += pause_us;
        known_from_us = known_from_us.max(now_us.saturating_sub(kept_us));
        let cost = cost.min(window.limit());
        let each = [LimitCharge {
            limit: LimitCase::Window(window),
            cost,
            unreported: 0,
        }];
        let mut ask = |op, now_us| {
            let call = call(op, core::slice::from_ref(&key), &each, 0, now_us);
            outcome(op, &each, &scripts.take(call).0)
        };
        let taken = ask("take", now_us)?;
        let sum_since = |admitted: &[(u64, u64)], from_us: u64| -> u64 {
            let recent = admitted.iter().filter(|(at_us, _)| *at_us >= from_us);
            recent.map(|(_, permits)| permits).sum()
        };
        let from_us = now_us - length_us(window);
        if let Some((_, wait_us)) = taken.denial {
            let sum = sum_since(&admitted, from_us - 3 * longest_slot);
            let is_full = sum + cost > window.limit();
            prop_assert!(
                is_full || !changes.nested,
                "{sum} at {now_us} in {window:?}"
            );
            // In this order, because time does not go back.
            prop_assert!(ask("peek", now_us + wait_us - 1)?.denial.is_some());
            prop_assert!(ask("peek", now_us + wait_us)?.denial.is_none());
            now_us += wait_us;
        } else {
            prop_assert_eq!(taken.states, ask("peek", now_us)?.states);
            admitted.push((now_us, cost));
            let sum = sum_since(&admitted, from_us.max(known_from_us));
            prop_assert!(sum <= window.limit(), "{sum} at {now_us} in {window:?}");
        }
        kept_us = length_us(window);
        known_from_us = known_from_us.max(now_us - kept_us);
    }
    Ok(())
}

#[test]
fn no_node_admits_more_than_its_own_limit() {
    check_property(2, &length_changes(), check_length_changes);
}
