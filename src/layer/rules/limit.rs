//! What a rule limits by: a limiter of its own, or one for each key.

use super::config::RateKind;
use super::duration_text::WindowText;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::{KeyDigest, Keyed, PenaltyBox, Table};
use crate::limiter::Limiter;
use crate::limiter::sealed::Internals;
use crate::prepared_charge::headroom_of;
use crate::quota::Quota;
use crate::sliding_window::{SlidingWindow, WindowError};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// What [`Rules`](super::Rules) need of a clock, all of whose limits read clones of one.
pub trait RulesClock: Clock + Clone + Send + Sync + 'static {}

impl<C: Clock + Clone + Send + Sync + 'static> RulesClock for C {}

/// The limiter of a rule that limits rates. It outlives reloads.
pub(super) enum RateLimit<C: RulesClock> {
    Bucket(TokenBucket<C>),
    Window(SlidingWindow<C>),
    Buckets(Keyed<KeyDigest, TokenBucket<C>>),
    Windows(Keyed<KeyDigest, SlidingWindow<C>>),
    Failures(PenaltyBox<KeyDigest, C>),
}

/// What was charged to it.
pub(super) enum RateCharge<C: RulesClock> {
    /// Nothing: the request was free, or this is a shadow that would have refused.
    None,
    Bucket(<TokenBucket<C> as Limiter>::Charge),
    Window(<SlidingWindow<C> as Limiter>::Charge),
    Buckets(<Keyed<KeyDigest, TokenBucket<C>> as Table<KeyDigest>>::Charge),
    Windows(<Keyed<KeyDigest, SlidingWindow<C>> as Table<KeyDigest>>::Charge),
    Failures(<PenaltyBox<KeyDigest, C> as Table<KeyDigest>>::Charge),
}

/// Does the same with a limiter, or with a table and the key.
macro_rules! with {
    ($rate:expr, |$limiter:ident| $alone:expr, |$table:ident| $for_key:expr) => {
        match $rate {
            RateLimit::Bucket($limiter) => $alone,
            RateLimit::Window($limiter) => $alone,
            RateLimit::Buckets($table) => $for_key,
            RateLimit::Windows($table) => $for_key,
            RateLimit::Failures($table) => $for_key,
        }
    };
}

impl<C: RulesClock> RateLimit<C> {
    pub(super) fn new(
        kind: RateKind,
        has_key: bool,
        max_keys: usize,
        clock: &C,
    ) -> Result<Self, WindowError> {
        Ok(match kind {
            RateKind::Bucket(quota) if has_key => {
                let shared = TokenBucket::with_clock(quota, clock.clone());
                let table = Keyed::builder(buckets(quota, clock)).max_keys(max_keys);
                Self::Buckets(table.shared(shared).build())
            }
            RateKind::Bucket(quota) => Self::Bucket(TokenBucket::with_clock(quota, clock.clone())),
            RateKind::Window(text) if has_key => {
                let shared = SlidingWindow::with_clock(text.limit, text.window, clock.clone())?;
                let table = Keyed::builder(windows(text, clock)?).max_keys(max_keys);
                Self::Windows(table.shared(shared).build())
            }
            RateKind::Window(WindowText { limit, window }) => {
                Self::Window(SlidingWindow::with_clock(limit, window, clock.clone())?)
            }
            RateKind::Failures { failures, lock_out } => {
                let WindowText { limit, window } = failures;
                let table = PenaltyBox::with_clock(limit, window, lock_out, clock.clone());
                Self::Failures(table.max_keys(max_keys))
            }
        })
    }

