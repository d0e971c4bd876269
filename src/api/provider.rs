//! What the provider says is left of its limits, and for how long that counts.
//!
//! # A view
//!
//! A response tells how many requests or tokens remain of a limit until it resets. That is a
//! *view* of the limit, which only the provider knows. Besides the limits that are configured, a
//! view refuses what is beyond it, until its reset or until a newer response replaces it. If no
//! reset is told, what was used is taken to flow back bit by bit within the limit's period.
//!
//! Two sums are kept of each unit: what was `sent`, with the estimates of calls that have not
//! ended, and what has `ended`. If a response tells that R remain when E has ended, then the
//! provider has seen those E at least. So at most E + R may ever be sent, which is the view's
//! *ceiling*:
//!
//! * Calls in flight have been sent, and not ended. They count against R, because it is not known
//!   whether the provider has seen them.
//! * What is sent meanwhile counts as well, without any write to the view. So a view never changes.
//! * A call that ends with less than its estimate lowers `sent`, and gives the rest back.
//!
//! Calls without a permit have no known end. They count as ended at once. While no view counts,
//! neither sum includes them: only their difference matters. So the admission of such a call reads
//! one word, `live_until`, unless a response has told something.
//!
//! # The bound
//!
//! While views count, a call is added to `sent` first, and then checked against each ceiling with
//! the sums that its own additions returned. If one is exceeded, the call is subtracted again
//! (`checked_before`). Each sum is one word, so of all calls that are admitted after they have
//! found a view, the last one's sum is at most its ceiling. A call that finds the list of views
//! from before a response comes before it.
//!
//! The end of a call is added to `ended` with Release and read with Acquire by the observer, whose
//! list is published with Release and read with Acquire. So a call that finds the view adds to a
//! `sent` that includes all that has ended.
//!
//! A caller may be refused because of another one that is subtracted again (`kept_refusal`). That
//! one has passed all checks a moment before, so this happens only at the edge of a limit.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Order
//!
//! Responses count in the order of their `Date`, not of their arrival. It has the granularity of a
//! second. Of two in one second, the one that leaves less counts: the provider has counted more
//! before it.
//!
//! So what has ended has been seen by the provider before the view, even if its response has
//! overtaken the view's: otherwise that response would have left less, and would count. If
//! something flowed in between, it left no less, and the view leaves less than there is.
//!
//! A response that is older than the view belongs to a call that the provider has seen before it.
//! If that call ends with it, it no longer counts against what remains: the ceiling is raised by
//! it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crossbeam_utils::CachePadded;

use super::usage::TokenUsage;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Latest, Mutex, lock};
use crate::time::Timestamp;

/// What a provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

const UNITS: usize = 4;

/// More than any provider allows in a day, so that sums and ceilings are far apart on the circle of
/// 2^64.
pub(crate) const MOST: u64 = 1 << 48;

/// More limits than any provider tells of. A hostile one with ever new names changes nothing more.
const MOST_VIEWS: usize = 64;

/// An amount of each unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts([u64; UNITS]);

impl Amounts {
    pub(crate) fn new(requests: u64, tokens: TokenUsage) -> Self {
        let amounts = [requests, tokens.total(), tokens.input(), tokens.output()];
        Self(amounts.map(|amount| amount.min(MOST)))
    }

    /// The part of `used` that what is `charged` does not cover. Of amounts that are cut at the
    /// most, so that the parts of a call add up to what it ends with.
    pub(crate) fn beyond(used: TokenUsage, charged: TokenUsage) -> Self {
        let (used, charged) = (Self::new(0, used), Self::new(0, charged));
        Self(core::array::from_fn(|unit| {
            used.0[unit].saturating_sub(charged.0[unit])
        }))
    }
}

/// What a call is charged, and what must be left for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(super) cost: Amounts,
    required: Amounts,
}

impl Ask {
    /// Requests, for which some token must be left.
    pub(crate) fn requests(n: u64) -> Self {
        Self {
            cost: Amounts::new(n, TokenUsage::default()),
            required: Amounts::new(n, TokenUsage::from(1)),
        }
    }

    /// A request with tokens. A guess goes as long as there are some.
    pub(crate) fn tokens(tokens: TokenUsage, is_guess: bool) -> Self {
        let cost = Amounts::new(1, tokens);
        let required = if is_guess {
            Self::requests(1).required
        } else {
            Amounts(cost.0.map(|amount| amount.max(1)))
        };
        Self { cost, required }
    }

    /// The same after others that ask for this.
    pub(super) fn behind(self, requests: u128, tokens: u128) -> Self {
        let ahead = [requests, tokens, 0, 0];
        let mut required = self.required;
        for (required, ahead) in required.0.iter_mut().zip(ahead) {
            *required = required.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX));
        }
        Self { required, ..self }
    }
}

