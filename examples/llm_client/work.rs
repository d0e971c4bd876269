//! The work: so many prompts, which the workers take one after the other.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crate::message::Prompt;

pub(crate) const PIECES: u32 = 160;

const PROMPT: (u64, u64) = (40, 200);
const MAX_TOKENS: (u64, u64) = (100, 400);

/// The most tokens that a piece may use.
pub(crate) const LARGEST: u64 = PROMPT.1 + MAX_TOKENS.1;

/// Different sizes, and the same ones each time. The factors only mix them.
pub(crate) fn piece(number: u32) -> Prompt {
    let spread =
        |factor, (least, most): (u64, u64)| least + u64::from(number) * factor % (most - least + 1);
    Prompt {
        piece: number,
        input_tokens: spread(37, PROMPT),
        max_tokens: spread(53, MAX_TOKENS),
    }
}

/// What is still to be begun.
#[derive(Default)]
pub(crate) struct Work {
    /// Relaxed: each number is given out once, and nothing else depends on it.
    next: AtomicU32,
}

impl Work {
    pub(crate) fn next(&self) -> Option<Prompt> {
        let number = self.next.fetch_add(1, Relaxed);
        (number < PIECES).then(|| piece(number))
    }
}