    /// Whether it can take the numbers of another, and keep its level.
    pub(super) const fn is_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Bucket(_), Self::Bucket(_))
                | (Self::Window(_), Self::Window(_))
                | (Self::Buckets(_), Self::Buckets(_))
                | (Self::Windows(_), Self::Windows(_))
                | (Self::Failures(_), Self::Failures(_))
        )
    }

    /// Takes other numbers of the same kind.
    ///
    /// # Errors
    ///
    /// If no such limit could be [made](Self::new).
    pub(super) fn change_to(&self, kind: RateKind, clock: &C) -> Result<(), WindowError> {
        match (self, kind) {
            (Self::Bucket(bucket), RateKind::Bucket(quota)) => bucket.set_quota(quota),
            (Self::Window(it), RateKind::Window(WindowText { limit, window })) => {
                it.set_limit(limit, window)?;
            }
            (Self::Buckets(table), RateKind::Bucket(quota)) => {
                table.set_factory(buckets(quota, clock));
                // Keys without room must not keep the numbers of an earlier file.
                if let Some(shared) = table.shared_limiter() {
                    shared.set_quota(quota);
                }
            }
            (Self::Windows(table), RateKind::Window(text)) => {
                table.set_factory(windows(text, clock)?);
                if let Some(shared) = table.shared_limiter() {
                    shared.set_limit(text.limit, text.window)?;
                }
            }
            (Self::Failures(table), RateKind::Failures { failures, lock_out }) => {
                table.set_limits(failures.limit, failures.window, lock_out);
            }
            _ => {}
        }
        Ok(())
    }

    /// How many keys it knows.
    pub(super) fn keys(&self) -> usize {
        match self {
            Self::Bucket(_) | Self::Window(_) => 0,
            Self::Buckets(table) => table.len(),
            Self::Windows(table) => table.len(),
            Self::Failures(table) => table.len(),
        }
    }

    pub(super) fn peek_at(&self, key: &KeyDigest, n: u64, now: Timestamp) -> Result<(), Denied> {
        with!(self, |limiter| limiter.peek_at(n, now), |table| table
            .peek_for(key, n, now))
    }

    pub(super) fn headroom_at(&self, key: &KeyDigest, n: u64, now: Timestamp) -> Option<u64> {
        let available = with!(self, |limiter| limiter.available_at(now), |table| table
            .available_for(key, now));
        headroom_of(available, n)
    }

    pub(super) fn charge_at(
        &self,
        key: &KeyDigest,
        n: u64,
        now: Timestamp,
    ) -> Result<RateCharge<C>, Denied> {
        Ok(match self {
            Self::Bucket(bucket) => RateCharge::Bucket(bucket.charge_at(n, now)?),
            Self::Window(window) => RateCharge::Window(window.charge_at(n, now)?),
            Self::Buckets(table) => RateCharge::Buckets(table.charge_for(key, n, now)?),
            Self::Windows(table) => RateCharge::Windows(table.charge_for(key, n, now)?),
            Self::Failures(table) => RateCharge::Failures(table.charge_for(key, n, now)?),
        })
    }

    /// Returns how many permits came back. A charge of another kind is none of this limit's.
    pub(super) fn undo(&self, key: &KeyDigest, charge: RateCharge<C>) -> u64 {
        match (self, charge) {
            (Self::Bucket(bucket), RateCharge::Bucket(charge)) => bucket.undo(charge),
            (Self::Window(window), RateCharge::Window(charge)) => window.undo(charge),
            (Self::Buckets(table), RateCharge::Buckets(charge)) => table.undo_for(key, charge),
            (Self::Windows(table), RateCharge::Windows(charge)) => table.undo_for(key, charge),
            (Self::Failures(table), RateCharge::Failures(charge)) => table.undo_for(key, charge),
            _ => 0,
        }
    }

    /// Turns a charge of `charged` into one of `used`, as far as possible. There is no charge if
    /// nothing was charged.
    pub(super) fn settle_at(
        &self,
        key: &KeyDigest,
        charge: RateCharge<C>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        macro_rules! own {
            ($kind:ident) => {
                match charge {
                    RateCharge::$kind(charge) => Some(charge),
                    _ => None,
                }
            };
        }
        match self {
            Self::Bucket(bucket) => bucket.settle_at(own!(Bucket), charged, used, now),
            Self::Window(window) => window.settle_at(own!(Window), charged, used, now),
            Self::Buckets(table) => table.settle_for(key, own!(Buckets), charged, used, now),
            Self::Windows(table) => table.settle_for(key, own!(Windows), charged, used, now),
            Self::Failures(table) => table.settle_for(key, own!(Failures), charged, used, now),
        }
    }

    pub(super) fn snapshot_at(&self, key: &KeyDigest, now: Timestamp) -> Snapshot {
        with!(
            self,
            |limiter| Limiter::snapshot_at(limiter, now),
            |table| table.snapshot_for(key, now)
        )
    }

    /// The snapshot for a request that was refused.
    pub(super) fn snapshot_of_refusal_at(
        &self,
        key: &KeyDigest,
        n: u64,
        now: Timestamp,
    ) -> Snapshot {
        with!(self, |limiter| limiter.snapshot_for_at(n, now), |table| {
            table.snapshot_of_refusal_for(key, n, now)
        })
    }
}

/// Makes the bucket of each key.
fn buckets<C: RulesClock>(
    quota: Quota,
    clock: &C,
) -> impl Fn(&KeyDigest) -> TokenBucket<C> + use<C> {
    let clock = clock.clone();
    move |_| TokenBucket::with_clock(quota, clock.clone())
}

/// Makes the window of each key, if there can be such a window.
fn windows<C: RulesClock>(
    text: WindowText,
    clock: &C,
) -> Result<impl Fn(&KeyDigest) -> SlidingWindow<C> + use<C>, WindowError> {
    let WindowText { limit, window } = text;
    let clock = clock.clone();
    // The numbers alone decide.
    SlidingWindow::with_clock(limit, window, clock.clone())?;
    Ok(move |_: &KeyDigest| {
        let window = SlidingWindow::with_clock(limit, window, clock.clone());
        window.expect("one with the same numbers was made")
    })
}
