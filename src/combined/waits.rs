//! What the waits of a combination need: decisions as of the instants that fit its limits, and the
//! refusal of a call that has others ahead.

use super::{Combined, CombinedDenied};
use crate::clock::Clock;
use crate::prepared_charge::{AsOf, Request};
use crate::time::Timestamp;
use crate::wait::Hold;

impl<C: Clock> Combined<C> {
    /// Takes `n` permits from every limit or from none.
    pub(crate) fn try_acquire_as_of(&self, n: u64, at: AsOf) -> Result<(), Hold> {
        let request = |_| Request::charge(n);
        self.admit(&request, at, |_, _| ())
            .map_err(|denied| self.hold(&request, denied, at))
    }

    /// Until when a call is refused: the latest of the instants that the limits name.
    pub(crate) fn hold(
        &self,
        request: &impl Fn(usize) -> Request,
        denied: CombinedDenied,
        at: AsOf,
    ) -> Hold {
        let own = (denied.index(), denied.denied());
        let others = self.limits.iter().enumerate().filter_map(|(index, named)| {
            let peeked = named.limit.peek_at(request(index).required, at);
            Some((index, peeked.err()?))
        });
        let mut latest = at.due;
        for (index, denied) in others.chain([own]) {
            match denied.retry_after() {
                Some(wait) => latest = latest.max(self.limits[index].limit.origin(at) + wait),
                None => return Hold::Never,
            }
        }
        Hold::Until(latest)
    }

    /// The refusal that lasts the longest, of a call for `n` after waiters that ask for `ahead`.
    pub(crate) fn refusal_behind_at(
        &self,
        ahead: u128,
        n: u64,
        now: Timestamp,
    ) -> Option<CombinedDenied> {
        let due = self.wait_queue().earliest_behind(ahead, now);
        self.longest(None, |_, limit| {
            limit.refusal_behind_at(ahead, n, AsOf { due, now })
        })
    }
}
