//! How long a call waits behind others, at a limiter that can only be peeked at.

use core::time::Duration;

use crate::denied::Denied;
use crate::time::{Timestamp, nanos};

/// The refusal of `n` permits after those of `ahead`, for a limiter that admits `capacity` at once.
///
/// `beyond` is the time in which a number of permits flow in, rounded down.
pub(crate) fn refusal(
    capacity: u64,
    ahead: u128,
    n: u64,
    peek: impl Fn(u64) -> Result<(), Denied>,
    beyond: impl Fn(u128) -> Duration,
) -> Option<Denied> {
    let all = ahead.saturating_add(n.into());
    match u64::try_from(all) {
        Ok(all) if all <= capacity => peek(all).err(),
        _ if n > capacity => peek(n).err(),
        _ => Some(later(capacity, all, peek, beyond)),
    }
}

/// The refusal as of `now` that is one as of `due`: its wait counts from now on. `None` if the wait
/// is over by now.
pub(crate) fn from_now(denied: Denied, due: Timestamp, now: Timestamp) -> Option<Denied> {
    let Denied::NotYet { retry_after } = denied else {
        return Some(denied);
    };
    let left = retry_after.as_nanos().saturating_sub(nanos(now - due));
    (left > 0).then(|| Denied::not_yet(left))
}

/// More than all permits have to flow in.
fn later(
    capacity: u64,
    all: u128,
    peek: impl Fn(u64) -> Result<(), Denied>,
    beyond: impl Fn(u128) -> Duration,
) -> Denied {
    let full = peek(capacity).err().and_then(|denied| denied.retry_after());
    let rest = beyond(all - u128::from(capacity));
    let retry_after = full.unwrap_or_default().saturating_add(rest);
    Denied::not_yet(nanos(retry_after))
}
