//! The decisions of a window: what a change of its limit replaces.

use super::carried::Carried;
#[cfg(any(feature = "std", tidegate_loom))]
use super::carried::History;
use super::charge::{Generation, WindowCharge};
use super::ring::{Ring, RingRefusal};
use super::slots::Window;
use crate::denied::Denied;
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::sync::Closed;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::Lazy;

/// The ring of a window, and what it counts besides.
pub(super) struct WindowState {
    pub(super) ring: Ring,
    /// Set when the ring takes over from another.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) history: Lazy<History>,
}

impl WindowState {
    crate::sync::const_fn! {
        pub(super) const fn new(ring: Ring) -> Self {
            Self {
                ring,
                #[cfg(any(feature = "std", tidegate_loom))]
                history: Lazy::new(),
            }
        }
    }
}

/// A state that decides. Each decision fails once a successor has taken over, or is about to.
#[derive(Clone, Copy)]
pub(super) struct Deciding<'a, H> {
    pub(super) ring: &'a Ring,
    pub(super) carried: H,
    pub(super) generation: Generation,
}

impl<'a, H: Carried> Deciding<'a, H> {
    /// The limit and the length.
    #[inline]
    pub(super) fn window(self) -> Result<&'a Window, Closed> {
        self.ring.check_open()
    }

    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    pub(super) fn charge(self, n: u64, nanos: u64) -> Result<Result<WindowCharge, Denied>, Closed> {
        if n > self.ring.window().limit() {
            return self.never();
        }
        match self.ring.admit(self.carried, n, nanos) {
            Ok(slot) => Ok(Ok(WindowCharge {
                slot,
                permits: n,
                generation: self.generation,
            })),
            Err(RingRefusal::Full(retry_after)) => Ok(Err(Denied::NotYet { retry_after })),
            Err(RingRefusal::Closed(closed)) => Err(closed),
        }
    }

    /// The refusal of a call for more than the limit, unless that has changed.
    #[cold]
    #[inline(never)]
    fn never<R>(self) -> Result<Result<R, Denied>, Closed> {
        let capacity = self.window()?.limit();
        Ok(Err(Denied::Never { capacity }))
    }

    #[inline]
    pub(super) fn peek(self, n: u64, nanos: u64) -> Result<Result<(), Denied>, Closed> {
        let Self { ring, carried, .. } = self;
        if n > ring.window().limit() {
            return self.never();
        }
        loop {
            let view = ring.look(carried, nanos)?;
            if ring.window().excess(view.used, n) == 0 {
                return Ok(Ok(()));
            }
            // `None` if the window rotated meanwhile: then there may be room.
            if let Some(retry_after) = ring.until_room(carried, &view, n, nanos) {
                return Ok(Err(Denied::NotYet { retry_after }));
            }
        }
    }

    /// The refusal of `n`, at least 1, after waiters that ask for `ahead`. Its wait is the least
    /// that any order of admissions allows: every `limit` of them take a whole window.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn peek_behind(
        self,
        ahead: u128,
        n: u64,
        nanos: u64,
    ) -> Result<Result<(), Denied>, Closed> {
        let window = self.ring.window();
        if n > window.limit() {
            return self.never();
        }
        let limit = u128::from(window.limit());
        // At least 1, because `n` is.
        let before = ahead.saturating_add((n - 1).into());
        let windows = u32::try_from(before / limit).unwrap_or(u32::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder is less than the limit"
        )]
        let rest = (before % limit) as u64 + 1;
        let outcome = self.peek(rest, nanos)?;
        if windows == 0 {
            return Ok(outcome);
        }
        let first = outcome.err().and_then(|denied| denied.retry_after());
        let whole = window.length().saturating_mul(windows);
        let retry_after = first.unwrap_or_default().saturating_add(whole);
        Ok(Err(Denied::NotYet { retry_after }))
    }

    #[inline]
    pub(super) fn used(self, nanos: u64) -> Result<u64, Closed> {
        let used = self.ring.used(self.carried, nanos)?;
        // More was admitted if the limit was lowered, but a base does not tell.
        Ok(used.min(self.ring.window().limit()))
    }

    #[inline]
    pub(super) fn available(self, nanos: u64) -> Result<u64, Closed> {
        let used = self.ring.used(self.carried, nanos)?;
        Ok(self.ring.window().limit().saturating_sub(used))
    }

    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(super) fn prepare(
        self,
        request: Request,
        nanos: u64,
    ) -> Result<Option<PreparedCharge>, Closed> {
        self.ring.prepare(self.carried, request, nanos)
    }

    /// Prepares a call for a window whose limit has changed: without an exchange, so that the call
    /// charges the window in a step of its own.
    pub(super) fn prepare_changed(
        self,
        request: Request,
        nanos: u64,
    ) -> Result<Option<PreparedCharge>, Closed> {
        let room = self.available(nanos)?;
        Ok(PreparedCharge::new(room, request.required, Exchange::NONE))
    }
}
