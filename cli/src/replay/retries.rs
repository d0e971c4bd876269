//! Refused clients that send their request again, as programs that obey `Retry-After` do.
//!
//! A refused request is sent again once the wait in the refusal has passed: the wait that a server
//! tells, rounded up to whole seconds. It takes permits that a later request of the log would have
//! had, so more of those are refused.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;
use tidegate::{Denied, Timestamp};

use super::limiters::Limiters;
use crate::picture::numbers::{counted, grouped, span};

const SECOND: u64 = 1_000_000_000;

/// What became of refused requests that were sent again. Serialized, it is a part of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RetryOutcome {
    /// How often each refused request may be sent again.
    pub max_retries: u32,
    /// Refused requests that were admitted at a later try.
    pub admitted: u64,
    /// Refused requests that were refused at each try.
    pub given_up: u64,
    /// All tries after the first.
    pub sent: u64,
    /// The longest time in seconds between the first try and an admission.
    pub max_wait: f64,
    /// The average of those times; 0 without an admission.
    pub mean_wait: f64,
}

impl RetryOutcome {
    /// What became of the requests, in words.
    pub fn sentence(self) -> String {
        if self.sent == 0 {
            return "No refused request was sent again.".to_owned();
        }
        let times = match self.max_retries {
            1 => "once".to_owned(),
            times => format!("{} times", grouped(times.into())),
        };
        let mut text = format!(
            "Sent again after the wait, up to {times}: {} admitted",
            grouped(self.admitted)
        );
        if self.admitted > 0 {
            let [mean, max] = [self.mean_wait, self.max_wait].map(|wait| span(wait.round()));
            text += &format!(", {mean} later on average and {max} at most");
        }
        text + &format!(
            "; {} given up. The server saw {} more.",
            grouped(self.given_up),
            counted(self.sent, "request")
        )
    }
}

/// A request that will be sent again. Ordered by time, and then as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Retry {
    at: u64,
    number: u64,
    key: u32,
    cost: u32,
    tries: u32,
    first: u64,
}

/// The requests that will be sent again.
#[derive(Debug)]
pub struct Retries {
    most: u32,
    waiting: BinaryHeap<Reverse<Retry>>,
    number: u64,
    outcome: RetryOutcome,
    /// The sum of all waits in nanoseconds.
    waited: u128,
}

impl Retries {
    /// Sends each refused request again up to `most` times.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            waiting: BinaryHeap::new(),
            number: 0,
            outcome: RetryOutcome::default(),
            waited: 0,
        }
    }

    /// A request of the log was refused.
    pub fn refused(&mut self, key: u32, cost: u32, now: u64, denied: Denied) {
        let request = Retry {
            at: now,
            number: 0,
            key,
            cost,
            tries: 0,
            first: now,
        };
        self.wait(request, denied);
    }

    /// Waits after a try.
    fn wait(&mut self, refused: Retry, denied: Denied) {
        let Retry { tries, at: now, .. } = refused;
        let after = denied.retry_after().filter(|_| tries < self.most);
        let seconds = after.map(|after| after.as_nanos().div_ceil(u128::from(SECOND)));
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let wait = seconds.and_then(|seconds| seconds.max(1).checked_mul(SECOND));
        let Some(at) = wait.and_then(|wait| now.checked_add(wait)) else {
            self.outcome.given_up += 1;
            return;
        };
        self.number += 1;
        self.waiting.push(Reverse(Retry {
            at,
            number: self.number,
            tries: tries + 1,
            ..refused
        }));
    }

    /// Sends again what is due before `now`. At `now` itself, the request of the log is first.
    pub fn until(&mut self, now: u64, limiters: &mut Limiters) {
        while let Some(Reverse(retry)) = self.waiting.peek().copied()
            && retry.at < now
        {
            self.waiting.pop();
            self.outcome.sent += 1;
            match limiters.decide(retry.key, retry.cost, Timestamp::from_nanos(retry.at)) {
                Ok(()) => {
                    let wait = retry.at - retry.first;
                    self.waited += u128::from(wait);
                    self.outcome.admitted += 1;
                    self.outcome.max_wait = self.outcome.max_wait.max(seconds(wait.into()));
                }
                Err(denied) => self.wait(retry, denied),
            }
        }
    }

    /// What became of the requests so far.
    pub fn outcome(&self) -> RetryOutcome {
        let admitted = u128::from(self.outcome.admitted);
        RetryOutcome {
            max_retries: self.most,
            mean_wait: seconds(self.waited / admitted.max(1)),
            ..self.outcome
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with a few digits")]
fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use tidegate::{Quota, Timestamp};

    use super::{Limiters, Retries, RetryOutcome, SECOND};

    /// Sends requests at these seconds to `quota`, and returns the refusals of first tries.
    fn run(quota: Quota, max_retries: u32, times: &[u64]) -> (usize, RetryOutcome) {
        let mut limiters = Limiters::new(&quota.into());
        let mut retries = Retries::new(max_retries);
        let mut refused = 0;
        for time in times {
            let now = time * SECOND;
            retries.until(now, &mut limiters);
            if let Err(denied) = limiters.decide(0, 1, Timestamp::from_nanos(now)) {
                refused += 1;
                retries.refused(0, 1, now, denied);
            }
        }
        retries.until(u64::MAX, &mut limiters);
        (refused, retries.outcome())
    }

    #[test]
    fn patient_clients_are_admitted_later() {
        // At 0, one of three is admitted. The others come again at 10: one is admitted, and the
        // last at 20.
        let quota = Quota::per_minute(6).burst(1);
        let (refused, outcome) = run(quota, 5, &[0, 0, 0]);
        assert_eq!(refused, 2);
        assert_eq!(
            (outcome.admitted, outcome.given_up, outcome.sent),
            (2, 0, 3)
        );
        assert!((outcome.mean_wait - 15.0).abs() < 1e-9);
        assert!((outcome.max_wait - 20.0).abs() < 1e-9);
        let (_, outcome) = run(quota, 1, &[0, 0, 0]);
        assert_eq!(
            (outcome.admitted, outcome.given_up, outcome.sent),
            (1, 1, 2)
        );
    }

    #[test]
    fn retries_take_what_later_requests_would_have_had() {
        let quota = Quota::per_minute(6).burst(1);
        assert_eq!(run(quota, 0, &[0, 5, 19]).0, 1);
        // The request of 5 comes again at 10, so that of 19 is refused.
        assert_eq!(run(quota, 1, &[0, 5, 19]).0, 2);
    }
}
