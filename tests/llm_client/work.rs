//! The work: prompts of different sizes, the same each time.

use crate::provider::Prompt;

/// How many pieces of work there are.
pub(crate) const PIECES: u32 = 160;
const INPUT_TOKENS: (u64, u64) = (40, 200);
const MAX_TOKENS: (u64, u64) = (100, 400);
/// The most tokens that a piece may use.
pub(crate) const LARGEST: u64 = INPUT_TOKENS.1 + MAX_TOKENS.1;

/// Returns a piece of work. The factors only mix the sizes.
pub(crate) fn piece(number: u32) -> Prompt {
    let spread =
        |factor, (least, most): (u64, u64)| least + u64::from(number) * factor % (most - least + 1);
    Prompt {
        piece: number,
        input_tokens: spread(37, INPUT_TOKENS),
        max_tokens: spread(53, MAX_TOKENS),
    }
}

/// Returns the tokens that each piece uses.
pub(crate) fn usages() -> impl Iterator<Item = u64> {
    (0..PIECES).map(|number| piece(number).usage().total())
}
