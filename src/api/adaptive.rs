//! The adaptive pace: as fast as the provider lets calls through, found by trial.
//!
//! A limit on requests of its own, which is absent until the provider refuses. A refusal lowers its
//! rate to a fraction of what was sent of late ([`BETA`]). From then on the rate rises along a
//! cubic curve: fast at first, flat around the rate at which calls were refused, and then faster
//! again, to find a higher one. That is the algorithm of CUBIC (RFC 9438, 4.2) with the numbers of
//! the adaptive retry mode of AWS's SDKs. It only ever lowers what the configured limits admit.

use core::time::Duration;

use crate::quota::Quota;
use crate::time::Timestamp;

/// What a refusal leaves of the rate.
const BETA: f64 = 0.7;

/// How fast the rate rises, in requests per second to the fourth.
const SCALE: f64 = 0.4;

/// Rates are measured in intervals of this many seconds.
const INTERVAL: f64 = 0.5;

/// The part of the last interval in the measured rate.
const SMOOTHING: f64 = 0.8;

/// Requests per second. Slower, and it would take long to find out that the provider is back.
const SLOWEST: f64 = 0.5;

/// A rate that no client reaches. Its limit is none.
const FASTEST: f64 = 1e9;

#[derive(Clone, Copy, Debug)]
pub(super) struct Adaptive {
    /// Requests per second; `None` until the provider has refused.
    rate: Option<f64>,
    /// At which the last refusal came.
    refused_at_rate: f64,
    refused_at: f64,
    measured: f64,
    /// The end of the last interval, and the requests that were sent until then.
    measured_at: f64,
    sent: u64,
}

fn seconds(now: Timestamp) -> f64 {
    (now - Timestamp::ZERO).as_secs_f64()
}

impl Adaptive {
    pub(super) const NEW: Self = Self {
        rate: None,
        refused_at_rate: 0.0,
        refused_at: 0.0,
        measured: 0.0,
        measured_at: 0.0,
        sent: 0,
    };

    /// Takes a response, and returns the quota of the pace if it has changed. `sent` counts all
    /// requests so far.
    pub(super) fn observe(&mut self, is_refusal: bool, sent: u64, now: Timestamp) -> Option<Quota> {
        let now = seconds(now);
        self.measure(sent, now);
        let rate = if is_refusal {
            // Refusals of calls that were sent before the last one took effect are the same one.
            if self.rate.is_some() && now < self.refused_at + INTERVAL {
                return None;
            }
            let reached = self.rate.unwrap_or(FASTEST).min(self.measured);
            self.refused_at_rate = reached;
            self.refused_at = now;
            reached * BETA
        } else {
            self.rate?;
            let rate = self.cubic(now);
            // Not far above what is used, or a pause would end in a burst.
            rate.min(2.0 * self.measured.max(SLOWEST))
        };
        let rate = rate.clamp(SLOWEST, FASTEST);
        let is_alike = |before: f64| (rate - before).abs() < before / 100.0;
        if self.rate.is_some_and(is_alike) {
            return None;
        }
        self.rate = Some(rate);
        quota(rate)
    }

    /// The rate that has risen since the last refusal.
    fn cubic(&self, now: f64) -> f64 {
        let flat_at = (self.refused_at_rate * (1.0 - BETA) / SCALE).cbrt();
        SCALE * (now - self.refused_at - flat_at).powi(3) + self.refused_at_rate
    }

    fn measure(&mut self, sent: u64, now: f64) {
        let elapsed = now - self.measured_at;
        if elapsed < INTERVAL && self.measured > 0.0 {
            return;
        }
        let elapsed = elapsed.max(INTERVAL);
        // More than there are bits for would be more than a provider allows in centuries.
        let requests = u32::try_from(sent.saturating_sub(self.sent)).unwrap_or(u32::MAX);
        let latest = f64::from(requests) / elapsed;
        self.measured = if self.measured == 0.0 {
            latest
        } else {
            SMOOTHING * latest + (1.0 - SMOOTHING) * self.measured
        };
        (self.measured_at, self.sent) = (now, sent);
    }
}

/// A second's requests at once, but one at least.
fn quota(rate: f64) -> Option<Quota> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the rate is between a half and 10^9 per second"
    )]
    let (thousandths, burst) = ((rate * 1e3).round() as u64, rate.floor().max(1.0) as u64);
    Quota::new(thousandths.max(1), Duration::from_secs(1_000))
        .and_then(|quota| quota.try_burst(burst))
        .ok()
}
