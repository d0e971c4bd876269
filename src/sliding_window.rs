//! The sliding window: the public type around [`Ring`].

mod carried;
#[cfg(any(feature = "std", tidegate_loom))]
mod changed;
mod charge;
mod counts;
#[cfg(any(feature = "std", tidegate_loom))]
mod handover;
mod hints;
mod history;
mod longer;
mod of_two;
mod one_of_two;
mod ring;
#[cfg(any(feature = "std", tidegate_loom))]
mod set_limit;
mod slots;
mod state;
mod windows;

pub use charge::WindowCharge;
pub(crate) use history::Admissions;

pub use slots::WindowError;
pub(crate) use windows::Which;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
#[cfg(not(any(feature = "std", tidegate_loom)))]
use crate::sync::Closed;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::{Succession, WaitQueue};
use crate::time::Timestamp;
use carried::Restored;
#[cfg(any(feature = "std", tidegate_loom))]
use changed::ChangedState;
use charge::Generation;
use ring::Ring;
use slots::{DEFAULT_SLOTS, Window, Word};
use state::{Deciding, WindowShortage, WindowState};
use windows::Windows;

/// At most `limit` admissions in *any* interval of the window's length, wherever it starts.
///
/// A sliding window is stricter than a [`TokenBucket`](crate::TokenBucket), which may admit a burst
/// and a period's refill within one period. It is also stricter than a fixed window, which may
/// admit twice the limit around its edge. Use it where a provider or a contract counts that way, as
/// in "50 requests per minute". Unlike a bucket it has no reservations, because it cannot promise
/// an instant while other calls may come in between. Waiters are served in order of arrival, and
/// decided as of the moment at which they wake up.
///
/// # Guarantees
///
/// They hold for any number of threads. The decision time of a call lies between its start and its
/// return.
///
/// * **Bound.** No interval `[t, t + window]` of decision times holds more than `limit` admissions.
/// * **No false refusal.** A refusal of `n` means that at least `limit − n + 1` permits were
///   admitted in the last window and slot. So capacity returns at most one slot late, by default
///   1/64 of the window ([`slots`](Self::slots)).
/// * **Honest hints.** Waiting exactly `retry_after` succeeds if no other call comes in between.
///   Waiting one nanosecond less does not.
/// * **Refusals** do not count.
/// * **Time.** A clock that steps back admits nothing more. No input panics or wraps. Readings
///   later than 292 years are clamped.
///
/// # Progress, cost and ordering
///
/// Lock-free; a call reads the clock once. An admission is one compare-and-swap for any number of
/// slots. The first acquisition in a new slot, admitted or not, sums the ring. Apart from that,
/// refusals write nothing. An [undo](Limiter::undo) wakes the first waiter, for which it takes a
/// lock if there is one.
///
/// To compute its hint, a refusal searches the window from both ends for the slot that has to age
/// out. For one window after an [undo](Limiter::undo) it searches only from the newest slot.
///
/// Operations synchronize nothing else. Do not use a limiter to hand data from thread to thread.
///
/// # Size
///
/// 128 bytes with padding, 256 with a clock that has a size, and 8 bytes per slot, allocated once.
/// The ring is up to eight times as large where the number of slots is not just below a power of
/// two or does not divide the window. The first call that waits allocates a queue.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, SlidingWindow};
///
/// let clock = ManualClock::new();
/// let minute = Duration::from_secs(60);
/// let window = SlidingWindow::with_clock(100, minute, clock.clone())?.slots(60);
///
/// clock.advance(Duration::from_secs(59));
/// assert!(window.try_acquire(100).is_ok());
///
/// // A fixed window would restart at 60 s. Here the 100 count for a minute and one slot of 1 s.
/// clock.advance(Duration::from_secs(1));
/// let retry_after = minute.into();
/// assert_eq!(window.try_acquire(1), Err(Denied::NotYet { retry_after }));
/// clock.advance(retry_after);
/// assert_eq!(window.available(), 100);
/// # Ok::<(), tidegate::WindowError>(())
/// ```
pub struct SlidingWindow<C = DefaultClock> {
    core: CachePadded<WindowCore<C>>,
    #[cfg(any(feature = "std", tidegate_loom))]
    wait_queue: WaitQueue,
    #[cfg(any(feature = "std", tidegate_loom))]
    changes: Succession<ChangedState>,
}

