//! Times and amounts at which limiters break, from bytes.

use crate::bytes::Bytes;
use tidegate::Quota;

/// What a script has seen so far, in terms of which steps and amounts are chosen.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    pub(crate) bytes: Bytes<'a>,
    pub(crate) now: u64,
    /// The last hint in nanoseconds.
    pub(crate) hint: u64,
    /// Nanoseconds from token to token, rounded down.
    interval: u64,
    /// Nanoseconds until an empty bucket is full.
    refill: u64,
    /// See [`Ideal`](super::ideal::Ideal).
    span: u64,
    capacity: u64,
}

const HOUR: u64 = 3_600_000_000_000;

impl<'a> Script<'a> {
    pub(crate) fn new(mut bytes: Bytes<'a>, quota: Quota, span: u64) -> Self {
        let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
        let clamp = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        let now = match bytes.byte() % 4 {
            0 | 1 => 0,
            2 => u64::MAX.saturating_sub(bytes.number()),
            _ => bytes.number(),
        };
        Self {
            bytes,
            now,
            hint: 0,
            interval: clamp(period / rate),
            refill: clamp(u128::from(quota.capacity()) * period / rate),
            span,
            capacity: quota.capacity(),
        }
    }

    /// Moves the time, mostly on.
    pub(crate) fn step(&mut self) {
        let choice = self.bytes.byte();
        let part = |whole: u64, part: u8| {
            let nanos = u128::from(whole) * u128::from(part) / 255;
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        let step = match choice % 12 {
            0 => 0,
            1 => 1,
            2 => u64::from(self.bytes.byte()),
            3 => self.hint,
            4 => self.hint.saturating_add_signed(self.bytes.nudge()),
            5 => self.interval.saturating_add_signed(self.bytes.nudge()),
            6 => self.interval.saturating_mul(self.bytes.byte().into()),
            7 => part(self.refill, self.bytes.byte()),
            8 => part(self.interval, self.bytes.byte()),
            9 => part(self.span, self.bytes.byte()).saturating_mul(2),
            10 => self
                .bytes
                .pick(&[
                    (1 << 32) * 1_000_000,
                    1 << 63,
                    1 << 32,
                    HOUR,
                    365 * 24 * HOUR,
                ])
                .saturating_add_signed(self.bytes.nudge()),
            _ => self.bytes.number(),
        };
        // One in four goes back.
        self.now = if choice >= 192 {
            self.now.saturating_sub(step)
        } else {
            self.now.saturating_add(step)
        };
    }

    /// A number of tokens.
    pub(crate) fn amount(&mut self, available: u64) -> u64 {
        match self.bytes.byte() % 8 {
            0 => 1,
            1 => u64::from(self.bytes.byte() % 16),
            2 => available,
            3 => available.saturating_add_signed(self.bytes.nudge()),
            4 => self.capacity.saturating_add_signed(self.bytes.nudge()),
            5 | 6 => {
                let tokens = u128::from(self.capacity) * u128::from(self.bytes.byte()) / 255;
                u64::try_from(tokens).unwrap_or(u64::MAX)
            }
            _ => self.bytes.number(),
        }
    }
}