/// What was sent, what has ended, and the views.
pub(crate) struct Provider {
    /// Nanoseconds on the limiter's clock: no view counts from then on.
    ///
    /// Apart from the sums, which calls write.
    live_until: CachePadded<AtomicU64>,
    sent: [AtomicU64; UNITS],
    ended: [AtomicU64; UNITS],
    views: Latest<Vec<View>>,
    /// Held while views are replaced.
    turn: Mutex<()>,
}

/// The state of a limit in a response.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which limit it is: a later response replaces the view of the same one.
    pub(crate) limit: Box<str>,
    pub(crate) unit: Unit,
    pub(crate) remaining: u64,
    pub(crate) until: Timestamp,
    /// How what was used flows back until then. `None` if all of it comes back at the end.
    pub(crate) flow: Option<Flow>,
}

/// So much flows back in each period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) amount: u64,
    /// Nanoseconds, not 0.
    pub(crate) period: u64,
}

impl Flow {
    /// The amount that flows back in this time.
    fn in_time(self, nanos: u64) -> u64 {
        let product = u128::from(self.amount).saturating_mul(nanos.into());
        let flown = product.checked_div(self.period.into()).unwrap_or(0);
        u64::try_from(flown).map_or(MOST, |flown| flown.min(MOST))
    }

    /// The nanoseconds in which so much flows back.
    fn time_of(self, amount: u64) -> u64 {
        let product = u128::from(amount).saturating_mul(self.period.into());
        let nanos = product.div_ceil(u128::from(self.amount.max(1)));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Debug)]
struct View {
    limit: Box<str>,
    unit: Unit,
    /// The most that `sent` may be, on the circle of 2^64. Rises by what flows back.
    ceiling: u64,
    since: Timestamp,
    until: Timestamp,
    flow: Option<Flow>,
    /// What the response told.
    remaining: u64,
    /// The `Date` of the response, in seconds.
    date: Option<u64>,
}

impl View {
    /// What may be sent on top of `sent`, and what is missing if that is more already.
    const fn balance(&self, sent: u64, flown: u64) -> (u64, u64) {
        let left = self.ceiling.wrapping_add(flown).wrapping_sub(sent);
        if left >> 63 == 0 {
            (left, 0)
        } else {
            (0, left.wrapping_neg())
        }
    }

    /// What may be sent on top of `sent` at `now`.
    fn left(&self, sent: u64, now: Timestamp) -> u64 {
        let elapsed = (now - self.since).as_nanos();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let flown = self.flow.map_or(0, |flow| flow.in_time(elapsed));
        self.balance(sent, flown).0
    }

    /// When so much may be sent on top of `sent`, if not at `now`.
    fn ready_at(&self, sent: u64, required: u64, now: Timestamp) -> Timestamp {
        let (left, missing) = self.balance(sent, 0);
        let missing = missing.saturating_add(required).saturating_sub(left);
        let wait = self.flow.map(|flow| flow.time_of(missing));
        wait.map_or(self.until, |wait| {
            let ready = self.since.as_nanos().saturating_add(wait);
            // Later than now, even where numbers were cut.
            let ready = ready.max(now.as_nanos().saturating_add(1));
            self.until.min(Timestamp::from_nanos(ready))
        })
    }

    /// Whether a view of the same limit replaces this one, which has not ended.
    const fn gives_way_to(&self, new: &Self) -> bool {
        match (self.date, new.date) {
            (Some(before), Some(date)) if date < before => false,
            (Some(before), Some(date)) if date == before => new.remaining <= self.remaining,
            _ => true,
        }
    }
}

/// When all views leave what is required, if they do not at `now`.
fn refusal(
    views: &[View],
    required: Amounts,
    sent: impl Fn(usize) -> u64,
    now: Timestamp,
) -> Option<Timestamp> {
    let live = views.iter().filter(|view| now < view.until);
    let refusing = live.filter_map(|view| {
        let (required, sent) = (required.0[view.unit as usize], sent(view.unit as usize));
        (view.left(sent, now) < required).then(|| view.ready_at(sent, required, now))
    });
    refusing.max()
}

impl Provider {
    pub(crate) fn new() -> Self {
        let zeros = || core::array::from_fn(|_| AtomicU64::new(0));
        Self {
            live_until: CachePadded::new(AtomicU64::new(0)),
            sent: zeros(),
            ended: zeros(),
            views: Latest::none(),
            turn: Mutex::new(()),
        }
    }

