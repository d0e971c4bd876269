//! Chooses the times of the calls of a run.

use super::super::bytes::Bytes;
use super::super::choices::{fraction, moved, start};
use tidegate::Quota;

/// The time of a run, and the spans of time from which its steps are chosen.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) now: u64,
    /// The last hint in nanoseconds.
    pub(crate) hint: u64,
    /// Nanoseconds from token to token, rounded down.
    interval: u64,
    /// Nanoseconds until an empty bucket is full.
    refill: u64,
    /// See [`ExactQuota`](super::exact::ExactQuota).
    span: u64,
}

const HOUR: u64 = 3_600_000_000_000;

impl Timeline {
    pub(crate) fn new(bytes: &mut Bytes<'_>, quota: Quota, span: u64) -> Self {
        let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
        let clamp = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        Self {
            now: start(bytes, u64::MAX),
            hint: 0,
            interval: clamp(period / rate),
            refill: clamp(u128::from(quota.capacity()) * period / rate),
            span,
        }
    }

    /// Moves the time, usually forward.
    pub(crate) fn step(&mut self, bytes: &mut Bytes<'_>) {
        let choice = bytes.byte();
        let step = match choice % 12 {
            0 => 0,
            1 => 1,
            2 => u64::from(bytes.byte()),
            3 => self.hint,
            4 => self.hint.saturating_add_signed(bytes.nudge()),
            5 => self.interval.saturating_add_signed(bytes.nudge()),
            6 => self.interval.saturating_mul(bytes.byte().into()),
            7 => fraction(self.refill, bytes.byte(), 255),
            8 => fraction(self.interval, bytes.byte(), 255),
            9 => fraction(self.span, bytes.byte(), 255).saturating_mul(2),
            10 => bytes
                .pick(&[
                    (1 << 32) * 1_000_000,
                    1 << 63,
                    1 << 32,
                    HOUR,
                    365 * 24 * HOUR,
                ])
                .saturating_add_signed(bytes.nudge()),
            _ => bytes.number(),
        };
        self.now = moved(self.now, step, choice);
    }
}
