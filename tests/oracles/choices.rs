//! Chooses times and amounts at which limiters break.

use super::bytes::Bytes;

/// Returns the time of the first call: often 0, sometimes close to `last`.
pub(crate) fn start(bytes: &mut Bytes<'_>, last: u64) -> u64 {
    match bytes.byte() % 4 {
        0 | 1 => 0,
        2 => last.saturating_sub(bytes.number()),
        _ => bytes.number(),
    }
}

/// Moves `now` by `step`, forward for three in four values of `choice` and back for the others.
pub(crate) const fn moved(now: u64, step: u64, choice: u8) -> u64 {
    if choice >= 192 {
        now.saturating_sub(step)
    } else {
        now.saturating_add(step)
    }
}

/// Returns `part / divisor` of `whole`, rounded down.
pub(crate) fn fraction(whole: u64, part: u8, divisor: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part) / u128::from(divisor);
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Returns how many tokens to request, mostly near `available` or `capacity`.
pub(crate) fn amount(bytes: &mut Bytes<'_>, available: u64, capacity: u64) -> u64 {
    match bytes.byte() % 8 {
        0 => 1,
        1 => u64::from(bytes.byte() % 16),
        2 => available,
        3 => available.saturating_add_signed(bytes.nudge()),
        4 => capacity.saturating_add_signed(bytes.nudge()),
        5 | 6 => fraction(capacity, bytes.byte(), 255),
        _ => bytes.number(),
    }
}

/// Removes one of `held`, with the byte that chose it: mostly the latest, which is the likeliest
/// that an undo can return.
pub(crate) fn take_recent<T>(bytes: &mut Bytes<'_>, held: &mut Vec<T>) -> Option<(u8, T)> {
    if held.is_empty() {
        return None;
    }
    let choice = bytes.byte();
    let index = if choice >= 192 {
        usize::from(bytes.byte()) % held.len()
    } else {
        held.len() - 1
    };
    Some((choice, held.remove(index)))
}
