//! Bisection.

use tidegate::Quota;

use super::events::Events;
use super::grid::{Factor, Per};

/// The smallest quota that meets the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The quota.
    pub quota: Quota,
}

/// The smallest number per period that refuses at most `target` with a burst of `factor` times the number. None only if it
/// would be beyond what a quota can be.
pub fn search(events: &Events, per: Per, factor: Factor, target: u64) -> Option<Trial> {
    let meets = |number: u64| {
        let quota = per.quota(number, factor)?;
        Some(events.meets(quota, target))
    };
    // A burst of all requests of a key refuses nothing.
    let enough = factor.number_for(events.most());
    // Doubling first: steps with small numbers end soon, and most answers are small.
    let (mut fails, mut holds) = (0, 1);
    while !meets(holds)? {
        fails = holds;
        holds = holds.saturating_mul(2).min(enough);
        if holds <= fails {
            return None;
        }
    }
    // Invariant: `fails` refuses too much (0 is no quota), `holds` does not.
    while holds - fails > 1 {
        let middle = fails + (holds - fails) / 2;
        if meets(middle)? {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    let quota = per.quota(holds, factor)?;
    Some(Trial { quota })
}
