//! Searches for the smallest limit of a kind by bisection.
//!
//! The smallest limit is the one with the smallest rate `n` that refuses at most the targets. With
//! `n − 1`, more would be refused.
//!
//! Bisection is correct because a larger `n` never refuses more:
//!
//! * A limiter that admits every request that fits admits as many requests of one token as
//!   possible. To refuse one that fits makes room for at most one later request.
//! * Requests that conform to a limit conform to one with a higher rate and a larger burst. So a
//!   key without a refusal has none at a larger `n` either.
//!
//! With `--cost`, requests ask for more than one token, and to refuse one may make room for
//! several. So a smaller `n` may do by chance. What is reported of the limit found holds all the
//! same.
//!
//! Each step sends all requests through the crate's own limiters, as a replay would. So `replay`
//! with a suggested limit refuses exactly as many requests as `suggest` reports.

use super::kind::Kind;
use super::requests::{KeyGroup, Refusals};

/// Returns the smallest rate that refuses at most `target`, or `None` if it would be out of range.
pub fn smallest_rate(requests: &KeyGroup<'_>, kind: Kind, target: Refusals) -> Option<u64> {
    let meets = |rate: u64| Some(requests.refuses_at_most(&kind.limits(rate)?, target));
    // A limit of all requests of the largest key refuses nothing.
    let sufficient = kind.sufficient(requests.max_per_key());
    // Doubling comes before bisection because most answers are small, and small rates are fast to
    // check: the check ends once the target is exceeded.
    let (mut fails, mut holds) = (0, 1);
    while !meets(holds)? {
        fails = holds;
        holds = holds.saturating_mul(2).min(sufficient);
        if holds <= fails {
            return None;
        }
    }
    // Invariant: `fails` refuses more than the target, or is 0, and `holds` does not.
    while holds - fails > 1 {
        let middle = fails + (holds - fails) / 2;
        if meets(middle)? {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    Some(holds)
}
