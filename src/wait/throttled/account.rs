//! What the bytes of one reader and writer owe, and the payments.
//!
//! Both directions wait in one position of the limiter's queue, and a poll of either moves it on.
//! With two positions a task that awaits a write while its read is set aside would wait for itself:
//! the read, which is not polled, could be ahead.

use alloc::sync::Arc;
use core::mem;
use core::task::{Context, Poll, Waker, ready};

use super::both_wakers::{BothWakers, Side};
use crate::clock::Clock;
use crate::wait::pacer::{INSTALMENTS_PER_POLL, Pacer};
use crate::wait::timer::{SleepSlot, Timer};
use crate::wait::{Awaitable, DefaultTimer, Instants};

/// The default size of a chunk: a TLS record, and twice the buffer of `tokio::io::copy`.
const CHUNK: u64 = 16 * 1024;

/// The panic message of an account without a pacer.
const MOVED: &str = "only `timer` takes the pacer";

pub(super) struct Account<L: Awaitable, T: SleepSlot> {
    /// `None` once `timer` has moved it to another account.
    pacer: Option<Pacer<L, T>>,
    wakers: Arc<BothWakers>,
    pub(super) options: Options,
    dues: Dues,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) chunk: u64,
    pub(super) is_reading_throttled: bool,
    pub(super) is_writing_throttled: bool,
}

/// What is to be paid, and what was paid in advance.
#[derive(Clone, Copy, Debug)]
struct Dues {
    /// Bytes that were read and are not paid.
    owed: u64,
    /// Permits that a write waits for.
    wanted: u64,
    /// Permits that were taken and not used by a write.
    prepaid: u64,
    /// The side that gets the next instalment first.
    first: Side,
}

impl Dues {
    const fn unpaid(&self) -> u64 {
        self.owed.saturating_add(self.wanted)
    }

    fn credit(&mut self, permits: u64) {
        let for_reads = match self.first {
            Side::Read => self.owed.min(permits),
            Side::Write => self.owed.min(permits.saturating_sub(self.wanted)),
        };
        let for_writes = permits - for_reads;
        self.owed -= for_reads;
        self.wanted = self.wanted.saturating_sub(for_writes);
        self.prepaid = self.prepaid.saturating_add(for_writes);
        // The sides alternate. Otherwise one that always has more to do would starve the other.
        self.first = self.first.other();
    }
}

impl<L: Awaitable> Account<L, DefaultTimer> {
    pub(super) fn new(limiter: L) -> Self {
        Self {
            pacer: Some(Pacer::new(limiter)),
            wakers: Arc::default(),
            options: Options {
                chunk: CHUNK,
                is_reading_throttled: true,
                is_writing_throttled: true,
            },
            dues: Dues {
                owed: 0,
                wanted: 0,
                prepaid: 0,
                first: Side::Read,
            },
        }
    }
}

impl<L: Awaitable, T: SleepSlot> Account<L, T> {
    /// The same on another timer.
    pub(super) fn timer<U: Timer>(mut self, timer: U) -> Account<L, U> {
        Account {
            pacer: self.pacer.take().map(|pacer| pacer.timer(timer)),
            wakers: mem::take(&mut self.wakers),
            options: self.options,
            dues: self.dues,
        }
    }

    pub(super) const fn limiter(&self) -> &L {
        self.pacer.as_ref().expect(MOVED).limiter()
    }

    /// Notes that so many bytes were read.
    pub(super) const fn charge_read(&mut self, bytes: usize) {
        if self.options.is_reading_throttled {
            self.dues.owed = self.dues.owed.saturating_add(bytes as u64);
        }
    }

    /// Notes that so many bytes were written.
    pub(super) const fn charge_write(&mut self, bytes: usize) {
        if self.options.is_writing_throttled {
            self.dues.prepaid = self.dues.prepaid.saturating_sub(bytes as u64);
        }
    }

    /// The most of `len` bytes that may be moved at once.
    fn chunk_of(&self, len: usize) -> usize {
        let chunk = self.options.chunk.min(self.limiter().max_permits()).max(1);
        usize::try_from(chunk).unwrap_or(usize::MAX).min(len)
    }
}

impl<L: Awaitable, T: Timer> Account<L, T> {
    /// Waits until what was read is paid, and returns how many of `len` bytes may be read.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, len: usize) -> Poll<usize> {
        if !self.options.is_reading_throttled || len == 0 {
            return Poll::Ready(len);
        }
        ready!(self.poll_payments(Side::Read, context, |dues| dues.owed == 0));
        Poll::Ready(self.chunk_of(len))
    }

    /// Waits for the permits of a write, and returns how many of `len` bytes may be written.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, len: usize) -> Poll<usize> {
        if !self.options.is_writing_throttled || len == 0 {
            return Poll::Ready(len);
        }
        let chunk = self.chunk_of(len);
        let missing = (chunk as u64).saturating_sub(self.dues.prepaid);
        // Another write may have waited for more, and the instalment keeps its size.
        self.dues.wanted = self.dues.wanted.max(missing);
        let is_paid = |dues: &Dues| dues.prepaid >= chunk as u64;
        ready!(self.poll_payments(Side::Write, context, is_paid));
        Poll::Ready(chunk)
    }

    /// Pays for both sides, and is ready once one may go on.
    ///
    /// It pays for the other side even if this one may go on. The other may have been set aside,
    /// and others wait behind it.
    fn poll_payments(
        &mut self,
        side: Side,
        context: &mut Context<'_>,
        is_paid: impl Fn(&Dues) -> bool,
    ) -> Poll<()> {
        if self.dues.unpaid() > 0 {
            self.wakers.store(side, context.waker());
            let waker = Waker::from(Arc::clone(&self.wakers));
            let mut both = Context::from_waker(&waker);
            let mut instalments = 0;
            while self.dues.unpaid() > 0 {
                if instalments == INSTALMENTS_PER_POLL {
                    context.waker().wake_by_ref();
                    break;
                }
                instalments += 1;
                let pacer = self.pacer.as_mut().expect(MOVED);
                let Poll::Ready(paid) = pacer.poll_instalment(&mut both, self.dues.unpaid()) else {
                    break;
                };
                self.dues.credit(paid);
                self.wakers.wake_side(side.other());
            }
        }
        if is_paid(&self.dues) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Pays for the last read, if that takes no wait. Otherwise many short connections would read
/// without being seen by the limiter.
impl<L: Awaitable, T: SleepSlot> Drop for Account<L, T> {
    fn drop(&mut self) {
        let Some(pacer) = &self.pacer else { return };
        if self.dues.owed == 0 {
            return;
        }
        let limiter = pacer.limiter();
        let now = limiter.wait_clock().now();
        let at = Instants {
            arrival: now,
            due: now,
            now,
        };
        // A refused charge has no reader left that could wait for it.
        let _ = limiter.attempt(self.dues.owed, at);
    }
}