    /// Whether some view counts.
    #[inline]
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        // Relaxed: a thread that has not learned of a view comes before it.
        now.as_nanos() < self.live_until.load(Relaxed)
    }

    /// When the views that refuse a call no longer do. Changes nothing.
    pub(crate) fn refusal(&self, ask: &Ask, now: Timestamp) -> Option<Timestamp> {
        if !self.is_live(now) {
            return None;
        }
        // Relaxed: only a charge decides, with what its own exchange returns.
        let sent = |unit: usize| self.sent[unit].load(Relaxed);
        self.views
            .with(|views| refusal(views, ask.required, sent, now))
            .flatten()
    }

    /// Counts a call as sent, unless a view refuses it.
    ///
    /// # Errors
    ///
    /// When the views that refuse no longer do.
    pub(crate) fn send(&self, ask: &Ask, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.refusal(ask, now) {
            return Err(until);
        }
        let mut before = [0; UNITS];
        for (unit, before) in before.iter_mut().enumerate() {
            // Relaxed: each sum is one word, and its modification order decides.
            *before = self.sent[unit].fetch_add(ask.cost.0[unit], Relaxed);
        }
        if !self.is_live(now) {
            return Ok(());
        }
        let refused = self
            .views
            .with(|views| refusal(views, ask.required, |unit| before[unit], now));
        match refused.flatten() {
            None => Ok(()),
            Some(until) => {
                self.take_back(ask.cost);
                Err(until)
            }
        }
    }

    /// Counts what a call uses beyond its estimate.
    pub(crate) fn add(&self, more: Amounts) {
        for (sent, amount) in self.sent.iter().zip(more.0) {
            // Relaxed: as in `send`.
            sent.fetch_add(amount, Relaxed);
        }
    }

    /// Takes back what was not sent after all.
    pub(crate) fn take_back(&self, cost: Amounts) {
        for (sent, amount) in self.sent.iter().zip(cost.0) {
            // Relaxed: as in `send`.
            sent.fetch_sub(amount, Relaxed);
        }
    }

    /// Counts what was sent as ended.
    pub(crate) fn end(&self, cost: Amounts) {
        for (ended, amount) in self.ended.iter().zip(cost.0) {
            // Release: pairs with the Acquire in `observe`, so that a sum with this end belongs to
            // a `sent` with the same call.
            ended.fetch_add(amount, Release);
        }
    }

    /// Ends a call that was sent with an estimate.
    pub(crate) fn settle(&self, estimate: Amounts, used: Amounts) {
        for (unit, sent) in self.sent.iter().enumerate() {
            let difference = used.0[unit].wrapping_sub(estimate.0[unit]);
            // Relaxed: as in `send`. Before the end, which publishes it.
            sent.fetch_add(difference, Relaxed);
        }
        self.end(used);
    }

    /// Counts what was used without a permit.
    pub(crate) fn record(&self, used: Amounts) {
        self.add(used);
        self.end(used);
    }

    /// What views leave of a unit; the largest number if none counts.
    pub(crate) fn left(&self, unit: Unit, now: Timestamp) -> u64 {
        if !self.is_live(now) {
            return u64::MAX;
        }
        // Relaxed: for display.
        let sent = self.sent[unit as usize].load(Relaxed);
        let left = self.views.with(|views| {
            let live = views.iter().filter(|view| now < view.until);
            let same = live.filter(|view| view.unit == unit);
            same.map(|view| view.left(sent, now)).min()
        });
        left.flatten().unwrap_or(u64::MAX)
    }

    /// Takes what a response tells. `date` is its `Date`, in seconds, and `ends` what its call was
    /// counted as sent with, if it ends here.
    pub(crate) fn observe(
        &self,
        seen: impl Iterator<Item = Seen>,
        date: Option<u64>,
        ends: Option<Amounts>,
        now: Timestamp,
    ) {
        let _turn = lock(&self.turn);
        if let Some(cost) = ends {
            self.end(cost);
        }
        let latest = self.views.load();
        let before = latest.iter().flat_map(|views| views.iter());
        let mut views: Vec<View> = before.filter(|view| now < view.until).cloned().collect();
        let kept = views.len();
        let mut is_changed = false;
        for seen in seen {
            // Acquire: see `end`.
            let ended = self.ended[seen.unit as usize].load(Acquire);
            let remaining = seen.remaining.min(MOST);
            let new = View {
                limit: seen.limit,
                unit: seen.unit,
                ceiling: ended.wrapping_add(remaining),
                since: now,
                until: seen.until,
                flow: seen.flow,
                remaining,
                date,
            };
            let known = views[..kept]
                .iter()
                .position(|view| view.limit == new.limit);
            let has_room = views.len() < MOST_VIEWS;
            match known.map(|index| &mut views[index]) {
                Some(old) if old.gives_way_to(&new) => *old = new,
                Some(old) => {
                    let cost = ends.map_or(0, |ends| ends.0[old.unit as usize]);
                    old.ceiling = old.ceiling.wrapping_add(cost);
                }
                None if has_room => views.push(new),
                None => {}
            }
            is_changed = true;
        }
        if is_changed {
            // Of those that have just been told, too: a reset that is now is one.
            views.retain(|view| now < view.until);
            self.publish(views);
        }
    }

    /// Forgets all views.
    pub(crate) fn forget(&self) {
        let _turn = lock(&self.turn);
        self.publish(Vec::new());
    }

    fn publish(&self, views: Vec<View>) {
        let until = views.iter().map(|view| view.until.as_nanos()).max();
        self.views.store(Arc::new(views));
        // Relaxed: a hint whether to look at the views, which are published by themselves.
        self.live_until.store(until.unwrap_or(0), Relaxed);
    }
}