/// On cache lines of its own, because a decision needs all of it.
struct WindowCore<C> {
    state: WindowState,
    clock: C,
}

/// Evaluates an operation on the first state, and if that is closed on the one that has replaced
/// it.
macro_rules! on_latest {
    ($window:expr, $state:ident => $operation:expr) => {{
        let $state = $window.first();
        match $operation {
            Ok(result) => result,
            Err(closed) => $window.changed(closed, move |$state| $operation),
        }
    }};
}
use on_latest;

#[cfg(feature = "std")]
impl SlidingWindow {
    /// Creates an empty window on the [`DefaultClock`], with 64 slots.
    ///
    /// Uses fewer slots if 64 leave too few bits for the limit ([`WindowError::LimitTooLarge`]), or
    /// if the window is shorter than 64 ns.
    ///
    /// # Errors
    ///
    /// [`WindowError`] if `limit` or `window` is zero, if the window is longer than 146 years, or
    /// if the limit does not fit even with one slot. A limit fits if it has at most about as many
    /// bits as the slot's length in nanoseconds.
    pub fn new(limit: u64, window: Duration) -> Result<Self, WindowError> {
        Self::with_clock(limit, window, DefaultClock)
    }
}

impl<C> SlidingWindow<C> {
    /// Creates an empty window on a clock of your choice, with 64 slots or fewer as in `new`.
    ///
    /// # Errors
    ///
    /// [`WindowError`] if `limit` or `window` is zero, if the window is longer than 146 years, or
    /// if the limit does not fit even with one slot. A limit fits if it has at most about as many
    /// bits as the slot's length in nanoseconds.
    pub fn with_clock(limit: u64, window: Duration, clock: C) -> Result<Self, WindowError> {
        let window = Window::fitting(limit, window, DEFAULT_SLOTS)?;
        Ok(Self::build(&Windows::alone(window), clock))
    }

    fn build(windows: &Windows, clock: C) -> Self {
        let state = WindowState::new(Ring::new(windows));
        Self {
            core: CachePadded::new(WindowCore { state, clock }),
            #[cfg(any(feature = "std", tidegate_loom))]
            wait_queue: WaitQueue::new(),
            #[cfg(any(feature = "std", tidegate_loom))]
            changes: Succession::none(),
        }
    }

