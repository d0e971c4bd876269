//! What the workers counted.

use tidegate::Timestamp;

use crate::limits::SLACK;
use crate::message::Answer;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) refused: u64,
    /// Tokens that were used.
    pub(crate) tokens: u64,
    /// The pieces that were answered.
    pub(crate) done: Vec<u32>,
    pub(crate) permits: Vec<Permitted>,
    pub(crate) pauses: Vec<Pause>,
}

/// When the limiter was asked, and let a call through.
#[derive(Clone, Copy)]
pub(crate) struct Permitted(pub(crate) Timestamp);

/// A pause that a worker set for all.
#[derive(Clone, Copy)]
pub(crate) struct Pause {
    /// Not after the instant from which it was reckoned.
    pub(crate) read_at: Timestamp,
    /// Whoever asks from now on is told of it.
    pub(crate) in_force_at: Timestamp,
    pub(crate) end: Timestamp,
}

impl Pause {
    /// The worker was held up while it set the pause, and part of it was over before it began.
    pub(crate) fn is_late(&self) -> bool {
        self.in_force_at - self.read_at > SLACK
    }

    pub(crate) fn forbids(&self, permitted: Permitted) -> bool {
        (self.in_force_at..self.end).contains(&permitted.0)
    }
}

impl Tally {
    pub(crate) fn answered(&mut self, answer: &Answer) {
        self.tokens += answer.usage.total();
        self.done.push(answer.piece);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.refused += other.refused;
        self.tokens += other.tokens;
        self.done.extend(other.done);
        self.permits.extend(other.permits);
        self.pauses.extend(other.pauses);
    }
}
