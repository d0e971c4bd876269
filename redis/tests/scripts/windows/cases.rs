//! Random windows, and sequences of calls on one to three limits.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::Quota;

use crate::arithmetic::action::{Action, END_US, window_action};
use crate::arithmetic::quotas::all_quotas;
use crate::scaled_window::{MAX_COUNT, ScaledWindow};

#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitCase {
    Bucket(Quota),
    Window(ScaledWindow),
}

impl LimitCase {
    pub(crate) const fn capacity(self) -> u64 {
        match self {
            Self::Bucket(quota) => quota.capacity(),
            Self::Window(window) => window.limit(),
        }
    }

    /// The time in which all of it comes back, in microseconds.
    pub(crate) fn period_us(self) -> u64 {
        match self {
            Self::Bucket(quota) => crate::script_calls::scaled(quota).full().us,
            Self::Window(window) => length_us(window),
        }
    }
}

pub(crate) fn length_us(window: ScaledWindow) -> u64 {
    u64::try_from(window.length().as_micros()).unwrap()
}

#[derive(Clone, Debug)]
pub(crate) struct WindowsCase {
    pub(crate) limits: Vec<LimitCase>,
    pub(crate) start_us: u64,
    pub(crate) actions: Vec<Action>,
}

pub(crate) fn window(limit: u64, us: u64) -> ScaledWindow {
    ScaledWindow::new(limit, Duration::from_micros(us)).unwrap()
}

/// Windows that the scripts support: some shorter than 64 slots, some that 64 does not divide, and
/// the longest.
pub(crate) fn windows() -> impl Strategy<Value = ScaledWindow> {
    let length = prop_oneof![
        1_u64..100,
        (1_u64..200).prop_map(|slot| slot * 64),
        1_u64..1_000_000,
        Just(60_000_000),
        1_u64..(1 << 62) / 1_000,
    ];
    let limit = prop_oneof![3 => 1_u64..10, 1 => 1_u64..1_000, 1 => 1_u64..=MAX_COUNT];
    (limit, length).prop_filter_map("a limit that fits", |(limit, us)| {
        ScaledWindow::new(limit, Duration::from_micros(us)).ok()
    })
}

pub(crate) fn cases() -> impl Strategy<Value = WindowsCase> {
    let other = prop_oneof![
        windows().prop_map(LimitCase::Window),
        all_quotas().prop_map(LimitCase::Bucket),
    ];
    let others = prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec(other, 1..3),
    ];
    let start = prop_oneof![
        Just(1_790_000_000_000_000_u64),
        1_000_000_000_000_000_u64..END_US
    ];
    let actions = prop::collection::vec(window_action(true, u64::MAX), 1..40);
    (windows(), others, start, actions).prop_map(|(first, others, start_us, actions)| {
        let mut limits = vec![LimitCase::Window(first)];
        limits.extend(others);
        WindowsCase {
            limits,
            start_us,
            actions,
        }
    })
}