    /// The first state.
    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    fn first(&self) -> Deciding<'_, Restored> {
        Deciding {
            ring: &self.core.state.ring,
            carried: Restored,
            generation: Generation::FIRST,
        }
    }

    /// Without std, limits do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn changed<R>(
        &self,
        closed: Closed,
        _: impl Fn(Deciding<'_, Restored>) -> Result<R, Closed>,
    ) -> R {
        match closed {}
    }

    /// Returns the same window, empty, with another number of slots.
    ///
    /// Capacity returns at most `window / slots` late. More slots take more memory: see the type.
    ///
    /// # Panics
    ///
    /// Where [`try_slots`](Self::try_slots) returns an error.
    #[must_use]
    #[track_caller]
    pub fn slots(self, slots: usize) -> Self {
        match self.try_slots(slots) {
            Ok(window) => window,
            #[expect(clippy::panic, reason = "documented; `try_slots` does not")]
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the same window, empty, with another number of slots.
    ///
    /// # Errors
    ///
    /// [`WindowError::ZeroSlots`]. [`WindowError::TooManySlots`] for more than 65 536, or more than
    /// one per nanosecond. [`WindowError::LimitTooLarge`] if slots this short leave too few bits
    /// for the limit.
    pub fn try_slots(self, slots: usize) -> Result<Self, WindowError> {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        let window = Window::new(self.limit(), self.window(), slots)?;
        Ok(Self::build(
            &Windows::alone(window),
            CachePadded::into_inner(self.core).clock,
        ))
    }

    /// Returns the most permits that any interval of the window's length admits.
    pub fn limit(&self) -> u64 {
        on_latest!(self, state => state.window().map(Window::limit))
    }

    /// Returns the window's length.
    pub fn window(&self) -> Duration {
        on_latest!(self, state => state.window().map(Window::length))
    }

    /// Returns the number of slots that the window was made with, or fewer if so many do not fit
    /// what `set_limit` has changed.
    pub fn slot_count(&self) -> u64 {
        on_latest!(self, state => state.window().map(Window::slots))
    }

    /// Returns the clock that the window reads.
    pub fn clock(&self) -> &C {
        &self.core.clock
    }

    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    fn charge(&self, n: u64, nanos: u64) -> Result<WindowCharge, Denied> {
        on_latest!(self, state => state.charge(n, nanos)).map_err(WindowShortage::denied)
    }

    /// Checks for the permits that a call requires, and prepares the exchange that charges its
    /// cost. `None` if there are too few. `required` is at least 1.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prepare_at(&self, request: Request, now: Timestamp) -> Option<PreparedCharge> {
        let nanos = now.as_nanos();
        let first = &self.core.state.ring;
        let (room, charge) = match first.prepare(Restored, request.cost, nanos) {
            Ok(prepared) => prepared,
            // Without an exchange, so that the call charges the window in a step of its own.
            Err(closed) => {
                let room = self.changed(closed, move |state| state.available(nanos));
                (room, Exchange::NONE)
            }
        };
        PreparedCharge::new(room, request.required, charge)
    }

    /// [`prepare_at`](Self::prepare_at) for one permit. `None` if there is no room, or the window
    /// has to move on or was changed.
    #[inline]
    pub(crate) fn prepare_one_at(&self, now: Timestamp) -> Option<(u64, Exchange)> {
        self.core.state.ring.prepare_one(now.as_nanos())
    }

    /// Makes a prepared charge if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        self.core.state.ring.commit(charge)
    }

    /// Charges `n`, at least 1. The result names the charged slot, for
    /// [`undo_exchange`](Self::undo_exchange).
    pub(crate) fn charge_exchange_at(&self, n: u64, now: Timestamp) -> Result<Exchange, Denied> {
        let WindowCharge {
            slot, generation, ..
        } = self.charge(n, now.as_nanos())?;
        let first = || self.core.state.ring.window().word(slot, 0).0;
        Ok(generation.exchange(slot, first))
    }

    /// Reverses `permits` in the slot that `charge` names, and returns how many came back.
    pub(crate) fn undo_exchange(&self, permits: u64, charge: Exchange) -> u64 {
        let generation = Generation::of(charge);
        let slot = match generation {
            Generation::FIRST => self.core.state.ring.window().number(Word(charge.before)),
            _ => charge.before,
        };
        self.undo_in(slot, permits, generation)
    }

    fn undo_in(&self, slot: u64, permits: u64, generation: Generation) -> u64 {
        let returned = match generation {
            // Nothing if it is closed: its head has another number.
            Generation::FIRST => self.core.state.ring.undo(slot, permits),
            _ => self.undo_changed(slot, permits, generation),
        };
        #[cfg(any(feature = "std", tidegate_loom))]
        self.wait_queue.wake_head();
        returned
    }

    /// Without std, limits do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn undo_changed(&self, _: u64, _: u64, _: Generation) -> u64 {
        0
    }
}

/// For saves.
impl<C> SlidingWindow<C> {
    /// The length, and the admissions that count at `now`.
    pub(crate) fn admissions_at(&self, now: Timestamp) -> (Duration, Vec<Admissions>) {
        on_latest!(self, state => state.admissions(now.as_nanos()))
    }

    /// Counts these admissions as well. `now` is the present, at which they have their ages.
    pub(crate) fn restore_admissions_at(&mut self, admissions: &[Admissions], now: Timestamp) {
        let (_, mut all) = self.admissions_at(now);
        all.extend_from_slice(admissions);
        let windows = on_latest!(self, state => state.windows());
        self.replace_ring(Ring::restored(&windows, &all, &[], now.as_nanos()));
    }

