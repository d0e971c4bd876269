//! The decisions of a window: what a change of its limit replaces.

use alloc::vec::Vec;
use core::time::Duration;

use super::carried::Carried;
use super::charge::{Generation, WindowCharge};
use super::history::Admissions;
#[cfg(any(feature = "std", tidegate_loom))]
use super::history::History;
use super::ring::{Ring, RingRefusal, View};
use super::slots::Window;
use super::windows::{Which, Windows};
use crate::denied::Denied;
use crate::sync::Closed;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::Lazy;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::time::nanos;

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

    /// What is carried to the slots of the ring.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn carried(&self) -> &History {
        self.history.get().unwrap_or(&self.ring.restored)
    }
}

/// Why a window refuses a call. In plain numbers: with a `Duration`, the compiler could not drop a
/// hint that is not read.
pub(super) enum WindowShortage {
    /// For so many nanoseconds.
    NotYet(u64),
    Never {
        capacity: u64,
    },
}

impl WindowShortage {
    #[inline]
    pub(super) const fn denied(self) -> Denied {
        match self {
            Self::NotYet(nanos) => Denied::not_yet(nanos),
            Self::Never { capacity } => Denied::Never { capacity },
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
    /// The length and the admissions that count, for a save.
    pub(super) fn admissions(self, nanos: u64) -> Result<(Duration, Vec<Admissions>), Closed> {
        let admissions = self.ring.admissions(self.carried, nanos)?;
        Ok((self.ring.window().length(), admissions))
    }

    /// The same of the longer of two windows.
    pub(super) fn admissions_of_longer(
        self,
        nanos: u64,
    ) -> Result<(Duration, Vec<Admissions>), Closed> {
        let admissions = self.ring.admissions_of_longer(nanos)?;
        Ok((self.ring.window_of(Which::Longer).length(), admissions))
    }

    /// The limit and the length.
    #[inline]
    pub(super) fn window(self) -> Result<&'a Window, Closed> {
        self.ring.check_open()
    }

    pub(super) fn windows(self) -> Result<Windows, Closed> {
        self.window()?;
        Ok(self.ring.windows())
    }

    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    pub(super) fn charge(
        self,
        n: u64,
        nanos: u64,
    ) -> Result<Result<WindowCharge, WindowShortage>, Closed> {
        if n > self.ring.window().limit() {
            let capacity = self.limit()?;
            return Ok(Err(WindowShortage::Never { capacity }));
        }
        match self.ring.admit(self.carried, n, nanos) {
            Ok(slot) => Ok(Ok(WindowCharge {
                slot,
                permits: n,
                generation: self.generation,
            })),
            Err(RingRefusal::Full(wait)) => Ok(Err(WindowShortage::NotYet(wait))),
            Err(RingRefusal::Closed(closed)) => Err(closed),
        }
    }

    /// [`charge`](Self::charge) for a caller that will not undo it. The result of the rare path fits
    /// registers, so that the usual one needs no memory for its own.
    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    pub(super) fn try_acquire(
        self,
        n: u64,
        nanos: u64,
    ) -> Result<Result<(), WindowShortage>, Closed> {
        let charged = self.charge(n, nanos)?;
        Ok(charged.map(drop))
    }

    /// The refusal of a call for more than the limit, unless that has changed.
    #[inline]
    fn never(self) -> Result<Denied, Closed> {
        let capacity = self.limit()?;
        Ok(Denied::Never { capacity })
    }

    #[cold]
    #[inline(never)]
    fn limit(self) -> Result<u64, Closed> {
        self.window().map(Window::limit)
    }

    #[inline]
    pub(super) fn peek(self, n: u64, nanos: u64) -> Result<Result<(), Denied>, Closed> {
        let ring = self.ring;
        if n > ring.window().limit() {
            return self.never().map(Err);
        }
        match ring.current(nanos) {
            Some(view) if ring.window().excess(view.used, n) == 0 => Ok(Ok(())),
            Some(view) => self.refusal(&view, n, nanos),
            None => self.peek_slow(n, nanos),
        }
    }

    /// The refusal of a call that does not fit a view, unless the window has moved on.
    #[cold]
    #[inline(never)]
    fn refusal(self, view: &View, n: u64, nanos: u64) -> Result<Result<(), Denied>, Closed> {
        match self.ring.until_room(self.carried, view, n, nanos) {
            Some(wait) => Ok(Err(Denied::not_yet(wait))),
            None => self.peek_slow(n, nanos),
        }
    }

    #[cold]
    #[inline(never)]
    fn peek_slow(self, n: u64, nanos: u64) -> Result<Result<(), Denied>, Closed> {
        let room = self.room_slow(n, nanos)?;
        Ok(room.map(drop).map_err(Denied::not_yet))
    }

    /// The room for a call of `n`, which is at most the limit, or the nanoseconds until there is
    /// enough.
    #[inline]
    pub(super) fn room(self, n: u64, nanos: u64) -> Result<Result<u64, u64>, Closed> {
        let Self { ring, carried, .. } = self;
        let Some(view) = ring.current(nanos) else {
            return self.room_slow(n, nanos);
        };
        if ring.window().excess(view.used, n) == 0 {
            return Ok(Ok(ring.window().limit() - view.used));
        }
        match ring.until_room(carried, &view, n, nanos) {
            Some(wait) => Ok(Err(wait)),
            None => self.room_slow(n, nanos),
        }
    }

    #[cold]
    #[inline(never)]
    fn room_slow(self, n: u64, nanos: u64) -> Result<Result<u64, u64>, Closed> {
        let Self { ring, carried, .. } = self;
        loop {
            let view = ring.view(carried, nanos)?;
            if ring.window().excess(view.used, n) == 0 {
                return Ok(Ok(ring.window().limit() - view.used));
            }
            // `None` if the window rotated meanwhile: then there may be room.
            if let Some(wait) = ring.until_room(carried, &view, n, nanos) {
                return Ok(Err(wait));
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
        if n > self.ring.window().limit() {
            return self.never().map(Err);
        }
        let peek = |n| self.peek(n, nanos);
        behind(self.ring.window(), ahead, n, peek)
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
}

/// Of a ring with two windows, about one of them.
impl<'a, H: Carried> Deciding<'a, H> {
    pub(super) fn window_of(self, which: Which) -> Result<&'a Window, Closed> {
        self.window()?;
        Ok(self.ring.window_of(which))
    }

    pub(super) fn available_of(self, which: Which, nanos: u64) -> Result<u64, Closed> {
        let used = self.ring.used_of(which, self.carried, nanos)?;
        Ok(self.ring.window_of(which).limit().saturating_sub(used))
    }

    /// As [`room`](Self::room).
    pub(super) fn room_of(
        self,
        which: Which,
        n: u64,
        nanos: u64,
    ) -> Result<Result<u64, u64>, Closed> {
        let Self { ring, carried, .. } = self;
        match &ring.longer {
            Some(longer) => ring.room_of(which, longer, carried, n, nanos),
            None => self.room(n, nanos),
        }
    }

    /// The rooms of both for one permit.
    pub(super) fn rooms_for_one(self, nanos: u64) -> Result<[Result<u64, u64>; 2], Closed> {
        if let Some(rooms) = self.ring.rooms_for_one(self.carried, nanos) {
            return Ok(rooms);
        }
        let room_of = |which| self.room_of(which, 1, nanos);
        Ok([room_of(Which::Shorter)?, room_of(Which::Longer)?])
    }

    pub(super) fn peek_of(
        self,
        which: Which,
        n: u64,
        nanos: u64,
    ) -> Result<Result<(), Denied>, Closed> {
        let capacity = self.window_of(which)?.limit();
        if n > capacity {
            return Ok(Err(Denied::Never { capacity }));
        }
        let room = self.room_of(which, n, nanos)?;
        Ok(room.map(drop).map_err(Denied::not_yet))
    }

    /// As [`peek_behind`](Self::peek_behind).
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn peek_of_behind(
        self,
        which: Which,
        ahead: u128,
        n: u64,
        nanos: u64,
    ) -> Result<Result<(), Denied>, Closed> {
        let window = self.window_of(which)?;
        if n > window.limit() {
            return self.peek_of(which, n, nanos);
        }
        let peek = |n| self.peek_of(which, n, nanos);
        behind(window, ahead, n, peek)
    }
}

/// The refusal of `n`, at least 1 and at most the limit, after waiters that ask for `ahead`.
#[cfg(any(feature = "std", tidegate_loom))]
fn behind(
    window: &Window,
    ahead: u128,
    n: u64,
    peek: impl FnOnce(u64) -> Result<Result<(), Denied>, Closed>,
) -> Result<Result<(), Denied>, Closed> {
    let limit = u128::from(window.limit());
    // At least 1, because `n` is.
    let before = ahead.saturating_add((n - 1).into());
    let windows = u32::try_from(before / limit).unwrap_or(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder is less than the limit"
    )]
    let rest = (before % limit) as u64 + 1;
    let outcome = peek(rest)?;
    if windows == 0 {
        return Ok(outcome);
    }
    let first = outcome.err().and_then(|denied| denied.retry_after());
    let whole = window.length().saturating_mul(windows);
    let retry_after = first.unwrap_or_default().saturating_add(whole);
    Ok(Err(Denied::not_yet(nanos(retry_after))))
}