    /// Replaces the state while no other thread has the window, so that nothing is closed and no
    /// change is underway.
    fn replace_ring(&mut self, ring: Ring) {
        self.core.state = WindowState::new(ring);
        #[cfg(any(feature = "std", tidegate_loom))]
        {
            self.changes = Succession::none();
        }
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// An instant may be older than one that was used before. The call then counts in the latest slot
/// that was used.
impl<C> SlidingWindow<C> {
    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        on_latest!(self, state => state.try_acquire(n, now.as_nanos()))
            .map_err(WindowShortage::denied)
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        on_latest!(self, state => state.peek(n, now.as_nanos()))
    }

    /// The refusal of `n` after waiters that ask for `ahead`. Its wait is the least that any order
    /// of admissions allows: every `limit` of them take a whole window.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn peek_behind_at(&self, ahead: u128, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        on_latest!(self, state => state.peek_behind(ahead, n, now.as_nanos()))
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at(&self, now: Timestamp) -> u64 {
        on_latest!(self, state => state.available(now.as_nanos()))
    }

    /// [`current_count`](Self::current_count) as of `now`.
    pub fn current_count_at(&self, now: Timestamp) -> u64 {
        on_latest!(self, state => state.used(now.as_nanos()))
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }
}

/// Operations as of now. Each reads the clock once.
impl<C: Clock> SlidingWindow<C> {
    /// Admits `n` if the window has room. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if there is no room, [`Denied::Never`] if `n` is above the
    /// limit. Nothing is counted then.
    #[expect(clippy::inline_always, reason = "as `Ring::admit`")]
    #[inline(always)]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(n, self.core.clock.now())
    }

    /// Returns `Ok` if `n` would be admitted now. Changes nothing, so another call may take the
    /// room first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.core.clock.now())
    }

    /// Returns how many more permits would be admitted now. Takes time in proportion to the number
    /// of slots until the first acquisition in the current slot, admitted or not.
    pub fn available(&self) -> u64 {
        self.available_at(self.core.clock.now())
    }

    /// Returns how many admissions count now. Takes time in proportion to the number of slots until
    /// the first acquisition in the current slot, admitted or not.
    ///
    /// ```
    /// use tidegate::{ManualClock, SlidingWindow};
    ///
    /// let second = core::time::Duration::from_secs(1);
    /// let window = SlidingWindow::with_clock(5, second, ManualClock::new())?;
    /// window.try_acquire(3).unwrap();
    /// assert_eq!((window.current_count(), window.available()), (3, 2));
    /// # Ok::<(), tidegate::WindowError>(())
    /// ```
    pub fn current_count(&self) -> u64 {
        self.current_count_at(self.core.clock.now())
    }

    /// Returns how long until a call for `n` is admitted if no other call comes in between; `None`
    /// if `n` is above the limit.
    ///
    /// Exact: after this wait the call succeeds, and one nanosecond earlier it is refused.
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.core.clock.now())
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl<C> SlidingWindow<C> {
    pub(crate) const fn wait_queue(&self) -> &WaitQueue {
        &self.wait_queue
    }
}

impl<C> sealed::Sealed for SlidingWindow<C> {}

impl<C: Clock> sealed::Internals for SlidingWindow<C> {
    #[cfg(any(feature = "std", tidegate_loom))]
    fn change_to_at(&self, new: &Self, now: Timestamp) -> bool {
        self.set_limit_at(new.limit(), new.window(), now).is_ok()
    }
}

impl<C: Clock> Limiter for SlidingWindow<C> {
    type Clock = C;
    type Charge = WindowCharge;

    fn clock(&self) -> &C {
        &self.core.clock
    }

    fn capacity(&self) -> u64 {
        self.limit()
    }

    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(n, now)
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(n, now)
    }

    #[inline]
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<WindowCharge, Denied> {
        if n == 0 {
            return Ok(WindowCharge::NOTHING);
        }
        self.charge(n, now.as_nanos())
    }

    /// Returns the permits while the charged slot is the current one; later they are forfeited.
    fn undo(&self, charge: WindowCharge) -> u64 {
        if charge.permits == 0 {
            return 0;
        }
        self.undo_in(charge.slot, charge.permits, charge.generation)
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        self.available_at(now)
    }

    fn refill_time(&self) -> Duration {
        self.window()
    }

    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.current_count_at(now) == 0
    }
}

impl<C: fmt::Debug> fmt::Debug for SlidingWindow<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (window, ring) = on_latest!(self, state => {
            state.window().map(|window| (*window, state.ring.position()))
        });
        f.debug_struct("SlidingWindow")
            .field("limit", &window.limit())
            .field("window", &window.length())
            .field("slots", &window.slots())
            .field("ring", &ring)
            .field("clock", &self.core.clock)
            .finish_non_exhaustive()
    }
}
